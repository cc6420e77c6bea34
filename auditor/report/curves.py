"""Training seen at several looks: the metrics of every group, look by look.

``findings.json`` holds the last look of a stage. The earlier ones are derived here again from the
statistics that the ledger binds, as anybody can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditor.checks import Evidence, check_from_spec
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage
from auditor.ledger import Entry, RunRecord
from auditor.metrics import METRICS
from auditor.report.axes import Axis, linear_axis
from auditor.report.charts import Line
from auditor.report.fields import Fields
from auditor.report.text import metric_title, over_text, shown, stage_text
from auditor.stats import read_statistic

__all__ = ["Curve", "CurveTable", "make_curves"]

_METRICS = ("mean_loss", "accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
_MOST_LOOKS = 40
_MOST_LINES = 6
_SIZABLE = 30


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric over the looks, one line for everybody and one for each group of an attribute.

    ``hidden`` groups have no line: those of few records, and those beyond the largest ones.
    """

    id: str
    title: str
    stage: str
    attribute: str
    lines: tuple[Line, ...]
    axis: Axis
    hidden: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CurveTable:
    """All curves, and how many of the looks were drawn."""

    curves: tuple[Curve, ...]
    looks: int
    drawn: int


@dataclass(frozen=True, slots=True)
class _Look:
    number: float
    stage: Stage
    findings: tuple[Finding, ...]
    evidence: tuple[str, ...]


def make_curves(record: RunRecord) -> CurveTable:
    """Derive the curves of every check that looked more than once; none otherwise."""
    series: dict[tuple[str, str], list[Entry]] = {}
    for entry in record.ledger.entries:
        body = Fields(entry.body)
        if entry.type == "measurement" and body.number("look") is not None:
            key = (body.text("stage") or "", body.text("check", "id") or "")
            series.setdefault(key, []).append(entry)
    several = [entries for entries in series.values() if len(entries) > 1]
    curves: list[Curve] = []
    for entries in several:
        looks = [look for entry in _evenly(entries) if (look := _look(record, entry)) is not None]
        curves += _curves(looks, start=len(curves))
    most = max(map(len, several), default=0)
    return CurveTable(tuple(curves), looks=most, drawn=min(most, _MOST_LOOKS))


def _evenly(entries: Sequence[Entry]) -> Sequence[Entry]:
    if len(entries) <= _MOST_LOOKS:
        return entries
    step = (len(entries) - 1) / (_MOST_LOOKS - 1)
    return [entries[round(i * step)] for i in range(_MOST_LOOKS)]


def _look(record: RunRecord, entry: Entry) -> _Look | None:
    """Derive the findings of one look; ``None`` where this installation does not know its check."""
    body = Fields(entry.body)
    digests = body.texts("statistics")
    try:
        stage = Stage(body.text("stage") or "")
        check = check_from_spec(entry.body["check"])
        evidence = [
            Evidence(digest, read_statistic(record.statistic_document(digest), where=digest))
            for digest in digests
        ]
    except (InputError, ValueError):
        return None
    if not evidence:
        return None
    findings = tuple(f for f in check.derive(evidence, stage) if _is_drawn(f))
    return _Look(body.number("look") or 0.0, stage, findings, digests)


def _is_drawn(finding: Finding) -> bool:
    return (
        finding.metric in _METRICS
        and finding.over is None
        and finding.status == "measured"
        and len(finding.slice) <= 1
    )


def _curves(looks: Sequence[_Look], *, start: int) -> Iterator[Curve]:
    number = start
    attributes = sorted({name for look in looks for f in look.findings for name in f.slice})
    evidence = {digest: None for look in looks for digest in look.evidence}
    for metric in _METRICS:
        for attribute in attributes:
            lines, hidden = _lines(looks, metric, attribute)
            if not any(len(line.points) > 1 for line in lines):
                continue
            number += 1
            yield Curve(
                id=f"c{number}",
                title=metric_title(metric),
                stage=stage_text(looks[0].stage),
                attribute=over_text((attribute,)),
                lines=lines,
                axis=_axis(metric, lines),
                hidden=hidden,
                evidence=tuple(evidence),
            )


def _lines(looks: Sequence[_Look], metric: str, attribute: str) -> tuple[tuple[Line, ...], int]:
    points: dict[Slice, list[tuple[float, float, float | None, float | None]]] = {}
    sizes: dict[Slice, int] = {}
    for look in looks:
        for finding in look.findings:
            where = finding.slice
            if finding.metric != metric or (where and where.attributes != (attribute,)):
                continue
            if finding.value is None:
                continue
            point = (look.number, finding.value, finding.low, finding.high)
            points.setdefault(where, []).append(point)
            sizes[where] = finding.n or 0
    groups = sorted((w for w in points if w), key=lambda where: -sizes[where])
    kept = [where for where in groups if where.known and sizes[where] >= _SIZABLE]
    kept = kept[: _MOST_LINES - 1]
    ordered = ([Slice()] if Slice() in points else []) + [w for w in points if w in kept]
    lines = tuple(Line(_name(where), tuple(points[where])) for where in ordered)
    return lines, len(groups) - len(kept)


def _axis(metric: str, lines: Iterable[Line]) -> Axis:
    known = METRICS.get(metric)
    values = [point[1] for line in lines for point in line.points]
    spans = [bound for line in lines for bound in line.points[-1][2:]]
    return linear_axis([*values, *spans], limits=(known.low, known.high))


def _name(where: Slice) -> str:
    return "everybody" if not where else ", ".join(shown(v or "unknown") for v in where.values())
