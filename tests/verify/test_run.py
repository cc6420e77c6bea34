"""A run verifies as it was written, and in no other way."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor import Audit
from auditor.evidence import PolicyReference, canonical_json
from auditor.ledger import RunFolder, RunRecord, generate_key
from auditor.verify import verify_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed run with data, evaluation, policy and gate."""
    folder = tmp_path_factory.mktemp("verify")
    generate_key(folder / "me.key")
    rng = np.random.default_rng(0)
    rows = 600
    sex = rng.choice(["F", "M"], rows)
    score = np.clip(rng.beta(2, 2, rows) + (sex == "M") * 0.1, 0, 1)
    frame = pd.DataFrame(
        {"sex": sex, "s": score, "p": (score > 0.5).astype(int),
         "y": (rng.random(rows) < score).astype(int)}
    )  # fmt: skip
    with Audit(policy="four-fifths-screen", run=folder / "run", key=folder / "me.key") as audit:
        audit.data(train=frame[:300], test=frame[300:], target="y", sensitive="sex")
        audit.evaluate(predictions=frame[300:], prediction="p", score="s")
        audit.gate()
        audit.report("report.html")
    return folder / "run"


def test_it_verifies(run: Path) -> None:
    result = verify_run(run)
    assert result.faults == ()
    assert result.exit_code == 3
    assert (result.rules, result.findings) == (2, len(RunRecord.load(run).findings))


def test_any_flipped_bit_is_found(run: Path, tmp_path: Path) -> None:
    generator = random.Random(0)
    files = [p.relative_to(run) for p in sorted(run.rglob("*")) if p.is_file()]
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    for number in range(150):
        name = files[number % len(files)]
        data = bytearray((run / name).read_bytes())
        position = generator.randrange(len(data))
        data[position] ^= 1 << generator.randrange(8)
        (copy / name).write_bytes(bytes(data))
        assert verify_run(copy).exit_code == 1, (name, position)
        (copy / name).write_bytes((run / name).read_bytes())
    assert verify_run(copy).exit_code == 3


def test_any_file_added_or_missing_is_found(run: Path, tmp_path: Path) -> None:
    for name in [p.relative_to(run) for p in run.rglob("*") if p.is_file()]:
        copy = tmp_path / "run"
        shutil.copytree(run, copy)
        (copy / name).rename(copy / f"{name}.old")
        assert verify_run(copy).exit_code == 1, name
        (copy / f"{name}.old").unlink()
        if name != Path("ledger.jsonl"):
            assert verify_run(copy).exit_code == 1, name
        shutil.rmtree(copy)


Change = Callable[[dict[str, Any]], None]


def forge(
    run: Path, out: Path, *, files: dict[str, Change], entries: dict[str, Change] | None = None
) -> Path:
    """Write the run anew, unsigned and sealed by its forger, with changes in files and entries."""
    record = RunRecord.load(run)
    forged = RunFolder.create(out / "run")
    writer = forged.writer()
    body = {k: v for k, v in record.ledger.entries[0].body.items() if k not in ("run", "signer")}
    policy = body.pop("policy")
    forged.register(
        writer, signer=None, policy=PolicyReference(**policy), policy_text=record.policy_text,
        **body,
    )  # fmt: skip
    for path in run.rglob("*"):
        name = path.relative_to(run).as_posix()
        if not path.is_file() or name in ("ledger.jsonl", "head", "policy.yaml", "key.pub"):
            continue
        if name.startswith("statements/") or name == "salts.json":  # a forger makes none
            continue
        data = path.read_bytes()
        if name in files:
            document = json.loads(data)
            files[name](document)
            data = canonical_json(document)
        forged.write(name, data)
    for entry in record.ledger.entries[1:-1]:
        if entry.type == "openings":
            continue
        changed = json.loads(json.dumps(entry.body))
        (entries or {}).get(entry.type, lambda body: None)(changed)
        writer.append(entry.type, changed)
    forged.seal(writer, None)
    return out / "run"


def nothing(document: dict[str, Any]) -> None:
    """Change nothing."""


def test_a_faithful_copy_fails_only_by_its_moment(run: Path, tmp_path: Path) -> None:
    """What was judged then was not judged when the copy was sealed."""
    result = verify_run(forge(run, tmp_path, files={}))
    assert [fault.what for fault in result.faults] in (
        [],  # both within the same second
        ["evaluated_at is not the time of the gate"],
    )


@pytest.mark.parametrize(
    ("files", "entries", "message"),
    [
        ({"findings.json": lambda d: d["findings"].pop()}, {}, "findings: recorded"),
        ({"findings.json": lambda d: d["findings"][0].update(value=1)}, {}, "computed again"),
        ({"verdict.json": lambda d: d.update(status="pass")}, {}, "not the verdict that the gate"),
        ({}, {"gate": lambda b: b.update(verdict="sha256:" + "0" * 64)}, "not the verdict"),
        ({}, {"measurement": lambda b: b["check"]["fields"].update(confidence=0.5)},
         "is not registered in entry 0"),
        ({}, {"measurement": lambda b: b.update(statistics=[])}, "findings"),
        ({}, {"measurement": lambda b: b.update(statistics=["sha256:" + "0" * 64])}, "0000"),
    ],
)  # fmt: skip
def test_what_does_not_follow_from_the_statistics_is_found(
    run: Path, tmp_path: Path, files: dict[str, Change], entries: dict[str, Change], message: str
) -> None:
    result = verify_run(forge(run, tmp_path, files=files, entries=entries))
    assert result.exit_code == 1
    assert any(message in f"{fault.where}: {fault.what}" for fault in result.faults), result.faults


def test_evidence_under_a_false_name_is_found(run: Path, tmp_path: Path) -> None:
    name = next(p for p in sorted(run.rglob("evidence/*.json"))).relative_to(run).as_posix()
    change = {name: lambda d: d.update(context={})}
    assert verify_run(forge(run, tmp_path, files=change)).exit_code == 1
