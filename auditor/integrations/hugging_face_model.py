"""What a model of transformers was given and what it gave, read at the model's own boundary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from auditor.engine.training import Training
from auditor.errors import InputError
from auditor.loop.compute import positions_of
from auditor.loop.evaluation import Evaluated, next_token
from auditor.loop.loader import ROWS

__all__ = ["LABELS", "ModelTap", "gives_probabilities", "read_call"]

LABELS = "auditor_labels"
"""The key under which the labels ride beside the rows: the Trainer may take ``labels`` away."""

_CLASSES = torch.nn.CrossEntropyLoss()
_SEVERAL = torch.nn.BCEWithLogitsLoss()
_VALUES = torch.nn.MSELoss()

Call = tuple[torch.Tensor, torch.Tensor, torch.nn.Module | None, bool]
"""Outputs, labels, the criterion of one prediction a record, and whether classes come last."""


class ModelTap:
    """Takes the rows off the arguments of a model, and reads what it gives for them.

    Hooks of the model itself: layers inside it, which activation checkpointing runs again in the
    backward pass, are not hooked. ``share`` is by how much a micro-batch's loss has to be
    multiplied to be the mean over its own part of the step.
    """

    def __init__(self, training: Training, model: torch.nn.Module) -> None:
        self.training, self.observer = training, training.observer
        self.share = 1
        self.muted = False
        self._labels: Any = None
        self._expected = False
        self._passive: list[torch.Tensor] = []
        self._unread: str | None = None
        keep = self.observer.keep
        keep(model.register_forward_pre_hook(self._before, with_kwargs=True))
        keep(model.register_forward_hook(self._after, with_kwargs=True))

    @torch.compiler.disable
    def _before(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rows = kwargs.pop(ROWS, None)
        labels = kwargs.pop(LABELS, None)
        self._expected = rows is not None and torch.is_grad_enabled()
        if self._expected:
            self._labels = labels if labels is not None else kwargs.get("labels")
            self.observer.announce(rows, None, positions_of(kwargs))
        return args, kwargs

    @torch.compiler.disable
    def _after(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any
    ) -> None:
        if self._expected:
            self._expected = False
            labels, self._labels = self._labels, None
            self._trained(module, kwargs, labels, outputs)
        elif not (self.muted or module.training or torch.is_grad_enabled()):
            self._evaluated(module, kwargs, outputs)

    def _trained(
        self, module: torch.nn.Module, kwargs: Mapping[str, Any], labels: Any, outputs: Any
    ) -> None:
        loss = _part(outputs, "loss", 0) if kwargs.get("labels") is not None else None
        if isinstance(loss, torch.Tensor) and kwargs.get("num_items_in_batch") is not None:
            loss = loss.detach() * self.share
        try:
            logits, labels, criterion, last = read_call(module, kwargs, labels, outputs)
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self.observer.fault = self.observer.fault or f"{type(error).__name__}: {error}"
            logits, criterion, last = None, None, False
        self.observer.saw((logits, labels), {}, criterion, loss=loss, classes_last=last)

    # -- the Trainer's own evaluation -----------------------------------------------------------

    def forget(self) -> None:
        """Begin to look at another evaluation pass."""
        self._passive.clear()
        self._unread = None

    def evaluated(self, records: int) -> Evaluated | None:
        """Return the readings of the pass that just ended, if they are those of so many records.

        Their order is that of the pass.
        """
        blocks, unread = list(self._passive), self._unread
        self.forget()
        if unread is not None or sum(map(len, blocks)) != records or not records:
            return None
        found = Evaluated()
        found.add(np.arange(records), torch.cat(blocks))
        return found

    def _evaluated(self, module: torch.nn.Module, kwargs: Mapping[str, Any], outputs: Any) -> None:
        if self._unread is not None:
            return
        try:
            logits, labels, _, last = read_call(module, kwargs, kwargs.get("labels"), outputs)
            with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
                read = self.training.reader.read(logits, labels, len(labels), classes_last=last)
                self._passive.append(read.block())
        except Exception as error:  # noqa: BLE001 -- an own pass is made instead
            self._unread = str(error)


def read_call(
    module: torch.nn.Module, kwargs: Mapping[str, Any], labels: Any, outputs: Any
) -> Call:
    """Return what a loss would be computed of; raises :class:`InputError` where there is nothing.

    A causal model's logits come with the labels that they predict, the next ones.
    """
    logits = _part(outputs, "logits", 1 if kwargs.get("labels") is not None else 0)
    if not isinstance(logits, torch.Tensor):
        raise InputError(
            "the model gives no logits", valid="a loss that keeps them (no fused or chunked one)"
        )
    if not isinstance(labels, torch.Tensor):
        raise InputError("the batch has no labels", valid="a key named labels")
    logits, labels = logits.detach().float(), labels.detach().to(logits.device)
    if logits.ndim == 3 and labels.ndim == 2 and not labels.is_floating_point():
        logits = logits[:, -labels.shape[1] :]  # prompt tuning puts positions before the labels
        shifted = kwargs.get("shift_labels")
        if isinstance(shifted, torch.Tensor):
            return logits, shifted.detach().to(logits.device), None, True
        return (*next_token(module, logits, labels), None, True)
    kind = _problem(module, logits, labels)
    if kind == "regression" and logits.shape[1:] in ((), (1,)):
        return logits.reshape(-1), labels.float().reshape(-1), _VALUES, False
    criterion = {"regression": _VALUES, "multi_label_classification": _SEVERAL}.get(kind, _CLASSES)
    if criterion is _CLASSES:
        labels = labels.reshape(-1)
    return logits, labels, criterion, False


def gives_probabilities(model: torch.nn.Module) -> bool:
    """Whether a yes/no target is learnt by a single output as a value, and not as a logit."""
    config = getattr(model, "config", None)
    single = getattr(config, "num_labels", None) == 1
    return single and getattr(config, "problem_type", None) in (None, "regression")


def _problem(module: torch.nn.Module, logits: torch.Tensor, labels: torch.Tensor) -> str:
    """Return the kind of problem as transformers tells it; see its ``loss_utils``."""
    kind = getattr(getattr(module, "config", None), "problem_type", None)
    if kind is not None:
        return kind
    if logits.ndim == 1 or logits.shape[1] == 1:
        return "regression"
    floating = labels.is_floating_point()
    return "multi_label_classification" if floating else "single_label_classification"


def _part(outputs: Any, name: str, place: int) -> Any:
    if isinstance(outputs, (tuple, list)) and not hasattr(outputs, name):
        return outputs[place] if len(outputs) > place else None
    return outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
