"""Which values are missing, in which column, for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import Measured, disaggregate
from auditor.metrics.census import with_sampling
from auditor.metrics.proportions import missing_rate_name
from auditor.stats import Family, Statistic

__all__ = ["MissingValues"]


@register
class MissingValues(Check):
    """The share of missing values of every column of every split, by group.

    The training data carry no name (``missing_rate[age]``), the other splits theirs
    (``missing_rate[age, test]``). Columns without any missing value are summed up in one finding
    for everybody each; the others are shown by group, with the comparisons of groups. Shares are
    exact for this table; the intervals that they have as those of a sample stand in ``also``.
    ``columns`` narrows the columns; one that a split lacks is not evaluated there.
    """

    id: ClassVar[str] = "provenance.missing-values"
    title: ClassVar[str] = "Missing values by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("missing_rate",)

    columns: tuple[str, ...] | None = None

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the missing values of every split by slice."""
        from auditor.datasets import scan_missing

        if not subject.tables:
            raise NotMeasurable("no data set was given")
        counted: list[Statistic] = []
        anywhere = {column for table in subject.tables.values() for column in table.columns}
        for split, table in subject.tables.items():
            columns = self.columns or table.columns
            table.require(column for column in columns if column not in anywhere)
            found = [column for column in columns if column in table.types]
            counted.append(
                scan_missing(
                    table, subject.groups, subject.roles, found, split=split,
                    splits=tuple(subject.tables),
                    absent=[column for column in columns if column not in table.types],
                )
            )  # fmt: skip
        return counted

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of missing values of each column."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            families, context = statistic.groups.families, statistic.context
            for column in (*statistic.columns[1:], *context.get("absent", ())):  # type: ignore[union-attr]
                name = missing_rate_name(column, context)
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
