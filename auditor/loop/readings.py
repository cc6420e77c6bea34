"""What is read of each record of a batch: prediction, score, loss, confidence and gradient norm.

Readings are one tensor ``[records, columns]`` on the model's device, made without waiting for it.
The columns are:

``label``, ``prediction``
    Class numbers, or values of a regression; −1 (NaN in a regression) where there is none.
``score``
    The probability of the positive class; NaN where the task is not binary.
``loss``, ``weight``
    The loss of the record and its weight in the criterion's mean: the mean loss of any records is
    Σ loss / Σ weight, as the criterion itself averages (class weights, ignored labels and padding
    included). A weight of 0 is a record without a loss.
``confidence``
    The probability that the model gives to the true class (Swayamdipta et al. 2020), averaged over
    the positions of a sequence.
``gradient``
    The norm of the gradient of the cross-entropy with respect to the outputs: ‖softmax(z) −
    onehot(y)‖₂ (the EL2N score, Paul et al. 2021), |σ(z) − y| of a single logit; averaged over
    positions. It takes no backward pass.
``error``
    1 where the prediction is not the label; the share of wrong positions in a sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import InputError

__all__ = [
    "COLUMNS",
    "MISSING",
    "Readings",
    "read_classes",
    "read_positions",
    "read_values",
    "widest_float",
]

COLUMNS = (
    "label", "prediction", "score", "loss", "weight", "confidence", "gradient", "error",
)  # fmt: skip
"""The columns of a block of readings."""

MISSING = -1
"""A label or a prediction that is not there."""

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of a batch but for its losses; every tensor has shape ``[batch]``."""

    labels: torch.Tensor
    predictions: torch.Tensor
    scores: torch.Tensor
    confidence: torch.Tensor
    gradient: torch.Tensor
    error: torch.Tensor

    def block(self, losses: torch.Tensor | None, weights: torch.Tensor | None) -> torch.Tensor:
        """Return the block ``[batch, columns]``; a record without a loss has weight 0."""
        dtype = widest_float(self.labels.device)
        if losses is None:
            weights = torch.zeros_like(self.confidence)
            losses = weights
        elif weights is None:
            weights = torch.ones_like(losses)
        assert weights is not None
        columns = (
            self.labels, self.predictions, self.scores, losses, weights, self.confidence,
            self.gradient, self.error,
        )  # fmt: skip
        return torch.stack([column.to(dtype) for column in columns], 1)


def read_classes(logits: torch.Tensor, labels: torch.Tensor, *, probabilities: bool) -> Readings:
    """Read one prediction a record.

    ``logits`` has shape ``[batch]`` (the logit of the positive class, or its probability) or
    ``[batch, classes]``; ``labels`` has shape ``[batch]``, where anything that is no class number
    is missing.
    """
    if logits.ndim == 1:
        return _read_binary(logits, labels, probabilities=probabilities)
    classes = logits.shape[1]
    shares = logits.float() if probabilities else logits.float().softmax(dim=1)
    known = (labels >= 0) & (labels < classes) & (labels == labels.round())
    true = torch.where(known, labels, 0).long()
    predictions = shares.argmax(dim=1)
    broken = shares.isnan().any(dim=1)
    predictions = torch.where(broken, MISSING, predictions)
    of_true = shares.gather(1, true[:, None])[:, 0]
    gradient = ((shares * shares).sum(dim=1) - 2 * of_true + 1).clamp(min=0).sqrt()
    nothing = torch.full_like(of_true, torch.nan)
    scores = torch.where(broken, torch.nan, shares[:, 1]) if classes == 2 else nothing
    return Readings(
        torch.where(known, true, MISSING), predictions, scores,
        torch.where(known, of_true, nothing), torch.where(known, gradient, nothing),
        _error(predictions, true, known & ~broken),
    )  # fmt: skip


def _read_binary(logits: torch.Tensor, labels: torch.Tensor, *, probabilities: bool) -> Readings:
    scores = logits.float() if probabilities else logits.float().sigmoid()
    known = (labels == 0) | (labels == 1)
    broken = scores.isnan()
    predictions = torch.where(broken, MISSING, (scores >= 0.5).long())
    true = torch.where(known, labels, 0).long()
    away = (scores - true).abs()
    nothing = torch.full_like(scores, torch.nan)
    return Readings(
        torch.where(known, true, MISSING), predictions, scores,
        torch.where(known, 1 - away, nothing), torch.where(known, away, nothing),
        _error(predictions, true, known & ~broken),
    )  # fmt: skip


def read_values(outputs: torch.Tensor, targets: torch.Tensor) -> Readings:
    """Read a regression: ``outputs`` and ``targets`` of shape ``[batch]``."""
    values, true = outputs.float(), targets.float()
    nothing = torch.full_like(values, torch.nan)
    return Readings(true, values, nothing, nothing, nothing, nothing)


def read_positions(
    logits: torch.Tensor, labels: torch.Tensor, *, ignore: int
) -> tuple[Readings, torch.Tensor, torch.Tensor]:
    """Read several predictions a record, as a language model or a segmentation makes them.

    ``logits`` has shape ``[batch, positions, classes]``, ``labels`` ``[batch, positions]`` with
    ``ignore`` where there is nothing to predict. Returns the readings (confidence, gradient norm
    and error are means over the positions that count; there is no single label), the summed
    cross-entropy of every record and the number of its positions, both ``[batch]``.

    Works through the batch in chunks, so that memory stays a few times the logits of some records.
    """
    batch, positions, classes = logits.shape
    if labels.shape != (batch, positions):
        raise InputError(
            f"the labels have shape {list(labels.shape)}", valid=f"[{batch}, {positions}]"
        )
    step = max(1, _CHUNK // max(1, positions * classes))
    parts = [
        _positions(logits[start : start + step], labels[start : start + step], ignore)
        for start in range(0, batch, step)
    ]
    confidence, gradient, error, losses, counted = (
        torch.cat(columns) for columns in zip(*parts, strict=True)
    )
    nothing = torch.full_like(confidence, torch.nan)
    absent = torch.full((batch,), MISSING, device=logits.device)
    return Readings(absent, absent, nothing, confidence, gradient, error), losses, counted


def _positions(logits: torch.Tensor, labels: torch.Tensor, ignore: int) -> tuple[Any, ...]:
    z = logits.float()
    valid = (labels != ignore) & (labels >= 0) & (labels < z.shape[-1])
    true = torch.where(valid, labels, 0).long()
    norm = z.logsumexp(dim=-1)
    of_true = z.gather(-1, true[..., None])[..., 0]
    share = (of_true - norm).exp()
    squares = (z.mul(2).logsumexp(dim=-1) - 2 * norm).exp()
    gradient = (squares - 2 * share + 1).clamp(min=0).sqrt()
    wrong = (z.argmax(dim=-1) != true).float()
    counted = valid.sum(dim=1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return torch.where(valid, values, 0.0).sum(dim=1) / counted  # 0 / 0 is NaN: none counted

    losses = torch.where(valid, norm - of_true, 0.0).sum(dim=1)
    return mean(share), mean(gradient), mean(wrong), losses, counted


def _error(predictions: torch.Tensor, true: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return torch.where(known, (predictions != true).float(), torch.nan)


def widest_float(device: torch.device) -> torch.dtype:
    """Return float64 where the device has it, else float32."""
    if device.type not in _WIDEST:
        _WIDEST[device.type] = _find_widest(device)
    return _WIDEST[device.type]


_WIDEST: dict[str, torch.dtype] = {}


def _find_widest(device: torch.device) -> torch.dtype:
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return torch.float32
    return torch.float64
