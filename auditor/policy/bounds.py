"""Contrasts as arrays, and their intervals at any level of confidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate
from auditor.metrics import (
    Absent,
    Comparison,
    Outcome,
    Proportion,
    ReferenceSlice,
    Sample,
    compare,
    estimate_all,
    miettinen_nurminen_ratio,
    newcombe,
    scaled,
    wilson,
)

__all__ = ["Bounds", "Contrasts", "bounds", "interval", "outcomes"]


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Slices, each by itself or against another, as positions in a list of samples.

    ``metric`` names the numbers that result, ``labels`` the slices of the samples (or ``rest``).
    Contrast k is of ``samples[ours[k]]``, against ``samples[theirs[k]]`` where there are any.
    ``shared`` says that the samples share their records (each is of two groups, or of all).
    """

    metric: str
    operation: Comparison | None
    labels: tuple[ReferenceSlice, ...]
    samples: tuple[Sample, ...]
    ours: NDArray[np.intp]
    theirs: NDArray[np.intp] | None = None
    shared: bool = False

    def __len__(self) -> int:
        return self.ours.size

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Contrasts:
        """Return some of the contrasts."""
        theirs = None if self.theirs is None else self.theirs[which]
        return replace(self, ours=self.ours[which], theirs=theirs)

    def without(self, slices: Collection[ReferenceSlice]) -> Contrasts:
        """Return the contrasts in which none of these slices takes part."""
        gone = np.array([label in slices for label in self.labels], bool)
        kept = ~gone[self.ours]
        return self.take(kept if self.theirs is None else kept & ~gone[self.theirs])

    def grown(self, factors: Sequence[float]) -> Contrasts:
        """Return the contrasts as if so many times the records had shown the same values.

        All of them for the first factor, then all for the second, and so on.
        """
        positions = [self.ours] if self.theirs is None else [self.ours, self.theirs]
        used, where = np.unique(np.concatenate(positions), return_inverse=True)
        samples = [self.samples[i] for i in used.tolist()]
        steps = (np.arange(len(factors)) * used.size)[:, None]
        shifted = [(part + steps).ravel() for part in np.split(where, len(positions))]
        return replace(
            self,
            labels=tuple(self.labels[i] for i in used.tolist()) * len(factors),
            samples=tuple(scaled(sample, factor) for factor in factors for sample in samples),
            ours=shifted[0],
            theirs=None if self.theirs is None else shifted[1],
        )


class Bounds(NamedTuple):
    """Values and intervals, one for each contrast; NaN where there is no number."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def bounds(contrasts: Contrasts, *, confidence: float) -> Bounds:
    """Return two-sided intervals as arrays, all contrasts at once.

    The formulas are those of :func:`auditor.metrics.estimate` and :func:`auditor.metrics.compare`,
    which are asked themselves where the samples are no proportions.
    """
    if not len(contrasts):
        return Bounds(np.zeros(0), np.zeros(0), np.zeros(0))
    if all(isinstance(sample, Proportion) for sample in contrasts.samples):
        return _of_proportions(contrasts, confidence)
    numbers = [
        (outcome.value, *interval(outcome)) if isinstance(outcome, Estimate) else (math.nan,) * 3
        for outcome in outcomes(contrasts, confidence=confidence)
    ]
    return Bounds(*np.array(numbers, np.float64).T)


def _of_proportions(contrasts: Contrasts, confidence: float) -> Bounds:
    samples = [sample for sample in contrasts.samples if isinstance(sample, Proportion)]
    x = np.array([sample.x for sample in samples], np.float64)
    n = np.array([sample.n for sample in samples], np.float64)
    x1, n1 = x[contrasts.ours], n[contrasts.ours]
    if contrasts.theirs is None or contrasts.operation is None:
        return Bounds(x1 / n1, *wilson(x1, n1, confidence=confidence))
    x2, n2 = x[contrasts.theirs], n[contrasts.theirs]
    if contrasts.operation == "difference":
        return Bounds(x1 / n1 - x2 / n2, *newcombe(x1, n1, x2, n2, confidence=confidence))
    low, high = miettinen_nurminen_ratio(x1, n1, x2, n2, confidence=confidence)
    defined = x2 > 0
    ratio = np.divide(x1 / n1, x2 / n2, out=np.full_like(x1, np.nan), where=defined)
    return Bounds(ratio, np.where(defined, low, np.nan), np.where(defined, high, np.nan))


def outcomes(contrasts: Contrasts, *, confidence: float) -> list[Outcome]:
    """Estimate each contrast, with its denominator and method, or the reason why not."""
    ours: Sequence[Sample] = [contrasts.samples[i] for i in contrasts.ours.tolist()]
    if contrasts.theirs is None or contrasts.operation is None:
        return estimate_all(ours, confidence=confidence)
    theirs = [contrasts.samples[i] for i in contrasts.theirs.tolist()]
    return compare(contrasts.operation, ours, theirs, confidence=confidence)


def interval(outcome: Outcome) -> tuple[float, float]:
    """Return the bounds of an estimate, infinite where there is none."""
    if isinstance(outcome, Absent):
        return math.nan, math.nan
    return (
        -math.inf if outcome.low is None else outcome.low,
        math.inf if outcome.high is None else outcome.high,
    )
