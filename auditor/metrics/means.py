"""Means read off sums and sums of squares."""

from __future__ import annotations

import math

from auditor.metrics.samples import Absent, Mean, Sample

__all__ = ["columns_of", "mean_of"]


def columns_of(quantity: str) -> tuple[str, str]:
    """Return the names of the columns that hold the sum and the sum of squares of a quantity."""
    return f"sum:{quantity}", f"squares:{quantity}"


def mean_of(
    total: float, squares: float, n: float, *, low: float | None = None, high: float | None = None
) -> Sample:
    """Return the mean and its standard error √((Σx² − (Σx)²/n) / (n (n − 1))).

    ``low`` and ``high`` are the limits of the quantity.

    >>> mean_of(6.0, 14.0, 3).value  # 1, 2, 3
    2.0
    """
    if n <= 0:
        return Absent("no records")
    if not (math.isfinite(total) and math.isfinite(squares)):
        return Absent("a value is not finite")
    if n < 2:
        return Absent("one record has no standard error")
    spread = max(squares - total * total / n, 0.0) / (n - 1)
    return Mean(total / n, math.sqrt(spread / n), n, "normal", low, high)
