"""Which values are missing, in which column, for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.datasets import scan_missing
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.stats import Statistic

__all__ = ["MissingValues"]


@register
class MissingValues(Check):
    """The share of missing values of every column of the training data, by group.

    Columns without any missing value are summed up in one finding for everybody each; the others
    are shown by group. ``columns`` narrows the columns.
    """

    id: ClassVar[str] = "provenance.missing-values"
    title: ClassVar[str] = "Missing values by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("missing_rate",)

    columns: tuple[str, ...] | None = None

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count missing values by slice."""
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
                everybody = disaggregate(
                    [f"missing_rate[{column}]"], statistic, families=families[:1],
                    confidence=self.confidence,
                )  # fmt: skip
                single = [family for family in families if len(family) == 1]
                outcome = everybody[0][-1]
                if getattr(outcome, "value", 0):
                    everybody += disaggregate(
                        [f"missing_rate[{column}]"], statistic, families=single,
                        confidence=self.confidence,
                    )  # fmt: skip
                findings += self.place(everybody, stage, [item.digest])
        return findings
