"""From samples to estimates: of one slice, of a difference, of a ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Interval
from auditor.metrics.intervals import katz, newcombe, normal_quantile, wilson
from auditor.metrics.samples import Absent, Census, Mean, Proportion, Sample
from auditor.metrics.score_ratio import miettinen_nurminen_ratio

__all__ = ["Comparison", "Outcome", "compare", "estimate", "estimate_all"]

Comparison = Literal["difference", "ratio"]
Outcome = Estimate | Absent


def estimate(sample: Sample, *, confidence: float) -> Outcome:
    """Put an interval around one sample: Wilson for proportions, normal for means."""
    return estimate_all([sample], confidence=confidence)[0]


def estimate_all(samples: Sequence[Sample], *, confidence: float) -> list[Outcome]:
    """Put an interval around each sample; the same as :func:`estimate`, in one pass."""
    proportions = [sample for sample in samples if isinstance(sample, Proportion)]
    low, high = wilson(
        [sample.x for sample in proportions], [sample.n for sample in proportions],
        confidence=confidence,
    )  # fmt: skip
    bounds = iter(zip(low.tolist(), high.tolist(), strict=True))
    outcomes: list[Outcome] = []
    for sample in samples:
        if isinstance(sample, Proportion):
            lower, upper = next(bounds)
            outcomes.append(
                Estimate(
                    value=sample.value, low=lower, high=upper, confidence=confidence,
                    n=_whole(sample.n), method="wilson",
                )
            )  # fmt: skip
        else:
            outcomes.append(_estimate_other(sample, confidence))
    return outcomes


def _estimate_other(sample: Absent | Census | Mean, confidence: float) -> Outcome:
    match sample:
        case Absent():
            return sample
        case Census(value, n):
            return Estimate(
                value=value, low=value, high=value, confidence=confidence, n=_whole(n),
                method="census",
            )  # fmt: skip
        case Mean():
            low, high = _mean_interval(sample, confidence)
            return Estimate(
                value=sample.value, low=low, high=high, confidence=confidence, n=_whole(sample.n),
                method=sample.method, bound=sample.bound or None,
            )  # fmt: skip


def compare(
    operation: Comparison, ours: Sequence[Sample], theirs: Sequence[Sample], *, confidence: float
) -> list[Outcome]:
    """Estimate the difference or the ratio of each pair of independent samples.

    Proportions: Newcombe's interval for a difference; Miettinen and Nurminen's score interval for
    a ratio, with Katz's beside it in ``also``. Means: normal intervals, ratios by the delta
    method, both cut to the range that the two quantities leave. A ratio to a reference of 0 is
    absent with that reason.
    """
    outcomes: list[Outcome] = []
    places: list[int] = []
    counts: list[tuple[float, float, float, float]] = []
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        outcomes.append(_compare_one(operation, a, b, confidence))
        if isinstance(a, Proportion) and isinstance(b, Proportion):
            places.append(place)
            counts.append((a.x, a.n, b.x, b.n))
    if places:  # all at once
        found = _compare_proportions(operation, np.array(counts, np.float64).T, confidence)
        for place, outcome in zip(places, found, strict=True):
            outcomes[place] = outcome
    return outcomes


def _compare_proportions(
    operation: Comparison, counts: NDArray[np.float64], confidence: float
) -> list[Outcome]:
    x1, n1, x2, n2 = counts
    p1, p2 = x1 / n1, x2 / n2
    size = (n1 + n2).tolist()
    if operation == "difference":
        low, high = newcombe(x1, n1, x2, n2, confidence=confidence)
        return [
            Estimate(value=v, low=a, high=b, confidence=confidence, n=_whole(n), method="newcombe")
            for v, a, b, n in zip((p1 - p2).tolist(), low.tolist(), high.tolist(), size,
                                  strict=True)
        ]  # fmt: skip
    low, high = miettinen_nurminen_ratio(x1, n1, x2, n2, confidence=confidence)
    other_low, other_high = katz(x1, n1, x2, n2, confidence=confidence)
    outcomes: list[Outcome] = []
    for i, n in enumerate(size):
        if p2[i] == 0:
            outcomes.append(Absent("the reference rate is 0, so the ratio is undefined"))
            continue
        also = (
            ()
            if math.isnan(other_low[i])
            else (
                Interval(low=float(other_low[i]), high=float(other_high[i]),
                         confidence=confidence, method="katz"),
            )
        )  # fmt: skip
        outcomes.append(
            Estimate(
                value=float(p1[i] / p2[i]), low=float(low[i]), high=_finite(float(high[i])),
                confidence=confidence, n=_whole(n), method="miettinen-nurminen", also=also,
            )
        )  # fmt: skip
    return outcomes


def _compare_one(operation: Comparison, a: Sample, b: Sample, confidence: float) -> Outcome:
    for sample, name in ((a, "this slice"), (b, "the reference")):
        if isinstance(sample, Absent):
            return Absent(f"{name}: {sample.reason}")
    if isinstance(a, Census) and isinstance(b, Census):
        if operation == "ratio" and b.value == 0:
            return Absent("the reference is 0, so the ratio is undefined")
        value = a.value - b.value if operation == "difference" else a.value / b.value
        return Estimate(value=value, low=value, high=value, confidence=confidence,
                        n=_whole(a.n + b.n), method="census")  # fmt: skip
    if not (isinstance(a, Mean) and isinstance(b, Mean)):
        return Absent("the two sides were measured in different ways")
    z = normal_quantile(confidence)
    bound = a.bound + b.bound
    if operation == "difference":
        value = a.value - b.value
        half = z * math.hypot(_error(a), _error(b)) + bound
        low, high = _minus(a.low, b.high), _minus(a.high, b.low)
    elif b.value == 0:
        return Absent("the reference is 0, so the ratio is undefined")
    else:
        value = a.value / b.value
        bound = (a.bound + abs(value) * b.bound) / abs(b.value)
        half = z * math.hypot(_error(a), value * _error(b)) / abs(b.value) + bound
        signed = a.low is None or b.low is None or a.low < 0 or b.low < 0
        low, high = (None if signed else 0.0), None
    return Estimate(
        value=value, low=_at_least(value - half, low), high=_at_most(value + half, high),
        confidence=confidence, n=_whole(a.n + b.n), method=a.method, bound=bound or None,
    )  # fmt: skip


def _mean_interval(sample: Mean, confidence: float) -> tuple[float, float]:
    half = normal_quantile(confidence) * sample.standard_error
    low, high = sample.value - half, sample.value + half
    if half == 0 and sample.floor:
        low, high = (
            float(b)
            for b in wilson(sample.value * sample.floor, sample.floor, confidence=confidence)
        )
    low, high = low - sample.bound, high + sample.bound
    return _at_least(low, sample.low), _at_most(high, sample.high)


def _error(sample: Mean) -> float:
    """Return the standard error, or a stand-in where it is 0 by accident (see ``Mean.floor``)."""
    if sample.standard_error == 0 and sample.floor:
        low, high = wilson(sample.value * sample.floor, sample.floor, confidence=0.95)
        return float(high - low) / (2 * normal_quantile(0.95))
    return sample.standard_error


def _at_least(bound: float, limit: float | None) -> float:
    return bound if limit is None else max(bound, limit)


def _at_most(bound: float, limit: float | None) -> float:
    return bound if limit is None else min(bound, limit)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _whole(n: float) -> int:
    return math.ceil(n - 1e-9)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
