"""Run folder → intact or not: chain, signature, digests, findings and verdict computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from auditor.errors import AuditorError, InputError
from auditor.evidence import Stage, Value, sha256
from auditor.ledger import VERDICT, Fault, Integrity, RunRecord, VerifyingKey, examine_run
from auditor.verify.compare import first_difference
from auditor.verify.recompute import (
    Statistics,
    recompute_findings,
    recompute_verdict,
    registered_policy,
)
from auditor.verify.registration import registration_faults

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
    def state(self) -> Literal["intact", "interrupted", "broken"]:
        """``intact``; ``interrupted``: whole as far as it goes, and never sealed; or ``broken``.

        Of an interrupted run the order and the content of the entries hold, and the evidence by
        its digests; no other file is bound, and a cut record looks the same.
        """
        if not self.faults:
            return "intact"
        return "interrupted" if self.integrity.interrupted else "broken"

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
            "state": self.state,
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
    integrity, ledger = examine_run(path, key=key, head=head)
    folder = Path(path).expanduser()
    name = folder.resolve().name
    if integrity.faults and not integrity.interrupted:
        return Verification(run=name, integrity=integrity, faults=integrity.faults)
    try:
        record = RunRecord.of(folder, ledger)
        if integrity.interrupted:
            known = len(recompute_findings(record, Statistics(record)))
            return Verification(
                run=name, integrity=integrity, findings=known, faults=integrity.faults
            )
        findings, rules, status, faults = _recompute(record)
    except AuditorError as error:
        where = getattr(error, "where", None) or str(path)
        what = error.what if isinstance(error, InputError) else str(error)
        broken = integrity.model_copy(update={"interrupted": False})
        faults = (*integrity.faults, Fault(where=where, what=what))
        return Verification(run=name, integrity=broken, faults=faults)
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
    gates = record.ledger.of_type("gate")
    if (verdict is None) != (not gates):
        faults.append(Fault(where="verdict.json", what="verdict and gate entries do not agree"))
    if verdict is None or policy is None or not gates:
        return len(findings), 0, None, tuple(faults)
    gate = gates[-1]
    if gate.body.get("verdict") != sha256(record.read(VERDICT)):
        faults.append(Fault(where=VERDICT, what="not the verdict that the gate recorded"))
    faults += registration_faults(record, findings, verdict, gate)
    before = record.ledger.entries[gate.seq - 1]
    if not str(before.time)[:19] <= verdict.evaluated_at[:19] <= str(gate.time)[:19]:
        faults.append(Fault(where="verdict.json", what="evaluated_at is not the time of the gate"))
    again = recompute_verdict(
        record, policy, findings, statistics,
        evaluated_at=verdict.evaluated_at, stage=Stage(verdict.stage), registered=True,
    )  # fmt: skip
    difference = first_difference(record.document(VERDICT), again.to_json())
    if difference:
        faults.append(Fault(where="verdict.json", what=difference))
    return len(findings), len(verdict.rules), str(verdict.status), tuple(faults)
