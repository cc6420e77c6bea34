"""The contrasts of a rule: each slice by itself, against a reference, or against every other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auditor.evidence import Estimate, Slice
from auditor.metrics import (
    METRICS,
    Absent,
    Census,
    Comparison,
    Outcome,
    ReferenceSlice,
    Sample,
    SliceSamples,
    compare,
    estimate,
    reference_slice,
    rest_sample,
    split_parameter,
)
from auditor.policy.material import Unit
from auditor.stats import Family, Statistic

__all__ = ["Aside", "Block", "Contrast", "blocks_of", "interval", "outcomes"]

Samples = Callable[[str, Statistic, Family], SliceSamples]


@dataclass(frozen=True, slots=True)
class Contrast:
    """One slice, or one slice against another; ``metric`` names the number that results."""

    metric: str
    slice: Slice
    reference: ReferenceSlice | None
    ours: Sample
    theirs: Sample | None
    operation: Comparison | None


@dataclass(frozen=True, slots=True)
class Aside:
    """A slice that decides nothing, and why: too ``small``, or ``listed`` for another reason."""

    metric: str
    slice: Slice
    n: int | None
    decision: Literal["small", "listed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """The contrasts of one metric over one family, whose slices come in the declared order.

    ``all_pairs`` holds every pair in both orders, so that one side of the region speaks of both
    groups. ``empty`` says why there is no contrast, where there is none.
    """

    metric: str
    family: Family
    slices: tuple[Slice, ...]
    contrasts: tuple[Contrast, ...] = ()
    asides: tuple[Aside, ...] = ()
    all_pairs: bool = False
    empty: str = ""

    @property
    def name(self) -> str:
        """What this block is about, for messages."""
        return f"{self.metric} over {' × '.join(self.family)}" if self.family else self.metric


def blocks_of(
    unit: Unit,
    samples: Samples,
    *,
    least: int,
    reference: Literal["largest", "best", "rest"] | Mapping[str, str] | None,
    only: Slice | None,
) -> list[Block]:
    """Lay out the contrasts of one metric.

    Parameters
    ----------
    samples:
        Reads a metric of a statistic for the slices of a family.
    least:
        The denominator under which a slice is set aside as small.
    reference:
        For comparisons; ``None`` compares all pairs.
    only:
        The one slice that is judged, where the rule names one.
    """
    base, parameter = split_parameter(unit.metric)
    metric = METRICS.get(base)
    suffix = "" if parameter is None else f"[{parameter}]"
    blocks: list[Block] = []
    for family in unit.families:
        if metric.operation is None:
            read = samples(unit.metric, unit.statistic, family)
            blocks.append(_each(unit.metric, read, least, only))
            continue
        for component in metric.components:
            name = f"{component}_{metric.operation}{suffix}"
            read = samples(component + suffix, unit.statistic, family)
            place = _Place(name, metric.operation, component + suffix, unit.statistic, read)
            if reference is None:
                blocks.append(_pairs(place, least, only))
            else:
                blocks.append(_against(place, least, only, reference))
    if only is not None:
        blocks = [
            block if any(only == a.slice for a in (*block.contrasts, *block.asides))
            else replace(block, empty=f"there is no slice {only}") for block in blocks
        ]  # fmt: skip
    if unit.reason is None:
        return blocks
    return [replace(block, empty=unit.reason) for block in blocks]


@dataclass(frozen=True, slots=True)
class _Place:
    """A comparison: its name, its operation, and the samples of what is compared."""

    name: str
    operation: Comparison
    component: str
    statistic: Statistic
    read: SliceSamples

    def block(self, asides: Sequence[Aside], empty: str) -> Block:
        """Return the block of this place, as yet without contrasts."""
        slices = tuple(self.read.samples)
        return Block(self.name, self.read.family, slices, asides=tuple(asides), empty=empty)


def _each(name: str, read: SliceSamples, least: int, only: Slice | None) -> Block:
    judged, asides = _sorted_out(name, read, least)
    contrasts = [
        Contrast(name, where, None, sample, None, None)
        for where, sample in judged.items()
        if only is None or where == only
    ]
    kept = [aside for aside in asides if only is None or aside.slice == only]
    empty = _why_empty(read, kept, least, at_least=1)
    return Block(name, read.family, tuple(read.samples), tuple(contrasts), tuple(kept), empty=empty)


def _pairs(place: _Place, least: int, only: Slice | None) -> Block:
    judged, asides = _sorted_out(place.name, place.read, least)
    contrasts = [
        Contrast(place.name, ours, theirs, mine, other, place.operation)
        for (ours, mine), (theirs, other) in itertools.permutations(judged.items(), 2)
        if only is None or ours == only
    ]
    if len(judged) == 1:
        asides += [
            Aside(place.name, where, _n(sample), "listed", "no other group to compare with")
            for where, sample in judged.items()
        ]  # fmt: skip
    empty = _why_empty(place.read, asides, least, at_least=2)
    return replace(place.block(asides, empty), contrasts=tuple(contrasts), all_pairs=only is None)


def _against(
    place: _Place,
    least: int,
    only: Slice | None,
    reference: Literal["largest", "best", "rest"] | Mapping[str, str],
) -> Block:
    read = place.read
    judged, asides = _sorted_out(place.name, read, least)
    empty = _why_empty(read, asides, least, at_least=2)
    chosen = _reference(read, judged, reference)
    if isinstance(chosen, Absent):
        return place.block(asides, chosen.reason)
    if isinstance(chosen, Slice) and chosen not in judged:
        reason = next(a.reason for a in asides if a.slice == chosen)
        return place.block(asides, f"the reference {chosen} cannot be used: {reason}")
    contrasts: list[Contrast] = []
    for where, sample in judged.items():
        if where == chosen:
            asides.append(Aside(place.name, where, _n(sample), "listed", "the reference"))
        elif only is None or where == only:
            theirs = (
                judged[chosen]
                if isinstance(chosen, Slice)
                else rest_sample(place.component, place.statistic, read.family, where)
            )
            if isinstance(theirs, Absent) or _n(theirs) < least:
                reason = f"everybody else: {theirs.reason}" if isinstance(theirs, Absent) else (
                    f"everybody else: n={_n(theirs)} is under {least}")  # fmt: skip
                asides.append(Aside(place.name, where, _n(sample), "listed", reason))
                continue
            contrasts.append(Contrast(place.name, where, chosen, sample, theirs, place.operation))
    return replace(place.block(asides, empty), contrasts=tuple(contrasts))


def _reference(
    read: SliceSamples,
    judged: Mapping[Slice, Sample],
    reference: Literal["largest", "best", "rest"] | Mapping[str, str],
) -> ReferenceSlice | Absent:
    if isinstance(reference, Mapping):
        for name, value in reference.items():
            if name in read.family and not any(w[name] == value for w in read.known()):
                return Absent(f"the reference {name}={value} holds no records")
    if reference == "best":
        # A rate of few records is the best by chance more often than by merit.
        if len(judged) < 2:
            return Absent("fewer than two groups are large enough to choose the best of them")
        read = replace(read, samples=dict(judged))
    return reference_slice(read, reference)


def _sorted_out(
    name: str, read: SliceSamples, least: int
) -> tuple[dict[Slice, Sample], list[Aside]]:
    """Part the slices that are judged from those that are only listed."""
    judged: dict[Slice, Sample] = {}
    asides: list[Aside] = []
    for where, found in read.samples.items():
        sample = found
        counts = read.metric.id == "count"
        if counts and isinstance(sample, Absent):
            sample = Census(0.0, 0)  # that nobody is there is a count like any other
        if not where.known:
            n = read.records[where]
            asides.append(Aside(name, where, n, "listed", "the group is unknown"))
        elif isinstance(sample, Absent):
            asides.append(Aside(name, where, 0, "listed", sample.reason))
        elif _n(sample) < least and not counts:
            reason = f"n={_n(sample)} is under the least denominator {least}"
            asides.append(Aside(name, where, _n(sample), "small", reason))
        else:
            judged[where] = sample
    return judged, asides


def _why_empty(
    read: SliceSamples, asides: Sequence[Aside], least: int, *, at_least: int
) -> str:  # fmt: skip
    """Say why a family has no contrast."""
    if at_least > 1 and len(read.known()) < at_least:
        return "only one group holds records" if read.known() else "no group holds records"
    small = [aside for aside in asides if aside.decision == "small"]
    if small:
        sizes = ", ".join(f"{a.slice}: n={a.n}" for a in small[:5])
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        count = "fewer than two groups have" if at_least > 1 else "no slice has"
        return f"{count} n of {least} or more ({sizes}{more})"
    return asides[0].reason if asides else "no such slice"


def _n(sample: Sample) -> int:
    return 0 if isinstance(sample, Absent) else math.ceil(sample.n - 1e-9)


def outcomes(contrasts: Sequence[Contrast], *, confidence: float) -> list[Outcome]:
    """Estimate every contrast with a two-sided interval, all comparisons in one batch each."""
    found: list[Outcome | None] = [None] * len(contrasts)
    for operation in ("difference", "ratio"):
        numbers = [i for i, c in enumerate(contrasts) if c.operation == operation]
        if numbers:
            results = compare(
                operation, [contrasts[i].ours for i in numbers],
                [contrasts[i].theirs or Absent("nothing") for i in numbers], confidence=confidence,
            )  # fmt: skip
            for i, result in zip(numbers, results, strict=True):
                found[i] = result
    return [
        estimate(contrast.ours, confidence=confidence) if outcome is None else outcome
        for contrast, outcome in zip(contrasts, found, strict=True)
    ]


def interval(outcome: Estimate) -> tuple[float, float]:
    """Return the bounds of an estimate, infinite where there is none."""
    return (
        -math.inf if outcome.low is None else outcome.low,
        math.inf if outcome.high is None else outcome.high,
    )
