"""Axes: where a value lies between two round numbers, on a linear or a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from auditor.report.numbers import MINUS

__all__ = ["Axis", "linear_axis", "ratio_axis"]

_STEPS = (1.0, 2.0, 2.5, 5.0)
_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_MOST_STEPS = 4
_FARTHEST = 1e100


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from ``low`` to ``high`` with its ticks; ``reference`` is the line of no difference.

    >>> axis = Axis(0.0, 2.0, (0.0, 1.0, 2.0))
    >>> axis.share(0.5), axis.share(9.0), axis.outside(9.0)
    (0.25, 1.0, True)
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    scale: Literal["linear", "log"] = "linear"
    reference: float | None = None

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 (left) to 1 (right); what is outside lies at an end."""
        low, high = self.low, self.high
        if self.scale == "log":
            if value <= 0:
                return 0.0
            low, high, value = math.log(low), math.log(high), math.log(value)
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def outside(self, value: float) -> bool:
        """Whether a value lies beyond an end of the axis."""
        slack = 1e-9 * (self.high - self.low)
        return not self.low - slack <= value <= self.high + slack

    def label(self, tick: float) -> str:
        """Return a tick as text, in as few characters as hold it."""
        return (f"{tick:.2g}" if tick < 1 and self.scale == "log" else f"{tick:g}").replace(
            "-", MINUS
        )


def linear_axis(
    values: Iterable[float | None],
    *,
    limits: tuple[float | None, float | None] = (None, None),
    reference: float | None = None,
) -> Axis:
    """Return a linear axis over the values, from one round number to another.

    Parameters
    ----------
    values:
        Everything that is to be seen; ``None`` is left out.
    limits:
        The range of the quantity: the axis leaves it only for what lies outside itself.
    reference:
        A value that must be on the axis, where a line is drawn.

    >>> linear_axis([0.02, 0.37], limits=(0.0, 1.0)).ticks
    (0.0, 0.2, 0.4)
    """
    seen = [
        min(max(value, -_FARTHEST), _FARTHEST)
        for value in values
        if value is not None and math.isfinite(value)
    ]
    if reference is not None:
        seen.append(reference)
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    lowest = -math.inf if limits[0] is None else min(limits[0], min(seen, default=limits[0]))
    highest = math.inf if limits[1] is None else max(limits[1], max(seen, default=limits[1]))
    low, high = min(max(low, lowest), highest), max(min(high, highest), lowest)
    if 0 <= low < 0.6 * high:
        low = max(0.0, lowest)  # near enough to zero to show it
    if not _apart(low, high):
        size = max(abs(low), abs(high))
        room = 0.5 * size if size > 1e-9 else 0.5
        wide = max(low - room, lowest), min(high + room, highest)
        # A quantity of one possible value has no room, and an axis all the same.
        low, high = wide if _apart(*wide) else (low - room, high + room)
    first, last, step = _round_ends(low, high)
    marks = [float(f"{i * step:.12g}") for i in range(first, last + 1)]
    if marks[0] < lowest <= low:
        marks[0] = lowest
    if marks[-1] > highest >= high:
        marks[-1] = highest
    return Axis(marks[0], marks[-1], tuple(marks), reference=reference)


def _apart(low: float, high: float) -> bool:
    return high - low >= 1e-9 * max(abs(low), abs(high), 1.0)


def ratio_axis(values: Iterable[float | None], *, limits: Iterable[float] = ()) -> Axis:
    """Return a logarithmic axis around 1, at most from a tenth to ten; the rest points outside.

    Half and double lie equally far from 1. ``limits`` must be on the axis: what a policy accepts.

    >>> ratio_axis([0.6, 1.1]).ticks
    (0.5, 1.0, 1.25)
    """
    seen = [
        value for value in (*values, *limits)
        if value is not None and value > 0 and math.isfinite(value)
    ]  # fmt: skip
    high = _reach(max(seen, default=1.0))
    low = 1 / _reach(1 / min(seen, default=1.0))
    return Axis(low, high, (low, 1.0, high), scale="log", reference=1.0)


def _reach(factor: float) -> float:
    return next((limit for limit in _RATIOS if limit >= factor * (1 - 1e-9)), _RATIOS[-1])


def _round_ends(low: float, high: float) -> tuple[int, int, float]:
    """Return the ends as multiples of a round step, with the least room left over."""
    power = 10.0 ** math.floor(math.log10(high - low))
    best: tuple[float, int, int, float] | None = None
    for scale in (power / 10, power, power * 10):
        for step in (unit * scale for unit in _STEPS):
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if not 2 <= last - first <= _MOST_STEPS:
                continue
            found = ((last - first) * step, first, last, step)
            # Fewer ticks win where the room is about the same.
            if best is None or (found[0], last - first) < (best[0], best[2] - best[1]):
                best = found
    assert best is not None
    return best[1], best[2], best[3]
