"""Tables in files: CSV, JSON lines, plain text, Parquet, Arrow; alone, in folders, behind globs."""

from __future__ import annotations

import csv
import glob as globbing
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.datasets.lines import read_lines
from auditor.datasets.memory import VALID_FILES, column_names, open_arrow
from auditor.datasets.table import Table, connect, reason_of, string_sql
from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_files"]

_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "text", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
_COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_DELIMITERS = ",;\t|"
_KEPT_BYTES = 32 << 20


def open_files(source: str, name: str) -> Table:
    """Open a file, a folder of files or a glob; raises :class:`InputError`.

    Several files are one table: they have one format and the same columns, in any order.
    """
    files = _expand(source)
    kinds = {_kind(path) for path in files}
    if len(kinds) > 1:
        raise InputError(
            f"files of different formats ({', '.join(sorted(kinds))})", where=source,
            valid="one format",
        )  # fmt: skip
    for path in files:
        if path.stat().st_size == 0:
            raise InputError("the file is empty", where=str(path), valid="a header and rows")
    kind = kinds.pop()
    if kind == "arrow":
        return open_arrow(_read_arrow(files), name=name, files=files)
    if kind == "text":
        lines = read_lines([(path, _suffixes(path)[1]) for path in files])
        return open_arrow(lines, name=name, files=files)
    listed = [string_sql(_literal(path)) for path in files]
    rows = None
    if kind == "csv":
        headers = [_csv_header(path) for path in files]
        _same_columns(files, [names for names, _ in headers])
        reader = " union all by name ".join(
            f"select * from {_read_csv(path, *header)}"
            for path, header in zip(listed, headers, strict=True)
        )
    elif kind == "jsonl":
        reader = _read_jsonl(listed, files)
    else:
        footers = [_parquet_footer(path) for path in files]
        _same_columns(files, [names for names, _ in footers])
        rows = sum(number for _, number in footers)
        options = ", union_by_name=true" if len(files) > 1 else ""
        reader = f"select * from read_parquet([{', '.join(listed)}]{options})"
    import duckdb

    connection = connect()
    # Text is parsed anew by every query; a small file is parsed once and kept.
    small = kind in ("csv", "jsonl") and sum(path.stat().st_size for path in files) <= _KEPT_BYTES
    try:
        connection.execute(f"create {'table' if small else 'view'} data as {reader}")
    except duckdb.Error as error:
        raise InputError(f"the file cannot be read ({reason_of(error)})", where=name) from None
    return Table(connection, name=name, files=files, rows=rows)


def _expand(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and _suffixes(p)[0] in _SUFFIXES)
        if not files:
            raise InputError("no table in this folder", where=source, valid=VALID_FILES)
        return files
    if path.is_file():
        return [path]
    files = sorted(Path(p) for p in globbing.glob(str(path), recursive=True) if Path(p).is_file())
    if not files:
        raise InputError("no such file", where=source, valid=VALID_FILES)
    return files


def _suffixes(path: Path) -> tuple[str, str | None]:
    """Return the suffix of the format, and the compression around it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSED.get(suffixes[-1]) if suffixes else None
    if compression:
        suffixes.pop()
    return suffixes[-1] if suffixes else "", compression


def _kind(path: Path) -> str:
    suffix = _suffixes(path)[0]
    if suffix not in _SUFFIXES:
        what = f"unknown kind of file {suffix!r}" if suffix else "a file without a suffix"
        raise InputError(what, where=str(path), valid=VALID_FILES)
    return _SUFFIXES[suffix]


def _literal(path: Path) -> str:
    """Escape what DuckDB would take for a glob."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _csv_header(path: Path) -> tuple[list[str], str]:
    """Return the names in the first line, and the delimiter between them.

    The delimiter is the one that makes most columns. DuckDB's own detection also weighs the rows,
    and so takes a file with one short row for a file with one column.
    """
    import pyarrow as pa

    suffix, compression = _suffixes(path)
    found: dict[str, list[str]] = {}
    try:
        for delimiter in "\t" if suffix == ".tsv" else _DELIMITERS:
            stream = pa.input_stream(str(path), compression=compression)
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                found[delimiter] = next(csv.reader(text, delimiter=delimiter), [])
    except (OSError, UnicodeError, csv.Error, pa.ArrowException) as error:
        what = f"the file cannot be read ({str(error).splitlines()[0]})"
        raise InputError(what, where=str(path), valid="text in UTF-8") from None
    delimiter = max(found, key=lambda each: len(found[each]))
    if not any(found[delimiter]):
        raise InputError("the first line names no column", where=str(path),
                         valid="a header and rows")  # fmt: skip
    return column_names(found[delimiter], where=str(path)), delimiter


def _read_csv(path: str, names: Sequence[str], delimiter: str) -> str:
    columns = ", ".join(f"{string_sql(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv([{path}], auto_detect=false, header=true, columns={{{columns}}}, "
        f"delim={string_sql(delimiter)}, quote='\"', escape='\"', nullstr='')"
    )


def _read_jsonl(listed: Sequence[str], files: Sequence[Path]) -> str:
    """Return SQL that reads the keys of all objects as columns of text.

    Like the fields of a CSV, values are what is written there: a string as it is, anything else as
    its JSON. A key that an object lacks is missing, and so is ``null``.
    """
    import duckdb

    found: dict[str, None] = {}
    for path, file in zip(listed, files, strict=True):
        objects = f"select row_number() over () as r, json as j from read_ndjson_objects({path})"
        try:
            with connect() as connection:
                keys = connection.sql(
                    f"select k, min(r * 65536 + p) as place from (select r, unnest(json_keys(j)) "
                    f"as k, unnest(range(len(json_keys(j)))) as p from ({objects})) "
                    f"group by k order by place"
                ).fetchall()
                odd = connection.sql(
                    f"select min(r), count(*) from ({objects}) where json_type(j) <> 'OBJECT'"
                ).fetchall()
        except duckdb.Error as error:
            raise InputError(f"the file cannot be read ({reason_of(error)})", where=str(file),
                             valid="one JSON object a line") from None  # fmt: skip
        if odd[0][1]:
            raise InputError(
                f"{odd[0][1]:,} lines are JSON but no objects", where=f"{file}, line {odd[0][0]}",
                valid="one JSON object a line",
            )  # fmt: skip
        if not keys:
            raise InputError("no object has a key", where=str(file), valid="columns and rows")
        found |= dict.fromkeys(key for key, _ in keys)
    names = column_names(found, where=str(files[0]))
    columns = ", ".join(f"{string_sql(name)}: 'VARCHAR'" for name in names)
    return f"select * from read_ndjson([{', '.join(listed)}], columns={{{columns}}})"


def _parquet_footer(path: Path) -> tuple[list[str], int]:
    """Return the names of the columns and the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        footer = parquet.read_metadata(path)
        names = footer.schema.to_arrow_schema().names
    except (pa.ArrowException, OSError) as error:
        what = f"the file cannot be read ({str(error).splitlines()[0]})"
        raise InputError(what, where=str(path), valid="a whole Parquet file") from None
    return column_names(names, where=str(path)), footer.num_rows


def _same_columns(files: Sequence[Path], headers: Sequence[Sequence[str]]) -> None:
    for path, names in zip(files[1:], headers[1:], strict=True):
        odd = sorted(set(names) ^ set(headers[0]))
        if odd:
            one, other = (path, files[0]) if odd[0] in names else (files[0], path)
            raise InputError(
                f"column {odd[0]!r} is in {one.name} but not in {other.name}", where=str(path),
                valid="files with the same columns",
            )  # fmt: skip


def _read_arrow(files: Sequence[Path]) -> pa.Table:
    import pyarrow as pa

    tables: list[pa.Table] = []
    for path in files:
        try:
            table = _read_ipc(path)
        except (pa.ArrowException, OSError) as error:
            what = f"the file cannot be read ({str(error).splitlines()[0]})"
            raise InputError(what, where=str(path), valid="a whole Arrow file") from None
        tables.append(table.rename_columns(column_names(table.column_names, where=str(path))))
    _same_columns(files, [table.column_names for table in tables])
    try:
        return pa.concat_tables([table.select(tables[0].column_names) for table in tables])
    except pa.ArrowException as error:
        what = f"files whose columns differ in type ({str(error).splitlines()[0]})"
        raise InputError(what, where=str(files[0]), valid="one schema") from None


def _read_ipc(path: Path) -> pa.Table:
    import pyarrow as pa

    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:  # what some libraries write under the same suffix
        source.seek(0)
        return pa.ipc.open_stream(source).read_all()
