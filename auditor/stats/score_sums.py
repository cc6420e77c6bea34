"""Sums of the errors of scores that are probabilities: squared and logarithmic, by slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_numbers, to_ternary

__all__ = ["SCORE_SUMS", "SCORE_SUM_COLUMNS", "score_sums", "score_sums_zero"]

SCORE_SUMS = "score-sums"

SCORE_SUM_COLUMNS = (
    "records", "scored", "sum:score", "squares:score", "judged", "sum:squared", "squares:squared",
    "sum:log", "squares:log", "outside",
)  # fmt: skip
_MOST_JOINT = 1 << 16
_CLIP = np.finfo(np.float64).eps


def score_sums_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty sums over the declared groups."""
    return SliceTable.zero(SCORE_SUMS, groups, SCORE_SUM_COLUMNS, sums=True, context=context)


def score_sums(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: ArrayLike | None,
    scores: ArrayLike,
    *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Add up one batch of scores.

    ``codes`` are group codes of shape ``[rows, attributes]``; labels are 0, 1 or missing and
    scores are numbers, NaN where missing, shape ``[rows]``. Scores outside 0 to 1 are counted in
    ``outside``; where there are any, nothing is read as a probability. Logarithms are taken of
    scores clipped to [ε, 1 − ε] with ε = 2⁻⁵², as scikit-learn does. Raises :class:`InputError` for
    an infinite score.
    """
    rows = codes.shape[0]
    labels = to_ternary(y_true, rows, "y_true")
    values = to_numbers(scores, rows, "scores", valid="numbers, or missing")
    if np.isinf(values).any():
        raise InputError("a score is infinite", valid="finite numbers, or missing")
    table = score_sums_zero(groups, context)
    known = ~np.isnan(values)
    judged = known & (labels < 2)
    s = np.where(known, values, 0.0)
    squared = np.where(judged, (s - labels) ** 2, 0.0)
    clipped = np.clip(s, _CLIP, 1 - _CLIP)
    logs = np.where(judged, -np.log(np.where(labels == 1, clipped, 1 - clipped)), 0.0)
    block = [
        np.ones(rows), known, s, s * s, judged, squared, squared**2, logs, logs**2,
        known & ((s < 0) | (s > 1)),
    ]  # fmt: skip
    if groups.joint <= _MOST_JOINT:  # once in the joint table, whose marginals add up
        joint = groups.joint_codes(codes)
        sums = [np.bincount(joint, column, minlength=groups.joint) for column in block]
        table.values[:] = groups.marginals(np.stack(sums, axis=1))
        return table
    flat = groups.flat(codes)
    for position in range(flat.shape[1]):
        for column, values in enumerate(block):
            table.values[:, column] += np.bincount(
                flat[:, position], values, minlength=groups.total
            )
    return table
