"""The difference of two accuracies on the same records."""

from __future__ import annotations

import math
from collections.abc import Callable

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile

__all__ = ["tango"]


def tango(gained: float, lost: float, n: float, *, confidence: float) -> tuple[float, float]:
    """Tango's score interval of (gained − lost) / n, the difference of two paired proportions.

    ``gained`` records are right only for the first, ``lost`` only for the second, ``n`` in all. The
    bounds are the differences Δ at which the score statistic (gained − lost − nΔ) /
    √(n (2q + Δ(1 − Δ))) is ±z, q being the likeliest share of lost records given Δ; at Δ = 0 it is
    McNemar's. Tango (1998), Statistics in Medicine 17; recommended by Fagerland, Lydersen and Laake
    (2014). Raises :class:`InputError` for counts that are none.

    >>> low, high = tango(1, 7, 21, confidence=0.95)  # Fagerland, Lydersen and Laake, section 4
    >>> round(low, 3), round(high, 3)
    (-0.517, -0.026)
    """
    if min(gained, lost) < 0 or gained + lost > n or n < 1:
        raise InputError(f"{gained} gained and {lost} lost of {n} records", valid="counts of them")
    z = normal_quantile(confidence)

    def score(delta: float) -> float:
        a, c = 2.0 * n, -lost * delta * (1 - delta)
        b = -gained - lost + (2 * n - gained + lost) * delta
        q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * q + delta * (1 - delta))
        distance = gained - lost - n * delta
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)

    value = (gained - lost) / n
    low = _root(lambda delta: score(delta) - z, -1.0, value)
    high = _root(lambda delta: score(delta) + z, value, 1.0)
    return low, high


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(60):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
