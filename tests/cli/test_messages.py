"""Wrong input is one line on the command line: what, where, what would be valid; exit code 2."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Auditor

FRAME = pd.DataFrame(
    {"id": range(40), "sex": ["F", "M"] * 20, "x": range(40), "y": [0, 1, 1, 0] * 10}
)
ROLES = ("--target", "y", "--sensitive", "sex")


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    FRAME.assign(id=1).to_csv(tmp_path / "twice.csv", index=False)
    FRAME.assign(id=[None, *range(39)]).to_csv(tmp_path / "gaps.csv", index=False)
    for name, source in (("a", "rows: many"), ("b", "consent: maybe"), ("c", "digest: abc")):
        text = f"schema: auditor/sources/v1\nsources: [{{name: a, {source}}}]\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "d.yaml").write_text("schema: auditor/sources/v1\nsources: [a, {rows: 1}]\n")
    (tmp_path / "e.yaml").write_text("schema: auditor/sources/v1\nsources: [{rows: 1}]\n")


WRONG = {
    "data none.csv": "none.csv: no such file; a path or glob of CSV, JSON lines",
    "data train.csv --text nope": "train.csv, --text: there is no column 'nope'; valid: id, sex",
    "data train.csv --entity nope": "train.csv, --entity: there is no column 'nope'; valid: id",
    "data twice.csv --record-id id --out r": "twice.csv, --record-id: record ids repeat: 39 of 40",
    "data train.csv twice.csv --record-id id --out r": "twice.csv, --record-id: record ids repeat",
    "data gaps.csv --record-id id --out r": "gaps.csv, --record-id: record id 'id' is missing in 1",
    "data train.csv --benchmark train=twice.csv": "--benchmark: a benchmark has the name 'train'",
    "data train.csv --folder a=none": "none: the folder cannot be read: No such file",
    "data train.csv --population-column x": "--population-column: there is no table to read it",
    "data train.csv --features x": "--features: nothing would look at them; --proxies beside it",
    "data train.csv --sources a.yaml": "a.yaml, source 1: rows: expected a whole number, found",
    "data train.csv --sources b.yaml": "b.yaml, source 1: consent.0: found 'maybe', expected 'cons",
    "data train.csv --sources c.yaml": "c.yaml, source 1: digest: expected a text that fits",
    "data train.csv --sources d.yaml": "d.yaml, source 1: expected a mapping, found 'a'",
    "data train.csv --sources e.yaml": "e.yaml, source 1: 'name' is missing",
    "data train.csv --seed x": "--seed: expected a whole number; see auditor data --help",
    "data train.csv --intersections 0": "--intersections: expected at least 1; see auditor data",
    "data train.csv --nope": "no such option: --nope; see auditor data --help",
    "data": "missing argument 'train'; see auditor data --help",
    "nope": "no such command 'nope'; see auditor --help",
    "verify train.csv": "train.csv: neither a proof nor a model's signature; the folder of a run",
    "redact none --out c --min-cell x": "--min-cell: expected a whole number; see auditor redact",
    "prove none 1": "none: there is no such folder; the folder of a run",
    "run none.yaml": "none.yaml: the file cannot be read: No such file or directory; an audit file",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_one_line(auditor: Auditor, line: str) -> None:
    done = auditor(*line.split())
    assert done.code == 2
    assert done.err.startswith(f"auditor: {WRONG[line]}"), done.err
    assert done.err.count("\n") == 1
    assert not re.search(r"[a-z_]=[:,; ]|[Ii]nput should|[Ff]ield required", done.err)
    assert not Path("r").exists()


AUDITS = {
    "data: {train: train.csv, sensitive: []}": "data.sensitive: expected a list of at least 1",
    "data: {train: train.csv, sensitive: sex}": "data.sensitive: expected a list, found 'sex'",
    "data: {train: 3, sensitive: [sex]}": "2:15: data.train: expected a text, found 3",
    "data: {train: train.csv, sensitive: [sex], intersections: two}": "expected a whole number",
    "data: {train: train.csv, sensitive: [sex], proxies: perhaps}": "expected true or false",
    "data: {train: train.csv, sensitive: [sex], task: nope}":
        "data.task: expected 'binary', 'multiclass' or 'regression', found 'nope'",
    "data: {train: train.csv, sensitive: [sex], reference: 3}":
        "data.reference: expected 'largest', 'best' or 'rest' or a mapping, found 3",
    "data: {train: train.csv, sensitive: [sex], sources: 3}":
        "data.sources: expected a text or a list, found 3",
    "data: {train: train.csv, sensitive: [sex], bins: {x: [a]}}": "bins.x.0: expected a number",
    "data: [1]": "2:7: data: expected a mapping, found a list of 1",
    "system: {risks: [{id: a}]}\ndata: {train: train.csv, sensitive: [sex]}":
        "system.risks.0: 'text' is missing",
    "data: {sensitive: [sex]}": "the stage data needs data.train, data.validation or data.test",
    "data: {train: train.csv, sensitive: [sex], text: [nope]}":
        "train.csv, data.text: there is no column 'nope'",
    "data: {train: train.csv, sensitive: [sex], target: nope}":
        "train.csv, data.target: there is no column 'nope'",
    "data: {train: twice.csv, sensitive: [sex], record_id: id}":
        "twice.csv, data.record_id: record ids repeat: 39 of 40",
}  # fmt: skip


@pytest.mark.parametrize("text", AUDITS)
def test_a_wrong_audit_file_is_one_line(auditor: Auditor, tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.yaml").write_text(f"schema: auditor/audit/v1\n{text}\nstages: [data]\n")
    done = auditor("run", "audit.yaml", "--out", "r")
    assert done.code == 2
    assert AUDITS[text] in done.err
    assert done.err.count("\n") == 1
    assert not re.search(r"[a-z_]=[:,; ]|[Ii]nput should|[Ff]ield required", done.err)
    assert not Path("r").exists()


def test_an_audit_without_a_stage_is_refused_and_a_number_is_a_positive_value(
    auditor: Auditor, tmp_path: Path
) -> None:
    text = "schema: auditor/audit/v1\ndata: {train: train.csv, sensitive: [sex], target: y, "
    (tmp_path / "audit.yaml").write_text(f"{text}positive: 1}}\nstages: []\n")
    done = auditor("run", "audit.yaml", "--out", "r")
    assert (done.code, Path("r").exists()) == (2, False)
    assert "stages: expected a list of at least 1, found an empty list" in done.err
    (tmp_path / "audit.yaml").write_text(f"{text}positive: 1}}\nstages: [data]\n")
    assert auditor("run", "audit.yaml", "--out", "r").code == 0


def test_nothing_is_redacted_into_the_run_itself(auditor: Auditor) -> None:
    assert auditor("data", "train.csv", *ROLES, "--out", "run").code == 0
    done = auditor("redact", "run", "--out", "run/copy")
    assert done.code == 2
    assert "run/copy: nothing is written into a finished run; an --out outside" in done.err
    assert auditor("verify", "run").code == 3
    done = auditor("redact", "run", "--out", "copy", "--withhold", "ledger.jsonl")
    assert "ledger.jsonl cannot be withheld" in done.err


def test_the_module_is_the_command(tmp_path: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "auditor.cli", "data", "none.csv"], cwd=tmp_path, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("auditor: none.csv: no such file")
