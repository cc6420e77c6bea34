"""Which rows the preparation of the data dropped, for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.dropped_rows import DROPPED
from auditor.stats import Attribute, Groups, SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.provenance.lineage import Derivation

__all__ = ["DroppedRows"]


@register
class DroppedRows(Check):
    """The share of rows that each recorded step dropped, by the groups that were counted.

    Steps of one name are told apart by their number. Groups are those that the step counted before
    and after, by the values that stood in the table then; a sensitive attribute that no step
    counted has no finding. A step that adds rows has no share.
    """

    id: ClassVar[str] = "provenance.dropped-rows"
    title: ClassVar[str] = "Rows dropped in preparation"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("dropped_rate",)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Put rows before and after each step beside each other, by slice."""
        if subject.lineage is None or not subject.lineage.derivations:
            raise NotApplicable("no preparation of the data was recorded")
        names: dict[str, int] = {}
        statistics: list[Statistic] = []
        for step in subject.lineage.derivations:
            names[step.how.name] = names.get(step.how.name, 0) + 1
            number = names[step.how.name]
            name = step.how.name if number == 1 else f"{step.how.name} {number}"
            if step.how.error is None and step.inputs and step.outputs:
                statistics += _counts(step, name, [a.name for a in subject.groups.attributes])
        if not statistics:
            raise NotMeasurable("no recorded step says its rows before and after")
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of rows that each step dropped."""
        findings: list[Finding] = []
        for item in evidence:
            groups, context = item.statistic.groups, item.statistic.context
            measured = disaggregate(
                [f"dropped_rate[{context['step']}]"], item.statistic,
                families=groups.families, confidence=self.confidence,
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings


def _counts(step: Derivation, name: str, sensitive: Sequence[str]) -> Sequence[SliceTable]:
    """Count one step: everybody, and every sensitive attribute that it counted."""
    before, after = step.rows_before, step.rows_after
    if before is None or after is None:
        return []
    counted = {column: step.how.groups[column] for column in sensitive if column in step.how.groups}
    attributes = [
        Attribute(name=column, levels=tuple(g.value for g in rows if g.value is not None))
        for column, rows in counted.items()
    ]
    groups = Groups.declare(attributes, intersections=1)
    counts = SliceTable.zero(DROPPED, groups, ("records", "after"), context={"step": name})
    counts.values[0] = before, after
    for attribute in attributes:
        family = counts.family((attribute.name,))
        for rows in counted[attribute.name]:
            family[attribute.index[rows.value]] = rows.before, rows.after
    return [counts]
