"""Contrasts of metrics that are read off several groups at once: distances, tests, indices."""

from __future__ import annotations

import itertools

import numpy as np

from auditor.evidence import Slice
from auditor.metrics import (
    METRICS,
    Absent,
    Census,
    ReferenceSlice,
    Sample,
    SliceSamples,
    aggregate_sample,
    pair_sample,
    reference_slice,
    slice_rows,
    split_parameter,
)
from auditor.policy.bounds import Contrasts
from auditor.policy.layout import Against, Aside, Block
from auditor.policy.material import Unit
from auditor.stats import Family

__all__ = ["aggregated", "paired"]


def paired(unit: Unit, family: Family, *, least: int, reference: Against | None) -> Block:
    """Lay out a metric of a slice against another: every pair, or every slice and the reference.

    A slice of fewer than ``least`` records is set aside as small.
    """
    rows = slice_rows(unit.statistic, family)
    counts: dict[Slice, Sample] = {w: Census(n, n) for w, n in rows.records.items()}
    read = SliceSamples(METRICS.get(split_parameter(unit.metric)[0]), family, counts, rows.records)
    asides: list[Aside] = []
    large: list[Slice] = []
    for where, n in rows.records.items():
        if not where.known:
            asides.append(Aside(unit.metric, where, n, "listed", "the group is unknown"))
        elif not n:
            asides.append(Aside(unit.metric, where, 0, "listed", "no records"))
        elif n < least:
            reason = f"n={n} is under the least denominator {least}"
            asides.append(Aside(unit.metric, where, n, "small", reason))
        else:
            large.append(where)
    pairs: list[tuple[Slice, ReferenceSlice]] = list(itertools.permutations(large, 2))
    empty = "fewer than two groups are large enough to compare"
    if reference is not None and reference != "best":
        chosen = reference_slice(read, reference)
        if isinstance(chosen, Absent):
            return _block(unit, family, tuple(counts), [], [], [], asides, chosen.reason)
        pairs = [(where, chosen) for where in large if where != chosen]
        if not isinstance(chosen, str) and chosen not in large:
            pairs, empty = [], f"the reference {chosen} has too few records"
    labels: list[Slice] = []
    others: list[ReferenceSlice] = []
    samples: list[Sample] = []
    for where, other in pairs:
        sample = pair_sample(unit.metric, unit.statistic, family, where, other, rows=rows)
        if isinstance(sample, Absent):
            n = rows.records[where]
            asides.append(Aside(unit.metric, where, n, "listed", sample.reason))
            empty = sample.reason
        else:
            labels.append(where)
            others.append(other)
            samples.append(sample)
    return _block(unit, family, tuple(counts), labels, others, samples, asides, empty)


def aggregated(unit: Unit, family: Family) -> Block:
    """Lay out one number over all groups of a family, as a contrast of everybody."""
    sample = aggregate_sample(unit.metric, unit.statistic, family)
    everybody = (Slice(),)
    if isinstance(sample, Absent):
        aside = Aside(unit.metric, Slice(), None, "listed", sample.reason)
        return _block(unit, family, everybody, [], [], [], [aside], sample.reason)
    return _block(unit, family, everybody, [Slice()], [], [sample], [], "")


def _block(
    unit: Unit,
    family: Family,
    slices: tuple[Slice, ...],
    labels: list[Slice],
    others: list[ReferenceSlice],
    samples: list[Sample],
    asides: list[Aside],
    empty: str,
) -> Block:
    """Return a block; ``others`` are the references of the labels, none for what has none.

    A sample is of both slices. The references stand behind the samples with a stand-in each, so
    that a waiver of the reference takes the contrast away as well, and a verdict names it.
    """
    n = len(samples)
    references = list(dict.fromkeys(others))
    theirs = None
    if others:
        theirs = np.array([n + references.index(other) for other in others], np.intp)
    contrasts = Contrasts(
        unit.metric, None, (*labels, *references),
        (*samples, *(Absent("a reference") for _ in references)),
        np.arange(n, dtype=np.intp), theirs, shared=True,
    )  # fmt: skip
    return Block(family, slices, contrasts, tuple(asides), False, empty)
