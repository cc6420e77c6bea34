"""The canonical bytes of a record, from which every record digest is taken.

A record under a schema (columns ``c1 … ck`` of logical types, see
:func:`auditor.provenance.record_schema.logical_schema`) is encoded as its *slots*, in the order of
the columns, followed by its *tails*, in the same order. All numbers are little-endian. A slot
begins with one byte: ``0`` for a missing value, whose other slot bytes are zero and whose tail is
empty, and otherwise as follows.

=================== ============ ==================================================================
logical type        slot bytes   content
=================== ============ ==================================================================
null                1            ``0``
bool                1 + 1        ``1``, then 0 or 1
int                 1 + 8        ``1`` and a signed 64-bit number; from 2^63 on ``2`` and unsigned
float               1 + 8        ``1`` and IEEE 754 binary64; narrower floats are widened, ``-0.0``
                                 is ``0.0``, and every NaN is ``0x7ff8000000000000``
decimal             1 + 32       ``1`` and the unscaled number, signed, 256 bits
string, binary      1 + 4        ``1`` and the number of bytes; the tail holds them (UTF-8)
date                1 + 4        ``1`` and the days since 1970-01-01, signed
time                1 + 8        ``1`` and the nanoseconds since midnight
timestamp, instant, 1 + 8 + 4    ``1``, the seconds (signed, rounded down; since
duration                         1970-01-01T00:00:00, in UTC for an instant) and the nanoseconds
list                1 + 4        ``1`` and the number of elements; the tail holds, for each one,
                                 its slot and its tail
struct              1 + fields   ``1`` and the slots of the fields; their tails in order. Of a
                                 missing struct every field is missing
=================== ============ ==================================================================

The encoding is injective: a schema fixes the width of the slots, and they say how long each tail
is. So ``("1", "23")`` differs from ``("12", "3")``, and a missing value from an empty one. Equal
numbers are equal records: hence one zero and one NaN, as their bits do not survive a text file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["encode_records"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def encode_records(batch: pa.RecordBatch, prefix: bytes = b"") -> pa.Array:
    """Return the canonical bytes of every row, as an Arrow array of (large) binary.

    ``batch`` has plain types only, see :func:`auditor.provenance.record_casts.cast_batch`;
    ``prefix`` is put before every row.

    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"a": pa.array([True, None]), "b": ["x", ""]})
    >>> [row.as_py().hex() for row in encode_records(batch)]
    ['0101010100000078', '00000100000000']
    """
    rows = len(batch)
    slots: list[tuple[Any, NDArray[Any]]] = []
    if prefix:
        slots.append(((np.void, len(prefix)), np.full(rows, np.void(prefix))))
    tails: list[pa.Array] = []
    for column in batch.columns:
        found, tail = _encode(column)
        slots += found
        tails += tail
    return _joined(slots, tails, rows)


def _joined(slots: list[tuple[Any, NDArray[Any]]], tails: list[pa.Array], rows: int) -> pa.Array:
    import pyarrow as pa
    from pyarrow.compute import call_function

    layout = np.dtype([(f"s{index}", kind) for index, (kind, _) in enumerate(slots)])
    fixed = np.empty(rows, layout)
    for index, (_, values) in enumerate(slots):
        fixed[f"s{index}"] = values
    offsets = np.arange(rows + 1, dtype=np.int64) * layout.itemsize
    head = _binary(offsets, pa.py_buffer(fixed))
    if not tails:
        return head
    return call_function(
        "binary_join_element_wise", [head, *tails, pa.scalar(b"", pa.large_binary())]
    )


def _binary(offsets: NDArray[np.int64], data: pa.Buffer) -> pa.Array:
    import pyarrow as pa

    return pa.Array.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), data]
    )


def _encode(column: pa.Array) -> tuple[list[tuple[Any, NDArray[Any]]], list[pa.Array]]:
    """Return the slots of a column, as pairs of NumPy type and values, and its tails."""
    import pyarrow.types as of

    kind = column.type
    if of.is_null(kind):
        return [("u1", np.zeros(len(column), np.uint8))], []
    valid = _valid(column)
    if of.is_struct(kind):
        return _encode_struct(column, valid)
    if of.is_list(kind):
        return _encode_list(column, valid)
    if of.is_string(kind) or of.is_binary(kind):
        return _encode_bytes(column, valid)
    return [("u1", valid), *_encode_number(column, valid)], []


def _valid(column: pa.Array) -> NDArray[np.uint8]:
    if column.null_count == 0:
        return np.ones(len(column), np.uint8)
    return column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)


def _encode_number(column: pa.Array, valid: NDArray[np.uint8]) -> list[tuple[Any, NDArray[Any]]]:
    import pyarrow as pa
    import pyarrow.types as of

    kind = column.type
    if of.is_boolean(kind):
        return [("u1", _filled(column.cast(pa.uint8())))]
    if of.is_uint64(kind):
        values = _filled(column)
        valid[:] += valid * (values >> np.uint64(63)).astype(np.uint8)
        return [("<u8", values)]
    if of.is_integer(kind):
        return [("<i8", _filled(column))]
    if of.is_floating(kind):
        floats = _filled(column.cast(pa.float64())) + 0.0  # the sum makes -0.0 0.0
        return [("<u8", np.where(np.isnan(floats), np.uint64(0x7FF8 << 48), floats.view("u8")))]
    if of.is_decimal(kind):
        return [((np.void, 32), _unscaled(column, valid))]
    if of.is_date(kind):
        return [("<i4", _filled(column.view(pa.int32())))]
    if of.is_time(kind):
        ticks = _filled(column.view(pa.int32() if of.is_time32(kind) else pa.int64()))
        return [("<i8", ticks.astype(np.int64) * (10**9 // _PER_SECOND[kind.unit]))]
    per_second = _PER_SECOND[kind.unit]
    seconds, rest = np.divmod(_filled(column.view(pa.int64())), per_second)
    return [("<i8", seconds), ("<u4", rest * (10**9 // per_second))]


def _filled(column: pa.Array) -> NDArray[Any]:
    """Return the values as NumPy has them, with zeros where they are missing."""
    if column.null_count:
        column = column.fill_null(0)
    return column.to_numpy(zero_copy_only=False)


def _unscaled(column: pa.Array, valid: NDArray[np.uint8]) -> NDArray[Any]:
    width = column.type.byte_width
    start = column.offset * width
    data = column.buffers()[1]
    own = np.frombuffer(data, np.uint8)[start : start + len(column) * width].reshape(-1, width)
    wide = np.empty((len(own), 32), np.uint8)
    wide[:, :width] = own
    wide[:, width:] = (own[:, -1:] >> 7) * np.uint8(255)  # the sign goes on
    wide *= valid[:, None]
    return wide.view((np.void, 32)).ravel()


def _encode_bytes(
    column: pa.Array, valid: NDArray[np.uint8]
) -> tuple[list[tuple[Any, NDArray[Any]]], list[pa.Array]]:
    import pyarrow as pa
    from pyarrow.compute import call_function

    tail = column.cast(pa.large_binary())
    if column.null_count:
        tail = tail.fill_null(b"")
    return [("u1", valid), ("<u4", _filled(call_function("binary_length", [tail])))], [tail]


def _encode_list(
    column: pa.Array, valid: NDArray[np.uint8]
) -> tuple[list[tuple[Any, NDArray[Any]]], list[pa.Array]]:
    import pyarrow as pa
    from pyarrow.compute import call_function

    lengths = _filled(call_function("list_value_length", [column])).astype(np.int64)
    if len(lengths) and int(lengths.max()) >= 2**32:
        raise InputError("a list of more than 2^32 elements")
    values = column.flatten()  # leaves out what lies under a missing list
    slots, tails = _encode(values)
    elements = _joined(slots, tails, len(values))
    ends = np.concatenate([[0], np.cumsum(lengths)])
    starts = np.frombuffer(elements.buffers()[1], np.int64)
    starts = starts[elements.offset : elements.offset + len(elements) + 1]
    if not len(starts):
        starts = np.zeros(1, np.int64)
    data = elements.buffers()[2] or pa.py_buffer(b"")
    tail = _binary(np.ascontiguousarray(starts[ends]), data)
    return [("u1", valid), ("<u4", lengths)], [tail]


def _encode_struct(
    column: pa.Array, valid: NDArray[np.uint8]
) -> tuple[list[tuple[Any, NDArray[Any]]], list[pa.Array]]:
    slots: list[tuple[Any, NDArray[Any]]] = [("u1", valid)]
    tails: list[pa.Array] = []
    for field in column.flatten():  # with the struct's own missing values in every field
        found, tail = _encode(field)
        slots += found
        tails += tail
    return slots, tails
