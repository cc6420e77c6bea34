"""Rates, ranking quality and disparities of predictions, by group and intersection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.datasets import scan_confusion, scan_scores
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, disaggregate
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.stats import CONFUSION, SCORES, Family, Groups, Statistic

__all__ = ["GroupMetrics"]


@register
class GroupMetrics(Check):
    """Every rate of the confusion table and the AUC, for everybody, every group and intersection.

    ``sensitive`` and ``intersections`` narrow the declared groups; ``reference`` is the group
    against which differences and ratios are taken.
    """

    id: ClassVar[str] = "bias.group-metrics"
    title: ClassVar[str] = "Error rates, selection and ranking by group"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (*BINARY_METRICS, *EXTREMES, "auc")

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count labels, and scores where there are any, by slice."""
        counted = [subject.counted[k] for k in (CONFUSION, SCORES) if k in subject.counted]
        if counted:
            return counted
        if subject.predictions is None:
            raise NotMeasurable("no predictions were given")
        statistics: list[Statistic] = [
            scan_confusion(subject.predictions, subject.groups, subject.roles)
        ]
        if subject.roles.score is not None and subject.roles.target is not None:
            statistics.append(scan_scores(subject.predictions, subject.groups, subject.roles))
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive rates and disparities from confusion counts, and AUC from score counts."""
        findings: list[Finding] = []
        for item in evidence:
            scores = item.statistic.kind == SCORES
            measured = disaggregate(
                ("auc",) if scores else BINARY_METRICS,
                item.statistic,
                extremes=() if scores else EXTREMES,
                families=self.families(item.statistic.groups),
                reference=self.reference,
                confidence=self.confidence,
            )
            context = item.statistic.context
            if context.get("target", "") is None:
                # Without a target only selection is measured; one reason stands for the rest.
                measured = [m for m in measured if _needs_no_target(m[0])]
            findings += self.place(measured, stage, [item.digest])
        return findings + self._missing(evidence, stage)

    def families(self, groups: Groups) -> list[Family]:
        """Return the families that this check speaks of."""
        return [
            family for family in groups.families
            if (self.sensitive is None or set(family) <= set(self.sensitive))
            and (self.intersections is None or len(family) <= self.intersections)
        ]  # fmt: skip

    def _missing(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Name what could not be measured at all, once each, with the reason."""
        counts = next((e for e in evidence if e.statistic.kind == CONFUSION), None)
        context = counts.statistic.context if counts else {}
        absent: list[tuple[str, str]] = []
        if context.get("target", "") is None:
            absent += [(m, "no target column") for m in self.metrics if not _needs_no_target(m)]
        elif not any(e.statistic.kind == SCORES for e in evidence):
            absent.append(("auc", "no score column"))
        measured = [(m, Slice(), None, None, Absent(reason)) for m, reason in absent]
        return self.place(measured, stage, [])


def _needs_no_target(metric: str) -> bool:
    return metric.startswith(("count", "selection_rate", "demographic_parity"))
