"""Which values are missing, in which column, for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import Measured, disaggregate
from auditor.metrics.census import with_sampling
from auditor.stats import Family, Statistic

__all__ = ["MissingValues"]


@register
class MissingValues(Check):
    """The share of missing values of every column of the training data, by group.

    Columns without any missing value are summed up in one finding for everybody each; the others
    are shown by group, with the comparisons of groups. Shares are exact for this table; the
    intervals that they have as those of a sample stand in ``also``. ``columns`` narrows the
    columns.
    """

    id: ClassVar[str] = "provenance.missing-values"
    title: ClassVar[str] = "Missing values by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("missing_rate",)

    columns: tuple[str, ...] | None = None

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count missing values by slice."""
        from auditor.datasets import scan_missing

        table = subject.tables.get("train")
        if table is None:
            raise NotMeasurable("no training data was given")
        columns = self.columns or table.columns
        table.require(columns)
        return [scan_missing(table, subject.groups, subject.roles, columns, split="train")]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of missing values of each column."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            families = statistic.groups.families
            for column in statistic.columns[1:]:  # type: ignore[union-attr]
                name = f"missing_rate[{column}]"
                measured = self._measured(name, statistic, families[0])
                if getattr(measured[0][-1], "value", 0):
                    for family in families:
                        if len(family) == 1:
                            measured += self._measured(name, statistic, family)
                findings += self.place(measured, stage, [item.digest])
        return findings

    def _measured(self, name: str, statistic: Statistic, family: Family) -> list[Measured]:
        """Measure one family; the shares are exact, and have their intervals as samples beside."""
        found = disaggregate([name], statistic, families=[family], confidence=self.confidence)
        return with_sampling(found, statistic, family, confidence=self.confidence)
