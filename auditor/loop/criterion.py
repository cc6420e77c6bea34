"""The loss of each record, computed again on detached outputs; the user's loss is left alone.

Rewriting a criterion to ``reduction="none"`` would change its result in the last bits under class
weights, label smoothing and ignored labels, so the loss that is trained on is never touched.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from auditor.errors import InputError

__all__ = ["FunctionCriterion", "as_criterion", "record_losses"]

_CROSS_ENTROPIES = (functional.cross_entropy, functional.nll_loss)


class FunctionCriterion(torch.nn.Module):
    """A loss function as a module, so that a hook can see its inputs."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Call the function."""
        return self.function(*args, **kwargs)


def as_criterion(function: Callable[..., torch.Tensor]) -> torch.nn.Module:
    """Return the module itself, or a module that calls the function."""
    if isinstance(function, torch.nn.Module):
        return function
    if not callable(function):
        raise InputError(
            f"the criterion is a {type(function).__name__}", valid="a module or a function"
        )
    return FunctionCriterion(function)


def record_losses(
    criterion: torch.nn.Module,
    args: Sequence[Any],
    options: Mapping[str, Any],
    targets: Any,
    records: int,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return losses and weights of every record, both ``[records]``; ``None`` where it has none.

    Works for modules with a ``reduction`` and for functions that take one. Σ loss / Σ weight over
    the records is the criterion's own mean: a cross-entropy averages by the class weights of what
    it does not ignore, everything else by the number of records. ``args`` and ``options`` are the
    arguments that the criterion was called with, detached; ``targets`` is the one of them that
    holds the labels.
    """
    losses = _unreduced(criterion, args, options)
    if losses is None or losses.ndim == 0 or losses.numel() < records:
        return None
    if losses.numel() % records or (losses.stride(0) == 0 and losses.shape[0] > 1):
        return None  # one number expanded to a batch is no loss of a record
    losses = losses.reshape(records, -1)
    weights = _weights(criterion, targets, options)
    if weights is None or weights.numel() != losses.numel():
        return losses.mean(dim=1), torch.ones(records, device=losses.device)
    return losses.sum(dim=1), weights.reshape(records, -1).sum(dim=1)


def _unreduced(
    criterion: torch.nn.Module, args: Sequence[Any], options: Mapping[str, Any]
) -> torch.Tensor | None:
    if isinstance(criterion, FunctionCriterion):
        if "reduction" not in inspect.signature(criterion.function).parameters:
            return None
        return criterion.function(*args, **{**options, "reduction": "none"})
    if hasattr(criterion, "reduction"):
        unreduced = copy.copy(criterion)
        unreduced.reduction = "none"  # type: ignore[assignment]
        # forward, not a call: a call would fire the hooks that the copy shares.
        return unreduced.forward(*args, **options)
    return None


def _weights(
    criterion: torch.nn.Module, targets: Any, options: Mapping[str, Any]
) -> torch.Tensor | None:
    """Return the weight of every target in the mean of a cross-entropy; ``None`` for others."""
    if isinstance(criterion, (torch.nn.CrossEntropyLoss, torch.nn.NLLLoss)):
        weight, ignore = criterion.weight, criterion.ignore_index
    elif isinstance(criterion, FunctionCriterion):
        function: Any = criterion.function
        bound: dict[str, Any] = {}
        if isinstance(function, functools.partial):
            function, bound = function.func, dict(function.keywords)
        if function not in _CROSS_ENTROPIES:
            return None
        bound |= options
        weight, ignore = bound.get("weight"), int(bound.get("ignore_index", -100))
    else:
        return None
    if not isinstance(targets, torch.Tensor) or targets.is_floating_point():
        return None  # shares of the classes: torch divides by the number of records
    counted = targets != ignore
    if weight is None:
        return counted.float()
    return torch.where(counted, weight.to(targets.device)[torch.where(counted, targets, 0)], 0.0)
