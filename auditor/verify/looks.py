"""The looks that a ledger tells of: how many, what they found, and whether the latest failed."""

from __future__ import annotations

from auditor.evidence import Stage
from auditor.ledger import RunRecord
from auditor.verify.measurements import Measurement, measurements

__all__ = ["faults_of", "looks_of", "looks_until"]


def looks_of(record: RunRecord) -> dict[str, int]:
    """Return the number of looks taken at each stage, those that failed too."""
    looks: dict[str, int] = {}
    for entry in record.ledger.of_type("measurement", "look"):
        look = _number(entry.body.get("look"))
        if look is not None:
            stage = str(entry.body.get("stage"))
            looks[stage] = max(looks.get(stage, 0), look)
    return looks


def looks_until(record: RunRecord, stage: Stage, look: int) -> tuple[Measurement, ...]:
    """Return the measurements of a stage at its looks up to a number, in their order."""
    return tuple(
        found for found in measurements(record)
        if found.stage is stage and (_number(found.entry.body.get("look")) or look + 1) <= look
    )  # fmt: skip


def faults_of(record: RunRecord) -> dict[str, str]:
    """Return why the latest look at a stage failed, for the stages where it did."""
    faults: dict[str, str] = {}
    for entry in record.ledger.of_type("look"):
        stage, error = str(entry.body.get("stage")), entry.body.get("error")
        faults.pop(stage, None)
        if error is not None:
            faults[stage] = str(error)
    return faults


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
