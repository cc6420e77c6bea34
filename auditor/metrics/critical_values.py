"""Critical values of families of comparisons: how many standard errors hold for all at once.

All are plain numbers by quadrature, the same on every machine, in about a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile

__all__ = [
    "bonferroni",
    "confidence_of",
    "dunnett",
    "normal_cdf",
    "sidak",
    "studentized_range",
    "tukey",
]

Array = NDArray[np.float64]

_NODES = np.arange(-9.0, 9.0 + 1e-9, 0.125)
_DENSITY = np.exp(-(_NODES**2) / 2) / math.sqrt(2 * math.pi) * 0.125
_ERFC: Callable[[Array], NDArray[np.object_]] = np.frompyfunc(math.erfc, 1, 1)


def normal_cdf(z: ArrayLike) -> Array:
    """Return the standard normal distribution function, with full relative precision below 0.

    >>> float(normal_cdf(0.0))
    0.5
    """
    return np.asarray(_ERFC(-np.asarray(z, np.float64) / math.sqrt(2)) / 2, np.float64)


def confidence_of(z: float) -> float:
    """Return the two-sided confidence of ±z; the inverse of ``normal_quantile``.

    >>> round(confidence_of(1.959964), 6)
    0.95
    """
    return math.erf(z / math.sqrt(2))


def bonferroni(family: int, *, confidence: float) -> float:
    """Return the z of one of ``family`` two-sided intervals that miss together at most α.

    >>> bonferroni(1, confidence=0.95) == normal_quantile(0.95)
    True
    """
    _check(family, 1)
    return normal_quantile(1 - (1 - _level(confidence)) / family)


def sidak(family: int, *, confidence: float) -> float:
    """Return the z of one of ``family`` independent two-sided intervals: level (1 − α)^(1/family).

    Šidák (1967). By his inequality it also holds for any jointly normal estimates.

    >>> round(sidak(10, confidence=0.95), 3), round(bonferroni(10, confidence=0.95), 3)
    (2.8, 2.807)
    """
    _check(family, 1)
    return normal_quantile(math.exp(math.log(_level(confidence)) / family))


def tukey(groups: int, *, confidence: float) -> float:
    """Return the z of each of all pairs of ``groups``: the quantile of the range over √2.

    With unequal standard errors (Tukey and Kramer) it is conservative: Hayter (1984), Annals of
    Statistics 12. For two groups it is the plain normal quantile.

    >>> round(tukey(2, confidence=0.95), 4)
    1.96
    """
    return studentized_range(groups, confidence=confidence) / math.sqrt(2)


@lru_cache(maxsize=4096)
def studentized_range(groups: int, *, confidence: float) -> float:
    """Return the quantile of the range of ``groups`` independent standard normals.

    The tail is k ∫ φ(z) (Φ(z)^(k−1) − (Φ(z) − Φ(z − q))^(k−1)) dz; solved by Newton's method from
    the Bonferroni value, which lies above. Infinite degrees of freedom: the variance of a rate
    follows from the rate.

    >>> round(studentized_range(3, confidence=0.95), 3)  # printed in every table as 3.31
    3.314
    """
    _check(groups, 2)
    alpha = 1 - _level(confidence)
    cdf = normal_cdf(_NODES)

    def tail(q: float) -> tuple[float, float]:
        share = np.minimum(normal_cdf(_NODES - q) / cdf, 1 - 1e-16)
        power = np.exp((groups - 1) * np.log(cdf))
        beyond = -power * np.expm1((groups - 1) * np.log1p(-share))
        inside = np.exp((groups - 2) * (np.log(cdf) + np.log1p(-share)))
        density = np.exp(-((_NODES - q) ** 2) / 2) / math.sqrt(2 * math.pi)
        slope = (groups - 1) * inside * density
        return (
            groups * float(_DENSITY @ beyond),
            -groups * float(_DENSITY @ slope),
        )

    start = bonferroni(groups * (groups - 1) // 2, confidence=confidence) * math.sqrt(2)
    return _solve(tail, alpha, start)


def dunnett(correlations: Sequence[float], *, confidence: float) -> float:
    """Return the z of each comparison of independent groups with one reference.

    Parameters
    ----------
    correlations:
        For each compared group λ = √(v₀ / (v + v₀)), v₀ and v the variances of the reference and
        of the group; two comparisons then have the correlation λᵢ λⱼ.

    P(all |Zᵢ| ≤ c) = ∫ φ(u) Π (Φ((c + λᵢ u)/√(1 − λᵢ²)) − Φ((λᵢ u − c)/√(1 − λᵢ²))) du; Dunnett
    (1955), JASA 50. A λ of 1 (a reference without any precision) is cut to 0.999.

    >>> round(dunnett([0.5**0.5] * 2, confidence=0.95), 2)  # Dunnett's table: 2.21
    2.21
    """
    _check(len(correlations), 1)
    loads = np.clip(np.asarray(correlations, np.float64), 0.0, 0.999)
    kinds, counts = np.unique(np.round(loads, 6), return_counts=True)
    spread = np.sqrt(1 - kinds**2)[:, None]
    # Nodes that resolve the steepest of the edges, which are as wide as ``spread``.
    step = min(0.25, 0.6 * float(spread.min()))
    nodes = np.arange(-math.ceil(8 / step), math.ceil(8 / step) + 1) * step
    weights = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * step
    shift = kinds[:, None] * nodes
    alpha = 1 - _level(confidence)

    def tail(c: float) -> tuple[float, float]:
        upper, lower = (c + shift) / spread, (shift - c) / spread
        outside = np.minimum(normal_cdf(-upper) + normal_cdf(lower), 1 - 1e-16)
        logs = counts[:, None] * np.log1p(-outside)
        density = (np.exp(-(upper**2) / 2) + np.exp(-(lower**2) / 2)) / math.sqrt(2 * math.pi)
        slope = (counts[:, None] * density / spread / (1 - outside)).sum(axis=0)
        total = logs.sum(axis=0)
        return (
            -float(weights @ np.expm1(total)),
            -float(weights @ (np.exp(total) * slope)),
        )

    return _solve(tail, alpha, sidak(len(loads), confidence=confidence))


def _solve(tail: Callable[[float], tuple[float, float]], alpha: float, start: float) -> float:
    """Find where the logarithm of the tail is that of ``alpha``: it is concave, so Newton is safe.

    From above, every step of a concave function that falls stays at or above the root.
    """
    q = start
    for _ in range(60):
        value, slope = tail(q)
        if value <= 0 or slope >= 0:
            break
        step = (math.log(value) - math.log(alpha)) * value / slope
        q -= step
        if abs(step) < 1e-10:
            break
    return q


def _check(family: int, least: int) -> None:
    if family < least:
        raise InputError(f"a family of {family} has no critical value", valid=f"{least} or more")


def _level(confidence: float) -> float:
    normal_quantile(confidence)  # refuses what is no probability
    return confidence
