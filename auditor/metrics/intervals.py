"""Confidence intervals of proportions, their differences and their ratios, on arrays.

Everything here takes counts of any equal shape and two-sided confidence levels in (0, 1), and
gives arrays of that shape. A one-sided bound at level c is the same side of the two-sided
interval at level 2c − 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError

__all__ = ["katz", "miettinen_nurminen_ratio", "newcombe", "normal_quantile", "wilson"]

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


def miettinen_nurminen_ratio(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, confidence: float
) -> Bounds:
    """The score interval of p₁ / p₂ (Miettinen and Nurminen 1985, equation 10).

    The bounds are the ratios r at which (p₁ − r p₂)² reaches z² times its variance under the
    restricted maximum-likelihood estimate, with the factor N / (N − 1). With x₁ = 0 the lower
    bound is exactly 0; with x₂ = 0 the upper is infinite.
    """
    x1, n1, x2, n2 = (np.atleast_1d(np.asarray(v, np.float64)) for v in (x1, n1, x2, n2))
    z = normal_quantile(confidence)
    p1, p2 = x1 / n1, x2 / n2
    total = n1 + n2

    def statistic(log_r: NDArray[np.float64]) -> NDArray[np.float64]:
        r = np.exp(log_r)
        a, b, c = total * r, n1 * r + x1 + n2 + x2 * r, x1 + x2
        # The smaller root, in the form that does not cancel where 4ac is small against b².
        root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
        q2 = np.clip(2 * c / (b + root), 0, 1)
        q1 = np.clip(r * q2, 0, 1)
        variance = (q1 * (1 - q1) / n1 + r * r * q2 * (1 - q2) / n2) * total / (total - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = (p1 - r * p2) / np.sqrt(variance)
        # Without variance the hypothesis is either met exactly (0) or impossible.
        gap = p1 - r * p2
        return np.where(variance > 0, score, np.where(np.abs(gap) < 1e-12, 0, np.sign(gap) * 1e9))

    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.log(np.clip(p1 / p2, 1e-12, 1e12))
    centre = np.where(np.isnan(centre), 0.0, centre)
    limit = math.log(1e15)

    # Both sides at once: the lower bounds, then the upper ones.
    x1, n1, x2, n2, p1, p2, total = (np.tile(v, 2) for v in (x1, n1, x2, n2, p1, p2, total))
    outside = np.repeat([-limit, limit], centre.size)
    bounds = np.exp(
        _root(lambda log_r: np.abs(statistic(log_r)) - z, np.tile(centre, 2), outside)
    ).reshape(2, -1)
    half = centre.size
    return (
        np.where(x1[:half] <= 0, 0.0, bounds[0]),
        np.where(x2[:half] <= 0, np.inf, bounds[1]),
    )


def _root(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find a root between each ``a`` and ``b`` where the function changes its sign.

    Chandrupatla's method (1997), Advances in Engineering Software 28: inverse quadratic steps
    where they are safe, bisection elsewhere; on whole arrays.
    """
    fa, fb = function(a), function(b)
    c, fc = a, fa
    t = np.full_like(a, 0.5)
    for _ in range(100):
        x = a + t * (b - a)
        fx = function(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        tolerance = 1e-14 + 2e-15 * np.abs(best)
        width = np.abs(b - a)
        if bool(np.all((width < 2 * tolerance) | (fa == 0) | (fb == 0))):
            break
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * (
                fb / (fc - fb)
            )
            safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(quadratic)
        edge = np.minimum(0.5, tolerance / np.maximum(width, 1e-300))
        t = np.clip(np.where(safe, quadratic, 0.5), edge, 1 - edge)
    return np.where(np.abs(fa) < np.abs(fb), a, b)
