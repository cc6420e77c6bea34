"""The largest gaps between groups: one number for all the groups of an attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.evidence import Finding
from auditor.metrics import METRICS, Metric
from auditor.policy import Region
from auditor.report.cells import Cell, Column, Located, make_column
from auditor.report.text import metric_name, metric_title, over_text, shown

__all__ = ["Gap", "GapRow", "make_gaps"]


@dataclass(frozen=True, slots=True)
class GapRow:
    """The gap over the groups of some attributes."""

    title: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Gap:
    """One metric over groups, with a row for each set of attributes."""

    id: str
    metric: str
    title: str
    formula: str
    column: Column
    rows: tuple[GapRow, ...]
    evidence: tuple[str, ...]

    @property
    def named(self) -> bool:
        """Whether the field has a name for it, or a policy judges it; others are folded away."""
        known = _known(self.metric)
        return known is None or known.over_groups or self.column.region is not None

    @property
    def largest(self) -> bool:
        """Whether it is the largest of the gaps between pairs of groups."""
        known = _known(self.metric)
        return known is not None and (known.extreme or known.operation is not None)


def make_gaps(
    findings: Iterable[Located], *, prefix: str, regions: Mapping[str, Region] | None = None
) -> tuple[Gap, ...]:
    """Group the aggregates over attributes by metric.

    What one metric says of many features stands in one table, a feature a row. A metric without
    any number has none: the section on what was not measured tells why.
    """
    by_metric: dict[str, list[Located]] = {}
    for index, finding in findings:
        base, _ = metric_name(finding.metric)
        known = _known(base)
        together = known is not None and known.parameter == "feature"
        by_metric.setdefault(base if together else finding.metric, []).append((index, finding))
    return tuple(
        _gap(metric, located, f"{prefix}-{number}", (regions or {}).get(metric))
        for number, (metric, located) in enumerate(by_metric.items(), start=1)
        if any(finding.status == "measured" for _, finding in located)
    )


def _gap(metric: str, findings: list[Located], identifier: str, region: Region | None) -> Gap:
    known = _known(metric)
    cells = [Cell(index, finding) for index, finding in findings]
    evidence = {digest: None for _, finding in findings for digest in finding.evidence}
    return Gap(
        id=identifier,
        metric=metric,
        title=metric_title(metric),
        formula="" if known is None else known.formula,
        column=make_column(identifier, metric, "value", cells, region=region),
        rows=tuple(GapRow(_row_title(cell.finding, metric), cell) for cell in cells),
        evidence=tuple(evidence),
    )


def _row_title(finding: Finding, metric: str) -> str:
    over = over_text(finding.over or ())
    parameter = metric_name(finding.metric)[1]
    return over if parameter is None or metric_name(metric)[1] else f"{shown(parameter)} · {over}"


def _known(metric: str) -> Metric | None:
    base, _ = metric_name(metric)
    return METRICS.get(base) if base in METRICS else None
