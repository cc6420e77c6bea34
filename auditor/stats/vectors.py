"""Labels and scores as NumPy vectors, from whatever holds them: arrays, series, tensors, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.stats.groups import as_label

__all__ = ["to_numbers", "to_ternary"]


def to_ternary(values: Any, rows: int, name: str) -> NDArray[np.int64]:
    """Map labels to 0, 1 and 2 (missing), shape ``[rows]``; ``None`` is a column of missing ones.

    Raises :class:`InputError` for other labels and for another shape.

    >>> to_ternary([True, 0, None, float("nan")], 4, "y_true").tolist()
    [1, 0, 2, 2]
    """
    if values is None:
        return np.full(rows, 2, np.int64)
    numbers = to_numbers(values, rows, name, valid="0, 1 or missing")
    known = numbers[~np.isnan(numbers)]
    other = known[(known != 0) & (known != 1)]
    if other.size:
        found = ", ".join(f"{value:g}" for value in np.unique(known)[:5])
        raise InputError(f"{name} holds the values {found}", valid="0, 1 or missing")
    return np.where(np.isnan(numbers), 2, numbers).astype(np.int64)


def to_numbers(values: Any, rows: int, name: str, *, valid: str) -> NDArray[np.float64]:
    """Return numbers, shape ``[rows]``, NaN for missing values; raises :class:`InputError`.

    Integers beyond 2^53 lose their last digits, as in any double.
    """
    if hasattr(values, "detach"):  # a tensor, on any device, of any precision
        tensor = values.detach().cpu()
        values = tensor.double() if tensor.is_floating_point() else tensor
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    array = np.asarray(values)
    if array.shape != (rows,):
        raise InputError(f"{name} has shape {array.shape}", valid=f"shape ({rows},)")
    if array.dtype.kind == "O":
        array = np.array([np.nan if as_label(value) is None else value for value in array], object)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds values that are not numbers", valid=valid) from None
