"""What became of the records of each group over the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotApplicable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics.training import DYNAMICS
from auditor.stats import Statistic

__all__ = ["TrainingDynamics"]


@register
class TrainingDynamics(Check):
    """Confidence, variability and forgetting of the records of each group, since the beginning.

    Each record counts once, with its own mean over the visits that were observed. Low confidence
    and low variability are records that are hard to learn, often mislabelled; high variability
    those that the model is undecided about (Swayamdipta et al. 2020).
    """

    id: ClassVar[str] = "bias.training-dynamics"
    title: ClassVar[str] = "Training dynamics by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.TRAINING, Stage.FINE_TUNING)
    metrics: ClassVar[tuple[str, ...]] = (
        "mean_confidence", "mean_variability", "forgetting_rate", "never_learned_rate",
    )  # fmt: skip

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums over records."""
        if DYNAMICS not in subject.counted:
            raise NotApplicable("no record with a class was observed")
        return [subject.counted[DYNAMICS]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive means and shares over records."""
        return self.disaggregated(self.metrics, evidence, stage)
