"""How evenly classes and groups are filled, in every split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.bias.splits import of_split
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.balance import CLASS_BALANCE, GROUP_BALANCE
from auditor.stats import Statistic

__all__ = ["Balance"]


@register
class Balance(Check):
    """The balance of the classes, for everybody and within each group, and of the groups.

    Every split is counted as a whole; the training data carry no name in brackets. A class that
    only another split has counts as empty.
    """

    id: ClassVar[str] = "provenance.balance"
    title: ClassVar[str] = "Balance of classes and groups"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = (*CLASS_BALANCE, *GROUP_BALANCE)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the classes of every split by slice."""
        from auditor.datasets.scan_balance import scan_balance

        if subject.roles.task == "counts":
            raise NotApplicable("the rows are groups, not records")
        if not subject.tables:
            raise NotMeasurable("no data set was given")
        return scan_balance(subject.tables, subject.groups, subject.roles)

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the balance within each group, and over the groups of each family."""
        findings: list[Finding] = []
        for item in evidence:
            for family in item.statistic.groups.families:
                measured = disaggregate(
                    CLASS_BALANCE if len(family) <= 1 else (), item.statistic, families=[family],
                    extremes=GROUP_BALANCE, confidence=self.confidence,
                )  # fmt: skip
                findings += self.place(of_split(measured, item.statistic), stage, [item.digest])
        return findings
