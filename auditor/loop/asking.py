"""What the observer asks of a batch, of the random state, and of torch itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.loop.readings import COLUMNS

__all__ = ["AT", "fits", "inside_backward", "random_digest", "without_repeated_means"]

AT = {name: position for position, name in enumerate(COLUMNS)}
"""The position of every column of a block of readings."""


def random_digest() -> bytes:
    """Return a digest (SHA-256) of the random state of torch on the host."""
    return hashlib.sha256(torch.get_rng_state().numpy().data).digest()


def fits(args: tuple[Any, ...], kwargs: Mapping[str, Any], records: int) -> bool:
    """Whether the labels may be those of so many records, or of the positions in them."""
    labels = args[1] if len(args) > 1 else next(
        (kwargs[n] for n in ("target", "targets", "labels") if n in kwargs), None
    )  # fmt: skip
    if not isinstance(labels, torch.Tensor) or not labels.ndim:
        return True  # the reader says what is wrong
    return records > 0 and len(labels) % records == 0


def without_repeated_means(
    block: NDArray[Any], rows: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[Any]:
    """Drop losses that are one number repeated for a batch: they are no losses of records."""
    loss, confidence = block[:, AT["loss"]], block[:, AT["confidence"]]
    if len(rows) < 4:
        return block
    starts = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    low, high = np.minimum.reduceat(loss, starts), np.maximum.reduceat(loss, starts)
    apart = np.fmax.reduceat(confidence, starts) - np.fmin.reduceat(confidence, starts)
    repeated = (low == high) & (apart > 1e-3)
    if not repeated.any():
        return block
    block = block.copy()
    block[np.repeat(repeated, np.diff(np.r_[starts, len(rows)])), AT["weight"]] = 0.0
    return block


def inside_backward() -> bool:
    """Whether a backward pass is going on in this thread."""
    # The only way to ask; torch's own checkpointing asks it like this.
    internals: Any = getattr(torch, "_C")  # noqa: B009
    return internals._current_graph_task_id() != -1
