"""What a metric reads off a statistic for one slice, before any interval is put around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Absent",
    "Average",
    "Bounded",
    "Census",
    "Mean",
    "Measurable",
    "Noisy",
    "Projected",
    "Proportion",
    "Quantile",
    "Sample",
    "Transformed",
    "scaled",
]


@dataclass(frozen=True, slots=True)
class Proportion:
    """``x`` successes in ``n`` independent trials, ``n > 0``.

    Where records carry weights or share a cluster, ``x`` and ``n`` are effective counts: those of
    independent trials with the same variance. ``records`` then says how many there really are, and
    ``design`` names the variance.
    """

    x: float
    n: float
    records: float | None = None
    design: str | None = None

    @property
    def value(self) -> float:
        """The observed proportion."""
        return self.x / self.n


@dataclass(frozen=True, slots=True)
class Transformed:
    """An increasing function of a proportion: its bounds are the function of that one's bounds.

    F1 is 2 J / (1 + J) of J = TP / (TP + FP + FN), and the ratio of the two kinds of error is
    the odds of one of them. ``limit`` is the value at a proportion of 1 (``None``: it has none).
    """

    inner: Proportion
    function: Callable[[float], float]
    name: str

    @property
    def value(self) -> float:
        """The function of the observed proportion."""
        return self.function(self.inner.value)

    @property
    def n(self) -> float:
        """The trials of the proportion."""
        return self.inner.n


@dataclass(frozen=True, slots=True)
class Average:
    """A weighted sum of independent proportions: balanced accuracy, macro averages."""

    parts: tuple[Proportion, ...]
    weights: tuple[float, ...]
    n: float
    name: str

    @property
    def value(self) -> float:
        """The weighted sum of the observed proportions."""
        return sum(w * part.value for w, part in zip(self.weights, self.parts, strict=True))


@dataclass(frozen=True, slots=True)
class Mean:
    """An approximately normal estimate with a standard error.

    ``low`` and ``high`` are the limits of the quantity itself (an AUC lies in 0 to 1). ``bound`` is
    the certified numerical error, by which intervals are widened. ``floor`` is a number of trials:
    where the standard error is 0 by accident (a perfect ranking of few records), the interval is
    the one of a proportion with so many trials.
    """

    value: float
    standard_error: float
    n: float
    method: str
    low: float | None = None
    high: float | None = None
    bound: float = 0.0
    floor: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """A distance with replicates of its own noise: how far chance alone moves it.

    A distance is never negative, so it is biased upward and percentiles of its bootstrap never
    reach 0. But |d(F̂, Ĝ) − d(F, G)| is at most the distance that the sampling errors make, whose
    distribution the ``noise`` replicates show (sorted, shape ``[replicates]``): value ± its
    quantile covers, also where the true distance is 0.
    """

    value: float
    noise: NDArray[np.float64]
    n: float
    method: str
    low: float | None = None
    high: float | None = None
    bound: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Quantile:
    """The quantile of a counted distribution.

    ``positions`` ascend, and ``cumulative`` is the share of records up to each. ``bound`` is half
    the width of a bin, where the positions are the middles of bins.
    """

    positions: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    share: float
    n: float
    bound: float = 0.0

    @property
    def value(self) -> float:
        """The quantile."""
        return self.at(self.share)

    def at(self, share: float) -> float:
        """Return the smallest position that at least this share does not exceed."""
        place = int(np.searchsorted(self.cumulative, share - 1e-12))
        return float(self.positions[min(place, self.positions.size - 1)])


@dataclass(frozen=True, slots=True)
class Bounded:
    """A quantity that the data only bound: ``value`` lies between ``low`` and ``high`` for sure.

    ``low`` and ``high`` are themselves proportions where they were sampled: the interval runs from
    the lower bound of the one to the upper bound of the other.
    """

    value: float
    low: Proportion
    high: Proportion
    n: float
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """A number whose interval is computed from those of its parts.

    ``bounds(confidence, factor)`` gives the interval as if ``factor`` times as many records had
    shown the same. ``bound`` is the certified numerical error that these bounds allow for.
    """

    value: float
    n: float
    method: str
    bounds: Callable[[float, float], tuple[float, float]]
    factor: float = 1.0
    bound: float = 0.0


@dataclass(frozen=True, slots=True)
class Census:
    """A number counted over everything there is, or computed from it: no sampling error."""

    value: float
    n: float
    method: str = "census"


@dataclass(frozen=True, slots=True)
class Absent:
    """No number, and the reason."""

    reason: str


Measurable = (
    Proportion | Transformed | Average | Mean | Noisy | Quantile | Bounded | Projected | Census
)
"""What has a number."""

Sample = Measurable | Absent


def scaled(sample: Sample, factor: float) -> Sample:
    """Return the sample as if ``factor`` times as many records had shown the same value."""
    match sample:
        case Proportion():
            records = None if sample.records is None else sample.records * factor
            return replace(sample, x=sample.x * factor, n=sample.n * factor, records=records)
        case Transformed():
            return replace(sample, inner=scaled(sample.inner, factor))
        case Average():
            parts = tuple(scaled(part, factor) for part in sample.parts)
            return replace(sample, parts=parts, n=sample.n * factor)
        case Mean():
            return replace(
                sample,
                standard_error=sample.standard_error / factor**0.5,
                n=sample.n * factor,
                floor=None if sample.floor is None else sample.floor * factor,
            )
        case Quantile():
            return replace(sample, n=sample.n * factor)
        case Projected():
            return replace(sample, n=sample.n * factor, factor=sample.factor * factor)
        case Noisy():
            return replace(sample, noise=sample.noise / factor**0.5, n=sample.n * factor)
        case Bounded():
            return replace(
                sample, low=scaled(sample.low, factor), high=scaled(sample.high, factor),
                n=sample.n * factor,
            )  # fmt: skip
        case Census() | Absent():
            return sample
