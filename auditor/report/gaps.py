"""The largest gaps between groups: one number for all the groups of an attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.metrics import METRICS
from auditor.policy import Region
from auditor.report.cells import Cell, Column, Located, make_column
from auditor.report.text import metric_name, metric_title, over_text

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
        base, _ = metric_name(self.metric)
        known = METRICS.get(base) if base in METRICS else None
        return known is None or known.over_groups or self.column.region is not None


def make_gaps(
    findings: Iterable[Located], *, prefix: str, regions: Mapping[str, Region] | None = None
) -> tuple[Gap, ...]:
    """Group the aggregates over attributes by metric."""
    by_metric: dict[str, list[Located]] = {}
    for index, finding in findings:
        by_metric.setdefault(finding.metric, []).append((index, finding))
    return tuple(
        _gap(metric, located, f"{prefix}-{number}", (regions or {}).get(metric))
        for number, (metric, located) in enumerate(by_metric.items(), start=1)
    )


def _gap(metric: str, findings: list[Located], identifier: str, region: Region | None) -> Gap:
    base, _ = metric_name(metric)
    known = METRICS.get(base) if base in METRICS else None
    cells = [Cell(index, finding) for index, finding in findings]
    evidence = {digest: None for _, finding in findings for digest in finding.evidence}
    return Gap(
        id=identifier,
        metric=metric,
        title=metric_title(metric),
        formula="" if known is None else known.formula,
        column=make_column(identifier, metric, "value", cells, region=region),
        rows=tuple(GapRow(over_text(cell.finding.over or ()), cell) for cell in cells),
        evidence=tuple(evidence),
    )
