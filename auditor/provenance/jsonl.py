"""JSON Lines as Arrow batches: one object a line, whoever wrote the file."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["jsonl_batches", "jsonl_records"]

_LINE = 64 << 20
_ROWS = 16_384
_SIZE = 32 << 20


def jsonl_records(path: Path, *, line_limit: int = _LINE) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line and its object; ``.gz`` is read as it lies.

    Blank lines are passed over. Memory is bounded by one line. Raises :class:`InputError` with file
    and line for what is no object, a key given twice, NaN and infinities (they are not JSON), text
    that is no UTF-8, nesting beyond Python's depth, a line above ``line_limit`` bytes and a damaged
    archive.
    """
    number = 0
    try:
        with _open(path) as file:
            while line := file.readline(line_limit + 1):
                number += 1
                if len(line) > line_limit:
                    raise _refused(path, number, f"a line of more than {line_limit:,} bytes")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, _object(line, path, number)
    except (OSError, EOFError, zlib.error) as error:
        raise _refused(path, number + 1, f"the file cannot be read: {error}") from None


def jsonl_batches(
    path: Path,
    *,
    columns: Sequence[str] = (),
    rows: int = _ROWS,
    line_limit: int = _LINE,
) -> Iterator[pa.RecordBatch]:
    """Yield the objects as Arrow batches, of types as the lines of each batch show them.

    A key that a line lacks is missing there. Batches may differ in types, which a declared schema
    brings together, and in columns, except for ``columns``, which every batch has. Raises
    :class:`InputError` as :func:`jsonl_records` does, for a key whose values have no common type,
    and for one of ``columns`` that no line has.
    """
    unseen = dict.fromkeys(columns)
    held: list[dict[str, Any]] = []
    size, first = 0, 1
    for number, record in jsonl_records(path, line_limit=line_limit):
        if not held:
            first = number
        held.append(record)
        if unseen:
            unseen = {name: None for name in unseen if name not in record}
        size += 64 * len(record) + _weight(record)
        if len(held) >= rows or size >= _SIZE:
            yield _batch(held, columns, path, first)
            held, size = [], 0
    if held:
        yield _batch(held, columns, path, first)
    if unseen:
        name = next(iter(unseen))
        raise InputError(f"no line has the key {name!r}", where=str(path))


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    return path.open("rb")


def _weight(record: dict[str, Any]) -> int:
    return sum(len(v) for v in record.values() if isinstance(v, (str, list)))


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        found = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise _refused(path, number, f"no UTF-8 at byte {error.start:,}") from None
    except json.JSONDecodeError as error:
        raise _refused(path, number, f"no JSON: {error.msg}, column {error.colno}") from None
    except RecursionError:
        raise _refused(path, number, "too deeply nested") from None
    except ValueError as error:
        raise _refused(path, number, f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _refused(path, number, f"no JSON object but {_kind(found)}")
    return found


def _batch(
    records: list[dict[str, Any]], columns: Sequence[str], path: Path, first: int
) -> pa.RecordBatch:
    import pyarrow as pa

    seen = dict.fromkeys(name for record in records for name in record)
    names = list(seen | dict.fromkeys(columns))
    arrays: list[pa.Array] = []
    for name in names:
        try:
            arrays.append(pa.array([record.get(name) for record in records]))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"the values of {name!r} have no common type: {reason}",
                where=f"{path}, from line {first:,} on",
            ) from None
    if not names:  # objects without a key are records all the same
        raise InputError("objects without a key", where=f"{path}, from line {first:,} on")
    try:
        return pa.RecordBatch.from_arrays(arrays, names=names)
    except UnicodeEncodeError:
        raise InputError(
            "a key that is no Unicode text", where=f"{path}, from line {first:,} on"
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")


def _refused(path: Path, number: int, what: str) -> InputError:
    return InputError(what, where=f"{path}:{number}", valid="one JSON object a line")
