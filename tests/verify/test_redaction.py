"""A redacted copy leaves out and cannot alter, and gives no withheld group away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor import Audit, InputError, RunError
from auditor.evidence import Slice, canonical_json
from auditor.ledger import RunRecord, VerifyingKey, generate_key
from auditor.stats import Attribute, Groups, SliceTable
from auditor.verify import verify_run
from auditor.verify.redaction import HiddenSlices, redact_run, small_slices

SIZES = {"A": 600, "B": 300, "C": 93, "D": 7}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VerifyingKey]:
    """A signed, sealed run over a group of seven people."""
    folder = tmp_path_factory.mktemp("redaction")
    key = generate_key(folder / "me.key")
    rng = np.random.default_rng(0)
    race = np.repeat(list(SIZES), list(SIZES.values()))
    n = len(race)
    frame = pd.DataFrame(
        {"id": np.arange(n), "race": race, "sex": rng.choice(["F", "M"], n),
         "y": rng.integers(0, 2, n), "s": rng.random(n)}
    )  # fmt: skip
    frame["p"] = (frame.s > 0.5).astype(int)
    with Audit(policy="baseline", run=folder / "run", key=folder / "me.key") as audit:
        audit.data(test=frame.drop(columns=["s", "p"]), target="y", sensitive=["race", "sex"],
                   record_id="id")  # fmt: skip
        audit.evaluate(predictions=frame, prediction="p", score="s")
        audit.gate()
        audit.report("report.html")
    return folder / "run", key


@pytest.fixture
def copy(signed: tuple[Path, VerifyingKey], tmp_path: Path) -> Path:
    redact_run(signed[0], tmp_path / "copy")
    return tmp_path / "copy"


def stand_alone(run: Path) -> int:
    script = run.parent / "verify.py"
    from auditor.verify.standalone import standalone_source

    script.write_bytes(standalone_source())
    done = subprocess.run([sys.executable, "-I", script, run], capture_output=True, check=False)
    return done.returncode


def test_a_copy_verifies_and_says_what_it_withholds(
    signed: tuple[Path, VerifyingKey], copy: Path
) -> None:
    result = verify_run(copy, key=signed[1])
    assert (result.exit_code, result.faults) == (0, ())
    assert result.withheld > 100
    assert result.findings >= 20  # of checks that counted no withheld group
    whole = verify_run(signed[0], key=signed[1])
    assert whole.withheld == 0
    assert whole.integrity.head_digest == result.integrity.head_digest
    assert result.status == whole.status
    assert stand_alone(copy) == 3  # intact; no key was given


def test_nothing_is_said_of_the_small_group_or_of_the_one_that_gives_it_away(copy: Path) -> None:
    findings = RunRecord.load(copy).findings
    shown = {finding.slice.get("race", "") for finding in findings}
    assert {"A", "B"} <= shown
    assert not {"C", "D"} & shown  # seven people of D are what A, B and C leave of the total
    assert not any(len(f.slice) > 1 for f in findings)
    assert not any("race" in (f.over or ()) for f in findings)
    assert any(f.slice == Slice({"sex": "F"}) for f in findings)
    assert any(f.over == ("sex",) for f in findings)


def test_no_count_of_a_withheld_slice_is_in_any_file(
    signed: tuple[Path, VerifyingKey], copy: Path
) -> None:
    def rows(document: dict[str, Any]) -> dict[int, list[int]]:
        listed = [row.get("row") if isinstance(row, dict) else row for row in document["rows"]]
        return {row[0]: row[1:] for row in listed if row}

    for path in sorted((signed[0] / "evidence").glob("*.json")):
        document = json.loads(path.read_text())
        if "rows" not in document or document["columns"] == ["key", "count"]:
            continue
        groups = Groups.from_json(document["groups"], where="here")
        if "race" not in {a.name for a in groups.attributes}:
            continue
        partly = copy / "redacted" / "evidence" / path.name
        kept = rows(json.loads((partly if partly.exists() else copy / "evidence" / path.name)
                               .read_text()))  # fmt: skip
        for number in kept:
            family = max((f for f in groups.families if groups.offset(f) <= number),
                         key=groups.offset)  # fmt: skip
            where = groups.slice_of(family, number - groups.offset(family))
            assert where.get("race") not in ("C", "D")
            assert len(where) < 2


def hidden(smallest: int, **sizes: int) -> HiddenSlices:
    groups = Groups.declare([Attribute(name="g", levels=tuple(sizes))])
    table = SliceTable.zero("counts", groups, ("records",))
    table.values[0] = sum(sizes.values())
    table.values[1 : 1 + len(sizes), 0] = list(sizes.values())
    return small_slices([table], smallest=smallest)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"a": 50, "b": 60}, ""),
        ({"a": 9, "b": 60, "c": 70}, "ab"),  # one alone is what the others leave of the total
        ({"a": 9, "b": 9, "c": 70}, "ab"),
        ({"a": 2, "b": 3, "c": 70, "d": 80}, "abc"),  # five are fewer than ten, even together
        ({"a": 0, "b": 60}, ""),
        ({"a": 9}, "a"),
    ],
)
def test_a_group_that_could_be_computed_is_withheld_too(
    sizes: dict[str, int], expected: str
) -> None:
    found = hidden(10, **sizes)
    assert {where["g"] for where in found.slices} == set(expected)


def swap_digits(text: str) -> str:
    return text.replace("0.5", "0.6", 1) if "0.5" in text else text.replace("1", "2", 1)


ATTACKS: dict[str, Callable[[Path], None]] = {
    "a file that is shown is changed": lambda r: (r / "run.json").write_text(
        swap_digits((r / "run.json").read_text())
    ),
    "a file that is shown is removed": lambda r: next((r / "evidence").glob("*.json")).unlink(),
    "a file is added": lambda r: (r / "note.txt").write_text("x"),
    "a file is added among the documents": lambda r: (r / "redacted" / "x.json").write_text("{}"),
    "a document in part is changed": lambda r: (r / "redacted" / "findings.json").write_text(
        (r / "redacted" / "findings.json").read_text().replace('"n":600', '"n":601')
    ),
    "a document in part is removed": lambda r: (r / "redacted" / "findings.json").unlink(),
    "the note is removed": lambda r: (r / "redaction.json").unlink(),
    "the note names a file that is there": lambda r: note(r, withheld=["run.json"]),
    "the note withholds the policy": lambda r: (
        (r / "policy.yaml").unlink(), note(r, withheld=["policy.yaml"])
    ),
    "the note names another head": lambda r: note(r, head="sha256:" + "0" * 64),
    "the note counts otherwise": lambda r: note(r, redacted={"findings.json": 1}),
    "the note has another field": lambda r: note(r, reason="none"),
    "the note is no JSON": lambda r: (r / "redaction.json").write_text("{"),
    "the signature is stripped": lambda r: (r / "head").write_text(
        (r / "head").read_text().partition("\u2014")[0]
    ),
}  # fmt: skip


def note(run: Path, **changes: Any) -> None:
    file = run / "redaction.json"
    document = json.loads(file.read_text())
    for name, value in changes.items():
        old = document.get(name)
        document[name] = (
            old + value
            if isinstance(old, list)
            else old | value
            if isinstance(old, dict)
            else value
        )
    file.write_bytes(canonical_json(document))


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_done_to_a_copy_is_found(
    signed: tuple[Path, VerifyingKey], copy: Path, attack: str
) -> None:
    ATTACKS[attack](copy)
    result = verify_run(copy, key=signed[1])
    assert result.exit_code == 1
    assert all(fault.where for fault in result.faults)
    assert stand_alone(copy) == 1


def test_rows_of_another_run_do_not_fit(signed: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    frame = pd.DataFrame({"race": ["A", "B"] * 50, "y": [0, 1] * 50, "p": [0, 1, 1, 0] * 25})
    with Audit(run=tmp_path / "run") as audit:
        audit.evaluate(predictions=frame, target="y", prediction="p", sensitive=["race"])
    redact_run(tmp_path / "run", tmp_path / "theirs", smallest=60)
    redact_run(signed[0], tmp_path / "ours")
    shutil.copy(tmp_path / "theirs" / "redacted" / "findings.json",
                tmp_path / "ours" / "redacted" / "findings.json")  # fmt: skip
    (fault,) = verify_run(tmp_path / "ours", key=signed[1]).faults[:1]
    assert fault.where == "redacted/findings.json"


def test_chosen_tables_are_withheld(signed: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    done = redact_run(
        signed[0], tmp_path / "copy", smallest=1,
        withhold=["evidence/records-*", "confusion-counts", "findings.json"],
    )  # fmt: skip
    assert "evidence/records-test.bin" in done.files
    assert "findings.json" in done.files
    assert not (tmp_path / "copy" / "findings.json").exists()
    result = verify_run(tmp_path / "copy", key=signed[1])
    assert (result.exit_code, result.findings) == (0, 0)
    assert stand_alone(tmp_path / "copy") == 3


def test_a_copy_of_which_only_reports_are_withheld_is_judged_again(
    signed: tuple[Path, VerifyingKey], tmp_path: Path
) -> None:
    redact_run(signed[0], tmp_path / "copy", smallest=1)
    whole = verify_run(signed[0], key=signed[1])
    result = verify_run(tmp_path / "copy", key=signed[1])
    assert result.withheld == 2  # the report, and the salts
    assert (result.findings, result.rules) == (whole.findings, whole.rules)


def test_few_rows_that_a_preparation_dropped_are_withheld(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sex": ["F"] * 40 + ["X-rare"], "y": [0, 1] * 20 + [1]})
    with Audit(run=tmp_path / "run") as audit:
        audit.preparation(lambda t: t[t.sex == "F"], name="keep", groups=["sex"])(frame)
        audit.data(train=frame[frame.sex == "F"], target="y", sensitive="sex")
    lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    (entry,) = [e for e in map(json.loads, lines) if e["type"] == "derivation-groups"]
    name = f"evidence/{entry['body']['evidence'].removeprefix('sha256:')}.json"
    assert ["sex", "X-rare", 1, 0] in json.loads((tmp_path / "run" / name).read_text())["rows"]
    for smallest, there in ((1, True), (10, False)):
        copy = tmp_path / f"copy{smallest}"
        redact_run(tmp_path / "run", copy, smallest=smallest)
        assert (copy / name).exists() is there
        assert verify_run(copy).exit_code == 3


def test_a_copy_can_be_reported(copy: Path) -> None:
    from auditor.report import render

    text = render(RunRecord.load(copy), "html").decode()
    assert "withheld" in text


def test_what_cannot_be_redacted_is_one_clear_error(
    signed: tuple[Path, VerifyingKey], copy: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nothing in this run is called 'nothing-such'"):
        redact_run(signed[0], tmp_path / "x", withhold=["nothing-such"])
    with pytest.raises(InputError, match="not empty"):
        redact_run(signed[0], copy)
    with pytest.raises(InputError, match="smallest cell is 0"):
        redact_run(signed[0], tmp_path / "x", smallest=0)
    with pytest.raises(RunError, match="no such folder"):
        redact_run(tmp_path / "none", tmp_path / "x")
    with pytest.raises(RunError, match="redacted already"):
        redact_run(copy, tmp_path / "x")
    with pytest.raises(InputError, match="cannot be withheld"):
        redact_run(signed[0], tmp_path / "x", withhold=["policy.yaml"])
    assert not (tmp_path / "x").exists()
