"""The thresholds by group that keep the rates alike at the least cost of accuracy, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.mitigation.curves import Curve

__all__ = ["Mixture", "best_mixtures", "best_points"]

_SLACK = 1e-12
_CHUNK = 256


def best_points(curves: Sequence[Curve], ratios: Sequence[float]) -> NDArray[np.intp]:
    """Find, for each ratio, the point of each group with the most right decisions together.

    Every group's rate has to be above 0 and at least ``ratio`` times that of every other group.
    Gives shape ``[ratios, groups]``. The optimum is exact: its highest rate u is the rate of some
    point of some group, and for a given u the groups are independent, each taking its best point
    with a rate in [ratio · u, u]. All u are tried, each by one look-up of a range maximum; a larger
    ratio can only lower what a u reaches, so that what a smaller ratio gave bounds it, and most u
    need no second look. Ties go to the higher rates. Selecting everybody is always possible.

    >>> from auditor.mitigation.curves import curve
    >>> a, b = curve([[3, 0], [0, 1]]), curve([[1, 0], [0, 3]])
    >>> best_points([a, b], [0.1, 1.0]).tolist()  # perfect, or one wrong rejection and more
    [[1, 1], [2, 2]]
    """
    uppers = np.unique(np.concatenate([each.rate for each in curves]))
    uppers = uppers[uppers > 0][::-1]
    ranges = [_RangeMaximum(each.right) for each in curves]
    last = [np.searchsorted(each.rate, uppers * (1 + _SLACK), side="right") - 1 for each in curves]
    bounds = np.full(uppers.size, np.inf)
    points = np.empty((len(ratios), len(curves)), np.intp)
    for place in np.argsort(ratios, kind="stable"):
        lowest = uppers * ratios[place] * (1 - _SLACK)
        # A rate of 0 beside a rate of 0 is no ratio, and ratio 0 asks for none.
        order = np.argsort(-bounds, kind="stable")
        best, winner, start, size = -np.inf, 0, 0, _CHUNK
        while start < order.size and bounds[order[start]] > best:
            some = order[start : start + size]
            total = np.zeros(some.size)
            for each, most, end in zip(curves, ranges, last, strict=True):
                first = np.searchsorted(each.rate, lowest[some], side="left")
                total += most.between(first, end[some])
            bounds[some] = total
            top = int(np.argmax(total))
            if total[top] > best:
                best, winner = float(total[top]), int(some[top])
            start, size = start + size, size * 2
        for group, each in enumerate(curves):
            first = int(np.searchsorted(each.rate, lowest[winner], side="left"))
            window = each.right[first : last[group][winner] + 1]
            points[place, group] = first + window.size - 1 - int(np.argmax(window[::-1]))
    return points


@dataclass(frozen=True, slots=True)
class Mixture:
    """A lottery between two points of a curve: ``high`` with probability ``share``, else ``low``.

    ``high`` is the point that selects more.
    """

    low: int
    high: int
    share: float


def best_mixtures(curves: Sequence[Curve], ratio: float) -> tuple[Mixture, ...]:
    """Find the best lotteries between thresholds for a ratio between the rates of all groups.

    Lotteries reach every point below the concave hull of a curve (Hardt, Price and Srebro 2016),
    so that never more is lost than by fixed thresholds. For a highest rate u each group takes the
    rate nearest to its own best one in [ratio · u, u]; the sum is concave and piecewise linear in
    u, and the best u is among its corners. u is at least the smallest rate that some threshold
    gives, since lotteries would otherwise come ever closer to selecting nobody.
    """
    hulls = [_hull(each) for each in curves]
    corners = np.concatenate([each.rate[hull] for each, hull in zip(curves, hulls, strict=True)])
    least = min(float(each.rate[each.rate > 0][0]) for each in curves)
    uppers = np.unique(np.concatenate([corners, corners / ratio, [least]]))
    uppers = uppers[(uppers >= least) & (uppers <= 1)]
    total = np.zeros(uppers.size)
    rates: list[NDArray[np.float64]] = []
    for each, hull in zip(curves, hulls, strict=True):
        peak = each.rate[hull][int(np.argmax(each.right[hull]))]
        rates.append(np.clip(peak, ratio * uppers, uppers))
        total += np.interp(rates[-1], each.rate[hull], each.right[hull])
    best = int(np.argmax(total))
    found: list[Mixture] = []
    for each, hull, rate in zip(curves, hulls, rates, strict=True):
        x = each.rate[hull]
        right = min(max(int(np.searchsorted(x, rate[best], side="left")), 1), x.size - 1)
        share = float((rate[best] - x[right - 1]) / (x[right] - x[right - 1]))
        found.append(Mixture(int(hull[right - 1]), int(hull[right]), min(max(share, 0.0), 1.0)))
    return tuple(found)


def _hull(each: Curve) -> NDArray[np.intp]:
    """Return the points on the upper concave hull of (rate, right), by Andrew's chain."""
    kept: list[int] = []
    for i in range(each.rate.size):
        if kept and each.rate[kept[-1]] == each.rate[i]:
            if each.right[kept[-1]] >= each.right[i]:
                continue
            kept.pop()
        while len(kept) > 1 and _below(each, kept[-2], kept[-1], i):
            kept.pop()
        kept.append(i)
    return np.asarray(kept, np.intp)


def _below(each: Curve, a: int, b: int, c: int) -> bool:
    return (each.right[b] - each.right[a]) * (each.rate[c] - each.rate[a]) <= (
        each.right[c] - each.right[a]
    ) * (each.rate[b] - each.rate[a])


class _RangeMaximum:
    """The largest value between two positions, in constant time, from maxima of 2^k values."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        levels = [values]
        while (step := 1 << (len(levels) - 1)) * 2 <= values.size:
            below = levels[-1]
            merged = np.full(values.size, -np.inf)
            merged[: below.size - step] = np.maximum(below[:-step], below[step:])
            levels.append(merged)
        self._levels = np.stack(levels)

    def between(self, first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the maxima of [first, last]; −∞ where that is empty."""
        width = last - first + 1
        level = np.frexp(np.maximum(width, 1))[1] - 1
        inside = np.minimum(first, self._levels.shape[1] - 1)
        found = np.maximum(
            self._levels[level, inside],
            self._levels[level, np.maximum(last - (1 << level) + 1, 0)],
        )
        return np.where(width > 0, found, -np.inf)
