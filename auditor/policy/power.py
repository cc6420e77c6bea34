"""How many more records would decide a rule, should the observed rates stay as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Status
from auditor.metrics import Absent, Sample
from auditor.policy.bounds import Contrasts, bounds
from auditor.policy.decide import RANKED, Decided, Judged, accepted, refused
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
    outside = [~accepted(region, j.own.value, j.own.value) for j in decided.blocks]
    fails = any(which.any() for which in outside)
    if fails:
        factor = _first_fail(
            [_picked(j, which, region, fails=True) for j, which in zip(decided.blocks, outside,
                                                                       strict=True)],
            region, decided.levels.family,
        )  # fmt: skip
    else:
        undecided = [j.ranks == RANKED.index(Status.INCONCLUSIVE) for j in decided.blocks]
        if any((j.margin[which] <= 1e-12).any() for j, which in zip(decided.blocks, undecided,
                                                                    strict=True)):  # fmt: skip
            return None
        factor = _last_pass(
            [_picked(j, which, region, fails=False) for j, which in zip(decided.blocks, undecided,
                                                                        strict=True)],
            region, decided.levels.own,
        )  # fmt: skip
    if factor is None:
        return None
    there = _records(decided)
    return max(there + 1, math.ceil(factor * there)), there


class _Picked(NamedTuple):
    """Contrasts of one block, those that matter most first: a guess says which they are."""

    contrasts: Contrasts
    guess: NDArray[np.float64]


def _picked(
    judged: Judged, which: NDArray[np.bool_], region: Region, *, fails: bool
) -> _Picked:  # fmt: skip
    """Guess the factor: the square of the half-width over the distance to the border.

    Intervals shrink with the root of n. The first to fail has the least factor, the last to pass
    the greatest.
    """
    value, low, high = (array[which] for array in judged.own)
    guess = np.zeros(value.shape)
    for limit, width, beyond in (
        (region.low, high - value if fails else value - low, -1),
        (region.high, value - low if fails else high - value, 1),
    ):
        if limit is not None:
            squares = (width / np.maximum(np.abs(value - limit), 1e-12)) ** 2
            counts = np.sign(value - limit) == beyond if fails else np.ones(value.shape, bool)
            guess = np.maximum(guess, np.where(counts, squares, 0.0))
    order = np.argsort(guess if fails else -guess, kind="stable")
    return _Picked(judged.block.contrasts.take(np.flatnonzero(which)[order]), guess[order])


def _first_fail(picked: Sequence[_Picked], region: Region, level: float) -> float | None:
    """Return the least factor at which one of the contrasts fails."""
    factors = [
        _search(_head(p.contrasts, _CANDIDATES), region, level, fails=True)
        for p in picked if len(p.contrasts)
    ]  # fmt: skip
    return min((factor for factor in factors if factor is not None), default=None)


def _last_pass(picked: Sequence[_Picked], region: Region, level: float) -> float | None:
    """Return the least factor at which all of the contrasts pass."""
    worst = 1.0
    for contrasts, _ in picked:
        remaining = contrasts
        while len(remaining):
            factor = _search(_head(remaining, _CANDIDATES), region, level, fails=False)
            if factor is None:
                return None
            worst = max(worst, factor)
            rest = remaining.take(np.arange(min(_CANDIDATES, len(remaining)), len(remaining)))
            if not len(rest):
                break
            at = bounds(rest.grown([worst]), confidence=level)
            remaining = rest.take(~accepted(region, at.low, at.high))
    return worst


def _head(contrasts: Contrasts, count: int) -> Contrasts:
    return contrasts.take(np.arange(min(count, len(contrasts))))


def _search(
    contrasts: Contrasts, region: Region, level: float, *, fails: bool
) -> float | None:  # fmt: skip
    """Return the least factor, up to 2²⁰, at which any fails, or all pass.

    First by doubling, then on two ever finer grids; each is one batch.
    """

    def first(factors: Sequence[float]) -> int | None:
        _, low, high = bounds(contrasts.grown(factors), confidence=level)
        held = refused(region, low, high) if fails else accepted(region, low, high)
        rows = held.reshape(len(factors), -1)
        enough = rows.any(axis=1) if fails else rows.all(axis=1)
        return int(enough.argmax()) if enough.any() else None

    doublings = [2.0**k for k in range(_DOUBLINGS + 1)]
    found = first(doublings)
    if not found:
        return None if found is None else 1.0
    low, step = doublings[found - 1], doublings[found - 1]
    for _ in range(2):
        step /= _STEPS
        found = first([low + step * k for k in range(1, _STEPS + 1)])
        low += step * (_STEPS - 1 if found is None else found)
    return low + step


def _records(decided: Decided) -> int:
    """Return the records of the judged slices, of the largest family."""
    families: dict[object, float] = {}
    for judged in decided.blocks:
        contrasts = judged.block.contrasts
        if not len(contrasts):
            continue
        n = np.array([_n(sample) for sample in contrasts.samples])
        # Everybody else are the others of the family, so that one contrast holds them all.
        if contrasts.shared:
            records = float(n[contrasts.ours].max())
        elif contrasts.theirs is not None and "rest" in contrasts.labels:
            records = float((n[contrasts.ours] + n[contrasts.theirs]).max())
        else:
            pairs = () if contrasts.theirs is None else (contrasts.theirs,)
            records = float(n[np.unique(np.concatenate([contrasts.ours, *pairs]))].sum())
        # The two rates of equalized odds add up; the columns of a table are the same records.
        place = (judged.block.family, contrasts.metric.partition("[")[2])
        families[place] = families.get(place, 0.0) + records
    return math.ceil(max(families.values()) - 1e-9)


def _n(sample: Sample) -> float:
    return 0.0 if isinstance(sample, Absent) else float(sample.n)
