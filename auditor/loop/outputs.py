"""From a model's outputs to binary labels and scores, on the device and without a copy back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import InputError

__all__ = ["Predict", "Readings", "read_labels", "read_outputs"]

Predict = Callable[[Any], "tuple[torch.Tensor, torch.Tensor]"]
"""A user's own reading of outputs: ``outputs → (scores [batch], predictions [batch])``."""

_MISSING = 2


@dataclass(frozen=True, slots=True)
class Readings:
    """Scores (NaN where missing) and predictions (0, 1, 2 for missing), both ``[batch]``."""

    scores: torch.Tensor
    predictions: torch.Tensor


def read_outputs(
    outputs: Any, *, predict: Predict | None = None, probabilities: bool = False
) -> Readings:
    """Read scores and predicted classes.

    ``[batch]`` and ``[batch, 1]`` are logits: sigmoid, and 0.5 as the cut (``probabilities`` says
    that they are probabilities already). ``[batch, 2]`` are logits of two classes: softmax and
    argmax. An object with ``logits`` is read by them. Raises :class:`InputError` for other shapes.
    """
    if predict is not None:
        scores, predictions = predict(outputs)
        scores, predictions = scores.detach().reshape(-1), predictions.detach().reshape(-1)
        return Readings(scores, torch.where(predictions.isnan(), _MISSING, predictions).long())
    logits = getattr(outputs, "logits", outputs)
    if isinstance(logits, (tuple, list)) and logits:
        logits = logits[0]
    if not isinstance(logits, torch.Tensor):
        raise InputError(
            f"the model gives a {type(logits).__name__}", valid="a tensor, or predict="
        )
    logits = logits.detach()
    if logits.ndim == 2 and logits.shape[1] == 2:
        scores = logits.float().softmax(dim=1)[:, 1]
        predictions = (logits[:, 1] > logits[:, 0]).long()
    elif logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        flat = logits.reshape(-1).float()
        scores = flat if probabilities else flat.sigmoid()
        predictions = (scores >= 0.5).long()
    else:
        raise InputError(
            f"the model gives outputs of shape {list(logits.shape)}",
            valid="[batch], [batch, 1] or [batch, 2]; or predict= that reads scores and classes",
        )
    return Readings(scores, torch.where(scores.isnan(), _MISSING, predictions))


def read_labels(targets: Any) -> torch.Tensor:
    """Read binary labels as 0, 1 and 2 (missing), shape ``[batch]``."""
    if not isinstance(targets, torch.Tensor):
        raise InputError(f"the targets are a {type(targets).__name__}", valid="a tensor")
    flat = targets.detach().reshape(targets.shape[0], -1)
    if flat.shape[1] != 1:
        raise InputError(f"the targets have shape {list(targets.shape)}", valid="[batch]")
    flat = flat[:, 0]
    known = (flat == 0) | (flat == 1)
    return torch.where(known, flat, _MISSING).long()
