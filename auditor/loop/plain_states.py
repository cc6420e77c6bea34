"""States as every reader of checkpoints takes them: tensors, numbers, strings and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["readable", "restored"]


def readable(state: Any) -> Any:
    """Return a state as ``torch.load(weights_only=True)`` reads it: arrays become tensors."""
    if isinstance(state, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(state).copy())
    if isinstance(state, np.generic):
        return state.item()
    if isinstance(state, Mapping):
        return {readable(key): readable(value) for key, value in state.items()}
    if isinstance(state, (tuple, list)):
        return [readable(part) for part in state]
    return state


def restored(state: Any) -> Any:
    """Return what :func:`readable` was given."""
    if isinstance(state, torch.Tensor):
        return state.cpu().numpy()
    if isinstance(state, Mapping):
        return {key: restored(value) for key, value in state.items()}
    if isinstance(state, (tuple, list)):
        return [restored(part) for part in state]
    return state
