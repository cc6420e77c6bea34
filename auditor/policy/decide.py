"""What is decided of each contrast, by the bounds that hold for it and for the whole rule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.evidence import Estimate, SliceBound, Status
from auditor.metrics import Absent
from auditor.policy.contrasts import Aside, Block, Contrast, interval, outcomes
from auditor.policy.region import Region

__all__ = ["Decided", "Decision", "Levels", "decide", "with_family"]


@dataclass(frozen=True, slots=True)
class Levels:
    """The error that a rule may make, and over what it is split.

    ``tests`` is the number of one-sided comparisons among which one false accusation could lie;
    ``looks`` is how often the rule is judged. A pass needs no correction: it claims that *every*
    slice lies inside, and each has to show it (an intersection-union test).
    """

    confidence: float
    tests: int
    looks: int

    @property
    def own(self) -> float:
        """The two-sided level whose sides are the own one-sided bounds of a contrast."""
        return 2 * self.confidence - 1

    @property
    def family(self) -> float:
        """The two-sided level whose sides hold simultaneously for all (Bonferroni)."""
        split = max(1, self.tests * self.looks)
        return self.own if split == 1 else 1 - 2 * (1 - self.confidence) / split


@dataclass(frozen=True, slots=True)
class Decision:
    """One contrast with its own bounds, the simultaneous ones, and what they decide.

    The simultaneous bounds are ``None`` until they are needed. ``margin`` is how far inside the
    region the value lies; negative outside.
    """

    contrast: Contrast
    estimate: Estimate
    low: float
    high: float
    family_low: float | None
    family_high: float | None
    margin: float
    status: Status

    def bound(self) -> SliceBound:
        """Return the form in which a verdict keeps it."""
        return SliceBound(
            slice=self.contrast.slice,
            reference=self.contrast.reference,
            metric=self.contrast.metric,
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
    """The decisions of a rule, block by block; a block without any tells why in ``empty``."""

    blocks: tuple[tuple[Block, tuple[Decision, ...]], ...]
    levels: Levels

    @property
    def decisions(self) -> list[Decision]:
        """All decisions, in the order of the blocks."""
        return [decision for _, decisions in self.blocks for decision in decisions]


def decide(
    blocks: Sequence[Block], region: Region, *, confidence: float, looks: int, point: bool
) -> Decided:
    """Decide every contrast of a rule.

    ``fail``: its simultaneous bounds lie wholly outside the region. ``pass``: its own one-sided
    bounds lie inside; with two sides both must (two one-sided tests). Otherwise ``inconclusive``.
    With ``point`` the value alone decides.
    """
    contrasts = [contrast for block in blocks for contrast in block.contrasts]
    levels = Levels(confidence, 1, 1)
    own = outcomes(contrasts, confidence=levels.own)
    measured = [outcome for outcome in own if isinstance(outcome, Estimate)]
    kept: list[Block] = []
    tests = position = 0
    for block in blocks:
        mine = own[position : position + len(block.contrasts)]
        position += len(block.contrasts)
        kept.append(_without_absent(block, mine))
        # All pairs come in both orders, so that each side of a region is there once already.
        sides = 1 if block.all_pairs or not region.two_sided else 2
        tests += sides * len(kept[-1].contrasts)
    levels = Levels(confidence, tests, looks)
    kept_contrasts = [contrast for block in kept for contrast in block.contrasts]
    decisions = [
        _by_own(contrast, mine, region, point=point)
        for contrast, mine in zip(kept_contrasts, measured, strict=True)
    ]
    if not point:
        # What passes by its own bounds cannot fail by wider ones.
        rest = [i for i, d in enumerate(decisions) if d.status is not Status.PASS]
        for i, decision in zip(
            rest, with_family([decisions[i] for i in rest], levels), strict=True
        ):
            low, high = decision.family_low, decision.family_high
            failed = low is not None and high is not None and region.excludes(low, high)
            decisions[i] = replace(decision, status=Status.FAIL) if failed else decision
    iterator = iter(decisions)
    return Decided(
        tuple((block, tuple(itertools.islice(iterator, len(block.contrasts)))) for block in kept),
        levels,
    )


def with_family(decisions: Sequence[Decision], levels: Levels) -> list[Decision]:
    """Return the decisions with their simultaneous bounds, computed in one batch."""
    if levels.family == levels.own:
        return [replace(d, family_low=d.low, family_high=d.high) for d in decisions]
    found = outcomes([d.contrast for d in decisions], confidence=levels.family)
    bounds = [interval(outcome) for outcome in found if isinstance(outcome, Estimate)]
    return [
        replace(decision, family_low=low, family_high=high)
        for decision, (low, high) in zip(decisions, bounds, strict=True)
    ]


def _without_absent(block: Block, own: Sequence[Estimate | Absent]) -> Block:
    """Set contrasts without a number aside (a ratio to 0), slice by slice."""
    if all(isinstance(outcome, Estimate) for outcome in own):
        return block
    kept = tuple(
        contrast for contrast, outcome in zip(block.contrasts, own, strict=True)
        if isinstance(outcome, Estimate)
    )  # fmt: skip
    spoken = {contrast.slice for contrast in kept}
    listed: dict[object, Aside] = {}
    for contrast, outcome in zip(block.contrasts, own, strict=True):
        if isinstance(outcome, Absent) and contrast.slice not in spoken:
            n = None if isinstance(contrast.ours, Absent) else math.ceil(contrast.ours.n - 1e-9)
            listed[contrast.slice] = Aside(
                contrast.metric, contrast.slice, n, "listed", outcome.reason
            )
    reasons = [outcome.reason for outcome in own if isinstance(outcome, Absent)]
    return replace(
        block, contrasts=kept, asides=(*block.asides, *listed.values()),
        empty=block.empty if kept else reasons[0],
    )  # fmt: skip


def _by_own(contrast: Contrast, own: Estimate, region: Region, *, point: bool) -> Decision:
    low, high = interval(own)
    if point:
        status = Status.PASS if region.holds(own.value) else Status.FAIL
    else:
        status = Status.PASS if region.contains(low, high) else Status.INCONCLUSIVE
    return Decision(contrast, own, low, high, None, None, region.margin(own.value), status)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
