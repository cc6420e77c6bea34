"""The stages of a model's life at which something can be measured, in order."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Stage"]


class Stage(StrEnum):
    """A stage; compares and serialises as its name."""

    DATA = "data"
    PRE_TRAINING = "pre-training"
    TRAINING = "training"
    CHECKPOINT = "checkpoint"
    FINE_TUNING = "fine-tuning"
    EVALUATION = "evaluation"
    PRE_DEPLOYMENT = "pre-deployment"
    MONITORING = "monitoring"

    @property
    def order(self) -> int:
        """The position of this stage in the life of a model, from 0."""
        return list(Stage).index(self)
