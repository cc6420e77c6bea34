"""Bounds that hold for all slices of all families together, overlaps included (max-|t|)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.evidence import Interval, Slice
from auditor.metrics.samples import Proportion
from auditor.metrics.simultaneous import max_t_bands
from auditor.metrics.slices import slice_samples
from auditor.stats import Family, SliceTable

__all__ = ["joint_family", "joint_intervals"]


def joint_family(statistic: SliceTable) -> Family | None:
    """Return the family of all attributes, or ``None`` where it was not counted."""
    names = {attribute.name for attribute in statistic.groups.attributes}
    return next((f for f in statistic.groups.families if f and set(f) == names), None)


def joint_intervals(
    name: str,
    statistic: SliceTable,
    *,
    families: Sequence[Family],
    confidence: float,
    seed: int = 0,
) -> dict[Slice, Interval]:
    """Return the max-|t| bounds of a rate for all known slices of the families together.

    One set of replicates of the joint cells serves every slice, so that the bounds allow for what
    overlapping slices share (Westfall and Young 1993; see :func:`max_t_bands`). Empty where the
    intersection of all attributes was not counted, or the metric is no plain rate.
    """
    whole = joint_family(statistic)
    if whole is None:
        return {}
    cells = slice_samples(name, statistic, whole).samples
    joint = np.array([_counts(sample) for sample in cells.values()], np.int64)
    places: list[Slice] = []
    counts: list[tuple[int, int]] = []
    members: list[list[bool]] = []
    for family in families:
        read = slice_samples(name, statistic, family)
        for where in read.known():
            sample = read.samples[where]
            if not isinstance(sample, Proportion) or sample.design is not None:
                continue
            places.append(where)
            counts.append((round(sample.x), round(sample.n)))
            members.append([all(cell[k] == v for k, v in where.items()) for cell in cells])
    if len(places) < 2:
        return {}
    x, n = np.array(counts).T
    bands = max_t_bands(
        x, n, confidence=confidence, joint=joint, membership=np.array(members), seed=seed
    )
    return {
        where: Interval(low=float(low), high=float(high), confidence=confidence,
                        method=f"{bands.method}-all-slices")
        for where, low, high in zip(places, bands.low, bands.high, strict=True)
    }  # fmt: skip


def _counts(sample: object) -> tuple[int, int]:
    if not isinstance(sample, Proportion):
        return 0, 0
    return round(sample.x), round(sample.n - sample.x)
