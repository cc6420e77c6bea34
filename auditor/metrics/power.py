"""How many records a comparison of two rates needs, and what those that are there can show."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile
from auditor.metrics.roots import root_between

__all__ = ["minimal_detectable_difference", "required_n"]

Array = NDArray[np.float64]


def required_n(
    rate1: ArrayLike, rate2: ArrayLike, *, confidence: float, power: float, ratio: float = 1.0
) -> Array:
    """Return the records of group 1 with which two rates are told apart with this power.

    Parameters
    ----------
    rate1, rate2:
        The true rates, of any equal shape.
    confidence:
        That of the two-sided test, in (0, 1).
    power:
        The probability of finding the difference, from 0.5 to below 1.
    ratio:
        Records of group 2 for each one of group 1.

    (z √(p(1−p)(1 + 1/k)) + z' √(p₁(1−p₁) + p₂(1−p₂)/k))² / (p₁ − p₂)², rounded up, with the ratio
    k and the pooled rate p = (p₁ + k p₂)/(1 + k): the pooled z-test without continuity correction;
    Fleiss, Levin and Paik (2003), chapter 4. Equal rates need infinitely many. Raises
    :class:`InputError` where an argument is out of its range.

    >>> float(required_n(0.2, 0.4, confidence=0.95, power=0.8))
    82.0
    """
    p1, p2 = np.broadcast_arrays(_rates(rate1), _rates(rate2))
    z, z_power = _quantiles(confidence, power)
    if not 0 < ratio < float("inf"):
        raise InputError(f"the ratio of the records is {ratio}", valid="a number above 0")
    pooled = (p1 + ratio * p2) / (1 + ratio)
    null = np.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    other = np.sqrt(p1 * (1 - p1) + p2 * (1 - p2) / ratio)
    square = (p1 - p2) ** 2
    n = np.divide((z * null + z_power * other) ** 2, square,
                  out=np.full(p1.shape, np.inf), where=square > 0)  # fmt: skip
    # What is whole but for rounding is not rounded up.
    return np.ceil(n * (1 - 1e-9))


def minimal_detectable_difference(
    rate: ArrayLike, n1: ArrayLike, n2: ArrayLike, *, confidence: float, power: float
) -> Array:
    """Return the difference from ``rate`` that groups of these sizes show with this power.

    Parameters
    ----------
    rate:
        The true rate of group 1.
    n1, n2:
        The records of the two groups, of any equal shape; they need not be whole.
    confidence:
        That of the two-sided test, in (0, 1).
    power:
        The probability of finding the difference, from 0.5 to below 1.

    The d at which |d| = z √(p(1−p)(1/n₁ + 1/n₂)) + z' √(p₁(1−p₁)/n₁ + p₂(1−p₂)/n₂) with
    p₂ = p₁ ± d and the pooled rate p: the inverse of :func:`required_n`. Of the two sides the
    greater d, so that it is found on either; of one side where no rate of the other, up to 0 or 1,
    is far enough away. Infinite where that holds for both: the groups are too small. Raises
    :class:`InputError` where an argument is out of its range.

    >>> round(float(minimal_detectable_difference(0.2, 82, 82, confidence=0.95, power=0.8)), 3)
    0.199
    """
    p, m, n = np.broadcast_arrays(
        _rates(rate), np.asarray(n1, np.float64), np.asarray(n2, np.float64)
    )
    if not bool(np.all((m > 0) & (n > 0) & np.isfinite(m) & np.isfinite(n))):
        raise InputError("a group without records shows nothing", valid="0 < n < ∞")
    z, z_power = _quantiles(confidence, power)

    def missing(d: Array, sign: float) -> Array:
        other = np.clip(p + sign * d, 0, 1)
        pooled = (m * p + n * other) / (m + n)
        null = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
        return d - z * null - z_power * np.sqrt(p * (1 - p) / m + other * (1 - other) / n)

    found = np.full(p.shape, -np.inf)
    for sign, most in ((1.0, 1 - p), (-1.0, p)):
        # The function is convex and not above 0 at 0: it crosses once, if it is above 0 at the end.
        there = (most > 0) & (missing(most, sign) >= 0)
        # Where both rates have no variance, 0 is a root itself; the difference sought is above.
        start = np.minimum(1e-9, most)
        root = root_between(lambda d, s=sign: missing(d, s), start, most)
        found = np.where(there, np.maximum(found, root), found)
    return np.where(np.isfinite(found), found, np.inf)


def _quantiles(confidence: float, power: float) -> tuple[float, float]:
    if not 0.5 <= power < 1:
        raise InputError(f"the power is {power}", valid="a number from 0.5 to below 1")
    return normal_quantile(confidence), NormalDist().inv_cdf(power)


def _rates(rate: ArrayLike) -> Array:
    rates = np.asarray(rate, np.float64)
    if not bool(np.all((rates >= 0) & (rates <= 1))):
        raise InputError("a rate that is none", valid="numbers from 0 to 1")
    return rates
