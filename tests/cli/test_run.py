"""``auditor run``, ``data`` and ``init``."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Auditor

AUDIT = """\
schema: auditor/audit/v1
system: {name: A score, provider: Us, purpose: To test}
policy: four-fifths-screen
data: {train: table.csv, test: table.csv, target: y, sensitive: [sex, race], record_id: id,
       bins: {}}
predictions: {table: table.csv, prediction: p, score: s}
stages: [data, evaluation, pre-deployment]
"""


def test_a_whole_audit_from_a_file(auditor: Auditor, table: Path) -> None:
    Path("audit.yaml").write_text(AUDIT)
    done = auditor("run", "audit.yaml", "--out", "run", "--json")
    assert done.code in (1, 3)
    stages = {f["stage"] for f in done.json["findings"]}
    assert stages == {"data", "evaluation"}
    overlap = next(f for f in done.json["findings"] if f["metric"] == "overlap_rate[test]")
    assert overlap["value"] == 1.0
    assert json.loads(Path("run/run.json").read_text())["system"]["name"] == "A score"
    assert auditor("verify", "run").code == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sensitive:", "sensitiv:", "audit.yaml:4:54: unknown key 'sensitiv'"),
        ("[data, evaluation", "[training, evaluation", "audit.yaml:7:10"),
        ("predictions:", "model: {file: m.pkl}\npredictions:", "both predictions and a model"),
        ("schema: auditor/audit/v1", "schema: auditor/audit/v9", "audit.yaml:1:9"),
        ("table: table.csv", "table: nothing.csv", "no such file"),
        ("policy: four-fifths-screen", "policy: [a]", "audit.yaml:3:9"),
    ],
)
def test_a_wrong_file_says_where(
    auditor: Auditor, table: Path, old: str, new: str, message: str
) -> None:
    Path("audit.yaml").write_text(AUDIT.replace(old, new))
    done = auditor("run", "audit.yaml", "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()


EVERYTHING = """\
schema: auditor/audit/v1
data:
  train: table.csv
  target: y
  sensitive: [sex]
  record_id: id
  task: binary
  schema: {id: int64, sex: string, race: string, age: int64, y: int64, p: int64, s: float64}
  sources:
    - {name: Ours, licence: CC-BY-4.0, collected: {from: 1994}, personal: true}
  population: people.csv
  population_column: people
  annotators: [y, p]
  proxies: true
  features: [s]
  folders: {images: pictures}
stages: [data]
"""


def test_an_audit_file_takes_what_the_data_may_be_given(auditor: Auditor, table: Path) -> None:
    folder = Path("there")
    folder.mkdir()
    table.rename(folder / "table.csv")
    (folder / "people.csv").write_text("sex,people,other\nF,51,1\nM,49,1\n")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"png")
    (folder / "audit.yaml").write_text(EVERYTHING)
    done = auditor("run", "there/audit.yaml", "--out", "run", "--json")
    assert done.code == 0, done.err
    measured = {f["metric"] for f in done.json["findings"] if f["status"] == "measured"}
    assert measured >= {
        "representation_ratio", "label_disagreement_rate", "proxy_auc[s]",
        "known_licence_rate[sources]",
    }  # fmt: skip
    entries = [json.loads(line) for line in Path("run/ledger.jsonl").read_text().splitlines()]
    body = next(b for e in entries if "tables" in (b := e.get("body", e)))
    assert body["folders"]["images"]["files"] == 1
    assert "id: int64" in json.dumps(body["tables"])
    assert auditor("verify", "run").code == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name: Ours, licence", "{nam: Ours, licence", "source 1: unknown key 'nam'"),
        ("licence: CC-BY-4.0", "licence: CCBY", "data.sources, source 1"),
        ("task: binary", "task: guess", "audit.yaml:7:9: data.task"),
        ("proxies: true", "proxies: false", "features without proxies"),
        ("population: people.csv", "", "population_column without population"),
        ("folders: {images: pictures}", "folders: [pictures]", "audit.yaml:16:12: data.folders"),
        ("schema: {id: int64", "schemas: {id: int64", "did you mean 'schema'?"),
        ("id: int64", "id: innt64", "unknown type 'innt64'"),
    ],
)  # fmt: skip
def test_what_the_data_cannot_be_given_is_said(
    auditor: Auditor, table: Path, old: str, new: str, message: str
) -> None:
    Path("people.csv").write_text("sex,people\nF,51\nM,49\n")
    Path("pictures").mkdir()
    Path("pictures/a.png").write_bytes(b"png")
    Path("audit.yaml").write_text(EVERYTHING.replace(old, new))
    done = auditor("run", "audit.yaml", "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def test_a_task_of_the_audit_file_goes_for_data_and_predictions(
    auditor: Auditor, table: Path
) -> None:
    frame = pd.read_csv(table)
    frame["y"], frame["p"] = frame["age"] / 10, frame["age"] / 11
    frame.to_csv(table, index=False)
    text = AUDIT.replace("bins: {}", "task: regression").replace("policy: four-fifths-screen\n", "")
    Path("audit.yaml").write_text(text.replace(", score: s", ""))
    done = auditor("run", "audit.yaml", "--json")
    assert done.code in (0, 1, 3), done.err
    assert "mean_absolute_error" in {f["metric"] for f in done.json["findings"]}


def test_a_pickled_model_is_refused(auditor: Auditor, table: Path) -> None:
    Path("m.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    text = AUDIT.replace("predictions: {table: table.csv, prediction: p, score: s}",
                         "model: {file: m.pkl}")  # fmt: skip
    Path("audit.yaml").write_text(text)
    done = auditor("run", "audit.yaml", "--out", "run")
    assert done.code == 2
    assert "never a pickle" in done.err
    assert not Path("owned").exists()


def test_init_writes_files_that_read(auditor: Auditor) -> None:
    assert auditor("init", "new").code == 0
    assert auditor("policy", "check", "new/policy.yaml").code == 0
    done = auditor("run", "new/audit.yaml", "--out", "run")
    assert done.code == 2
    assert "data/test.parquet" in done.err
    again = auditor("init", "new")
    assert again.code == 2
    assert "the file exists" in again.err


def test_data_sets_are_audited(auditor: Auditor, table: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[:9, "race"] = None
    frame = pd.concat([frame, frame[:5]])
    frame[:1_000].to_csv("train.csv", index=False)
    frame[900:].to_csv("test.csv", index=False)
    done = auditor("data", "train.csv", "test.csv", "--target", "y", "--sensitive", "sex,race",
                   "--record-id", "id", "--out", "run", "--json")  # fmt: skip
    assert done.code == 0
    found = {(f["metric"], json.dumps(f["slice"])): f for f in done.json["findings"]}
    shared = frame[900:].merge(frame[:1_000].drop(columns="id").drop_duplicates())
    assert len(shared) > 105
    assert found["overlap_rate[test]", "{}"]["value"] == len(shared) / len(frame[900:])
    assert found["missing_rate[race]", "{}"]["value"] == pytest.approx(0.01)
    repeated = frame[:1_000].drop(columns="id").duplicated().mean()
    assert found["duplicate_rate[train]", "{}"]["value"] == repeated
    assert ("base_rate", '{"sex": "F"}') in found
    assert not Path("run/verdict.json").exists()
    assert auditor("verify", "run").code == 3
