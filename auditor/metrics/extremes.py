"""The largest gap between any two groups, with an interval that is honest about choosing it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from auditor.evidence import Estimate
from auditor.metrics.estimates import Comparison, Outcome, compare
from auditor.metrics.samples import Absent, Sample

__all__ = ["extreme"]


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
    2022); so the interval is built from intervals of *all* pairs that hold together at the given
    confidence (Bonferroni): the gap is at least every pair's lower bound and at most the largest
    upper bound.
    """
    groups = [[s for s in samples if not isinstance(s, Absent)] for samples in components]
    if any(len(samples) < 2 for samples in groups):
        return Absent("fewer than two groups can be compared")
    pairs = [
        pair for samples in groups for pair in itertools.permutations(samples, 2)
    ]  # both directions: a gap has no sign, a ratio is below or above 1
    level = 1 - (1 - confidence) / (len(pairs) // 2)
    outcomes = compare(operation, [a for a, _ in pairs], [b for _, b in pairs], confidence=level)
    found = [outcome for outcome in outcomes if isinstance(outcome, Estimate)]
    if not found:
        reason = next(o.reason for o in outcomes if isinstance(o, Absent))
        return Absent(reason)
    n = sum(round(sample.n) for samples in groups for sample in samples)
    method = f"{found[0].method}-all-pairs-bonferroni"
    if operation == "difference":
        value = max(outcome.value for outcome in found)
        low = max(0.0, *(_number(outcome.low, 0.0) for outcome in found))
        high = max(_number(outcome.high, 1.0) for outcome in found)
    else:
        value = min(outcome.value for outcome in found)
        low = min(_number(outcome.low, 0.0) for outcome in found)
        high = min(1.0, *(_number(outcome.high, 1.0) for outcome in found))
    return Estimate(
        value=value, low=low, high=high, confidence=confidence, n=n, method=method
    )  # fmt: skip


def _number(bound: float | None, limit: float) -> float:
    return limit if bound is None else bound
