"""How many more records would decide a rule, should the observed rates stay as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from auditor.evidence import Estimate, Slice
from auditor.metrics import scaled
from auditor.policy.contrasts import Contrast, interval, outcomes
from auditor.policy.decide import Decided, Decision
from auditor.policy.region import Region

__all__ = ["required_records"]

_DOUBLINGS = 20
_STEPS = 16
_CANDIDATES = 8


def required_records(decided: Decided, region: Region) -> tuple[int, int] | None:
    """Return (records that would decide, records that there are), or ``None``.

    Both count the denominators of the slices that are judged, of the largest family where there
    are several (a person belongs to one slice of each). If some value lies outside, more records
    will show that one of them fails; if all lie inside, that all of them pass. ``None`` means that
    no number would: a value lies on the border, or a numerical error does not shrink with n.
    """
    decisions = decided.decisions
    outside = [d for d in decisions if not region.holds(d.estimate.value)]
    if outside:
        factor = _least_factor(outside, region, decided.levels.family, fails=True)
    else:
        undecided = [d for d in decisions if not region.contains(d.low, d.high)]
        if any(region.margin(d.estimate.value) <= 1e-12 for d in undecided):
            return None
        factor = _least_factor(undecided, region, decided.levels.own, fails=False)
    if factor is None:
        return None
    there = _records(decided)
    return max(there + 1, math.ceil(factor * there)), there


def _least_factor(
    candidates: Sequence[Decision], region: Region, confidence: float, *, fails: bool
) -> float | None:
    """Return the least factor at which one of the candidates fails, or all of them pass.

    Intervals shrink with the root of n, which picks the few candidates that matter; those are
    then tried at many factors in one batch. A pass is tried on all candidates at the end.
    """
    guessed = sorted(candidates, key=lambda d: _guess(d, region, fails=fails), reverse=not fails)
    tried = guessed[:_CANDIDATES]
    rest = guessed[_CANDIDATES:]
    while True:
        factor = _search([d.contrast for d in tried], region, confidence, fails=fails)
        if factor is None or fails or not rest:
            return factor
        missing = [
            d for d, held in zip(rest, _held([d.contrast for d in rest], region, confidence,
                                             [factor], fails=False), strict=True) if not held[0]
        ]  # fmt: skip
        if not missing:
            return factor
        tried, rest = [*tried, *missing], [d for d in rest if d not in missing]


def _search(
    contrasts: Sequence[Contrast], region: Region, confidence: float, *, fails: bool
) -> float | None:
    enough = any if fails else all
    doublings = [2.0**k for k in range(_DOUBLINGS + 1)]
    held = _held(contrasts, region, confidence, doublings, fails=fails)
    high = next((f for i, f in enumerate(doublings) if enough(row[i] for row in held)), None)
    if high is None or high == 1.0:
        return high
    low = high / 2
    for _ in range(2):
        grid = [low + (high - low) * step / _STEPS for step in range(1, _STEPS + 1)]
        held = _held(contrasts, region, confidence, grid, fails=fails)
        high = next(
            f for i, f in enumerate(grid) if enough(row[i] for row in held) or f == grid[-1]
        )
        low = high - (grid[1] - grid[0])
    return high


def _held(
    contrasts: Sequence[Contrast], region: Region, confidence: float, factors: Sequence[float],
    *, fails: bool,
) -> list[list[bool]]:  # fmt: skip
    """Say for each contrast and factor whether it would fail, or pass, as wanted."""
    grown = [_grown(contrast, factor) for contrast in contrasts for factor in factors]
    held = [
        isinstance(o, Estimate)
        and (region.excludes(*interval(o)) if fails else region.contains(*interval(o)))
        for o in outcomes(grown, confidence=confidence)
    ]
    width = len(factors)
    return [held[i : i + width] for i in range(0, len(held), width)]


def _grown(contrast: Contrast, factor: float) -> Contrast:
    theirs = None if contrast.theirs is None else scaled(contrast.theirs, factor)
    return replace(contrast, ours=scaled(contrast.ours, factor), theirs=theirs)


def _guess(decision: Decision, region: Region, *, fails: bool) -> float:
    """Guess the factor: the square of the half-width over the distance to the border."""
    value = decision.estimate.value
    low = decision.family_low if fails else decision.low
    high = decision.family_high if fails else decision.high
    factors = [0.0]
    if region.low is not None and not (fails and value >= region.low):
        width = (high or 0.0) - value if fails else value - (low or 0.0)
        factors.append((width / max(abs(value - region.low), 1e-12)) ** 2)
    if region.high is not None and not (fails and value <= region.high):
        width = value - (low or 0.0) if fails else (high or 0.0) - value
        factors.append((width / max(abs(value - region.high), 1e-12)) ** 2)
    return max(factors)


def _records(decided: Decided) -> int:
    """Return the records of the judged slices, of the largest family."""
    families: dict[object, dict[tuple[str, Slice], float]] = {}
    most = 0.0
    for block, decisions in decided.blocks:
        # The two rates of equalized odds add up; the columns of a table are the same records.
        place = families.setdefault((block.family, block.metric.partition("[")[2]), {})
        for decision in decisions:
            contrast = decision.contrast
            place[contrast.metric, contrast.slice] = _n(contrast.ours)
            if isinstance(contrast.reference, Slice):
                place[contrast.metric, contrast.reference] = _n(contrast.theirs)
            elif contrast.reference is not None:
                most = max(most, _n(contrast.ours) + _n(contrast.theirs))
    return math.ceil(max([most, *(sum(place.values()) for place in families.values())]) - 1e-9)


def _n(sample: object) -> float:
    return float(getattr(sample, "n", 0.0))
