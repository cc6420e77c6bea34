"""A run as a reader sees it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import (
    Finding,
    PolicyReference,
    Stage,
    canonical_json,
    findings_document,
    sha256,
)
from auditor.ledger import LedgerFault, LedgerWriter, RunFolder, RunRecord, SigningKey

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]


def test_everything_that_was_written_is_read(
    open_run: OpenRun, key: SigningKey, policy: tuple[PolicyReference, str]
) -> None:
    run, writer = open_run("credit-7", key)
    finding = Finding(
        check="bias.group-metrics",
        metric="accuracy",
        stage=Stage.EVALUATION,
        status="measured",
        value=0.5,
        low=0.25,
        high=0.75,
        confidence=0.95,
        n=12,
        method="wilson",
        evidence=(run.put_evidence({"counts": [6, 12]}),),
    )
    run.write("findings.json", canonical_json(findings_document("credit-7", [finding])))
    verdict = {
        "schema": "auditor/verdict/v1",
        "status": "pass",
        "gate": "open",
        "stage": "evaluation",
        "evaluated_at": "2026-11-01T12:00:00Z",
        "seed": 0,
        "policy": policy[0].model_dump(),
        "registered": True,
        "rules": [],
    }
    run.write("verdict.json", canonical_json(verdict))
    run.seal(writer, key)
    elsewhere = run.path.rename(run.path.with_name("a copy of it"))

    record = RunRecord.load(str(elsewhere), sealed=True)
    assert (record.path, record.name, record.sealed) == (elsewhere, "credit-7", True)
    assert record.run == {"seed": 0}
    assert record.policy_text == policy[1]
    assert record.findings == (finding,)
    assert record.verdict is not None
    assert record.verdict.to_json() == verdict
    assert record.statistic_document(finding.evidence[0]) == {"counts": [6, 12]}
    assert record.ledger.registration is not None
    assert record.ledger.registration.body["signer"] == str(key.verifying_key)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.name = "other"  # type: ignore[misc]


def test_a_run_without_policy_and_verdict_has_none(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
        run.write("run.json", b"{}")
        run.seal(writer, None)
    record = RunRecord.load(run.path)
    assert (record.policy_text, record.verdict) == (None, None)
    with pytest.raises(RunError, match=r"findings.json: the file cannot be read: No such file"):
        assert record.findings


def test_the_process_that_writes_a_run_can_read_it_before_the_seal(open_run: OpenRun) -> None:
    run, writer = open_run()
    record = RunRecord.load(run.path)
    assert not record.sealed
    assert (record.run, record.findings, record.verdict) == ({"seed": 0}, (), None)
    (run.path / "run.json").unlink()
    assert RunRecord.load(run.path).run == {}
    with pytest.raises(RunError, match="an interrupted run, 2 entries: it was never sealed"):
        RunRecord.load(run.path, sealed=True)
    writer.append("more", {})
    assert len(RunRecord.load(run.path).ledger.entries) == 3


def test_what_is_no_run_says_so(tmp_path: Path, sealed_run: SealedRun) -> None:
    (tmp_path / "file").touch()
    for name, complaint in [
        ("absent", "there is no such folder"),
        ("file", "not a folder"),
        (".", r"not a run: there is no ledger.jsonl; the folder of a run"),
    ]:
        with pytest.raises(RunError, match=complaint):
            RunRecord.load(tmp_path / name)
    path = sealed_run()
    (path / "ledger.jsonl").write_bytes(b"")
    with pytest.raises(LedgerFault, match="the ledger is empty"):
        RunRecord.load(path)


def test_a_ledger_of_something_else_is_no_run(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        writer.append("hello", {})
    with pytest.raises(RunError, match="does not register a run"):
        RunRecord.load(tmp_path)


def test_a_damaged_ledger_says_which_entry(sealed_run: SealedRun) -> None:
    path = sealed_run()
    ledger = path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"statistics"', b'"statistix"'))
    with pytest.raises(RunError, match=r"small/ledger.jsonl, entry 2: the entry does not follow"):
        RunRecord.load(path)


@pytest.mark.parametrize("name", ["run.json", "policy.yaml", "findings.json"])
def test_a_changed_file_is_not_read_as_if_it_were_the_old_one(
    sealed_run: SealedRun, name: str
) -> None:
    path = sealed_run()
    (path / name).write_bytes((path / name).read_bytes() + b" ")
    record = RunRecord.load(path)
    fields = {"run.json": "run", "policy.yaml": "policy_text", "findings.json": "findings"}
    with pytest.raises(RunError, match="not the one that the seal binds; `auditor verify`"):
        getattr(record, fields[name])


def test_a_verdict_put_in_after_the_seal_is_not_read(sealed_run: SealedRun) -> None:
    path = sealed_run()
    (path / "verdict.json").write_text("{}")
    with pytest.raises(RunError, match="not the one that the seal binds"):
        assert RunRecord.load(path).verdict


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("run.json", b'{"seed":', "not JSON"),
        ("run.json", b"[" * 100_000, "not JSON"),
        ("run.json", b"[]", "not a JSON object"),
        ("run.json", b"\xff", "not JSON"),
        ("findings.json", b"{}", "not a findings file"),
        ("findings.json", b"", "not JSON"),
        ("verdict.json", b"{}", "not a verdict file"),
        ("policy.yaml", b"\xff", "not UTF-8"),
    ],
)
def test_damaged_documents_say_what_and_where(
    open_run: OpenRun, name: str, content: bytes, complaint: str
) -> None:
    run, _ = open_run()
    (run.path / name).write_bytes(content)
    record = RunRecord.load(run.path)
    fields = {"run.json": "run", "policy.yaml": "policy_text"}
    with pytest.raises(InputError, match=complaint) as caught:
        getattr(record, fields.get(name, name.removesuffix(".json")))
    assert str(run.path / name) in str(caught.value)


def test_evidence_that_is_not_json_says_so(open_run: OpenRun) -> None:
    run, _ = open_run()
    (run.path / "evidence" / f"{sha256(b'[')[7:]}.json").write_bytes(b"[")
    with pytest.raises(RunError, match="the evidence is not JSON"):
        RunRecord.load(run.path).statistic_document(sha256(b"["))


def test_an_unreadable_ledger_says_so(
    sealed_run: SealedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sealed_run()
    real = os.open

    def refuse(file: str, *arguments: int) -> int:
        if Path(file) == path / "ledger.jsonl":
            raise PermissionError(13, "Permission denied")
        return real(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(RunError, match="the ledger cannot be read: Permission denied"):
            RunRecord.load(path)
