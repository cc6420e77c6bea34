"""Values and records that lie far from the others, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.census import with_sampling
from auditor.metrics.outliers import ISOLATION
from auditor.stats import Statistic

__all__ = ["Outliers"]


@register
class Outliers(Check):
    """The share of outlying and of infinite values of each column of numbers, by group.

    A value is outlying where its robust z, by median and median absolute deviation, is above
    ``deviations``. Columns without any are summed up in one finding for everybody each. With
    ``jointly`` an isolation forest looks at all features of up to ``most_together`` drawn records
    together, and a record counts where its score is above ``isolation``.
    """

    id: ClassVar[str] = "provenance.outliers"
    title: ClassVar[str] = "Outlying and infinite values by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("outlier_rate", "infinite_rate", "isolated_rate")

    columns: tuple[str, ...] | None = None
    deviations: Annotated[float, Field(gt=0)] = 3.5
    most_rows: Annotated[int, Field(ge=100)] = 100_000
    jointly: bool = False
    isolation: Annotated[float, Field(gt=0, lt=1)] = 0.6
    most_together: Annotated[int, Field(ge=100)] = 20_000

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count outlying values by slice, and isolated records where that is asked for."""
        from auditor.datasets.scan_outliers import scan_isolation, scan_outliers

        roles, options = subject.roles, subject.options
        if roles.task == "counts":
            raise NotApplicable("the rows are groups, not records")
        table = subject.tables.get("train")
        if table is None:
            raise NotMeasurable("no training data was given")
        columns = self.columns or tuple(
            c for c in table.columns if c not in (roles.record_id, options.entity)
        )
        table.require(columns)
        counts = [
            scan_outliers(table, subject.groups, roles, columns, deviations=self.deviations,
                          most=self.most_rows, seed=options.seed)
        ]  # fmt: skip
        if self.jointly:
            counts.append(
                scan_isolation(table, subject.groups, roles, options, bound=self.isolation,
                               most=self.most_together)
            )  # fmt: skip
        elif not counts[0].context["columns"]:
            raise NotMeasurable("no column holds numbers")
        return counts

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the shares of each column, by group where there are any."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            families = [f for f in statistic.groups.families if len(f) <= 1]
            if statistic.kind == ISOLATION:
                measured = disaggregate(
                    ["isolated_rate"], statistic, families=families, confidence=self.confidence
                )
                findings += self.place(measured, stage, [item.digest])
                continue
            for column in statistic.context["columns"]:
                for name in (f"outlier_rate[{column}]", f"infinite_rate[{column}]"):
                    measured = disaggregate(
                        [name], statistic, families=families[:1], confidence=self.confidence
                    )
                    measured = with_sampling(
                        measured, statistic, families[0], confidence=self.confidence
                    )
                    if getattr(measured[0][-1], "value", 0):
                        for family in families[1:]:
                            found = disaggregate(
                                [name], statistic, families=[family], confidence=self.confidence
                            )
                            measured += with_sampling(
                                found, statistic, family, confidence=self.confidence
                            )
                    findings += self.place(measured, stage, [item.digest])
        return findings
