"""The loss of each record, computed again on detached outputs; the user's loss is left alone.

Rewriting a criterion to ``reduction="none"`` would change its result in the last bits under class
weights, label smoothing and ignored labels, so the loss that is trained on is never touched.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch

from auditor.errors import InputError

__all__ = ["FunctionCriterion", "as_criterion", "record_losses"]


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
    criterion: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.Tensor | None:
    """Return the loss of every record, shape ``[batch]``, or ``None`` where it has none.

    Works for modules with a ``reduction`` and for functions that take one. The class weights and
    ignored labels of the criterion apply to each record as they do in its sum.
    """
    detached = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in args)
    named = {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
    if isinstance(criterion, FunctionCriterion):
        if "reduction" not in inspect.signature(criterion.function).parameters:
            return None
        losses = criterion.function(*detached, **{**named, "reduction": "none"})
    elif hasattr(criterion, "reduction"):
        unreduced = copy.copy(criterion)
        unreduced.reduction = "none"  # type: ignore[assignment]
        # forward, not a call: a call would fire the hooks that the copy shares.
        losses = unreduced.forward(*detached, **named)
    else:
        return None
    if losses.ndim == 0:
        return None
    return losses.reshape(losses.shape[0], -1).mean(dim=1)
