"""Records cast to a declared schema, where nothing may be lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest
from auditor.provenance.record_schema import is_listlike, plain_type, type_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cast_batch"]


def cast_batch(
    batch: pa.RecordBatch, schema: pa.Schema, *, where: str = "the records", first: int = 0
) -> pa.RecordBatch:
    """Return the batch with the columns, order and types of a declared schema.

    Columns are found by name. Texts are parsed (a whole number may be written ``7.0``), a number
    changes its width, a time its unit; every value must survive. Raises :class:`InputError` that
    names the column and the number of rows where it would not, or a column that is absent or not
    declared. ``first`` is the number of rows before this batch.
    """
    import pyarrow as pa

    names = batch.schema.names
    for name in schema.names:
        if names.count(name) != 1:
            raise InputError(
                f"there is no column {name!r}" if name not in names
                else f"column {name!r} is there more than once",
                where=where, valid=nearest(name, names),
            )  # fmt: skip
    if others := [name for name in names if name not in schema.names]:
        raise InputError(
            f"column {others[0]!r} is not in the declared schema", where=where,
            valid="declare it, or leave it out of the records",
        )  # fmt: skip
    columns: list[pa.Array] = []
    for field in schema:
        column = batch.column(names.index(field.name))
        try:
            columns.append(_cast(column, field.type))
        except _LossError as loss:
            raise InputError(
                f"column {field.name!r} of {loss.kind} cannot be {type_text(field.type)} without "
                f"loss in {loss.rows:,} of {len(batch):,} rows from row {first + 1:,} on"
                + (f" ({loss.reason})" if loss.reason else ""),
                where=where,
            ) from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _LossError(Exception):
    def __init__(self, kind: Any, rows: int, reason: str = "") -> None:
        super().__init__(reason)
        self.kind, self.rows, self.reason = kind, rows, reason


def _cast(column: pa.Array, target: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as of

    column = _plain(column)
    source = column.type
    if source == target:
        if of.is_string(target):
            _refuse(column, _invalid_utf8(column), "no UTF-8")
        if not (of.is_nested(target)):
            return column
    if of.is_null(source):
        return pa.nulls(len(column), target)
    if of.is_list(source) and of.is_list(target):
        return _cast_list(column, target)
    if of.is_struct(source) and of.is_struct(target):
        return _cast_struct(column, target)
    if reason := _forbidden(source, target):
        raise _LossError(source, len(column) - column.null_count, reason)
    if of.is_string(source) and of.is_integer(target):
        column = _whole(column)
    found = _attempt(column, target)
    _refuse(column, _changed(column, found), "")
    return found


def _plain(column: pa.Array) -> pa.Array:
    """Decode dictionaries and extensions and narrow containers, at every depth."""
    import pyarrow as pa
    import pyarrow.types as of
    from pyarrow.compute import call_function

    while isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if of.is_run_end_encoded(kind):
        return _plain(call_function("run_end_decode", [column]))
    if of.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if of.is_map(kind) or (is_listlike(kind) and not of.is_list(kind)):
        return _relisted(column)
    if of.is_date64(kind):
        return column.cast(pa.timestamp("ms"))  # a date only where it is a midnight
    if of.is_list(kind) or of.is_struct(kind) or of.is_timestamp(kind):
        return column
    plain = plain_type(kind, "a column")
    large = of.is_large_string(kind) or of.is_large_binary(kind)
    if large and column.nbytes >= 2**31:
        raise InputError("more than 2 GiB of text in one batch", valid="smaller batches")
    return column if kind == plain else column.cast(plain)


def _relisted(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as of
    from pyarrow.compute import call_function

    kind = column.type
    if of.is_map(kind):
        if column.offset:  # its keys and values are those of the whole array
            column = column.take(pa.array(np.arange(len(column))))
        entries = pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
        return pa.ListArray.from_buffers(
            pa.list_(entries.type), len(column), column.buffers()[:2], column.null_count,
            children=[entries],
        )  # fmt: skip
    return _list_of(column, column.flatten(), call_function("list_value_length", [column]))


def _list_of(column: pa.Array, values: pa.Array, lengths: pa.Array) -> pa.Array:
    import pyarrow as pa

    sizes = lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    if ends[-1] >= 2**31:
        raise InputError("more than 2^31 list elements in one batch", valid="smaller batches")
    mask = column.is_null() if column.null_count else None
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), values, mask=mask)


def _cast_list(column: pa.Array, target: pa.DataType) -> pa.Array:
    from pyarrow.compute import call_function

    values = _cast(column.flatten(), target.value_type)
    return _list_of(column, values, call_function("list_value_length", [column])).cast(target)


def _cast_struct(column: pa.Array, target: pa.DataType) -> pa.Array:
    import pyarrow as pa

    names = [field.name for field in column.type]
    wanted = [field.name for field in target]
    if unknown := [name for name in names if name not in wanted]:
        raise _LossError(column.type, len(column), f"field {unknown[0]!r} is not declared")
    parts = column.flatten()
    children = [
        _cast(parts[names.index(f.name)], f.type) if f.name in names
        else pa.nulls(len(column), f.type)
        for f in target
    ]  # fmt: skip
    mask = column.is_null() if column.null_count else None
    if not children:
        return column
    return pa.StructArray.from_arrays(children, fields=list(target), mask=mask)


def _forbidden(source: pa.DataType, target: pa.DataType) -> str:
    """Return why values of one type never become another, or nothing."""
    import pyarrow.types as of

    if of.is_timestamp(source) and of.is_timestamp(target):
        if (source.tz is None) != (target.tz is None):
            return "an instant and a time without a zone are not the same"
        return ""
    number = (of.is_integer, of.is_floating, of.is_decimal, of.is_boolean)
    pairs: tuple[tuple[Any, tuple[Any, ...]], ...] = (
        (of.is_string, (of.is_string, of.is_binary, *number, of.is_date, of.is_time,
                        of.is_timestamp)),
        (of.is_binary, (of.is_string, of.is_binary)),
        (of.is_boolean, (of.is_boolean, of.is_integer)),
        (of.is_integer, (*number, of.is_string)),
        (of.is_floating, number),
        (of.is_decimal, (of.is_decimal, of.is_integer, of.is_floating)),
        (of.is_date, (of.is_date, of.is_timestamp, of.is_string)),
        (of.is_timestamp, (of.is_date,)),
        (of.is_time, (of.is_time,)),
        (of.is_duration, (of.is_duration,)),
    )  # fmt: skip
    for given, wanted in pairs:
        if given(source):
            return "" if any(one(target) for one in wanted) else "no rule for these types"
    return "no rule for these types"


def _attempt(column: pa.Array, target: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as of
    from pyarrow.compute import call_function

    def cast(part: pa.Array) -> pa.Array:
        if of.is_string(part.type) and of.is_time(target):  # Arrow reads them in instants only
            moments = call_function("binary_join_element_wise", ["1970-01-01", part, "T"])
            return moments.cast(pa.timestamp("ns")).cast(pa.time64("ns")).cast(target)
        return part.cast(target)

    try:
        return cast(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        rows = _failing(column, cast)
        reason = str(error).splitlines()[0]
        known = isinstance(error, pa.ArrowInvalid)
        raise _LossError(column.type, rows, "" if known else reason) from None


def _failing(column: pa.Array, cast: Callable[[pa.Array], pa.Array]) -> int:
    """Count the values that a cast refuses, by halves."""
    import pyarrow as pa

    try:
        cast(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(column) == 1:
            return 1
        half = len(column) // 2
        return _failing(column.slice(0, half), cast) + _failing(column.slice(half), cast)
    return 0


def _changed(column: pa.Array, found: pa.Array) -> NDArray[np.bool_]:
    """Mark the values that are no longer the same after a cast that Arrow takes for safe."""
    import pyarrow as pa
    import pyarrow.types as of
    from pyarrow.compute import call_function

    source, target = column.type, found.type
    inexact = (
        of.is_floating(source) or of.is_boolean(target)
        or (of.is_decimal(source) and of.is_floating(target))
        or (of.is_timestamp(source) and of.is_date(target))
    )  # fmt: skip
    if of.is_string(source) or not inexact:
        return np.zeros(len(column), bool)
    try:
        back = found.cast(source)
    except pa.ArrowInvalid:
        back = found.cast(source, safe=False)
    differs = call_function("not_equal", [back, column])
    if of.is_floating(source):  # NaN differs from itself, and becomes NaN
        both = call_function("and", [call_function("is_nan", [column]), _nan(found)])
        differs = call_function("and_not", [differs, both])
    return differs.fill_null(False).to_numpy(zero_copy_only=False)


def _nan(found: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as of
    from pyarrow.compute import call_function

    if of.is_floating(found.type):
        return call_function("is_nan", [found])
    return pa.array(np.zeros(len(found), bool))


def _whole(column: pa.Array) -> pa.Array:
    """Write whole numbers without their ``.0``, which a missing value brings into a text file."""
    from pyarrow.compute import ReplaceSubstringOptions, call_function

    options = ReplaceSubstringOptions(r"^([+-]?[0-9]+)\.0*$", r"\1")
    return call_function("replace_substring_regex", [column], options)


def _invalid_utf8(column: pa.Array) -> NDArray[np.bool_]:
    import pyarrow as pa

    def text(part: pa.Array) -> pa.Array:
        return part.cast(pa.string())

    marked = np.zeros(len(column), bool)
    marked[: _failing(column.view(pa.binary()), text)] = True  # how many, not which
    return marked


def _refuse(column: pa.Array, marked: NDArray[np.bool_], reason: str) -> None:
    if rows := int(marked.sum()):
        raise _LossError(column.type, rows, reason)
