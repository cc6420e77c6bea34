"""Where the loss of a step is to be seen: at a criterion, or in what a step returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.modules.loss import _Loss

from auditor.errors import InputError
from auditor.loop.criterion import FunctionCriterion

__all__ = ["found_criterion", "of_outputs", "own_loss"]

_OUTPUTS = ("logits", "preds")
_TARGETS = ("target", "targets", "labels")


def found_criterion(model: torch.nn.Module, given: Any) -> torch.nn.Module | None:
    """Return the criterion that was given or named, else the only loss module of the model.

    ``None`` where the model has none; raises :class:`InputError` where it has several.
    """
    if isinstance(given, str):
        found = getattr(model, given, None)
        if not isinstance(found, torch.nn.Module):
            raise InputError(
                f"the model has no criterion {given!r}", valid="the name of a module that it has"
            )
        return found
    if given is not None:
        if not isinstance(given, torch.nn.Module):
            raise InputError(
                f"the criterion is a {type(given).__name__}",
                valid="a module that is called for the loss, or audit.criterion(function)",
            )
        return given
    losses = {
        name: module for name, module in model.named_modules()
        if isinstance(module, (_Loss, FunctionCriterion))
    }  # fmt: skip
    if len(losses) > 1:
        raise InputError(
            f"the model has {len(losses)} losses: {', '.join(losses)}", valid="criterion=, one name"
        )
    return next(iter(losses.values()), None)


def of_outputs(result: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return outputs and targets of a step that returned a mapping with both."""
    if not isinstance(result, Mapping):
        return None
    outputs = next((result[key] for key in _OUTPUTS if key in result), None)
    targets = next((result[key] for key in _TARGETS if key in result), None)
    if not isinstance(outputs, torch.Tensor) or not isinstance(targets, torch.Tensor):
        return None
    return outputs.detach(), targets.detach()


def own_loss(task: str, outputs: torch.Tensor) -> torch.nn.Module:
    """Return the loss by which records are compared where the user's own is not seen."""
    if task == "regression":
        return torch.nn.MSELoss()
    if outputs.ndim == 1 or outputs.shape[-1] == 1:
        return torch.nn.BCEWithLogitsLoss()
    return torch.nn.CrossEntropyLoss()
