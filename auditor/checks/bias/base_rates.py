"""How many records of each group a data set holds, and how often its label is positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import Measured, disaggregate
from auditor.stats import Statistic

__all__ = ["BaseRates"]


@register
class BaseRates(Check):
    """Records and base rates by group, for the training data and, in brackets, the other splits."""

    id: ClassVar[str] = "bias.base-rates"
    title: ClassVar[str] = "Representation and base rates in the data"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("count", "base_rate")

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count labels by slice in every split."""
        from auditor.datasets import scan_confusion

        if not subject.tables:
            raise NotMeasurable("no data set was given")
        roles = replace(subject.roles, prediction=None, score=None, threshold=None)
        if roles.task != "binary":  # how often each class occurs is told by provenance.balance
            roles = replace(roles, task="binary", target=None)
        return [
            scan_confusion(table, subject.groups, roles, context={"split": split})
            for split, table in subject.tables.items()
        ]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive counts and base rates."""
        findings: list[Finding] = []
        for item in evidence:
            context = item.statistic.context
            names = ("count",) if context.get("target") is None else self.metrics
            measured = disaggregate(names, item.statistic, confidence=self.confidence)
            split = context.get("split")
            if split != "train":
                measured = [_named(m, str(split)) for m in measured]
            findings += self.place(measured, stage, [item.digest])
        return findings


def _named(measured: Measured, split: str) -> Measured:
    metric, *rest = measured
    return (f"{metric}[{split}]", *rest)  # type: ignore[return-value]
