"""Columns of a table as codes: values as levels, numbers in quantile bins, missing ones apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.discovery.sliceline import Conjunction
from auditor.errors import InputError
from auditor.evidence import Slice

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Encoded", "encode", "quantile_edges"]

Level = str | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Features as codes.

    Parameters
    ----------
    names:
        The features.
    levels:
        What the codes of each feature stand for; ``None`` is a missing value, the last level
        where there is one.
    codes:
        Shape ``[rows, features]``.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[Level, ...], ...]
    codes: NDArray[np.int32]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels each feature has."""
        return tuple(map(len, self.levels))

    def slice_of(self, conjunction: Conjunction) -> Slice:
        """Write a conjunction of codes with names."""
        return Slice({self.names[f]: self.levels[f][code] for f, code in conjunction})


def encode(columns: Mapping[str, Any] | pa.Table, *, bins: int = 10) -> Encoded:
    """Turn the columns of a table into codes.

    Parameters
    ----------
    columns:
        An Arrow table, or names and arrays (of Arrow, numpy, pandas or Python) of one length.
    bins:
        A column of numbers with more distinct values than this is cut into up to so many bins.

    A column of numbers is one of a numeric type, or of text that are numbers throughout: text files
    know no other. Its bins have about equally many records and are named as ``<25``, ``[25, 37)``,
    ``>=37``, so that neither the smallest nor the largest value of anybody is told; equal values
    stay together. Other values are levels as the table writes them, in order; rare ones are kept,
    since a slice that is too small is never enumerated. Missing values and NaN are a level of
    their own, ``None``. An infinite number falls into the first or the last bin. The levels come
    from all rows, and from the features alone. Raises :class:`InputError` for no column, columns
    of different lengths, or values that are neither text, number, truth value nor date.

    >>> found = encode({"sex": ["F", None, "M"], "age": [31, 20, 45]}, bins=2)
    >>> found.levels
    (('F', 'M', None), ('<31', '>=31'))
    >>> found.codes.tolist()
    [[0, 1], [2, 0], [1, 1]]
    """
    import pyarrow as pa

    if bins < 2:
        raise InputError(f"bins is {bins}", valid="2 or more")
    table: Any = columns
    names = table.column_names if isinstance(table, pa.Table) else list(table)
    given: dict[str, Any] = {name: table[name] for name in names}
    if not given:
        raise InputError("there is no feature", valid="one column or more")
    levels: list[tuple[Level, ...]] = []
    codes: list[NDArray[np.int32]] = []
    for name, values in given.items():
        found, column = _column(_array(values, name), bins)
        if codes and column.size != codes[0].size:
            raise InputError(f"feature {name!r} has {column.size:,} values",
                             valid=f"{codes[0].size:,} as the first one has")  # fmt: skip
        levels.append(found)
        codes.append(column)
    return Encoded(tuple(given), tuple(levels), np.stack(codes, axis=1))


def quantile_edges(values: NDArray[np.float64], *, bins: int) -> tuple[float, ...]:
    """Return ascending edges between bins of about equally many values, shape ``[rows]``.

    Each edge is a value of the data above the smallest, so that no bin is empty: the k-th is the
    smallest value that at least k/bins of the finite ones do not exceed. A bin holds its lower
    edge and not its upper one. Values that do not differ, or none, have no edges.

    >>> quantile_edges(np.arange(8.0), bins=4)
    (2.0, 4.0, 6.0)
    """
    finite = np.sort(values[np.isfinite(values)])
    if not finite.size:
        return ()
    places = (np.arange(1, bins) * finite.size) // bins
    edges = np.unique(finite[places])
    return tuple(edges[edges > finite[0]].tolist())


def _column(array: pa.Array, bins: int) -> tuple[tuple[Level, ...], NDArray[np.int32]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)  # type: ignore[attr-defined]
    distinct = pc.unique(array.drop_null())  # type: ignore[attr-defined]
    numbers = _numbers(array) if len(distinct) > bins else None
    if numbers is not None:
        return _binned(numbers, bins)
    order = distinct.take(pc.sort_indices(distinct))  # type: ignore[attr-defined]
    texts: list[Level] = [_text(value) for value in order.to_pylist()]
    missing = array.null_count > 0
    found = pc.fill_null(pc.index_in(array, value_set=order), len(texts))  # type: ignore[attr-defined]
    codes = np.asarray(found.to_numpy(zero_copy_only=False), np.int32)
    return (*texts, *([None] if missing else [])), codes


def _binned(numbers: NDArray[np.float64], bins: int) -> tuple[tuple[Level, ...], NDArray[np.int32]]:
    known = ~np.isnan(numbers)
    edges = quantile_edges(numbers[known], bins=bins)
    shown = [str(int(edge)) if edge.is_integer() else repr(edge) for edge in edges]
    labels: list[Level] = ["any number"]
    if shown:
        middle = [f"[{a}, {b})" for a, b in pairwise(shown)]
        labels = [f"<{shown[0]}", *middle, f">={shown[-1]}"]
    codes = np.full(numbers.size, len(labels), np.int32)
    codes[known] = np.searchsorted(np.array(edges), numbers[known], side="right")
    return (*labels, *([] if known.all() else [None])), codes


def _numbers(array: pa.Array) -> NDArray[np.float64] | None:
    """Read a column as numbers, NaN where missing; ``None`` where it is of something else."""
    import pyarrow as pa

    kind = array.type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    decimal = pa.types.is_decimal(kind)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or decimal or textual):
        return None
    try:
        cast = array.cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return None
    return np.asarray(cast.to_numpy(zero_copy_only=False), np.float64)


def _array(values: Any, name: str) -> pa.Array:
    import pyarrow as pa

    try:
        if isinstance(values, pa.Array):
            array = values
        elif isinstance(values, pa.ChunkedArray):
            array = values.combine_chunks()
        else:
            array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"feature {name!r} cannot be read ({error})",
                         valid="values of one type") from None  # fmt: skip
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        raise InputError(f"feature {name!r} is of type {array.type}",
                         valid="text, numbers, truth values or dates")  # fmt: skip
    return array if not pa.types.is_null(array.type) else array.cast(pa.string())


def _text(value: Any) -> str:
    """Write a value as :func:`auditor.stats.as_label` does; here none is missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
