"""Intervals of a χ² statistic's noncentrality, by its quantiles."""

from __future__ import annotations

import math

from auditor.metrics.intervals import normal_quantile

__all__ = ["noncentralities"]

_LARGE = 1e4  # beyond it a statistic is as good as normal


def noncentralities(statistic: float, df: int, confidence: float) -> tuple[float, float]:
    """Return the noncentralities of χ² at which a statistic is the upper or lower quantile."""
    from scipy.special import chndtr, chndtrinc

    tail = (1 - confidence) / 2
    if statistic > _LARGE:
        middle = statistic - df
        half = normal_quantile(confidence) * math.sqrt(2 * (df + 2 * middle))
        return max(middle - half, 0.0), middle + half
    central = float(chndtr(statistic, df, 0.0))
    low = 0.0 if central < 1 - tail else float(chndtrinc(statistic, df, 1 - tail))
    high = 0.0 if central < tail else float(chndtrinc(statistic, df, tail))
    return low, high
