"""The largest gap between any two groups, with an interval that is honest about choosing it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from auditor.evidence import Estimate
from auditor.metrics.estimates import Comparison, Outcome, compare
from auditor.metrics.largest_gap import largest_gap_bounds
from auditor.metrics.samples import Absent, Proportion, Sample, Transformed

__all__ = ["extreme"]

_METHODS: dict[Comparison, str] = {"difference": "newcombe", "ratio": "miettinen-nurminen"}


def extreme(
    operation: Comparison, components: Sequence[Sequence[Sample]], *, confidence: float
) -> Outcome:
    """Estimate the largest difference, or the smallest ratio, between any two groups.

    Parameters
    ----------
    components:
        For each compared rate, the samples of all groups (equalized odds compares two rates).

    The value is fairlearn's: the largest ``max − min``, or the smallest ``min / max``, over the
    rates. A largest gap is biased upward, and percentiles of it cover nothing (Lum, Zhang and Bower
    2022). Proportions have the bounds of :func:`~auditor.metrics.largest_gap.largest_gap_bounds`.
    For other samples the interval is built from intervals of *all* pairs that hold together
    (Bonferroni): the gap is at least every pair's lower bound and at most the largest upper bound.
    """
    groups = [[s for s in samples if not isinstance(s, Absent)] for samples in components]
    if any(len(samples) < 2 for samples in groups):
        return Absent("fewer than two groups can be compared")
    rates = [[s for s in samples if isinstance(s, Proportion)] for samples in groups]
    if all(len(some) == len(samples) for some, samples in zip(rates, groups, strict=True)):
        return _of_rates(operation, rates, confidence)
    return _of_pairs(operation, groups, confidence)


def _of_rates(
    operation: Comparison, components: Sequence[Sequence[Proportion]], confidence: float
) -> Outcome:
    values: list[float] = []
    bounds: list[tuple[float, float]] = []
    for rates in components:
        least, most = min(rate.value for rate in rates), max(rate.value for rate in rates)
        if operation == "ratio" and most == 0:
            continue
        values.append(most - least if operation == "difference" else least / most)
        bounds.append(
            largest_gap_bounds(
                operation, [rate.x for rate in rates], [rate.n for rate in rates],
                confidence=confidence, components=len(components),
            )
        )  # fmt: skip
    if not values:  # the reason is that of two groups
        first, second, *_ = components[0]
        (outcome,) = compare(operation, [first], [second], confidence=confidence)
        return outcome
    pick = max if operation == "difference" else min
    every = [rate for rates in components for rate in rates]
    designs = [rate.design for rate in every if rate.design is not None]
    return Estimate(
        value=pick(values), low=pick(low for low, _ in bounds),
        high=pick(high for _, high in bounds), confidence=confidence,
        n=sum(_records(rate) for rate in every),
        method="-".join([_METHODS[operation], *designs[:1], "all-pairs-tukey"]),
        effective_n=sum(rate.n for rate in every) if designs else None,
    )  # fmt: skip


def _of_pairs(
    operation: Comparison, groups: Sequence[Sequence[Sample]], confidence: float
) -> Outcome:
    pairs = [
        pair for samples in groups for pair in itertools.permutations(samples, 2)
    ]  # both directions: a gap has no sign, a ratio is below or above 1
    level = 1 - (1 - confidence) / (len(pairs) // 2)
    outcomes = compare(operation, [a for a, _ in pairs], [b for _, b in pairs], confidence=level)
    found = [outcome for outcome in outcomes if isinstance(outcome, Estimate)]
    if not found:
        reason = next(o.reason for o in outcomes if isinstance(o, Absent))
        return Absent(reason)
    n = sum(_records(sample) for samples in groups for sample in samples)
    method = f"{found[0].method}-all-pairs-bonferroni"
    if operation == "difference":
        value = max(outcome.value for outcome in found)
        low = max(0.0, *(_number(outcome.low, 0.0) for outcome in found))
        highs = [outcome.high for outcome in found]
        high = None if None in highs else max(h for h in highs if h is not None)
    else:
        value = min(outcome.value for outcome in found)
        low = min(_number(outcome.low, 0.0) for outcome in found)
        high = min(1.0, *(_number(outcome.high, 1.0) for outcome in found))
    return Estimate(
        value=value, low=low, high=high, confidence=confidence, n=n, method=method
    )  # fmt: skip


def _number(bound: float | None, limit: float) -> float:
    return limit if bound is None else bound


def _records(sample: Sample) -> int:
    inner = sample.inner if isinstance(sample, Transformed) else sample
    if isinstance(inner, Absent):
        return 0
    if isinstance(inner, Proportion) and inner.records is not None:
        return round(inner.records)
    return round(inner.n)
