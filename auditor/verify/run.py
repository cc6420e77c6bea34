"""Run folder → intact or not: chain, signature, digests, findings and verdict computed again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal, cast

from auditor.errors import AuditorError, InputError
from auditor.evidence import Stage, Value, sha256
from auditor.evidence.finding import FINDINGS_SCHEMA
from auditor.ledger import (
    EVIDENCE,
    FINDINGS,
    VERDICT,
    Fault,
    Integrity,
    Ledger,
    RunRecord,
    VerifyingKey,
    examine_run,
)
from auditor.ledger.layout import SALTS
from auditor.ledger.records_integrity import check_records
from auditor.ledger.resumed import counting
from auditor.ledger.statements import check_statements
from auditor.ledger.timestamp import ENTRY_0_STAMP, Timestamp
from auditor.verify.compare import first_difference
from auditor.verify.gates import moment_faults
from auditor.verify.openings import check_openings
from auditor.verify.recompute import (
    Statistics,
    recompute_findings,
    recompute_verdict,
    registered_policy,
)
from auditor.verify.registration import registration_faults
from auditor.verify.shown import check_shown
from auditor.verify.timestamps import check_timestamp

__all__ = ["Verification", "verify_run"]

_STEP_FILES = (f"{EVIDENCE}/steps-", f"{EVIDENCE}/trace-")


class Verification(Value):
    """What was verified of a run, and what is off.

    ``findings`` and ``rules`` are the numbers that were computed again. :attr:`exit_code` is 0 for
    intact and signed by the key given, 3 for intact but unsigned or the signer not pinned, 1 for
    anything off. ``timestamp`` is what an authority says of the head or of entry 0, where its
    response was given, and ``stamped`` which of the two. ``carries_timestamp``: a response lies in
    the run.
    """

    run: str
    integrity: Integrity
    findings: int = 0
    rules: int = 0
    status: str | None = None
    timestamp: Timestamp | None = None
    stamped: Literal["head", "entry 0"] | None = None
    carries_timestamp: bool = False
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
    def withheld(self) -> int:
        """The number of files and rows that a redacted copy withholds."""
        return self.integrity.withheld

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
            "withheld": self.withheld,
            "timestamp": None if self.timestamp is None else {
                "of": self.stamped, **self.timestamp.model_dump(mode="json")
            },
            "faults": [fault.model_dump() for fault in self.faults],
        }  # fmt: skip


def verify_run(
    path: str | Path,
    *,
    key: VerifyingKey | None = None,
    head: str | None = None,
    timestamp: str | Path | None = None,
    authority: str | Path | None = None,
) -> Verification:
    """Verify a run folder, or a redacted copy of one.

    Every byte is held against the ledger and its signed head; then every finding is derived again
    from the stored statistics, and the verdict judged again by the registered policy. Of a
    redacted copy, what stands on nothing that is withheld is computed again.

    Parameters
    ----------
    key, head:
        The signer and the digest of the head that the caller trusts.
    timestamp:
        A file with an RFC 3161 response for the digest of the head or of entry 0, by default the
        one in the run, where ``authority`` is given: a file with the root certificates under which
        its signature is checked.

    Raises :class:`RunError` where there is no run to verify, and :class:`InputError` for a
    response, a digest or a certificate that cannot be read.
    """
    integrity, ledger = examine_run(path, key=key, head=head)
    folder = Path(path).expanduser()
    name = folder.resolve().name
    if integrity.faults and not integrity.interrupted:
        faults = [*integrity.faults, *_steps_off(integrity, folder, ledger)]
        return Verification(run=name, integrity=integrity, faults=tuple(faults))
    try:
        record = RunRecord.of(folder, ledger)
        if integrity.interrupted:
            known = len(recompute_findings(record, Statistics(record)))
            return Verification(
                run=name, integrity=integrity, findings=known, faults=integrity.faults
            )
        missing = record.withheld.missing
        faults = check_records(folder, ledger, withheld=missing)
        faults += check_statements(folder, record)
        if any(n in (FINDINGS, VERDICT) or (n.startswith(f"{EVIDENCE}/") and n.endswith(".json"))
               for n in missing):  # fmt: skip
            findings, rules, status, more = check_shown(record)
        else:
            findings, rules, status, more = _recompute(record)
        if SALTS in record.files and not missing:
            faults += check_openings(record)
        faults += more
    except AuditorError as error:
        where = getattr(error, "where", None) or str(path)
        what = error.what if isinstance(error, InputError) else str(error)
        broken = integrity.model_copy(update={"interrupted": False})
        found = (*integrity.faults, Fault(where=where, what=what))
        return Verification(run=name, integrity=broken, faults=found)
    stamp, of = None, None
    carried = ENTRY_0_STAMP in record.files
    if timestamp is None and authority is not None and carried:
        timestamp = folder / ENTRY_0_STAMP
    if timestamp is not None:
        stamp, of, more = check_timestamp(
            timestamp, head=integrity.head_digest, entry_0=ledger.entries[0].digest,
            authority=authority,
        )  # fmt: skip
        faults += more
    return Verification(
        run=name, integrity=integrity, findings=findings, rules=rules, status=status,
        timestamp=stamp, stamped=of, carries_timestamp=carried, faults=tuple(faults),
    )  # fmt: skip


def _steps_off(integrity: Integrity, folder: Path, ledger: Ledger) -> list[Fault]:
    """Tell of changed files of steps which step is off, as far as they can be read."""
    changed = {f.where for f in integrity.faults if f.where.startswith(_STEP_FILES)}
    if not changed:
        return []
    with contextlib.suppress(AuditorError, IndexError):
        return [fault for fault in check_records(folder, ledger) if fault.where in changed]
    return []


def _recompute(record: RunRecord) -> tuple[int, int, str | None, tuple[Fault, ...]]:
    faults: list[Fault] = []
    statistics = Statistics(record)
    findings = recompute_findings(record, statistics)
    theirs = [finding.to_json() for finding in findings]
    if not _as_recorded(record.document(FINDINGS), theirs):
        ours = [finding.to_json() for finding in record.findings]
        difference = first_difference(ours, theirs, "findings")
        if difference:
            faults.append(Fault(where=FINDINGS, what=difference))
    policy = registered_policy(record)
    verdict = record.verdict
    gates = counting(record.ledger, "gate")
    if (verdict is None) != (not gates):
        faults.append(Fault(where=VERDICT, what="verdict and gate entries do not agree"))
    if verdict is None or policy is None or not gates:
        return len(findings), 0, None, tuple(faults)
    gate = gates[-1]
    if gate.body.get("verdict") != sha256(record.read(VERDICT)):
        faults.append(Fault(where=VERDICT, what="not the verdict that the gate recorded"))
    faults += registration_faults(record, findings, verdict, gate)
    faults += moment_faults(record, gate, verdict.evaluated_at)
    again = recompute_verdict(
        record, policy, findings, statistics,
        evaluated_at=verdict.evaluated_at, stage=Stage(verdict.stage), registered=True,
    )  # fmt: skip
    difference = first_difference(record.document(VERDICT), again.to_json())
    if difference:
        faults.append(Fault(where=VERDICT, what=difference))
    return len(findings), len(verdict.rules), str(verdict.status), tuple(faults)


def _as_recorded(document: Any, findings: list[dict[str, Any]]) -> bool:
    """Whether a document holds these findings, the same to the last bit; else it is read closely.

    What was derived again is valid, and so is what equals it: no model is built to compare them.
    """
    recorded = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    return recorded.get("schema") == FINDINGS_SCHEMA and recorded.get("findings") == findings
