"""Rates of groups that are known by probability only: soft weights, hard thresholds, and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate
from auditor.metrics.cells import Cells, positions, share
from auditor.metrics.estimates import Comparison, Outcome, estimate
from auditor.metrics.metric import METRICS, Metric, SampleReader, add_metric
from auditor.metrics.rates import BINARY_METRICS
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Bounded, Census, Projected, Proportion, Sample
from auditor.stats import CELLS
from auditor.stats.membership import MEMBERSHIP, MEMBERSHIP_BINS

__all__ = ["HARD", "MEMBERSHIP_BOUNDS", "MEMBERSHIP_RATES", "soft_comparison"]

Array = NDArray[np.float64]

HARD = "hard"
_WIDTH = len(CELLS)
_SELECTED = ("fp", "tp", "unlabelled_predicted_positive")
_REJECTED = ("tn", "fn", "unlabelled_predicted_negative")
_POSITIVE = ("fn", "tp", "positive_unpredicted")
_NEGATIVE = ("tn", "fp", "negative_unpredicted")

# What counts (over), and what does not while it is in the denominator (miss).
_RATES: dict[str, tuple[list[int], list[int], str]] = {
    name: (positions(over), positions(miss), empty)
    for name, over, miss, empty in (
        ("base_rate", _POSITIVE, _NEGATIVE, "no labelled records"),
        ("selection_rate", _SELECTED, _REJECTED, "no predictions"),
        ("true_positive_rate", ("tp",), ("fn",), "no positives"),
        ("false_positive_rate", ("fp",), ("tn",), "no negatives"),
        ("false_negative_rate", ("fn",), ("tp",), "no positives"),
        ("precision", ("tp",), ("fp",), "nobody was selected"),
        ("accuracy", ("tp", "tn"), ("fp", "fn"), "no records with label and prediction"),
    )
}

MEMBERSHIP_RATES: tuple[str, ...] = tuple(name for name in BINARY_METRICS if name in _RATES)
"""The rates that are read off probabilities of membership."""

_BOUNDED = ("selection_rate", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, slots=True)
class _Side:
    """One row of the sums, taken apart; ``own`` is its group, or the one that it leaves out."""

    records: Array
    weight: Array
    hard: Array
    own: int | None
    left_out: int | None
    products: Array
    bins: Array
    sums: Array

    @classmethod
    def of(cls, row: Row) -> _Side:
        values = np.asarray(row.values, np.float64)
        sides = (values.size - 2 - 3 * _WIDTH - MEMBERSHIP_BINS * (_WIDTH + 1)) // (_WIDTH + 1)
        cuts = np.cumsum(
            [2, _WIDTH, _WIDTH, _WIDTH, sides, sides * _WIDTH, MEMBERSHIP_BINS * _WIDTH]
        )
        _, records, weight, hard, own, products, bins, sums = np.split(values, cuts)
        mine, not_mine = np.flatnonzero(own > 0), np.flatnonzero(own < 0)
        if not_mine.size == 1:  # everybody else: all records may be in part
            records = np.asarray(row.everybody, np.float64)[2 : 2 + _WIDTH]
        return cls(
            records, weight, hard,
            int(mine[0]) if mine.size == 1 else None,
            int(not_mine[0]) if not_mine.size == 1 else None,
            products.reshape(sides, _WIDTH), bins.reshape(MEMBERSHIP_BINS, _WIDTH), sums,
        )  # fmt: skip

    @property
    def squares(self) -> Array:
        """Σ of squared weights by cell."""
        if self.own is not None:
            return self.products[self.own]
        if self.left_out is not None:  # everybody else: (1 − w)² = (1 − w) − w (1 − w)
            return self.weight - self.products[self.left_out]
        return self.weight

    def across(self, other: _Side) -> Array:
        """Σ of the products of two sides' weights by cell."""
        if other.own is not None:
            return self.products[other.own]
        if self.own is not None:
            return other.products[self.own]
        return np.minimum(self.weight, other.weight)

    def cells(self) -> Cells:
        """Return weights by cell, with the variance that they have."""
        return Cells(self.weight, self.records, np.diag(self.squares), design="soft")


def _soft(row: Row, name: str) -> Sample:
    over, miss, empty = _RATES[name]
    side = _Side.of(row)
    if row.parameter == HARD:
        cells = Cells(side.hard, side.hard)
        found = share(cells, over, over + miss)
        if found is None:
            return Absent(f"{empty} above the threshold")
        return replace(found, design="hard-threshold-tends-to-overstate-gaps")
    found = share(side.cells(), over, over + miss)
    if found is None:
        return Absent(empty if side.weight.any() else "no records")
    return found


def _count(row: Row) -> Sample:
    expected = row.column("records")
    return Census(expected, math.ceil(expected - 1e-9), "expected-number")


def _read_off(name: str, read: SampleReader) -> None:
    """Let a known metric be read off probabilities of membership too."""
    cast("dict[str, SampleReader]", METRICS.get(name).readers)[MEMBERSHIP] = read


def _reader(name: str) -> SampleReader:
    return lambda row: _soft(row, name)


_read_off("count", _count)
for _name in _RATES:
    _read_off(_name, _reader(_name))


def soft_comparison(
    operation: Comparison, name: str, ours: Row, theirs: Row, *, confidence: float
) -> Outcome:
    """Compare a rate of two groups that share records.

    Both are weighted means over the same records: Σ wᵢ aᵢ / Σ wᵢ bᵢ (Chen et al. 2019, arXiv
    1811.11154, section 3). Their covariance is Σ wᵢ vᵢ (aᵢ − R bᵢ)(aᵢ − S bᵢ) / (Σ wᵢ bᵢ · Σ vᵢ bᵢ)
    by linearisation; it is never negative, so that to take the two for independent would be
    conservative. The interval is recovered from Wilson's of both with that correlation (Zou and
    Donner 2008; Donner and Zou 2012).
    """
    a, b = _soft(ours, name), _soft(theirs, name)
    if not isinstance(a, Proportion):
        return Absent(f"this slice: {a.reason}" if isinstance(a, Absent) else "not a rate")
    if not isinstance(b, Proportion):
        return Absent(f"the reference: {b.reason}" if isinstance(b, Absent) else "not a rate")
    if operation == "ratio" and b.value == 0:
        return Absent("the reference rate is 0, so the ratio is undefined")
    p, q = a.value, b.value
    bounds: list[tuple[float, float]] = []
    for sample in (a, b):
        found = estimate(sample, confidence=confidence)
        assert isinstance(found, Estimate)
        bounds.append((found.low or 0.0, 1.0 if found.high is None else found.high))
    low, high = _correlated(operation, p, bounds[0], q, bounds[1], _correlation(name, ours, theirs))
    return Estimate(
        value=p - q if operation == "difference" else p / q, low=low, high=high,
        confidence=confidence, n=math.ceil(max(a.records or a.n, b.records or b.n)),
        method="mover-wilson-soft-correlated", effective_n=a.n + b.n,
    )  # fmt: skip


def _correlation(name: str, ours: Row, theirs: Row) -> float:
    over, miss, _ = _RATES[name]
    one, other = _Side.of(ours), _Side.of(theirs)

    def gradient(side: _Side) -> Array:
        rate = side.weight[over].sum() / side.weight[over + miss].sum()
        out = np.zeros(_WIDTH)
        out[over], out[miss] = 1 - rate, -rate
        return out

    g, h = gradient(one), gradient(other)
    variance = float((g**2 * one.squares).sum()) * float((h**2 * other.squares).sum())
    if variance <= 0:
        return 0.0
    return min(max(float((g * h * one.across(other)).sum()) / math.sqrt(variance), -1.0), 1.0)


def _correlated(
    operation: Comparison, p: float, of_p: tuple[float, float], q: float,
    of_q: tuple[float, float], r: float,
) -> tuple[float, float | None]:  # fmt: skip
    """Recover the interval of p − q or p / q from those of correlated p and q."""
    down, up = (p - of_p[0], of_q[1] - q), (of_p[1] - p, q - of_q[0])
    if operation == "difference":
        halves = [math.sqrt(max(x * x - 2 * r * x * y + y * y, 0.0)) for x, y in (down, up)]
        return max(p - q - halves[0], -1.0), min(p - q + halves[1], 1.0)
    # The ratios t at which the interval of p − t q ends at 0.
    x, y = down
    a, b, c = q * q - y * y, p * q - r * x * y, p * p - x * x
    root = b + math.sqrt(max(b * b - a * c, 0.0))
    low = max(c / root, 0.0) if root > 0 else 0.0
    x, y = up
    a, b, c = q * q - y * y, p * q - r * x * y, p * p - x * x
    if a <= 0:
        return low, None
    return low, (b + math.sqrt(max(b * b - a * c, 0.0))) / a


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The least and the greatest rate that the marginals allow."""

    low: float
    high: float
    value: float
    n: float
    records: float

    def sides(self, confidence: float, factor: float) -> tuple[float, float]:
        """Return both with their sampling error, each on its outer side."""
        outcome = estimate(self.sample(factor), confidence=confidence)
        assert isinstance(outcome, Estimate)
        return outcome.low or 0.0, 1.0 if outcome.high is None else outcome.high

    def sample(self, factor: float = 1.0) -> Bounded:
        n = self.n * factor
        return Bounded(self.value, Proportion(self.low * n, n), Proportion(self.high * n, n),
                       self.records, f"frechet-{MEMBERSHIP_BINS}-bins")  # fmt: skip


def _bounds(row: Row, name: str) -> _Bounds | Absent:
    over, miss, _ = _RATES[name]
    soft = _soft(replace(row, parameter=None), name)
    side = _Side.of(row)
    if isinstance(soft, Absent):
        return soft
    if side.own is None or not side.bins.any():
        return Absent("bounds are given for single groups only")
    assert isinstance(soft, Proportion)
    counted = side.bins.sum(axis=1)
    hits, misses = side.bins[:, over].sum(axis=1), side.bins[:, miss].sum(axis=1)

    def extremes(these: Array) -> tuple[float, float]:
        """Return the least of the group's weight in ``these``, and the most."""
        room = counted - these
        return float(np.maximum(side.sums - room, 0).sum()), float(
            np.minimum(side.sums, these).sum()
        )

    least, most = extremes(hits)
    missed_least, missed_most = extremes(misses)
    low = least / (least + missed_most) if missed_most > 0 else 1.0
    high = most / (most + missed_least) if most > 0 else 0.0
    value = soft.value
    return _Bounds(min(low, value), max(high, value), value, soft.n, soft.records or soft.n)


def _bounds_reader(name: str) -> Callable[[Row], Sample]:
    def read(row: Row) -> Sample:
        found = _bounds(row, name)
        return found if isinstance(found, Absent) else found.sample()

    return read


def _pair_reader(name: str, operation: Comparison) -> Callable[[Row, Row], Sample]:
    def read(ours: Row, theirs: Row) -> Sample:
        a, b = _bounds(ours, name), _bounds(theirs, name)
        if isinstance(a, Absent) or isinstance(b, Absent):
            return a if isinstance(a, Absent) else cast("Absent", b)
        if operation == "ratio" and b.value == 0:
            return Absent("the reference rate is 0, so the ratio is undefined")

        def bounds(confidence: float, factor: float) -> tuple[float, float]:
            level = 1 - (1 - confidence) / 2  # both sides have to hold
            (l1, u1), (l2, u2) = a.sides(level, factor), b.sides(level, factor)
            if operation == "difference":
                return l1 - u2, u1 - l2
            return l1 / u2 if u2 > 0 else 0.0, u1 / l2 if l2 > 0 else math.inf

        value = a.value - b.value if operation == "difference" else a.value / b.value
        return Projected(
            value, max(a.records, b.records), f"frechet-{MEMBERSHIP_BINS}-bins", bounds
        )

    return read


_KALLUS = (
    "Kallus, Mao and Zhou (2022), Assessing algorithmic fairness with unobserved protected class "
    "using data combination, Management Science 68"
)


def _add_bounds(name: str) -> tuple[str, str, str]:
    """Register what the marginals allow for a rate, and for its comparison."""
    known: Any = METRICS.get(name)
    title = known.title[0].lower() + known.title[1:]
    formula = (
        f"from Σ over bins of max(0, n·p + n(outcome) − n) to Σ min(n·p, n(outcome)) in {title}; "
        "the value is the soft estimate"
    )
    rate = f"{name}_bounds"
    add_metric(
        Metric(rate, f"Bounds of {title}", readers={MEMBERSHIP: _bounds_reader(name)},
               formula=formula, source=_KALLUS),
        compared=False,
    )  # fmt: skip
    for operation, low, high, ideal in (("difference", -1.0, 1.0, 0.0), ("ratio", 0.0, None, 1.0)):
        add_metric(
            Metric(f"{name}_{operation}_bounds", f"Bounds of the {operation} of {title}", low=low,
                   high=high, ideal=ideal, source=_KALLUS,
                   pairs={MEMBERSHIP: _pair_reader(name, cast("Comparison", operation))},
                   formula=f"{formula}; outer bounds of both, which for two groups are reached "
                   "together"),
        )  # fmt: skip
    return rate, f"{name}_difference_bounds", f"{name}_ratio_bounds"


MEMBERSHIP_BOUNDS: tuple[str, ...] = tuple(n for name in _BOUNDED for n in _add_bounds(name))
