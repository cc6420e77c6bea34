"""Two groups and two outcomes: what the courts and the agencies compute of a 2 × 2 table."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.counts import checked_groups

__all__ = ["fisher_exact", "one_person_flip", "shortfall", "two_sample_z"]

Array = NDArray[np.float64]

# Tables of equal probability differ by rounding only; R's fisher.test has the same slack.
_TIE = 1 + 1e-7


def fisher_exact(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Array:
    """Return the two-sided p-value of equal rates, exact given both margins.

    The probability of all tables with these margins that are no likelier than the observed one;
    Fisher (1935), Irwin (1935). Where all or none are selected there is one such table, and p is 1.
    Tables further than 40 standard deviations from the mean have no weight that a double could
    hold, and are passed over: a p-value below that is 0. Time and memory grow with the standard
    deviation. Raises :class:`InputError` unless the counts are
    whole, 0 ≤ x ≤ n and n > 0.

    >>> round(float(fisher_exact(3, 4, 1, 4)), 6)  # the lady tasting tea, two-sided: 34 of 70
    0.485714
    """
    a, m, b, n = checked_groups(x1, n1, x2, n2)
    if any(bool(np.any(values != np.round(values))) for values in (a, m, b, n)):
        raise InputError("Fisher's test of counts that are not whole", valid="whole numbers")
    out = np.empty(a.shape)
    for place in np.ndindex(a.shape):
        out[place] = _fisher_one(int(a[place]), int(m[place]), int(b[place]), int(n[place]))
    return out


def _fisher_one(x1: int, n1: int, x2: int, n2: int) -> float:
    chosen = x1 + x2
    first, last = max(0, chosen - n2), min(n1, chosen)
    if first == last:
        return 1.0
    total = n1 + n2
    mean = chosen * n1 / total
    reach = 40 * math.sqrt(mean * (n2 / total) * ((total - chosen) / max(total - 1, 1))) + 40
    first, last = max(first, math.floor(mean - reach)), min(last, math.ceil(mean + reach))
    if not first <= x1 <= last:
        return 0.0
    k = np.arange(first, last, dtype=np.float64)
    # Ratios of neighbours from the mode outwards: factorials would lose digits in large tables.
    steps = np.log(n1 - k) + np.log(chosen - k) - np.log(k + 1) - np.log(n2 - chosen + k + 1)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    mode = int(np.argmax(logs))
    up = np.cumsum(steps[mode:])
    down = -np.cumsum(steps[:mode][::-1])[::-1]
    weights = np.exp(np.concatenate([down, [0.0], up]))
    seen = weights[x1 - first]
    return min(1.0, math.fsum(weights[weights <= seen * _TIE]) / math.fsum(weights))


def two_sample_z(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Array:
    """Return by how many standard deviations the rate of group 1 is above that of group 2.

    (p₁ − p₂) / √(p (1 − p) (1/n₁ + 1/n₂)) with the pooled rate p: the statistic of the rule of two
    or three standard deviations (Castaneda v. Partida, 430 U.S. 482 (1977), note 17; Hazelwood
    School District v. United States, 433 U.S. 299 (1977), note 14) for two groups. Its square is
    Pearson's χ². Where all or none are selected the rates do not differ, and it is 0. Raises
    :class:`InputError` unless 0 ≤ x ≤ n and n > 0.

    >>> round(float(two_sample_z(20, 100, 40, 100)), 4)  # −0.2 / √(0.3 · 0.7 / 50)
    -3.0861
    """
    a, m, b, n = checked_groups(x1, n1, x2, n2)
    pooled = (a + b) / (m + n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    return np.divide(a / m - b / n, error, out=np.zeros(a.shape), where=error > 0)


def one_person_flip(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Array:
    """Return the impact ratio if one person of group 1 had been selected in place of one of 2.

    ((x₁ + 1)/n₁) / ((x₂ − 1)/n₂). Where it is above 1, the selection of one different person would
    turn the result round, and the numbers are too small to conclude from (Questions and Answers on
    the Uniform Guidelines, 44 FR 11996 (1979), question 21). Nobody is selected who is not there:
    x₁ + 1 stops at n₁. With one selected of group 2, or none, its rate is then 0 and the ratio is
    infinite. Raises :class:`InputError` unless 0 ≤ x ≤ n and n > 0.

    >>> float(one_person_flip(1, 4, 5, 10))  # 0.5 without, (2/4) / (4/10) with
    1.25
    """
    a, m, b, n = checked_groups(x1, n1, x2, n2)
    ours, theirs = np.minimum(a + 1, m) / m, np.maximum(b - 1, 0) / n
    return np.divide(ours, theirs, out=np.full(a.shape, np.inf), where=theirs > 0)


def shortfall(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Array:
    """Return how many persons of group 1 are missing from the number that equal rates would give.

    n₁ (x₁ + x₂)/(n₁ + n₂) − x₁; negative where there are more than that. The two groups' add up to
    0. Raises :class:`InputError` unless 0 ≤ x ≤ n and n > 0.

    >>> float(shortfall(20, 100, 40, 100))
    10.0
    """
    a, m, b, n = checked_groups(x1, n1, x2, n2)
    return m * (a + b) / (m + n) - a
