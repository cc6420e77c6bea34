"""Two groups within strata: what they differ by where all else that the strata name is equal.

Everything here takes the counts of both groups in each stratum, shape ``[strata]``; they need not
be whole. A stratum without records of one of the groups contributes nothing; where none
contributes, the answer is :class:`Absent` with that reason. All raise :class:`InputError` unless
0 ≤ x ≤ n < ∞.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.counts import checked_counts
from auditor.metrics.samples import Absent

__all__ = [
    "ChiSquare",
    "Pooled",
    "breslow_day_test",
    "cmh_test",
    "mantel_haenszel_difference",
    "mantel_haenszel_odds_ratio",
    "mantel_haenszel_ratio",
]

Array = NDArray[np.float64]
Counts = tuple[Array, Array, Array, Array]

_NO_STRATA = Absent("no stratum holds records of both groups")


@dataclass(frozen=True, slots=True)
class Pooled:
    """One comparison out of all strata.

    ``standard_error`` is that of ``value`` for a difference, and that of its logarithm for a ratio
    (infinite where the ratio is 0). ``strata`` counts those with records of both groups.
    """

    value: float
    standard_error: float
    strata: int


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A test statistic with the p-value of the χ² distribution with ``df`` degrees of freedom."""

    statistic: float
    p_value: float
    df: int


def mantel_haenszel_difference(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike
) -> Pooled | Absent:
    """Pool the differences p₁ − p₂ of the strata with the weights n₁n₂/N.

    Greenland and Robins (1985), Biometrics 41; the variance is Sato's (1989, Biometrics 45):
    (d ΣP + ΣQ) / (Σ n₁n₂/N)² with P = (n₁²x₂ − n₂²x₁ + n₁n₂(n₂ − n₁)/2)/N² and
    Q = (x₁(n₂ − x₂) + x₂(n₁ − x₁))/2N. It holds for few large and for many small strata. A
    standard error of 0 means that in no stratum anything varied; it is not certainty.

    >>> found = mantel_haenszel_difference([20, 10], [100, 20], [40, 14], [100, 20])
    >>> found.value, found.strata  # (50 · −0.2 + 10 · −0.2) / 60
    (-0.2, 2)
    """
    a, m, b, n = _strata(x1, n1, x2, n2)
    if not a.size:
        return _NO_STRATA
    total = m + n
    weight = float((m * n / total).sum())
    value = float(((a * n - b * m) / total).sum()) / weight
    p = (m * m * b - n * n * a + m * n * (n - m) / 2) / total**2
    q = (a * (n - b) + b * (m - a)) / (2 * total)
    variance = value * float(p.sum()) + float(q.sum())
    return Pooled(value, math.sqrt(max(variance, 0.0)) / weight, a.size)


def mantel_haenszel_ratio(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike
) -> Pooled | Absent:
    """Pool the ratios p₁ / p₂ of the strata: Σ x₁n₂/N over Σ x₂n₁/N.

    The variance of the logarithm is that of Greenland and Robins (1985), Biometrics 41:
    Σ (n₁n₂(x₁ + x₂) − x₁x₂N)/N² over the product of the two sums. Absent where nobody of group 2
    was counted: the ratio is undefined.

    >>> mantel_haenszel_ratio([20, 10], [100, 20], [40, 20], [100, 20]).value
    0.5
    """
    a, m, b, n = _strata(x1, n1, x2, n2)
    if not a.size:
        return _NO_STRATA
    total = m + n
    above, below = float((a * n / total).sum()), float((b * m / total).sum())
    if below == 0:
        return Absent("the rate of the reference is 0 in every stratum, so the ratio is undefined")
    if above == 0:
        return Pooled(0.0, math.inf, a.size)
    spread = float(((m * n * (a + b) - a * b * total) / total**2).sum())
    return Pooled(above / below, math.sqrt(max(spread, 0.0) / (above * below)), a.size)


def mantel_haenszel_odds_ratio(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike
) -> Pooled | Absent:
    """Pool the odds ratios of the strata: R = Σ x₁(n₂ − x₂)/N over S = Σ x₂(n₁ − x₁)/N.

    Mantel and Haenszel (1959); the variance of the logarithm is that of Robins, Breslow and
    Greenland (1986), Biometrics 42: ΣPR/2R² + Σ(PS + QR)/2RS + ΣQS/2S² with
    P = (x₁ + n₂ − x₂)/N and Q = (x₂ + n₁ − x₁)/N. Absent where S is 0.

    >>> mantel_haenszel_odds_ratio([20], [100], [40], [100]).value  # 20 · 60 / (40 · 80)
    0.375
    """
    a, m, b, n = _strata(x1, n1, x2, n2)
    if not a.size:
        return _NO_STRATA
    total = m + n
    r, s = a * (n - b) / total, b * (m - a) / total
    p, q = (a + n - b) / total, (b + m - a) / total
    above, below = float(r.sum()), float(s.sum())
    if below == 0:
        return Absent("no stratum holds odds of the reference, so the odds ratio is undefined")
    if above == 0:
        return Pooled(0.0, math.inf, a.size)
    variance = (
        float((p * r).sum()) / (2 * above**2)
        + float((p * s + q * r).sum()) / (2 * above * below)
        + float((q * s).sum()) / (2 * below**2)
    )
    return Pooled(above / below, math.sqrt(variance), a.size)


def cmh_test(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, correction: bool = False
) -> ChiSquare | Absent:
    """Test whether the groups have equal rates within the strata (Cochran, Mantel, Haenszel).

    (|Σ (x₁ − n₁(x₁ + x₂)/N)| − c)² over Σ n₁n₂(x₁ + x₂)(N − x₁ − x₂)/(N²(N − 1)), with c = ½ (at
    most the sum itself) with ``correction`` and 0 without; Mantel and Haenszel (1959), JNCI 22.
    Absent where in no stratum some were selected and some were not. A stratum of one record or
    less has no variance and contributes nothing.

    >>> found = cmh_test([20], [100], [40], [100])  # 10² / (100² · 60 · 140 / (200² · 199))
    >>> round(found.statistic, 4), round(found.p_value, 5)
    (9.4762, 0.00208)
    """
    a, m, b, n = _strata(x1, n1, x2, n2)
    if not a.size:
        return _NO_STRATA
    total, chosen = m + n, a + b
    varies = (chosen > 0) & (chosen < total) & (total > 1)
    if not bool(varies.any()):
        return Absent("in no stratum some were selected and some were not")
    a, m, n, total, chosen = (v[varies] for v in (a, m, n, total, chosen))
    gap = abs(float((a - m * chosen / total).sum()))
    if correction:
        gap = max(gap - 0.5, 0.0)
    variance = float((m * n * chosen * (total - chosen) / (total**2 * (total - 1))).sum())
    statistic = gap**2 / variance
    return ChiSquare(statistic, math.erfc(math.sqrt(statistic / 2)), 1)


def breslow_day_test(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike
) -> ChiSquare | Absent:
    """Test whether the odds ratio is the same in all strata, with Tarone's correction.

    Breslow and Day (1980), section 4.4: Σ (x₁ − E)²/V under the pooled odds ratio, less
    (Σ (x₁ − E))²/ΣV (Tarone 1985, Biometrika 72). Absent with fewer than two strata in which some
    were selected and some were not, or where the pooled odds ratio is 0 or undefined.

    >>> found = breslow_day_test([20, 20], [100, 100], [40, 40], [100, 100])
    >>> round(found.statistic, 9), found.df
    (0.0, 1)
    """
    a, m, b, n = _strata(x1, n1, x2, n2)
    chosen, total = a + b, m + n
    varies = (chosen > 0) & (chosen < total)
    a, m, b, n, chosen = (v[varies] for v in (a, m, b, n, chosen))
    if a.size < 2:
        return Absent("fewer than two strata in which some were selected and some were not")
    pooled = mantel_haenszel_odds_ratio(a, m, b, n)
    if isinstance(pooled, Absent) or pooled.value == 0:
        return Absent("the pooled odds ratio is 0 or undefined")
    from scipy.special import chdtrc

    expected = _expected(pooled.value, m, n, chosen)
    cells = (expected, m - expected, chosen - expected, n - chosen + expected)
    variance = 1 / np.sum([1 / cell for cell in cells], axis=0)
    gap = a - expected
    statistic = float((gap**2 / variance).sum()) - float(gap.sum()) ** 2 / float(variance.sum())
    statistic = max(statistic, 0.0)
    return ChiSquare(statistic, float(chdtrc(a.size - 1, statistic)), a.size - 1)


def _expected(odds_ratio: float, m: Array, n: Array, chosen: Array) -> Array:
    """Return the x₁ with which a table of these margins has the odds ratio.

    The root of (1 − r) e² + (n − c + r (m + c)) e − r m c in the form that does not cancel.
    """
    linear = n - chosen + odds_ratio * (m + chosen)
    square = linear**2 + 4 * (1 - odds_ratio) * odds_ratio * m * chosen
    return 2 * odds_ratio * m * chosen / (linear + np.sqrt(np.maximum(square, 0)))


def _strata(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Counts:
    """Return the counts of the strata with records of both groups."""
    a, m, b, n = np.broadcast_arrays(*checked_counts(x1, n1), *checked_counts(x2, n2))
    if a.ndim != 1:
        raise InputError("strata are counted along one axis", valid="arrays of shape [strata]")
    both = (m > 0) & (n > 0)
    return a[both], m[both], b[both], n[both]
