"""How a model that predicts at many positions of a record does on held-out records of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotApplicable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics.training import EVALUATED
from auditor.stats import Statistic

__all__ = ["EvaluationLoss"]


@register
class EvaluationLoss(Check):
    """Cross-entropy, errors and confidence by group, of language models and of segmentations.

    A record's positions are averaged first: records are what is drawn independently, so that
    intervals are those of records, and not of tokens.
    """

    id: ClassVar[str] = "bias.evaluation-loss"
    title: ClassVar[str] = "Loss on held-out records by group"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (
        "evaluation_loss", "evaluation_error_rate", "evaluation_true_class_probability",
    )  # fmt: skip

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums over held-out records."""
        if EVALUATED not in subject.counted:
            raise NotApplicable("the model makes one prediction a record")
        return [subject.counted[EVALUATED]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive means over records."""
        return self.disaggregated(self.metrics, evidence, stage)
