"""Joint confusion counts: (true label, predicted label) by slice, the missing ones included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable

__all__ = ["CELLS", "CONFUSION", "confusion_counts", "confusion_zero", "to_ternary"]

CONFUSION = "confusion-counts"

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
        Labels, shape ``[rows]``: 0, 1, booleans, or missing (NaN, None); ``None`` for no column.

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
    true = to_ternary(y_true, rows, "y_true")
    predicted = to_ternary(y_pred, rows, "y_pred")
    cells = 3 * true + predicted
    table = confusion_zero(groups, context)
    flat = groups.flat(codes) * 9
    counts = np.zeros(groups.total * 9, np.int64)
    for position in range(flat.shape[1]):
        counts += np.bincount(flat[:, position] + cells, minlength=counts.size)
    table.values[:] = counts.reshape(-1, 9)
    return table


def to_ternary(values: ArrayLike | None, rows: int, name: str) -> NDArray[np.int64]:
    """Map labels to 0, 1 and 2 (missing), shape ``[rows]``; raises :class:`InputError`."""
    if values is None:
        return np.full(rows, 2, np.int64)
    array = np.asarray(values)
    if array.shape != (rows,):
        raise InputError(f"{name} has shape {array.shape}", valid=f"shape ({rows},)")
    if array.dtype.kind in "biu":
        labels = array.astype(np.int64)
        missing = np.zeros(rows, bool)
    else:
        try:
            numbers = array.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"{name} holds values that are not numbers", valid="0, 1 or missing"
            ) from None
        missing = np.isnan(numbers)
        labels = np.where(missing, 0, numbers).astype(np.int64)
        if not np.array_equal(labels[~missing], numbers[~missing]):
            raise InputError(f"{name} holds fractions", valid="0, 1 or missing")
    if labels.size and (labels.min() < 0 or labels.max() > 1):
        found = sorted({int(v) for v in labels.tolist()})[:5]
        raise InputError(f"{name} holds the values {found}", valid="0, 1 or missing")
    return np.where(missing, 2, labels)
