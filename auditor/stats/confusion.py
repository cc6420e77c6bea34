"""Joint confusion counts: (true label, predicted label) by slice, the missing ones included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.cover import count_cells
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_small_ternary

__all__ = ["CELLS", "CONFUSION", "confusion_counts", "confusion_zero"]

CONFUSION = "confusion-counts"
_MOST_JOINT = 1 << 20
_CHUNK = 1 << 16

CELLS = (
    "tn",
    "fp",
    "negative_unpredicted",
    "fn",
    "tp",
    "positive_unpredicted",
    "unlabelled_predicted_negative",
    "unlabelled_predicted_positive",
    "unlabelled_unpredicted",
)
"""Cell ``3 · true + predicted``, where 0 is negative, 1 is positive and 2 is missing."""


def confusion_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty confusion counts over the declared groups."""
    return SliceTable.zero(CONFUSION, groups, CELLS, context=context)


def confusion_counts(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: ArrayLike | None,
    y_pred: ArrayLike | None,
    *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count one batch of records.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    y_true, y_pred:
        Labels, shape ``[rows]``: 0, 1, booleans, or missing (NaN, None, NA), in an array, a
        series, a tensor or a list; ``None`` for no column.

    Raises :class:`InputError` for other labels or differing lengths. A batch that lacks a group
    adds nothing to it and shifts no other.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M", "M", None]})
    >>> counts = confusion_counts(groups, codes, [1, 0, 1, 1], [1, 1, 0, 1])
    >>> counts.family(("sex",))[:, [0, 1, 3, 4]].tolist()  # tn, fp, fn, tp of F, M, unknown
    [[0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]]
    """
    rows = codes.shape[0]
    true = to_small_ternary(y_true, rows, "y_true")
    predicted = to_small_ternary(y_pred, rows, "y_pred")
    groups.check_codes(codes)
    cells = 3 * true + predicted
    table = confusion_zero(groups, context)
    if groups.joint * 9 <= _MOST_JOINT:
        joint = np.zeros(groups.joint * 9, np.int64)
        for start in range(0, rows, _CHUNK):  # the numbers of a chunk stay in the cache
            part = slice(start, start + _CHUNK)
            numbers = groups.joint_codes(codes[part])
            numbers *= 9
            numbers += cells[part]
            joint += np.bincount(numbers, minlength=joint.size)
        table.values[:] = groups.marginals(joint.reshape(-1, 9))
        return table
    count_cells(groups, codes, cells, table.values)
    return table
