"""How far scores are from what happens, at worst over slices: sums by slice and score bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.estimates import Outcome, estimate
from auditor.metrics.subgroups import Weighting, worst_calibration

__all__ = ["CalibrationSums", "calibration_sums", "multicalibration_error", "score_bins"]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSums:
    """Records, positives and sums of scores, each of shape ``[slices, bins]``; they add up."""

    records: NDArray[np.int64]
    positives: NDArray[np.int64]
    scores: NDArray[np.float64]

    def merge(self, other: Self) -> CalibrationSums:
        """Add the sums of other records; raises :class:`InputError` for other slices or bins."""
        if self.records.shape != other.records.shape:
            raise InputError("sums of different slices or bins cannot be merged")
        return CalibrationSums(
            self.records + other.records,
            self.positives + other.positives,
            self.scores + other.scores,
        )


def calibration_sums(
    y_true: ArrayLike, scores: ArrayLike, slices: Sequence[ArrayLike], *, bins: int = 10
) -> CalibrationSums:
    """Add up labels and scores by slice and bin.

    Parameters
    ----------
    y_true, scores:
        Labels 0 or 1, and probabilities, shape ``[rows]``.
    slices:
        Which rows each slice holds, truth values of shape ``[rows]`` each. Everybody is none of
        them unless given.
    bins:
        The number of bins of equal width in [0, 1]; 1 belongs to the last.

    Raises :class:`InputError` for labels or scores of other values, or another shape.

    >>> sums = calibration_sums([0, 1], [0.2, 0.9], [[True, True], [False, True]], bins=2)
    >>> sums.records.tolist(), sums.scores.tolist()
    ([[1, 1], [0, 1]], [[0.2, 0.9], [0.0, 0.9]])
    """
    y, s = np.asarray(y_true, np.float64), np.asarray(scores, np.float64)
    masks = [np.asarray(mask) for mask in slices]
    if y.ndim != 1 or any(m.shape != y.shape or m.dtype != np.bool_ for m in (s >= 0, *masks)):
        raise InputError("labels, scores and slices of different shapes", valid="[rows] each")
    if not bool(np.isin(y, (0.0, 1.0)).all()):
        raise InputError("a label is neither 0 nor 1")
    place = score_bins(s, bins=bins)
    records = np.zeros((len(masks), bins), np.int64)
    positives, sums = np.zeros_like(records), np.zeros(records.shape)
    for row, mask in enumerate(masks):
        records[row] = np.bincount(place[mask], minlength=bins)
        positives[row] = np.bincount(place[mask], y[mask], minlength=bins).astype(np.int64)
        sums[row] = np.bincount(place[mask], s[mask], minlength=bins)
    return CalibrationSums(records, positives, sums)


def score_bins(scores: ArrayLike, *, bins: int) -> NDArray[np.int64]:
    """Return the bin of each score; raises :class:`InputError` outside [0, 1].

    >>> score_bins([0.0, 0.1, 1.0], bins=10).tolist()
    [0, 1, 9]
    """
    s = np.asarray(scores, np.float64)
    if bins < 1:
        raise InputError(f"bins is {bins}", valid="1 or more")
    if not bool(np.all((s >= 0) & (s <= 1))):
        raise InputError("a score is no probability", valid="numbers from 0 to 1")
    return np.minimum((s * bins).astype(np.int64), bins - 1)


def multicalibration_error(
    sums: CalibrationSums, *, confidence: float = 0.95, weighting: Weighting = "slice"
) -> Outcome:
    """Return the largest calibration error of any slice, or why there is none.

    See :func:`auditor.metrics.subgroups.worst_calibration` for the formula and the interval.

    >>> sums = calibration_sums([0, 1], [0.25, 0.75], [[True, True], [False, True]], bins=2)
    >>> multicalibration_error(sums).value
    0.25
    """
    sample = worst_calibration(sums.records, sums.positives, sums.scores, weighting=weighting)
    return estimate(sample, confidence=confidence)
