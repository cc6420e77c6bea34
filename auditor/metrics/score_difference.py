"""The score interval of a difference of two proportions, on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.metrics.counts import checked_groups
from auditor.metrics.intervals import Bounds, normal_quantile
from auditor.metrics.roots import root_between

__all__ = ["miettinen_nurminen_difference"]

Array = NDArray[np.float64]


def miettinen_nurminen_difference(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, confidence: float
) -> Bounds:
    """The score interval of p₁ − p₂ (Miettinen and Nurminen 1985, Statistics in Medicine 4).

    The bounds are the differences d at which (p₁ − p₂ − d)² reaches z² times its variance under
    the restricted maximum-likelihood estimate, with the factor N / (N − 1). Counts need not be
    whole; where N = n₁ + n₂ is 1 or less nothing is known, and the bounds are −1 and 1. Raises
    :class:`InputError` unless 0 ≤ x ≤ n and 0 < n < ∞.

    >>> low, high = miettinen_nurminen_difference(805, 1795, 349, 1488, confidence=0.95)
    >>> round(float(low), 5), round(float(high), 5)
    (0.18216, 0.24517)
    """
    given = checked_groups(x1, n1, x2, n2)
    shape = given[0].shape
    # Rates near 1 would lose the digits of 1 − p: then the failures, with the groups exchanged.
    many = given[0] + given[2] > (given[1] + given[3]) / 2
    failures = (given[3] - given[2], given[3], given[1] - given[0], given[1])
    given = tuple(np.where(many, f, g) for f, g in zip(failures, given, strict=True))
    # Both sides at once: the lower bounds, then the upper ones.
    a, m, b, n = (np.tile(values.ravel(), 2) for values in given)
    half = a.size // 2
    z = normal_quantile(confidence)
    observed = a / m - b / n
    outside = np.repeat([-1.0, 1.0], half)
    bounds = root_between(lambda d: np.abs(_score(d, a, m, b, n)) - z, observed, outside)
    # At −1 and 1 the function has no variance, and so no change of sign to be found.
    bounds = np.where((observed == outside) | (m + n <= 1), outside, bounds)
    return bounds[:half].reshape(shape), bounds[half:].reshape(shape)


def _score(d: Array, x1: Array, n1: Array, x2: Array, n2: Array) -> Array:
    """Return p₁ − p₂ − d over its standard error under the hypothesis that the difference is d."""
    total = n1 + n2
    # The smaller of the two rates is solved for: near 0 it keeps its digits.
    below = d < 0
    least = _restricted(
        np.abs(d), np.where(below, x2, x1), np.where(below, n2, n1),
        np.where(below, x1, x2), np.where(below, n1, n2),
    )  # fmt: skip
    most = np.clip(least + np.abs(d), 0, 1)
    q1, q2 = np.where(below, least, most), np.where(below, most, least)
    variance = (q1 * (1 - q1) / n1 + q2 * (1 - q2) / n2) * total / np.maximum(total - 1, 1e-9)
    gap = x1 / n1 - x2 / n2 - d
    with np.errstate(divide="ignore", invalid="ignore"):
        score = gap / np.sqrt(variance)
    # Without variance the hypothesis is either met exactly (0) or impossible.
    return np.where(variance > 0, score, np.where(np.abs(gap) < 1e-12, 0, np.sign(gap) * 1e9))


def _restricted(d: Array, x1: Array, n1: Array, x2: Array, n2: Array) -> Array:
    """Return the p₂ of greatest likelihood among all pairs with p₁ − p₂ = d, for d ≥ 0.

    The root of a cubic, by the cosine of the paper's appendix; then Newton's steps, since the
    cosine leaves half of the digits where two roots are close.
    """
    total, successes = n1 + n2, x1 + x2
    l2 = (n1 + 2 * n2) * d - total - successes
    l1 = (n2 * d - total - 2 * x2) * d + successes
    l0 = x2 * d * (1 - d)
    third = l2 / (3 * total)
    q = third**3 - l1 * third / (2 * total) + l0 / (2 * total)
    spread = np.sqrt(np.maximum(third**2 - l1 / (3 * total), 0))
    p = np.where(q < 0, -spread, spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(p == 0, 0.0, np.clip(q / p**3, -1, 1))
    root = np.clip(2 * p * np.cos((np.pi + np.arccos(cosine)) / 3) - third, 0, 1 - d)
    for _ in range(3):
        value = ((total * root + l2) * root + l1) * root + l0
        slope = (3 * total * root + 2 * l2) * root + l1
        with np.errstate(divide="ignore", invalid="ignore"):
            step = value / slope
        # Another root may lie at the end of the range: a step goes half of the way at most.
        safe = np.abs(step) <= np.minimum(root, 1 - d - root) / 2
        root = np.where(safe, root - step, root)
    return root
