"""Confidence intervals of proportions, their differences and their ratios, on arrays.

Everything here takes counts of any equal shape and two-sided confidence levels in (0, 1), and
gives arrays of that shape. A one-sided bound at level c is the same side of the two-sided
interval at level 2c − 1.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError

__all__ = ["Bounds", "katz", "newcombe", "normal_quantile", "wilson"]

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


def normal_quantile(confidence: float) -> float:
    """Return z so that a standard normal lies within ±z with probability ``confidence``.

    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", valid="a number between 0 and 1")
    tail = (1 - confidence) / 2
    return -NormalDist().inv_cdf(max(tail, 1e-300))


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
    low = np.where(x <= 0, 0.0, np.clip((centre - half) / scale, 0, 1))
    high = np.where(x >= n, 1.0, np.clip((centre + half) / scale, 0, 1))
    return low, high


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
