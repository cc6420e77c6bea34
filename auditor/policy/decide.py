"""What is decided of each contrast, by the bounds that hold for it and for the whole rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Slice, SliceBound, Status
from auditor.metrics import Absent, ReferenceSlice
from auditor.policy.bounds import Bounds, bounds, interval, outcomes
from auditor.policy.layout import Aside, Block
from auditor.policy.region import Region

__all__ = ["RANKED", "Decided", "Decision", "Judged", "Levels", "accepted", "decide", "refused"]

RANKED = (Status.FAIL, Status.INCONCLUSIVE, Status.PASS)
"""The statuses of a contrast, the worst first; arrays hold positions in this."""


_HIGHEST = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """The error that a rule may make, and over what it is split.

    ``tests`` is the number of one-sided comparisons among which one false accusation could lie;
    ``looks`` is how often the rule is judged, and ``share`` what this look may spend of the error.
    A pass needs no correction: it claims that *every* slice lies inside, and each has to show it
    (an intersection-union test).
    """

    confidence: float
    tests: int
    looks: int
    share: float = 1.0

    @property
    def own(self) -> float:
        """The two-sided level whose sides are the own one-sided bounds of a contrast."""
        return 2 * self.confidence - 1

    @property
    def family(self) -> float:
        """The two-sided level whose sides hold simultaneously for all (Bonferroni)."""
        share = self.share / max(1, self.tests)
        # A first look of many may have next to nothing to spend; 1 itself is no confidence.
        return self.own if share == 1 else min(1 - 2 * (1 - self.confidence) * share, _HIGHEST)


@dataclass(frozen=True, slots=True)
class Judged:
    """A block with the own bounds of its contrasts, their margins and their statuses.

    ``ranks`` are positions in :data:`RANKED`; ``margin`` is how far inside the region a value
    lies, negative outside. ``family`` are the simultaneous bounds of those that do not pass.
    """

    block: Block
    own: Bounds
    margin: NDArray[np.float64]
    ranks: NDArray[np.intp]
    family: Bounds

    def worst_of_slices(self) -> list[int]:
        """Return the position of the worst contrast of each slice."""
        order = np.lexsort((self.margin, self.ranks))
        _, first = np.unique(self.block.contrasts.ours[order], return_index=True)
        return order[first].tolist()


@dataclass(frozen=True, slots=True)
class Decision:
    """One contrast as it is shown, with its own bounds and the simultaneous ones."""

    metric: str
    slice: Slice
    reference: ReferenceSlice | None
    estimate: Estimate
    low: float
    high: float
    family_low: float | None
    family_high: float | None
    margin: float
    status: Status

    @property
    def severity(self) -> tuple[int, float]:
        """What is worse comes first: by status, then by how far out the value lies."""
        return RANKED.index(self.status), self.margin

    def bound(self) -> SliceBound:
        """Return the form in which a verdict keeps it."""
        return SliceBound(
            slice=self.slice,
            reference=self.reference,
            metric=self.metric,
            value=self.estimate.value,
            n=self.estimate.n,
            low=_finite(self.low),
            high=_finite(self.high),
            family_low=_finite(self.family_low),
            family_high=_finite(self.family_high),
            decision=self.status,
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of a rule, block by block; with ``point`` the values alone decided.

    ``shown`` holds the worst contrast of each slice of each block, with all that is said of it.
    """

    blocks: tuple[Judged, ...]
    shown: tuple[tuple[Decision, ...], ...]
    levels: Levels
    point: bool

    def count(self, status: Status | None = None) -> int:
        """Return the number of contrasts, or of those with a status."""
        if status is None:
            return sum(judged.ranks.size for judged in self.blocks)
        rank = RANKED.index(status)
        return sum(int((judged.ranks == rank).sum()) for judged in self.blocks)

    def statuses(self) -> list[Status]:
        """Return the statuses that occur, the worst first."""
        return [status for status in RANKED if self.count(status)]

    def worst(self) -> Decision:
        """Return the worst contrast of all; it is the worst of its slice, too."""
        return min((decision for block in self.shown for decision in block),
                   key=lambda decision: decision.severity)  # fmt: skip


def decide(
    blocks: Sequence[Block], region: Region, *, confidence: float, looks: int, point: bool,
    share: float | None = None,
) -> Decided:  # fmt: skip
    """Decide every contrast of a rule.

    ``fail``: its simultaneous bounds lie wholly outside the region. ``pass``: its own one-sided
    bounds lie inside; with two sides both must (two one-sided tests). Otherwise ``inconclusive``.
    With ``point`` the value alone decides. ``share`` is what this look may spend of the error, by
    default as much as every other.
    """
    level = Levels(confidence, 1, 1).own
    measured: list[tuple[Block, Bounds]] = []
    tests = 0
    for block in blocks:
        own = bounds(block.contrasts, confidence=level)
        if np.isnan(own.value).any():
            block, own = _measurable(block, own)
        measured.append((block, own))
        # All pairs come in both orders, so that each side of a region is there once already.
        sides = 1 if block.all_pairs or not region.two_sided else 2
        tests += sides * len(block.contrasts)
    levels = Levels(confidence, tests, looks, 1 / looks if share is None else share)
    judged = [_judged(block, own, region, levels, point=point) for block, own in measured]
    shown = [_shown(one, levels, point=point) for one in judged]
    return Decided(tuple(judged), tuple(shown), levels, point)


def _judged(block: Block, own: Bounds, region: Region, levels: Levels, *, point: bool) -> Judged:
    margin = np.minimum(
        own.value - region.low if region.low is not None else np.inf,
        region.high - own.value if region.high is not None else np.inf,
    )
    margin = np.broadcast_to(margin, own.value.shape)
    if point:
        ranks = np.where(accepted(region, own.value, own.value), 2, 0)
        return Judged(block, own, margin, ranks, own)
    ranks = np.where(accepted(region, own.low, own.high), 2, 1)
    # What passes by its own bounds cannot fail by wider ones.
    rest = np.flatnonzero(ranks == 1)
    family = bounds(block.contrasts.take(rest), confidence=levels.family)
    ranks[rest[refused(region, family.low, family.high)]] = 0
    return Judged(block, own, margin, ranks, family)


def _shown(judged: Judged, levels: Levels, *, point: bool) -> tuple[Decision, ...]:
    """Return the worst contrast of each slice, as the metrics themselves estimate it."""
    which = judged.worst_of_slices()
    contrasts = judged.block.contrasts.take(np.array(which, np.intp))
    own = outcomes(contrasts, confidence=levels.own)
    family = own
    if not point and levels.family != levels.own:
        family = outcomes(contrasts, confidence=levels.family)
    decisions: list[Decision] = []
    for number, (k, mine, theirs) in enumerate(zip(which, own, family, strict=True)):
        where = contrasts.labels[contrasts.ours[number]]
        if not isinstance(mine, Estimate) or not isinstance(where, Slice):
            continue
        decisions.append(
            Decision(
                contrasts.metric,
                where,
                None if contrasts.theirs is None else contrasts.labels[contrasts.theirs[number]],
                mine,
                *interval(mine),
                *((None, None) if point else interval(theirs)),
                float(judged.margin[k]),
                RANKED[judged.ranks[k]],
            )
        )
    return tuple(decisions)


def accepted(region: Region, low: Any, high: Any) -> NDArray[np.bool_]:
    """Say of each interval whether it lies inside."""
    return np.broadcast_to(region.reaches_low(low) & region.reaches_high(high), np.shape(low))


def refused(region: Region, low: Any, high: Any) -> NDArray[np.bool_]:
    """Say of each interval whether nothing of it lies inside."""
    reached = region.reaches_low(high) & region.reaches_high(low)
    return ~np.broadcast_to(reached, np.shape(low))


def _measurable(block: Block, own: Bounds) -> tuple[Block, Bounds]:
    """Set contrasts without a number aside (a ratio to 0), and with them the slices left out."""
    there = ~np.isnan(own.value)
    kept = block.contrasts.take(there)
    spoken = set(kept.ours.tolist())
    gone = np.flatnonzero(~there)
    reasons = outcomes(block.contrasts.take(gone), confidence=0.9)
    listed: dict[int, Aside] = {}
    for position, outcome in zip(block.contrasts.ours[gone].tolist(), reasons, strict=True):
        where, sample = block.contrasts.labels[position], block.contrasts.samples[position]
        if position in spoken or not isinstance(where, Slice) or not isinstance(outcome, Absent):
            continue
        n = None if isinstance(sample, Absent) else math.ceil(sample.n - 1e-9)
        listed[position] = Aside(kept.metric, where, n, "listed", outcome.reason)
    empty = block.empty
    if not len(kept):
        empty = next(outcome.reason for outcome in reasons if isinstance(outcome, Absent))
    return (
        replace(block, contrasts=kept, asides=(*block.asides, *listed.values()), empty=empty),
        Bounds(own.value[there], own.low[there], own.high[there]),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
