"""Training seen at several looks and over its steps: the metrics of every group.

``findings.json`` holds the last look of a stage. The earlier ones are estimated here again from
the statistics that the ledger binds, as anybody can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from auditor.errors import InputError
from auditor.evidence import Estimate, Slice
from auditor.ledger import Entry, RunRecord
from auditor.metrics import METRICS, estimate, slice_samples
from auditor.metrics.training import SERIES, windows_of
from auditor.report.axes import Axis, linear_axis
from auditor.report.charts import Line
from auditor.report.fields import Fields
from auditor.report.text import metric_title, over_text, shown, stage_text
from auditor.stats import SliceTable, Statistic, read_statistic

__all__ = ["Curve", "CurveTable", "make_curves", "training_windows"]

_METRICS = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
_OF_STEPS = (
    "mean_loss", "training_error_rate", "mean_true_class_probability", "mean_gradient_norm",
)  # fmt: skip
_MOST_LOOKS = 40
_MOST_LINES = 6
_SIZABLE = 30


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric over looks or steps: a line for everybody and one for each group of an attribute.

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
    x_title: str


@dataclass(frozen=True, slots=True)
class CurveTable:
    """All curves, and how many of the looks were drawn."""

    curves: tuple[Curve, ...]
    looks: int
    drawn: int


@dataclass(frozen=True, slots=True)
class _Look:
    number: float
    estimates: Mapping[tuple[str, Slice], Estimate]
    evidence: tuple[str, ...]
    first: int = 0


def make_curves(record: RunRecord) -> CurveTable:
    """Estimate the curves of every check that looked more than once; none otherwise."""
    series: dict[tuple[str, str], list[Entry]] = {}
    for entry in record.ledger.entries:
        body = Fields(entry.body)
        if entry.type == "measurement" and body.number("look") is not None:
            key = (body.text("stage") or "", body.text("check", "id") or "")
            series.setdefault(key, []).append(entry)
    several = {key: entries for key, entries in series.items() if len(entries) > 1}
    curves: list[Curve] = []
    for (stage, _), entries in series.items():
        windows = [window for entry in entries for window in _windows(record, entry)]
        found = _curves(_evenly(windows), stage, _OF_STEPS, "step", start=len(curves))
        curves += found
    for (stage, _), entries in several.items():
        looks = [look for entry in _evenly(entries) if (look := _look(record, entry)) is not None]
        curves += _curves(looks, stage, _METRICS, "look", start=len(curves))
    most = max(map(len, series.values()), default=0)
    return CurveTable(tuple(curves), looks=most, drawn=min(most, _MOST_LOOKS))


def training_windows(record: RunRecord) -> list[tuple[Any, ...]]:
    """Return first and last step, metric, slice, value, bounds and n of all windows of steps."""
    rows: list[tuple[Any, ...]] = []
    for entry in record.ledger.of_type("measurement"):
        for window in _windows(record, entry):
            for (metric, where), found in window.estimates.items():
                name = str(where) if where else "everybody"
                span = (window.first, int(window.number))
                rows.append((*span, metric, name, found.value, found.low, found.high, found.n))
    return rows


def _evenly(entries: Sequence[T]) -> Sequence[T]:
    if len(entries) <= _MOST_LOOKS:
        return entries
    step = (len(entries) - 1) / (_MOST_LOOKS - 1)
    return [entries[round(i * step)] for i in range(_MOST_LOOKS)]


def _look(record: RunRecord, entry: Entry) -> _Look | None:
    """Estimate what is drawn of one look; ``None`` where its statistics cannot be read.

    Only the rates of everybody and of single groups are estimated, because the differences and
    intersections of many looks would take long and are not drawn.
    """
    body = Fields(entry.body)
    digests = body.texts("statistics")
    confidence = body.number("check", "fields", "confidence") or 0.95
    estimates: dict[tuple[str, Slice], Estimate] = {}
    try:
        for digest in digests:
            statistic = read_statistic(record.statistic_document(digest), where=digest)
            estimates |= dict(_estimates(statistic, confidence))
    except InputError:
        return None
    return _Look(body.number("look") or 0.0, estimates, digests) if estimates else None


def _windows(record: RunRecord, entry: Entry) -> Iterator[_Look]:
    """Estimate what is drawn of the windows of steps between two looks."""
    body = Fields(entry.body)
    confidence = body.number("check", "fields", "confidence") or 0.95
    for digest in body.texts("statistics"):
        try:
            statistic = read_statistic(record.statistic_document(digest), where=digest)
        except InputError:
            continue
        if statistic.kind != SERIES or not isinstance(statistic, SliceTable):
            continue
        for first, last, table in windows_of(statistic):
            estimates = dict(_estimates(table, confidence, _OF_STEPS))
            if estimates:
                yield _Look(float(last), estimates, (digest,), first)


def _estimates(
    statistic: Statistic, confidence: float, metrics: Sequence[str] = _METRICS
) -> Iterator[tuple[tuple[str, Slice], Estimate]]:
    for metric in metrics:
        if statistic.kind not in METRICS.get(metric).kinds:
            continue
        for family in statistic.groups.families:
            if len(family) > 1:
                continue
            for where, sample in slice_samples(metric, statistic, family).samples.items():
                outcome = estimate(sample, confidence=confidence)
                if isinstance(outcome, Estimate):
                    yield (metric, where), outcome


def _curves(
    looks: Sequence[_Look], stage: str, metrics: Sequence[str], x_title: str, *, start: int
) -> Iterator[Curve]:
    number = start
    attributes = sorted({name for look in looks for _, where in look.estimates for name in where})
    evidence = {digest: None for look in looks for digest in look.evidence}
    for metric in metrics:
        for attribute in attributes:
            lines, hidden = _lines(looks, metric, attribute)
            if not any(len(line.points) > 1 for line in lines):
                continue
            number += 1
            yield Curve(
                id=f"c{number}",
                title=metric_title(metric),
                stage=stage_text(stage),
                attribute=over_text((attribute,)),
                lines=lines,
                axis=_axis(metric, lines),
                hidden=hidden,
                evidence=tuple(evidence),
                x_title=x_title,
            )


def _lines(looks: Sequence[_Look], metric: str, attribute: str) -> tuple[tuple[Line, ...], int]:
    points: dict[Slice, list[tuple[float, float, float | None, float | None]]] = {}
    sizes: dict[Slice, int] = {}
    for look in looks:
        for (name, where), found in look.estimates.items():
            if name != metric or (where and where.attributes != (attribute,)):
                continue
            point = (look.number, found.value, found.low, found.high)
            points.setdefault(where, []).append(point)
            sizes[where] = found.n
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
