"""Errors, levels and distributions of predicted numbers, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, listed
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import METRICS, Absent, with_parameter
from auditor.metrics.distances import DISTANCES
from auditor.metrics.regression import REGRESSION_METRICS, RESIDUAL_SHARES
from auditor.stats import REGRESSION, RESIDUALS, Statistic

__all__ = ["RegressionMetrics"]

_FREE = ("mean_prediction", *DISTANCES)


@register
class RegressionMetrics(Check):
    """Every measure of a predicted number, for everybody, group and intersection.

    Differences of the mean prediction are the mean-prediction gap; the distances are those of the
    distributions of predictions. Errors are prediction − target. The fields are those of
    ``bias.group-metrics``.
    """

    id: ClassVar[str] = "bias.regression"
    title: ClassVar[str] = "Errors and levels of predicted numbers by group"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (*REGRESSION_METRICS, *DISTANCES)

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Add up errors, and count predictions and residuals, by slice."""
        if REGRESSION in subject.counted:
            return [subject.counted[REGRESSION]]
        from auditor.datasets.scan_regression import (
            scan_predictions,
            scan_regression,
            scan_residuals,
        )

        roles, table, groups = subject.roles, subject.predictions, subject.groups
        if table is None or roles.task != "regression":
            raise NotApplicable("the task is not regression")
        if roles.weighting is not None:
            raise NotMeasurable(f"predicted numbers are not measured with a {roles.weighting}")
        statistics: list[Statistic] = [
            scan_regression(table, groups, roles), scan_predictions(table, groups, roles)
        ]  # fmt: skip
        if roles.target is not None:
            statistics.append(scan_residuals(table, groups, roles))
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive errors, levels, quantiles and distances."""
        findings: list[Finding] = []
        unlabelled = False
        for item in evidence:
            statistic = item.statistic
            unlabelled = statistic.context.get("target") is None
            names = [
                name for name in _named(statistic.kind)
                if not unlabelled or name.startswith(("count", *_FREE))
            ]  # fmt: skip
            measured = listed(
                names,
                statistic,
                chosen_families(statistic.groups, self.sensitive, self.intersections),
                reference=self.reference,
                confidence=self.confidence,
            )
            findings += self.place(measured, stage, [item.digest])
        if unlabelled:
            reason = Absent("no target column")
            without = [name for name in self.metrics if name not in _FREE]
            findings += self.place(
                [(name, Slice(), None, None, reason) for name in without], stage, []
            )
        return findings


def _named(kind: str) -> list[str]:
    """Return the metrics that are read off one kind of statistic."""
    if kind == RESIDUALS:
        return [with_parameter("residual_quantile", share) for share in RESIDUAL_SHARES]
    every = ("count", *REGRESSION_METRICS, *DISTANCES)
    return [name for name in every if kind in METRICS.get(name).kinds]
