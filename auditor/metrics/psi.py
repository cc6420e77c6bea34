"""The population stability index, with an interval that holds with and without drift."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.intervals import normal_quantile
from auditor.metrics.noncentrality import noncentralities
from auditor.metrics.samples import Absent, Projected, Sample

__all__ = ["population_stability"]

Array = NDArray[np.float64]

_BINS = 10
_LEAST = 5


def population_stability(expected: Array, actual: Array, *, ordered: bool) -> Sample:
    """Return Σ (q − p) ln(q / p), less what chance alone adds to it.

    Parameters
    ----------
    expected, actual:
        Records at each position, shape ``[positions]``; neither all 0.
    ordered:
        Whether positions are ranks, which are put into up to ten bins with about as many expected
        records each. Otherwise positions with fewer than five expected records are taken together.

    Half a record is added to every bin. Without drift n m / (n + m) times the index has a χ²
    distribution with bins − 1 degrees of freedom (Yurdakul and Naranjo 2020), whose mean is what is
    taken off. The interval is the wider, on each side, of two: the noncentral χ² inverted, which
    holds near 0, and the delta method, which holds away from it.

    >>> half = np.array([500.0, 500.0])
    >>> population_stability(half, half, ordered=False).value
    0.0
    """
    p, q = _bins(expected, actual, ordered=ordered)
    k = p.size
    if k < 2:
        return Absent("the training values fill a single bin")
    n, m = float(p.sum()), float(q.sum())
    p, q = (p + 0.5) / (n + k / 2), (q + 0.5) / (m + k / 2)
    logs = np.log(q / p)
    index = float((q - p) @ logs)
    rate, df = 1 / n + 1 / m, k - 1
    value = max(index - df * rate, 0.0)
    by_p, by_q = -logs + 1 - q / p, logs + 1 - p / q  # the slopes of the index
    variance = _variance(p, by_p) / n + _variance(q, by_q) / m

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        half = normal_quantile(confidence) * math.sqrt(variance / factor)
        noise = rate / factor
        near = noncentralities(value / noise + df, df, confidence)
        low = min(value - half, near[0] * noise)
        return min(max(low, 0.0), value), max(value + half, near[1] * noise)

    return Projected(value, n + m, "noncentral-chi2", bounds)


def _variance(shares: Array, values: Array) -> float:
    mean = float(shares @ values)
    return float(shares @ (values - mean) ** 2)


def _bins(expected: Array, actual: Array, *, ordered: bool) -> tuple[Array, Array]:
    if ordered:
        # A position belongs where its middle record lies: equal numbers share a bin.
        middle = (np.cumsum(expected) - expected / 2) / float(expected.sum())
        place = np.minimum((middle * _BINS).astype(np.int64), _BINS - 1)
        place = np.unique(place, return_inverse=True)[1]
    else:
        rare = expected < _LEAST
        place = np.where(rare, 0, np.cumsum(~rare))
        place = np.unique(place, return_inverse=True)[1]
    size = int(place.max()) + 1
    p, q = (np.bincount(place, side, minlength=size) for side in (expected, actual))
    return p.astype(np.float64), q.astype(np.float64)
