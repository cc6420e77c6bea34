"""Run folder → intact or not: chain, signature, digests, findings and verdict computed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError, RunError
from auditor.evidence import Stage, Value, sha256
from auditor.ledger import Fault, Integrity, RunRecord, VerifyingKey, check_integrity
from auditor.verify.compare import first_difference
from auditor.verify.recompute import (
    Statistics,
    recompute_findings,
    recompute_verdict,
    registered_policy,
)

__all__ = ["Verification", "verify_run"]


class Verification(Value):
    """What was verified of a run, and what is off.

    ``findings`` and ``rules`` are the numbers that were computed again. :attr:`exit_code` is 0 for
    intact and signed by the key given, 3 for intact but unsigned or the signer not pinned, 1 for
    anything off.
    """

    run: str
    integrity: Integrity
    findings: int = 0
    rules: int = 0
    status: str | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``auditor verify``."""
        if self.faults:
            return 1
        return 0 if self.integrity.signed and self.integrity.pinned else 3

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "schema": "auditor/verification/v1",
            "run": self.run,
            "exit_code": self.exit_code,
            "intact": not self.faults,
            "sealed": self.integrity.sealed,
            "signed": self.integrity.signed,
            "pinned": self.integrity.pinned,
            "signer": self.integrity.signer,
            "head": self.integrity.head_digest,
            "entries": self.integrity.entries,
            "findings": self.findings,
            "rules": self.rules,
            "status": self.status,
            "faults": [fault.model_dump() for fault in self.faults],
        }


def verify_run(
    path: str | Path, *, key: VerifyingKey | None = None, head: str | None = None
) -> Verification:
    """Verify a run folder.

    Every byte is held against the ledger and its signed head; then every finding is derived again
    from the stored statistics, and the verdict judged again by the registered policy. Raises
    :class:`RunError` where there is no run to verify.
    """
    integrity = check_integrity(path, key=key, head=head)
    name = Path(path).resolve().name
    if integrity.faults:
        return Verification(run=name, integrity=integrity, faults=integrity.faults)
    try:
        record = RunRecord.load(path)
        findings, rules, status, faults = _recompute(record)
    except AuditorError as error:
        fault = Fault(where=getattr(error, "where", None) or str(path), what=str(error))
        return Verification(run=name, integrity=integrity, faults=(fault,))
    return Verification(
        run=name, integrity=integrity, findings=findings, rules=rules, status=status, faults=faults
    )


def _recompute(record: RunRecord) -> tuple[int, int, str | None, tuple[Fault, ...]]:
    faults: list[Fault] = []
    statistics = Statistics(record)
    findings = recompute_findings(record, statistics)
    if tuple(record.findings) != findings:  # the same to the last bit, on the same machine
        ours = [finding.to_json() for finding in record.findings]
        theirs = [finding.to_json() for finding in findings]
        difference = first_difference(ours, theirs, "findings")
        if difference:
            faults.append(Fault(where="findings.json", what=difference))
    policy = registered_policy(record)
    verdict = record.verdict
    gates = [entry for entry in record.ledger.entries if entry.type == "gate"]
    if (verdict is None) != (not gates):
        faults.append(Fault(where="verdict.json", what="verdict and gate entries do not agree"))
    if verdict is None or policy is None or not gates:
        return len(findings), 0, None, tuple(faults)
    gate = gates[-1]
    document = _read_json(record, "verdict.json")
    if gate.body.get("verdict") != sha256((record.path / "verdict.json").read_bytes()):
        faults.append(Fault(where="verdict.json", what="not the verdict that the gate recorded"))
    before = record.ledger.entries[gate.seq - 1]
    if not str(before.time)[:19] <= verdict.evaluated_at[:19] <= str(gate.time)[:19]:
        faults.append(Fault(where="verdict.json", what="evaluated_at is not the time of the gate"))
    again = recompute_verdict(
        record, policy, findings, statistics,
        evaluated_at=verdict.evaluated_at, stage=Stage(verdict.stage), registered=True,
    )  # fmt: skip
    difference = first_difference(document, again.to_json())
    if difference:
        faults.append(Fault(where="verdict.json", what=difference))
    return len(findings), len(verdict.rules), str(verdict.status), tuple(faults)


def _read_json(record: RunRecord, name: str) -> Any:
    try:
        return json.loads((record.path / name).read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read ({error})", where=name) from None
