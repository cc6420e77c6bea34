"""Labels and scores as NumPy vectors, from whatever holds them: arrays, series, tensors, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.stats.groups import as_label

__all__ = ["to_numbers", "to_small_ternary", "to_ternary"]


def to_ternary(values: Any, rows: int, name: str) -> NDArray[np.int64]:
    """Map labels to 0, 1 and 2 (missing), shape ``[rows]``; ``None`` is a column of missing ones.

    Raises :class:`InputError` for other labels and for another shape.

    >>> to_ternary([True, 0, None, float("nan")], 4, "y_true").tolist()
    [1, 0, 2, 2]
    """
    return to_small_ternary(values, rows, name).astype(np.int64)


def to_small_ternary(values: Any, rows: int, name: str) -> NDArray[np.int8]:
    """Return :func:`to_ternary` in one byte a label, for what reads it once."""
    if values is None:
        return np.full(rows, 2, np.int8)
    array = _as_array(values, rows, name)
    if array.dtype.kind == "b":
        return array.view(np.int8)
    if array.dtype.kind in "iu" and not (array.size and (array.min() < 0 or array.max() > 1)):
        return array.astype(np.int8)
    numbers = _as_numbers(array, name, valid="0, 1 or missing")
    missing = np.isnan(numbers)
    other = ~missing & (numbers != 0) & (numbers != 1)
    if other.any():
        found = ", ".join(f"{value:g}" for value in np.unique(numbers[~missing])[:5])
        raise InputError(f"{name} holds the values {found}", valid="0, 1 or missing")
    numbers = np.where(missing, 2, numbers)
    return numbers.astype(np.int8)


def to_numbers(values: Any, rows: int, name: str, *, valid: str) -> NDArray[np.float64]:
    """Return numbers, shape ``[rows]``, NaN for missing values; raises :class:`InputError`.

    Integers beyond 2^53 lose their last digits, as in any double.
    """
    return _as_numbers(_as_array(values, rows, name), name, valid=valid)


def _as_array(values: Any, rows: int, name: str) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor, on any device, of any precision
        tensor = values.detach().cpu()
        values = tensor.double() if tensor.is_floating_point() else tensor
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    array = np.asarray(values)
    if array.shape != (rows,):
        raise InputError(f"{name} has shape {array.shape}", valid=f"shape ({rows},)")
    return array


def _as_numbers(array: NDArray[Any], name: str, *, valid: str) -> NDArray[np.float64]:
    if array.dtype.kind == "O":
        array = np.array([np.nan if as_label(value) is None else value for value in array], object)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds values that are not numbers", valid=valid) from None
