"""How the loss falls on the groups while the model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.attributions import LOSSES
from auditor.stats import Statistic

__all__ = ["TrainingLoss"]


@register
class TrainingLoss(Check):
    """The mean loss per record by group, over the training batches since the last look."""

    id: ClassVar[str] = "bias.training-loss"
    title: ClassVar[str] = "Training loss by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.TRAINING, Stage.FINE_TUNING)
    metrics: ClassVar[tuple[str, ...]] = ("mean_loss",)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums that the loop accumulated."""
        if LOSSES not in subject.counted:
            raise NotMeasurable("no training batch was observed since the last look")
        return [subject.counted[LOSSES]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the mean loss."""
        return [
            finding
            for item in evidence
            for finding in self.place(
                disaggregate(["mean_loss"], item.statistic, confidence=self.confidence),
                stage,
                [item.digest],
            )
        ]
