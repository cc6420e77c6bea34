"""Confidence intervals of proportions, their differences and their ratios, on arrays.

Everything here takes counts of any equal shape and two-sided confidence levels in (0, 1), and
gives arrays of that shape. A one-sided bound at level c is the same side of the two-sided
interval at level 2c − 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.counts import checked_counts

__all__ = [
    "Bounds",
    "clopper_pearson",
    "jeffreys",
    "katz",
    "mover_difference",
    "mover_ratio",
    "newcombe",
    "normal_quantile",
    "student_factor",
    "wilson",
    "wilson_of",
]

Array = NDArray[np.float64]
Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


@lru_cache(maxsize=256)
def normal_quantile(confidence: float) -> float:
    """Return z so that a standard normal lies within ±z with probability ``confidence``.

    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", valid="a number between 0 and 1")
    tail = (1 - confidence) / 2
    return -NormalDist().inv_cdf(max(tail, 1e-300))


def student_factor(df: float) -> float:
    """Return by how much the 95 % quantile of Student's t exceeds the normal one.

    By Cornish and Fisher's expansion from 3 degrees of freedom, exact for 1 and 2.

    >>> [round(1.959964 * student_factor(df), 2) for df in (1, 2, 3, 10, 1e9)]
    [12.71, 4.3, 3.18, 2.23, 1.96]
    """
    z = normal_quantile(0.95)
    if df < 2:
        return math.tan(math.pi * 0.475) / z
    if df < 3:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2)) / z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return 1 + sum(term / df ** (power + 1) for power, term in enumerate(terms)) / z


def wilson(x: ArrayLike, n: ArrayLike, *, confidence: float) -> Bounds:
    """Wilson's score interval of a proportion, ``n > 0``.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n); Wilson (1927), recommended by Brown, Cai
    and DasGupta (2001). At 0 of n the lower bound is exactly 0, at n of n the upper exactly 1.

    >>> low, high = wilson(805, 1795, confidence=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.4256, 0.4716)
    """
    x, n = np.asarray(x, np.float64), np.asarray(n, np.float64)
    z = normal_quantile(confidence)
    p = x / n
    centre = p + z * z / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = np.where(x <= 0, 0.0, np.maximum((centre - half) / scale, 0))
    high = np.where(x >= n, 1.0, np.minimum((centre + half) / scale, 1))
    return low, high


def wilson_of(x: float, n: float, *, confidence: float) -> tuple[float, float]:
    """The bounds that :func:`wilson` gives to one proportion, bit for bit, without an array.

    >>> wilson_of(805, 1795, confidence=0.95) == wilson(805, 1795, confidence=0.95)
    True
    """
    x, n = float(x), float(n)
    if not 0 < x < n:
        low, high = wilson(x, n, confidence=confidence)
        return float(low), float(high)
    z = normal_quantile(confidence)
    p = x / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def clopper_pearson(x: ArrayLike, n: ArrayLike, *, confidence: float) -> Bounds:
    """The exact interval of a proportion: it covers at least as often as it says, at any rate.

    Quantiles α/2 of Beta(x, n − x + 1) and 1 − α/2 of Beta(x + 1, n − x); Clopper and Pearson
    (1934), Biometrika 26. At 0 of n the lower bound is exactly 0, at n of n the upper exactly 1;
    0 of 0 has the bounds 0 and 1. Raises :class:`InputError` unless 0 ≤ x ≤ n < ∞.

    >>> low, high = clopper_pearson(0, 10, confidence=0.95)  # 1 − 0.025^(1/10)
    >>> float(low), round(float(high), 4)
    (0.0, 0.3085)
    """
    x, n = checked_counts(x, n)
    return _beta_bounds(x, n, 0.0, confidence)


def jeffreys(x: ArrayLike, n: ArrayLike, *, confidence: float) -> Bounds:
    """The equal-tailed interval of a proportion under Jeffreys' prior, Beta(½, ½).

    Quantiles α/2 and 1 − α/2 of Beta(x + ½, n − x + ½), with the lower bound 0 at 0 of n and the
    upper 1 at n of n; Brown, Cai and DasGupta (2001), Statistical Science 16. 0 of 0 has the bounds
    0 and 1, and of fractions of a success the interval holds at least the rate itself. Raises
    :class:`InputError` unless 0 ≤ x ≤ n < ∞.

    >>> low, high = jeffreys(3, 10, confidence=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0927, 0.6058)
    """
    x, n = checked_counts(x, n)
    return _beta_bounds(x, n, 0.5, confidence)


def _beta_bounds(x: Array, n: Array, shift: float, confidence: float) -> Bounds:
    """Quantiles of Beta(x + s, n − x + 1 − s) below and of Beta(x + 1 − s, n − x + s) above."""
    from scipy.special import betaincinv

    normal_quantile(confidence)  # refuses what is no probability
    tail, rest = (1 - confidence) / 2, n - x
    # The upper bound is that of the complement, turned: 1 − α/2 would lose the digits of a small α.
    low = betaincinv(np.maximum(x, 1e-12) + shift, rest + 1 - shift, tail)
    high = 1 - betaincinv(np.maximum(rest, 1e-12) + shift, x + 1 - shift, tail)
    # Of a fraction of one success Jeffreys' bound may lie above the rate itself.
    rate = np.divide(x, n, out=np.zeros(x.shape), where=n > 0)
    low = np.where(x <= 0, 0.0, np.minimum(low, rate))
    return low, np.where(rest <= 0, 1.0, np.maximum(high, rate))


def newcombe(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, confidence: float
) -> Bounds:
    """Newcombe's hybrid score interval of p₁ − p₂ for independent groups.

    d − √((p₁−l₁)² + (u₂−p₂)²) to d + √((u₁−p₁)² + (p₂−l₂)²) with Wilson's l and u; Newcombe
    (1998), Statistics in Medicine 17, method 10.

    >>> low, high = newcombe(805, 1795, 349, 1488, confidence=0.95)
    >>> round(float(low), 5), round(float(high), 5)
    (0.18205, 0.24502)
    """
    x1, n1 = np.asarray(x1, np.float64), np.asarray(n1, np.float64)
    x2, n2 = np.asarray(x2, np.float64), np.asarray(n2, np.float64)
    l1, u1 = wilson(x1, n1, confidence=confidence)
    l2, u2 = wilson(x2, n2, confidence=confidence)
    p1, p2 = x1 / n1, x2 / n2
    d = p1 - p2
    low = d - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    high = d + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def katz(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, confidence: float
) -> Bounds:
    """Katz's log interval of p₁ / p₂; NaN where a count is 0.

    exp(ln r ± z √(1/x₁ − 1/n₁ + 1/x₂ − 1/n₂)); Katz, Baptista, Azen and Pike (1978).

    >>> low, high = katz(805, 1795, 349, 1488, confidence=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (1.7212, 2.1241)
    """
    x1, n1 = np.asarray(x1, np.float64), np.asarray(n1, np.float64)
    x2, n2 = np.asarray(x2, np.float64), np.asarray(n2, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(x1 / n1) - np.log(x2 / n2)
        half = normal_quantile(confidence) * np.sqrt(1 / x1 - 1 / n1 + 1 / x2 - 1 / n2)
        low, high = np.exp(log_ratio - half), np.exp(log_ratio + half)
    undefined = (x1 <= 0) | (x2 <= 0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def mover_difference(
    value1: ArrayLike,
    low1: ArrayLike,
    high1: ArrayLike,
    value2: ArrayLike,
    low2: ArrayLike,
    high2: ArrayLike,
) -> Bounds:
    """The interval of a difference out of the intervals of two independent quantities.

    d − √((v₁−l₁)² + (u₂−v₂)²) to d + √((u₁−v₁)² + (v₂−l₂)²), at the confidence of the two: the
    variance estimates recovered from them (MOVER); Zou and Donner (2008), Statistics in Medicine
    27. Out of Wilson's intervals it is Newcombe's. A side is infinite where one
    of the sides that make it is. Raises :class:`InputError` where a value is not finite or lies
    outside its own interval.

    >>> [float(bound) for bound in mover_difference(5, 2, 9, 3, 1, 7)]  # 2 − √(9+16), 2 + √(16+4)
    [-3.0, 6.47213595499958]
    """
    v1, l1, u1, v2, l2, u2 = _recoverable(value1, low1, high1, value2, low2, high2)
    d = v1 - v2
    low, high = d - np.hypot(v1 - l1, u2 - v2), d + np.hypot(u1 - v1, v2 - l2)
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def mover_ratio(
    value1: ArrayLike,
    low1: ArrayLike,
    high1: ArrayLike,
    value2: ArrayLike,
    low2: ArrayLike,
    high2: ArrayLike,
) -> Bounds:
    """The interval of a ratio out of the intervals of two independent non-negative quantities.

    The ratios r at which the recovered interval of v₁ − r v₂ reaches 0; Donner and Zou (2012),
    Statistical Methods in Medical Research 21:
    (v₁v₂ − √((v₁v₂)² − l₁u₂(2v₁−l₁)(2v₂−u₂))) / (u₂(2v₂−u₂)) below,
    (v₁v₂ + √((v₁v₂)² − u₁l₂(2v₁−u₁)(2v₂−l₂))) / (l₂(2v₂−l₂)) above. The upper bound is infinite
    where the interval of the denominator reaches 0; bounds of the quantities under 0 count as 0.
    Raises :class:`InputError` where a value is negative, not finite, or outside its own interval.

    >>> [round(float(bound), 4) for bound in mover_ratio(4, 3, 5, 2, 1, 3)]
    [1.2137, 4.1196]
    """
    v1, l1, u1, v2, l2, u2 = _recoverable(value1, low1, high1, value2, low2, high2)
    if bool(np.any((v1 < 0) | (v2 < 0))):
        raise InputError("a ratio of negative quantities has no interval", valid="values from 0 on")
    l1, l2 = np.maximum(l1, 0), np.maximum(l2, 0)
    b = v1 * v2
    with np.errstate(divide="ignore", invalid="ignore"):
        # The smaller root, in the form that neither cancels nor divides by 2v₂ − u₂ = 0.
        a, c = u2 * (2 * v2 - u2), l1 * (2 * v1 - l1)
        low = c / (b + np.sqrt(np.maximum(b * b - a * c, 0)))
        a, c = l2 * (2 * v2 - l2), u1 * (2 * v1 - u1)
        high = (b + np.sqrt(np.maximum(b * b - a * c, 0))) / a
    return np.where(l1 <= 0, 0.0, low), np.where(l2 <= 0, np.inf, high)


def _recoverable(*given: ArrayLike) -> tuple[Array, ...]:
    """Return values and bounds of one shape; bounds that miss by rounding are put on the value."""
    v1, l1, u1, v2, l2, u2 = np.broadcast_arrays(*(np.asarray(g, np.float64) for g in given))
    for value, low, high in ((v1, l1, u1), (v2, l2, u2)):
        slack = 1e-9 * (1 + np.abs(value))
        finite = bool(np.isfinite(value).all())
        if not finite or not bool(np.all((low <= value + slack) & (value - slack <= high))):
            raise InputError("a value that is not finite, or outside its own interval",
                             valid="low ≤ value ≤ high")  # fmt: skip
    return v1, np.minimum(l1, v1), np.maximum(u1, v1), v2, np.minimum(l2, v2), np.maximum(u2, v2)
