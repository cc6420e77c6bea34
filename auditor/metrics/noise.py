"""How far chance alone moves a distance of distributions: replicates of its Gaussian limit.

The noise of an empirical distribution with n records is a Brownian bridge over its positions: for
shares p, √p·z − p·Σ√p·z with independent standard normal z, over √n. The replicates come from one
fixed table of normals, so that they are the same wherever they are computed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["REPLICATES", "absolute_noise", "bridge_noise"]

Array = NDArray[np.float64]

REPLICATES = 1_000
_MOST_POSITIONS = 128


@lru_cache(maxsize=2)
def _normals(side: int) -> Array:
    return np.random.default_rng([20260101, side]).standard_normal((REPLICATES, _MOST_POSITIONS))


def absolute_noise(errors: Array) -> Array:
    """Return sorted replicates of Σ |N(0, errorᵢ²)|, shape ``[replicates]``."""
    errors = errors[errors > 0][:_MOST_POSITIONS]
    if not errors.size:
        return np.zeros(REPLICATES)
    return np.sort(np.abs(_normals(0)[:, : errors.size] * errors).sum(axis=1))


def bridge_noise(
    one: tuple[Array, float], other: tuple[Array, float], widths: Array, *, sup: bool
) -> Array:
    """Return sorted replicates of sup |B₁ − B₂|, or of Σ |B₁ − B₂| · width.

    Parameters
    ----------
    one, other:
        The shares of each position, shape ``[positions]``, and the number of records.
    widths:
        The distance from each position to the next, shape ``[positions]``.

    Beyond 128 positions neighbours are taken together, about equally many records each.
    """
    shares = np.stack([one[0], other[0]])
    used = shares.sum(axis=0) > 0
    if used.sum() > _MOST_POSITIONS:
        block = np.minimum(
            (np.cumsum(shares.sum(axis=0)) / 2 * _MOST_POSITIONS).astype(np.int64),
            _MOST_POSITIONS - 1,
        )
        shares = np.stack([np.bincount(block, row, minlength=_MOST_POSITIONS) for row in shares])
        widths = np.bincount(block, widths, minlength=_MOST_POSITIONS).astype(np.float64)
    elif not sup or shares.shape[1] > _MOST_POSITIONS:
        # Unused positions carry the distance on: their width goes to the last used one before.
        owner = np.cumsum(used) - 1
        carried = widths * (owner >= 0)
        widths = np.bincount(np.maximum(owner, 0), carried, minlength=used.sum()).astype(np.float64)
        shares = shares[:, used]
    bridges = [
        _bridge(p, n, _normals(side)[:, : p.size])
        for side, (p, n) in enumerate(zip(shares, (one[1], other[1]), strict=True))
    ]
    gap = np.abs(bridges[0] - bridges[1])
    return np.sort(gap.max(axis=1) if sup else gap @ widths[: gap.shape[1]])


def _bridge(shares: Array, n: float, normals: Array) -> Array:
    root = np.sqrt(shares)
    steps = normals * root
    steps = steps - shares * steps.sum(axis=1, keepdims=True)
    # The sum of √p·z has variance 1 only where the shares add up to 1, as they do.
    return np.cumsum(steps, axis=1) / np.sqrt(n)
