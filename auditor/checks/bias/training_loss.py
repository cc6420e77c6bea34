"""How loss, errors, confidence and gradients fall on the groups while the model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate, with_parameter
from auditor.metrics.training import LOSSES, SERIES
from auditor.stats import Statistic

__all__ = ["TrainingLoss"]

_BINARY = ("training_false_positive_rate", "training_false_negative_rate")
_MEANS = (
    "mean_loss", "training_error_rate", "mean_true_class_probability", "mean_gradient_norm",
)  # fmt: skip


@register
class TrainingLoss(Check):
    """Loss, error rates, confidence and gradient norm by group, over the batches since a look.

    Each batch is read as the model stood when it was trained on, so that the numbers of a look are
    averages over a model in motion. The series over windows of steps is recorded beside, for
    curves.
    """

    id: ClassVar[str] = "bias.training-loss"
    title: ClassVar[str] = "Training loss and errors by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.TRAINING, Stage.FINE_TUNING)
    metrics: ClassVar[tuple[str, ...]] = (*_MEANS, *_BINARY, "mean_part_loss")

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums that the loop accumulated, and their series."""
        if LOSSES not in subject.counted:
            raise NotMeasurable("no training batch was observed since the last look")
        found = [s for key, s in subject.counted.items() if key.split(":")[0] == LOSSES]
        return [*found, *(s for s in [subject.counted.get(SERIES)] if s is not None)]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive means and rates of the time since the last look."""
        return [
            finding
            for item in evidence
            if item.statistic.kind == LOSSES
            for finding in self.place(
                disaggregate(_wanted(item.statistic), item.statistic, confidence=self.confidence),
                stage,
                [item.digest],
            )
        ]


def _wanted(statistic: Statistic) -> list[str]:
    """Return the metrics that a statistic can hold: one of several losses is a loss alone."""
    if "loss" in statistic.context:
        return [with_parameter("mean_part_loss", str(statistic.context["loss"]))]
    columns = getattr(statistic, "columns", ())
    if "positives" not in columns:
        return ["mean_loss"]
    binary = bool(statistic.values[:, columns.index("positives")].any())  # type: ignore[union-attr]
    return [*_MEANS, *(_BINARY if binary else ())]
