"""Counts of successes among trials, refused where they are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError

__all__ = ["checked_counts", "checked_groups"]

Array = NDArray[np.float64]


def checked_counts(x: ArrayLike, n: ArrayLike) -> tuple[Array, Array]:
    """Return successes and trials as float64 arrays of one shape; they need not be whole.

    Raises :class:`InputError` unless 0 ≤ x ≤ n < ∞ everywhere.

    >>> [array.tolist() for array in checked_counts([1, 2], 4)]
    [[1.0, 2.0], [4.0, 4.0]]
    """
    successes, trials = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(n, np.float64))
    if not bool(np.all((successes >= 0) & (successes <= trials) & np.isfinite(trials))):
        raise InputError("counts that are no successes among trials", valid="0 ≤ x ≤ n")
    return successes, trials


def checked_groups(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    """Return the counts of two groups as float64 arrays of one shape.

    Raises :class:`InputError` unless 0 ≤ x ≤ n and 0 < n < ∞: a group without records has no rate.

    >>> checked_groups(1, 2, 0, 0)
    Traceback (most recent call last):
    ...
    auditor.errors.InputError: a group without records has no rate; n > 0
    """
    a, m, b, n = np.broadcast_arrays(*checked_counts(x1, n1), *checked_counts(x2, n2))
    if not bool(np.all((m > 0) & (n > 0))):
        raise InputError("a group without records has no rate", valid="n > 0")
    return a, m, b, n
