"""From what a model gives and what it was to give, to readings of every record, on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import InputError
from auditor.loop.readings import (
    MISSING,
    Readings,
    read_classes,
    read_positions,
    read_values,
)

__all__ = ["IGNORED", "Predict", "Reader", "Reading", "logits_of"]

Predict = Callable[[Any], "tuple[torch.Tensor, torch.Tensor]"]
"""A user's own reading of outputs: ``outputs → (scores [batch], predictions [batch])``."""

IGNORED = -100
"""The label that losses of torch and transformers leave out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Readings and, where they were computed with them, the losses ``[batch]`` and weights."""

    readings: Readings
    losses: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def block(
        self, losses: torch.Tensor | None = None, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the block of columns, with the losses given or else its own."""
        if losses is None:
            losses, weights = self.losses, self.weights
        return self.readings.block(losses, weights)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads outputs by the task and by their shape.

    Parameters
    ----------
    task:
        ``binary``, ``multiclass`` or ``regression``. What predicts at several positions of a
        record is recognised by its shape.
    predict:
        The user's own reading of scores and predictions.
    probabilities:
        Whether the model gives probabilities already, and no logits.
    ignore:
        The label of positions that are left out.
    """

    task: str = "binary"
    predict: Predict | None = None
    probabilities: bool = False
    ignore: int = IGNORED

    def read(
        self, outputs: Any, targets: Any, records: int, *, classes_last: bool = False
    ) -> Reading:
        """Read a batch of ``records`` records.

        ``[batch]`` and ``[batch, 1]`` are logits of the positive class, ``[batch, classes]`` those
        of classes. With targets of several positions, the classes are dimension 1 as in torch's
        losses, or the last one (``classes_last``); flattened positions are recognised by
        ``records``. Raises :class:`InputError` for other shapes.
        """
        if not isinstance(targets, torch.Tensor):
            raise InputError(f"the targets are a {type(targets).__name__}", valid="a tensor")
        labels = targets.detach()
        if self.predict is not None:
            return Reading(_user_reading(self.predict, outputs, labels))
        logits = logits_of(outputs)
        if self.task == "regression":
            return self._values(logits, labels)
        positions = _positions(logits, labels, records, classes_last=classes_last)
        if positions is not None:
            readings, losses, counted = read_positions(*positions, ignore=self.ignore)
            return Reading(readings, losses, counted)
        if labels.ndim == 2 and labels.shape[1] > 1 and labels.shape == logits.shape:
            if _several_labels(logits, self.task):
                return Reading(_several(logits, labels, probabilities=self.probabilities))
            labels = labels.argmax(dim=1)  # shares of the classes, as smoothing or mixup makes them
        labels = labels.reshape(labels.shape[0], -1)
        if labels.shape[1] != 1:
            raise InputError(f"the targets have shape {list(targets.shape)}", valid="[batch]")
        labels = torch.where(labels[:, 0] == self.ignore, MISSING, labels[:, 0])
        if logits.ndim == 2 and logits.shape[1] == 1:
            logits = logits[:, 0]
        if logits.ndim not in (1, 2):
            raise InputError(
                f"the model gives outputs of shape {list(logits.shape)}",
                valid="[batch], [batch, 1] or [batch, classes]; or predict= that reads scores and "
                "classes",
            )
        return Reading(read_classes(logits, labels, probabilities=self.probabilities))

    def _values(self, logits: torch.Tensor, labels: torch.Tensor) -> Reading:
        values, true = logits.reshape(len(logits), -1), labels.reshape(len(labels), -1)
        if values.shape != true.shape:
            raise InputError(
                f"outputs of shape {list(logits.shape)} and targets of {list(labels.shape)}",
                valid="[batch] or [batch, 1] of both",
            )
        # A regression of several values has a loss, and no single error.
        return Reading(
            read_values(values[:, 0], true[:, 0]) if values.shape[1] == 1
            else _nothing(len(values), values.device)
        )  # fmt: skip


def logits_of(outputs: Any) -> torch.Tensor:
    """Return the detached tensor of logits in what a model gives; raises :class:`InputError`."""
    logits = getattr(outputs, "logits", outputs)
    if isinstance(logits, (tuple, list)) and logits:
        logits = logits[0]
    if not isinstance(logits, torch.Tensor):
        raise InputError(
            f"the model gives a {type(logits).__name__}", valid="a tensor, or predict="
        )
    return logits.detach()


def _positions(
    logits: torch.Tensor, labels: torch.Tensor, records: int, *, classes_last: bool
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return logits ``[records, positions, classes]`` and labels, or ``None`` for one position."""
    if labels.is_floating_point():
        return None
    if logits.ndim == labels.ndim + 1 and labels.ndim >= 2 and len(labels) == records:
        batch = len(labels)
        last = logits if classes_last else logits.movedim(1, -1)
        return last.reshape(batch, -1, last.shape[-1]), labels.reshape(batch, -1)
    flat = labels.ndim == 1 and logits.ndim == 2 and len(logits) == len(labels)
    if flat and records and len(labels) > records and len(labels) % records == 0:
        return logits.reshape(records, -1, logits.shape[1]), labels.reshape(records, -1)
    return None


def _several_labels(logits: torch.Tensor, task: str) -> bool:
    """Whether a matrix of targets holds several yes/no labels, and not shares of the classes."""
    return task != "multiclass" and logits.shape[1] > 1


def _several(logits: torch.Tensor, labels: torch.Tensor, *, probabilities: bool) -> Readings:
    """Read several yes/no labels of a record: means over them, and no single label."""
    shares = logits.float() if probabilities else logits.float().sigmoid()
    true = labels.float()
    away = (shares - true).abs()
    nothing = _nothing(len(labels), logits.device)
    return Readings(
        nothing.labels, nothing.predictions, nothing.scores, (1 - away).mean(dim=1),
        (away * away).sum(dim=1).sqrt(),
        ((shares >= 0.5).float() != true.round()).float().mean(dim=1),
    )  # fmt: skip


def _nothing(records: int, device: torch.device) -> Readings:
    absent = torch.full((records,), MISSING, device=device)
    nan = torch.full((records,), torch.nan, device=device)
    return Readings(absent, absent, nan, nan, nan, nan)


def _user_reading(predict: Predict, outputs: Any, labels: torch.Tensor) -> Readings:
    scores, predictions = predict(outputs)
    scores, predictions = scores.detach().reshape(-1).float(), predictions.detach().reshape(-1)
    labels = labels.reshape(len(labels), -1)[:, 0]
    known = (labels >= 0) & (labels == labels.round())
    predictions = torch.where(predictions.isnan(), MISSING, predictions).long()
    binary = known & (labels <= 1)
    away = (scores - labels.float()).abs()
    wrong = torch.where(
        known & (predictions >= 0), (predictions != labels.long()).float(), torch.nan
    )
    return Readings(
        torch.where(known, labels, MISSING).long(), predictions, scores,
        torch.where(binary, 1 - away, torch.nan), torch.where(binary, away, torch.nan), wrong,
    )  # fmt: skip
