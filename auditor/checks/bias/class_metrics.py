"""Rates of every class against the others, averages over classes, and their disparities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, listed
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import with_parameter
from auditor.metrics.multiclass import AVERAGED_METRICS
from auditor.metrics.rates import BINARY_METRICS
from auditor.stats import CLASSES, Statistic

__all__ = ["ClassMetrics"]

_WHOLE = ("count", "accuracy", "error_rate", "balanced_accuracy", *AVERAGED_METRICS)
_OF_A_CLASS = tuple(name for name in BINARY_METRICS if name not in _WHOLE)


@register
class ClassMetrics(Check):
    """Every measure of a prediction of several classes, by group and intersection.

    A rate of one class against the others carries the class in brackets:
    ``true_positive_rate[cat]``. ``classes`` names the classes of which rates are listed, in place
    of all; the other fields are those of ``bias.group-metrics``.
    """

    id: ClassVar[str] = "bias.class-metrics"
    title: ClassVar[str] = "Error rates by class and group"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (*_WHOLE, *_OF_A_CLASS)

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"
    classes: tuple[str, ...] | None = None

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count true and predicted classes by slice."""
        from auditor.datasets import scan_classes

        if CLASSES in subject.counted:
            return [subject.counted[CLASSES]]
        table, roles = subject.predictions, subject.roles
        if table is None or roles.task != "multiclass":
            raise NotApplicable("the task is not multiclass")
        if roles.target is None:
            raise NotMeasurable("no target column")
        if roles.weighting is not None:
            raise NotMeasurable(f"predicted classes are not measured with a {roles.weighting}")
        return [scan_classes(table, subject.groups, roles)]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive rates and their disparities."""
        findings: list[Finding] = []
        for item in evidence:
            classes = [str(name) for name in item.statistic.context["classes"]]
            names = [
                *_WHOLE,
                *(
                    with_parameter(name, label) for name in _OF_A_CLASS for label in classes
                    if self.classes is None or label in self.classes
                ),
            ]  # fmt: skip
            measured = listed(
                names,
                item.statistic,
                chosen_families(item.statistic.groups, self.sensitive, self.intersections),
                reference=self.reference,
                confidence=self.confidence,
            )
            findings += self.place(measured, stage, [item.digest])
        return findings
