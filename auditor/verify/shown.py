"""What a redacted copy shows: computed again where nothing that it stands on is withheld."""

from __future__ import annotations

from auditor.ledger import EVIDENCE, FINDINGS, VERDICT, Fault, RunRecord
from auditor.ledger.resumed import counting
from auditor.verify.compare import first_difference
from auditor.verify.gates import moment_faults
from auditor.verify.measurements import last_measurements
from auditor.verify.recompute import Statistics, recompute_findings

__all__ = ["check_shown"]


def check_shown(record: RunRecord) -> tuple[int, int, str | None, tuple[Fault, ...]]:
    """Compute again what can be, and return the number of findings that were.

    The others hold by the root that the ledger has of their rows. Of the verdict, the status and
    the digest that the gate recorded are held against what the seal binds; it is not judged again.
    """
    missing = record.withheld.missing
    withheld = {
        f"sha256:{name.removeprefix(f'{EVIDENCE}/').removesuffix('.json')}"
        for name in missing
        if name.startswith(f"{EVIDENCE}/")
    }
    faults: list[Fault] = []
    if FINDINGS in record.withheld.files:
        return 0, 0, _status(record), _gate_faults(record)
    derived = {
        finding.key: finding
        for finding in recompute_findings(record, Statistics(record), withheld=withheld)
    }
    whole = {
        key for key, measurement in last_measurements(record).items()
        if not withheld & set(measurement.statistics)
    }  # fmt: skip
    compared = 0
    for finding in record.findings:
        again = derived.get(finding.key)
        if again is None:
            if (finding.check, finding.stage) in whole:
                faults.append(Fault(where=FINDINGS, what=f"{finding.metric}: derived from nothing"))
            continue
        compared += 1
        difference = None if finding == again else first_difference(
            finding.to_json(), again.to_json(), finding.metric
        )  # fmt: skip
        if difference:
            faults.append(Fault(where=FINDINGS, what=difference))
    return compared, 0, _status(record), (*faults, *_gate_faults(record))


def _status(record: RunRecord) -> str | None:
    """Return the status of the verdict, of which a copy in part shows what is around its rules."""
    shown = record.withheld.documents.get(VERDICT)
    if shown is not None:
        return str(shown.around.get("status"))
    return None if record.verdict is None else str(record.verdict.status)


def _gate_faults(record: RunRecord) -> tuple[Fault, ...]:
    gates = counting(record.ledger, "gate")
    if not gates:
        return ()
    if gates[-1].body.get("verdict") != record.files.get(VERDICT):
        return (Fault(where=VERDICT, what="not the verdict that the gate recorded"),)
    shown = record.withheld.documents.get(VERDICT)
    around = shown.around if shown is not None else {}
    if record.verdict is not None:
        around = record.verdict.to_json()
    return moment_faults(record, gates[-1], str(around["evaluated_at"])) if around else ()
