"""The score interval of a ratio of two proportions, on arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.metrics.intervals import Bounds, normal_quantile
from auditor.metrics.roots import root_between

__all__ = ["miettinen_nurminen_ratio"]

Array = NDArray[np.float64]

_LIMIT = math.log(1e15)


def miettinen_nurminen_ratio(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, confidence: float
) -> Bounds:
    """The score interval of p₁ / p₂ (Miettinen and Nurminen 1985, equation 10).

    The bounds are the ratios r at which (p₁ − r p₂)² reaches z² times its variance under the
    restricted maximum-likelihood estimate, with the factor N / (N − 1). With x₁ = 0 the lower
    bound is exactly 0; with x₂ = 0 the upper is infinite. Counts need not be whole; where
    N = n₁ + n₂ is 1 or less nothing is known, and the bounds are 0 and infinite.

    >>> low, high = miettinen_nurminen_ratio(805, 1795, 349, 1488, confidence=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (1.7225, 2.1256)
    """
    given = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x1, n1, x2, n2)))
    shape = given[0].shape
    # Both sides at once: the lower bounds, then the upper ones.
    a, m, b, n = (np.tile(values.ravel(), 2) for values in given)
    half = a.size // 2
    z = normal_quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.log(np.clip((a / m) / (b / n), 1e-12, 1e12))
    centre = np.where(np.isnan(centre), 0.0, centre)
    side = np.repeat([-1.0, 1.0], half)

    def excess(log_r: Array) -> Array:
        return np.abs(_score(log_r, a, m, b, n)) - z

    # A short bracket, where it holds the bound, needs half of the steps.
    width = 2 * z * np.sqrt(1 / np.maximum(a, 0.5) + 1 / np.maximum(b, 0.5))
    near = np.clip(centre + side * width, -_LIMIT, _LIMIT)
    outside = np.where(excess(near) > 0, near, side * _LIMIT)
    log_bounds = root_between(excess, centre, outside)
    bounds = np.exp(log_bounds)
    nothing = m[:half] + n[:half] <= 1
    low = np.where((a[:half] <= 0) | nothing, 0.0, bounds[:half])
    high = np.where((b[:half] <= 0) | nothing, np.inf, bounds[half:])
    return low.reshape(shape), high.reshape(shape)


def _score(log_r: Array, x1: Array, n1: Array, x2: Array, n2: Array) -> Array:
    """Return (p₁ − r p₂) over its standard error under the hypothesis that the ratio is r."""
    r, total = np.exp(log_r), n1 + n2
    a, b, c = total * r, n1 * r + x1 + n2 + x2 * r, x1 + x2
    # The smaller root, in the form that does not cancel where 4ac is small against b².
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
    # All of it lies above 0; np.clip costs more than the arithmetic.
    q2 = np.minimum(2 * c / (b + root), 1)
    q1 = np.minimum(r * q2, 1)
    variance = (q1 * (1 - q1) / n1 + r * r * q2 * (1 - q2) / n2) * total
    variance = variance / np.maximum(total - 1, 1e-9)
    gap = x1 / n1 - r * (x2 / n2)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = gap / np.sqrt(variance)
    # Without variance the hypothesis is either met exactly (0) or impossible.
    return np.where(variance > 0, score, np.where(np.abs(gap) < 1e-12, 0, np.sign(gap) * 1e9))
