"""Joint counts of (true class, predicted class) by slice, the missing ones included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest
from auditor.stats.groups import Groups, as_label
from auditor.stats.table import SliceTable

__all__ = ["CLASSES", "MOST_CLASSES", "class_codes", "class_columns", "class_counts", "class_zero"]

CLASSES = "class-counts"
MOST_CLASSES = 200


def class_columns(classes: int) -> tuple[str, ...]:
    """Name the cells ``true:predicted`` by class number; number ``classes`` is a missing label."""
    return tuple(f"{t}:{p}" for t in range(classes + 1) for p in range(classes + 1))


def class_zero(
    groups: Groups, classes: Sequence[str], context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Return empty counts over the declared groups; ``context["classes"]`` names the classes."""
    if len(set(classes)) != len(classes) or not 1 < len(classes) <= MOST_CLASSES:
        raise InputError(
            f"{len(classes)} classes are declared", valid=f"2 to {MOST_CLASSES}, each named once"
        )
    named = {**(context or {}), "classes": list(classes)}
    return SliceTable.zero(CLASSES, groups, class_columns(len(classes)), context=named)


def class_codes(values: Iterable[Any], classes: Sequence[str], name: str) -> NDArray[np.int64]:
    """Turn labels into class numbers; raises :class:`InputError` for an undeclared class."""
    index: dict[str | None, int] = {label: code for code, label in enumerate(classes)}
    index[None] = len(classes)
    labels = [as_label(value) for value in values]
    try:
        return np.fromiter((index[label] for label in labels), np.int64, len(labels))
    except KeyError as error:
        raise InputError(
            f"{name} holds the class {error.args[0]!r}, which was not declared",
            valid=nearest(str(error.args[0]), classes),
        ) from None


def class_counts(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: Iterable[Any],
    y_pred: Iterable[Any],
    *,
    classes: Sequence[str],
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count one batch of records.

    ``codes`` are group codes of shape ``[rows, attributes]``; labels are what a table writes,
    ``None`` or NaN where missing. Raises :class:`InputError` for an undeclared class.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M"]})
    >>> table = class_counts(groups, codes, ["a", "b"], ["a", "c"], classes=["a", "b", "c"])
    >>> table.values[0].reshape(4, 4).tolist()  # everybody: rows are true, columns predicted
    [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    table = class_zero(groups, classes, context)
    true, predicted = class_codes(y_true, classes, "y_true"), class_codes(y_pred, classes, "y_pred")
    if not true.size == predicted.size == codes.shape[0]:
        raise InputError(
            f"there are {true.size:,} true and {predicted.size:,} predicted labels",
            valid=f"{codes.shape[0]:,} of each",
        )
    size = len(classes) + 1
    cells = size * true + predicted
    flat = groups.flat(codes)
    for position in range(flat.shape[1]):
        np.add.at(table.values, (flat[:, position], cells), 1)
    return table
