"""What was not measured: every finding without a number, gathered by its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from auditor.evidence import Finding, Slice, Stage
from auditor.ledger import Entry
from auditor.report.blocks import check_title
from auditor.report.fields import Fields
from auditor.report.text import metric_title, over_text, shown, slice_text, stage_text

__all__ = ["Absence", "Subject", "make_absences", "silent_stages"]

_MOST_SLICES = 40


@dataclass(frozen=True, slots=True)
class Subject:
    """One set of slices, and all the metrics that have no number there."""

    metrics: tuple[str, ...]
    slices: tuple[str, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Absence:
    """One reason, at one stage, of one check: for which metrics and slices it holds."""

    reason: str
    stage: str
    check: str
    error: bool
    number: int
    subjects: tuple[Subject, ...]


@dataclass(slots=True)
class _Draft:
    error: bool
    number: int = 0
    slices: dict[str, dict[str, None]] = field(default_factory=dict)


def make_absences(findings: Sequence[Finding]) -> tuple[Absence, ...]:
    """Gather the findings without a number; errors first, then by stage."""
    drafts: dict[tuple[Stage, str, str], _Draft] = {}
    for finding in findings:
        if finding.status == "measured":
            continue
        key = (finding.stage, finding.check, finding.reason or "")
        draft = drafts.setdefault(key, _Draft(error=finding.status == "error"))
        draft.number += 1
        draft.slices.setdefault(finding.metric, {})[_place(finding)] = None
    ordered = sorted(drafts.items(), key=lambda item: (not item[1].error, item[0][0].order))
    return tuple(
        Absence(
            reason=shown(reason, limit=300),
            stage=stage_text(stage),
            check=check_title(check),
            error=draft.error,
            number=draft.number,
            subjects=tuple(_subjects(draft)),
        )
        for (stage, check, reason), draft in ordered
    )


def silent_stages(findings: Sequence[Finding], entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the stages at which nothing was recorded at all, in words."""
    heard = {finding.stage for finding in findings}
    named = {Fields(entry.body).text("stage") for entry in entries}
    return tuple(
        stage_text(stage) for stage in Stage if stage not in heard and str(stage) not in named
    )


def _subjects(draft: _Draft) -> list[Subject]:
    """Put metrics that are missing for the same slices together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for metric, slices in draft.slices.items():
        together.setdefault(tuple(slices), []).append(metric_title(metric))
    return [
        Subject(tuple(metrics), slices[:_MOST_SLICES], max(0, len(slices) - _MOST_SLICES))
        for slices, metrics in together.items()
    ]


def _place(finding: Finding) -> str:
    if finding.over is not None:
        return f"over {over_text(finding.over)}"
    text = slice_text(finding.slice)
    if isinstance(finding.reference, Slice):
        return f"{text} against {slice_text(finding.reference)}"
    return text if finding.reference is None else f"{text} against everybody else"
