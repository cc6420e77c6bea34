"""What every threshold would do to every group: rates along the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Slice
from auditor.metrics.score_quality import positions_of
from auditor.stats import Family, ScoreCounts

__all__ = ["ThresholdCurve", "threshold_curves"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCurve:
    """The rates of one slice where everybody with ``score >= threshold`` is selected.

    All arrays have the shape ``[thresholds]``, thresholds ascend. A rate without a denominator is
    NaN. ``n`` counts the records with score and label.
    """

    thresholds: Array
    selection_rate: Array
    true_positive_rate: Array
    false_positive_rate: Array
    precision: Array
    accuracy: Array
    n: int


def threshold_curves(
    scores: ScoreCounts, family: Family, *, points: int = 200
) -> dict[Slice, ThresholdCurve]:
    """Return the curves of the known slices of a family that hold records.

    At most ``points`` thresholds are taken, evenly among those at which something changes; bins
    count as their lower edge, so that the rates at each threshold are exact.
    """
    groups = scores.groups
    place = positions_of(scores.grid)
    if not scores.grid.exact:
        place = place - (scores.grid.high - scores.grid.low) / scores.grid.bins / 2
    everybody = scores.by_label(groups.offset(())) if () in groups.families else None
    used = np.arange(place.size) if everybody is None else np.flatnonzero(everybody.sum(axis=1))
    if used.size > points:
        used = used[np.unique(np.linspace(0, used.size - 1, points).astype(np.int64))]
    curves: dict[Slice, ThresholdCurve] = {}
    start = groups.offset(family)
    for number in range(groups.size(family)):
        where = groups.slice_of(family, number)
        counts = scores.by_label(start + number)
        if where.known and counts.sum():
            curves[where] = _curve(counts, place, used)
    return curves


def _curve(counts: NDArray[np.int64], place: Array, used: NDArray[np.int64]) -> ThresholdCurve:
    above = counts[::-1].cumsum(axis=0)[::-1][used].astype(np.float64)
    false, true = above[:, 0], above[:, 1]
    negatives, positives = (float(total) for total in counts.sum(axis=0))
    n = negatives + positives
    with np.errstate(divide="ignore", invalid="ignore"):
        return ThresholdCurve(
            place[used],
            (true + false) / n,
            true / positives if positives else np.full(used.size, np.nan),
            false / negatives if negatives else np.full(used.size, np.nan),
            np.where(true + false > 0, true / (true + false), np.nan),
            (true + negatives - false) / n,
            int(n),
        )
