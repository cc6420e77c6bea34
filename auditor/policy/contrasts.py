"""The contrasts of a rule: each slice by itself, against a reference, or against every other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.evidence import Slice
from auditor.metrics import (
    METRICS,
    Absent,
    Census,
    Comparison,
    ReferenceSlice,
    Sample,
    SliceSamples,
    reference_slice,
    rest_sample,
    split_parameter,
)
from auditor.policy.bounds import Contrasts
from auditor.policy.layout import Against, Aside, Block
from auditor.policy.material import Unit
from auditor.policy.paired import aggregated, paired
from auditor.stats import Family, Statistic

__all__ = ["blocks_of"]

Samples = Callable[[str, Statistic, Family], SliceSamples]


def blocks_of(
    unit: Unit, samples: Samples, *, least: int, reference: Against | None, only: Slice | None
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
        if metric.pairs or metric.aggregates:
            block = (
                paired(unit, family, least=least, reference=reference)
                if metric.pairs
                else aggregated(unit, family)
            )
            block = block if only is None else _only(block, only)
            blocks.append(block if unit.reason is None else replace(block, empty=unit.reason))
            continue
        for component in metric.components or (base,):
            name = f"{component}_{metric.operation}" if metric.components else component
            read = samples(component + suffix, unit.statistic, family)
            place = _Place(name + suffix, metric.operation, component + suffix, unit, read)
            judged, asides = place.sorted_out(least)
            if metric.operation is None:
                block = place.each(judged, asides, least)
            elif reference is None or reference == "best":
                # Nobody lies too far from the best exactly when nobody lies too far from anybody;
                # and it is the data that choose the best, which every pair allows for.
                block = place.pairs(judged, asides, least)
            else:
                block = place.against(judged, asides, least, reference)
            block = block if only is None else _only(block, only)
            blocks.append(block if unit.reason is None else replace(block, empty=unit.reason))
    return blocks


@dataclass(frozen=True, slots=True)
class _Place:
    """Where contrasts are laid out: the name of their metric, and the samples of one family."""

    name: str
    operation: Comparison | None
    component: str
    unit: Unit
    read: SliceSamples

    def block(
        self,
        asides: Sequence[Aside],
        empty: str,
        *,
        labels: Sequence[ReferenceSlice] = (),
        samples: Sequence[Sample] = (),
        ours: Sequence[int] = (),
        theirs: Sequence[int] | None = None,
        all_pairs: bool = False,
    ) -> Block:
        """Return a block of contrasts, given as positions in ``samples``."""
        contrasts = Contrasts(
            self.name, self.operation, tuple(labels), tuple(samples), np.array(ours, np.intp),
            None if theirs is None else np.array(theirs, np.intp),
        )  # fmt: skip
        slices = tuple(self.read.samples)
        return Block(self.read.family, slices, contrasts, tuple(asides), all_pairs, empty)

    def sorted_out(self, least: int) -> tuple[dict[Slice, Sample], list[Aside]]:
        """Part the slices that are judged from those that are only listed."""
        counts = self.read.metric.id == "count"
        judged: dict[Slice, Sample] = {}
        asides: list[Aside] = []
        for where, found in self.read.samples.items():
            sample = found
            if counts and isinstance(sample, Absent):
                sample = Census(0.0, 0)  # that nobody is there is a count like any other
            if not where.known:
                n = self.read.records[where]
                asides.append(Aside(self.name, where, n, "listed", "the group is unknown"))
            elif isinstance(sample, Absent):
                asides.append(Aside(self.name, where, 0, "listed", sample.reason))
            elif _n(sample) < least and not counts:
                reason = f"n={_n(sample)} is under the least denominator {least}"
                asides.append(Aside(self.name, where, _n(sample), "small", reason))
            else:
                judged[where] = sample
        return judged, asides

    def each(self, judged: Mapping[Slice, Sample], asides: Sequence[Aside], least: int) -> Block:
        """Each slice by itself."""
        return self.block(
            asides, _why_empty(self.read, asides, least, at_least=1), labels=list(judged),
            samples=list(judged.values()), ours=range(len(judged)),
        )  # fmt: skip

    def pairs(self, judged: Mapping[Slice, Sample], asides: Sequence[Aside], least: int) -> Block:
        """Every slice against every other, in both orders."""
        if len(judged) == 1:
            asides = [
                *asides,
                *(
                    Aside(self.name, where, _n(sample), "listed", "no other group to compare with")
                    for where, sample in judged.items()
                ),
            ]
        ours, theirs = np.nonzero(~np.eye(len(judged), dtype=bool))
        return self.block(
            asides, _why_empty(self.read, asides, least, at_least=2), labels=list(judged),
            samples=list(judged.values()), ours=ours.tolist(), theirs=theirs.tolist(),
            all_pairs=True,
        )  # fmt: skip

    def against(
        self, judged: Mapping[Slice, Sample], asides: Sequence[Aside], least: int,
        reference: Against,
    ) -> Block:  # fmt: skip
        """Every slice against the reference."""
        chosen = _reference(self.read, reference)
        if isinstance(chosen, Absent):
            return self.block(asides, chosen.reason)
        if isinstance(chosen, str):
            return self._against_the_rest(judged, asides, least)
        if chosen not in judged:
            reason = next(aside.reason for aside in asides if aside.slice == chosen)
            return self.block(asides, f"the reference {chosen} cannot be used: {reason}")
        labels: list[Slice] = list(judged)
        position = labels.index(chosen)
        ours = [i for i in range(len(labels)) if i != position]
        aside = Aside(self.name, chosen, _n(judged[chosen]), "listed", "the reference")
        return self.block(
            [*asides, aside], _why_empty(self.read, asides, least, at_least=2), labels=labels,
            samples=list(judged.values()), ours=ours, theirs=[position] * len(ours),
        )  # fmt: skip

    def _against_the_rest(
        self, judged: Mapping[Slice, Sample], asides: Sequence[Aside], least: int
    ) -> Block:
        asides = list(asides)
        labels: list[ReferenceSlice] = []
        samples: list[Sample] = []
        for where, sample in judged.items():
            rest = rest_sample(self.component, self.unit.statistic, self.read.family, where)
            if isinstance(rest, Absent) or _n(rest) < least:
                what = rest.reason if isinstance(rest, Absent) else f"n={_n(rest)} is under {least}"
                reason = f"everybody else: {what}"
                asides.append(Aside(self.name, where, _n(sample), "listed", reason))
            else:
                labels.append(where)
                labels.append("rest")
                samples += [sample, rest]
        return self.block(
            asides, _why_empty(self.read, asides, least, at_least=2), labels=labels,
            samples=samples, ours=range(0, len(labels), 2), theirs=range(1, len(labels), 2),
        )  # fmt: skip


def _only(block: Block, only: Slice) -> Block:
    """Keep the contrasts of one slice."""
    contrasts = block.contrasts
    mine = np.array([label == only for label in contrasts.labels], bool)
    kept = contrasts.take(mine[contrasts.ours])
    there = only in block.slices
    asides = tuple(
        aside for aside in block.asides if block.contrasts.operation or aside.slice == only
    )
    empty = block.empty if there else f"there is no slice {only}"
    return replace(block, contrasts=kept, asides=asides, all_pairs=False, empty=empty)


def _reference(read: SliceSamples, reference: Against) -> ReferenceSlice | Absent:
    if isinstance(reference, Mapping):
        for name, value in reference.items():
            if name in read.family and not any(w[name] == value for w in read.known()):
                return Absent(f"the reference {name}={value} holds no records")
    return reference_slice(read, reference)


def _why_empty(read: SliceSamples, asides: Sequence[Aside], least: int, *, at_least: int) -> str:
    """Say why a family has no contrast, should it have none."""
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
