"""From samples to estimates: of one slice, of a difference, of a ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Interval
from auditor.metrics.intervals import (
    katz,
    mover_difference,
    mover_ratio,
    newcombe,
    normal_quantile,
    wilson,
    wilson_of,
)
from auditor.metrics.samples import (
    Absent,
    Average,
    Bounded,
    Census,
    Mean,
    Measurable,
    Noisy,
    Projected,
    Proportion,
    Quantile,
    Sample,
    Transformed,
)
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
                    n=_records(sample), method=_designed("wilson", sample),
                    effective_n=None if sample.design is None else sample.n,
                )
            )  # fmt: skip
        else:
            outcomes.append(_estimate_other(sample, confidence))
    return outcomes


def _estimate_other(sample: Sample, confidence: float) -> Outcome:
    if isinstance(sample, Absent):
        return sample
    low, high = _interval(sample, confidence)
    return Estimate(
        value=sample.value, low=low, high=high, confidence=confidence, n=_records(sample),
        method=_method(sample), bound=getattr(sample, "bound", 0.0) or None,
        effective_n=_effective(sample),
    )  # fmt: skip


def compare(
    operation: Comparison, ours: Sequence[Sample], theirs: Sequence[Sample], *, confidence: float
) -> list[Outcome]:
    """Estimate the difference or the ratio of each pair of independent samples.

    Proportions: Newcombe's interval for a difference; Miettinen and Nurminen's score interval for
    a ratio, with Katz's beside it in ``also``. Means: normal intervals, ratios by the delta
    method, both cut to the range that the two quantities leave. Everything else: by the variance
    estimates recovered from the two intervals (Zou and Donner 2008; Donner and Zou 2012). A ratio
    to a reference of 0 is absent with that reason.
    """
    outcomes: list[Outcome] = []
    rates: list[tuple[int, Proportion, Proportion]] = []
    others: list[tuple[int, Measurable, Measurable]] = []
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(a, Proportion) and isinstance(b, Proportion):
            rates.append((place, a, b))
            outcomes.append(Absent(""))  # its place
            continue
        outcome = _compare_one(operation, a, b, confidence)
        if outcome is None and not isinstance(a, Absent) and not isinstance(b, Absent):
            others.append((place, a, b))
        outcomes.append(outcome or Absent(""))
    if rates:  # all at once
        found = _compare_proportions(operation, [(a, b) for _, a, b in rates], confidence)
        for (place, _, _), outcome in zip(rates, found, strict=True):
            outcomes[place] = outcome
    if others:
        found = _recovered(operation, [(a, b) for _, a, b in others], confidence)
        for (place, _, _), outcome in zip(others, found, strict=True):
            outcomes[place] = outcome
    return outcomes


def _compare_proportions(
    operation: Comparison, pairs: Sequence[tuple[Proportion, Proportion]], confidence: float
) -> list[Outcome]:
    counts: NDArray[np.float64] = np.array([(a.x, a.n, b.x, b.n) for a, b in pairs], np.float64)
    x1, n1, x2, n2 = counts.T
    p1, p2 = x1 / n1, x2 / n2
    size = [_records(a) + _records(b) for a, b in pairs]
    effective = [_together(_effective(a), _effective(b), a.n, b.n) for a, b in pairs]
    if operation == "difference":
        low, high = newcombe(x1, n1, x2, n2, confidence=confidence)
        return [
            Estimate(value=v, low=a, high=b, confidence=confidence, n=n, effective_n=e,
                     method=_designed("newcombe", *pair))
            for v, a, b, n, e, pair in zip((p1 - p2).tolist(), low.tolist(), high.tolist(), size,
                                           effective, pairs, strict=True)
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
                         confidence=confidence, method=_designed("katz", *pairs[i])),
            )
        )  # fmt: skip
        outcomes.append(
            Estimate(
                value=float(p1[i] / p2[i]), low=float(low[i]), high=_finite(float(high[i])),
                confidence=confidence, n=n, method=_designed("miettinen-nurminen", *pairs[i]),
                also=also, effective_n=effective[i],
            )
        )  # fmt: skip
    return outcomes


def _compare_one(operation: Comparison, a: Sample, b: Sample, confidence: float) -> Outcome | None:
    """Compare two samples; ``None`` for those that are compared by their intervals."""
    if isinstance(a, Absent):
        return Absent(f"this slice: {a.reason}")
    if isinstance(b, Absent):
        return Absent(f"the reference: {b.reason}")
    if operation == "ratio" and b.value == 0:
        return Absent("the reference is 0, so the ratio is undefined")
    if isinstance(a, Census) != isinstance(b, Census):
        return Absent("the two sides were measured in different ways")
    if isinstance(a, Census):
        value = a.value - b.value if operation == "difference" else a.value / b.value
        return Estimate(value=value, low=value, high=value, confidence=confidence,
                        n=_records(a) + _records(b), method=a.method)  # fmt: skip
    if isinstance(a, Mean) and isinstance(b, Mean):
        return _compare_means(operation, a, b, confidence)
    return None


def _compare_means(operation: Comparison, a: Mean, b: Mean, confidence: float) -> Outcome:
    z = normal_quantile(confidence)
    bound = a.bound + b.bound
    if operation == "difference":
        value = a.value - b.value
        half = z * math.hypot(_error(a), _error(b)) + bound
        low, high = _minus(a.low, b.high), _minus(a.high, b.low)
    else:
        value = a.value / b.value
        bound = (a.bound + abs(value) * b.bound) / abs(b.value)
        half = z * math.hypot(_error(a), value * _error(b)) / abs(b.value) + bound
        signed = a.low is None or b.low is None or a.low < 0 or b.low < 0
        low, high = (None if signed else 0.0), None
    return Estimate(
        value=value, low=_at_least(value - half, low), high=_at_most(value + half, high),
        confidence=confidence, n=_records(a) + _records(b), method=a.method, bound=bound or None,
    )  # fmt: skip


def _recovered(
    operation: Comparison, pairs: Sequence[tuple[Measurable, Measurable]], confidence: float
) -> list[Outcome]:
    """Compare by the variance estimates recovered from the two intervals, each computed once."""
    bounds: dict[int, tuple[float, float, float]] = {}
    for sample in (sample for pair in pairs for sample in pair):
        if id(sample) not in bounds:
            low, high = _interval(sample, confidence)
            bounds[id(sample)] = (
                sample.value, -math.inf if low is None else low, math.inf if high is None else high
            )  # fmt: skip
    ours = np.array([bounds[id(a)] for a, _ in pairs], np.float64).T
    theirs = np.array([bounds[id(b)] for _, b in pairs], np.float64).T
    difference = operation == "difference"
    values = ours[0] - theirs[0] if difference else ours[0] / theirs[0]
    low, high = (mover_difference if difference else mover_ratio)(*ours, *theirs)
    return [
        Estimate(
            value=value, low=_finite(lower), high=_finite(upper), confidence=confidence,
            n=_records(a) + _records(b), method=_mover(_method(a)),
            effective_n=_together(_effective(a), _effective(b), a.n, b.n),
        )
        for (a, b), value, lower, upper in zip(
            pairs, values.tolist(), low.tolist(), high.tolist(), strict=True
        )
    ]  # fmt: skip


def _interval(sample: Measurable, confidence: float) -> tuple[float | None, float | None]:
    """Return the interval of any sample that has a number."""
    match sample:
        case Proportion():
            return wilson_of(sample.x, sample.n, confidence=confidence)
        case Transformed(inner, function):
            low, high = wilson_of(inner.x, inner.n, confidence=confidence)
            return _finite(function(low)), _finite(function(high))
        case Average():
            return _average_interval(sample, confidence)
        case Census():
            return sample.value, sample.value
        case Mean():
            return _mean_interval(sample, confidence)
        case Noisy():
            half = _quantile(sample.noise, confidence) + sample.bound
            return (
                _at_least(sample.value - half, sample.low),
                _at_most(sample.value + half, sample.high),
            )
        case Quantile():
            low, high = wilson_of(sample.share * sample.n, sample.n, confidence=confidence)
            return sample.at(low) - sample.bound, sample.at(high) + sample.bound
        case Projected():
            low, high = sample.bounds(confidence, sample.factor)
            return _finite(low), _finite(high)
        case Bounded(_, least, most):
            # One side of each: the quantity lies between the two, so neither side is shared.
            return (
                wilson_of(least.x, least.n, confidence=confidence)[0],
                wilson_of(most.x, most.n, confidence=confidence)[1],
            )


def _average_interval(sample: Average, confidence: float) -> tuple[float, float]:
    """Return value ∓ √Σ wᵢ² (distance of each part to its bound)² (Zou and Donner 2008)."""
    x, n = [part.x for part in sample.parts], [part.n for part in sample.parts]
    low, high = wilson(x, n, confidence=confidence)
    rates = np.array([part.value for part in sample.parts])
    weights = np.array(sample.weights)
    below = np.where(weights >= 0, rates - low, high - rates)
    above = np.where(weights >= 0, high - rates, rates - low)
    value = sample.value
    return (
        value - float(np.sqrt(((weights * below) ** 2).sum())),
        value + float(np.sqrt(((weights * above) ** 2).sum())),
    )


def _mean_interval(sample: Mean, confidence: float) -> tuple[float, float]:
    half = normal_quantile(confidence) * sample.standard_error
    low, high = sample.value - half, sample.value + half
    if half == 0 and sample.floor:
        low, high = wilson_of(sample.value * sample.floor, sample.floor, confidence=confidence)
    low, high = low - sample.bound, high + sample.bound
    return _at_least(low, sample.low), _at_most(high, sample.high)


def _method(sample: Sample) -> str:
    match sample:
        case Proportion():
            return _designed("wilson", sample)
        case Transformed():
            return _designed(f"wilson-{sample.name}", sample.inner)
        case Average():
            return f"mover-wilson-{sample.name}"
        case Quantile():
            return "wilson-quantile"
        case Absent():
            return ""
        case _:
            return sample.method


def _designed(method: str, *samples: Proportion) -> str:
    """Name the variance beside the method, where it is not that of independent records."""
    designs = [sample.design for sample in samples if sample.design is not None]
    return f"{method}-{designs[0]}" if designs else method


def _effective(sample: Sample) -> float | None:
    """Return the effective number of records, where it is not the number of records."""
    if isinstance(sample, Transformed):
        sample = sample.inner
    if isinstance(sample, Proportion) and sample.design is not None:
        return sample.n
    return None


def _together(a: float | None, b: float | None, n1: float, n2: float) -> float | None:
    return None if a is None and b is None else n1 + n2


def _records(sample: Sample) -> int:
    if isinstance(sample, Absent):
        return 0
    inner = sample.inner if isinstance(sample, Transformed) else sample
    if isinstance(inner, Proportion) and inner.records is not None:
        return _whole(inner.records)
    return _whole(sample.n)


def _quantile(noise: NDArray[np.float64], confidence: float) -> float:
    """Return the smallest replicate that at least the given share does not exceed."""
    place = math.ceil(confidence * noise.size) - 1
    return float(noise[min(max(place, 0), noise.size - 1)])


def _error(sample: Mean) -> float:
    """Return the standard error, or a stand-in where it is 0 by accident (see ``Mean.floor``)."""
    if sample.standard_error == 0 and sample.floor:
        low, high = wilson_of(sample.value * sample.floor, sample.floor, confidence=0.95)
        return (high - low) / (2 * normal_quantile(0.95))
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


def _mover(method: str) -> str:
    return method if method.startswith("mover-") else f"mover-{method}"
