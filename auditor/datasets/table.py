"""Tables, scanned where they lie: data frames, Arrow tables, files, folders and globs."""

from __future__ import annotations

import glob as globbing
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["Table", "open_table", "quoted"]

_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_KEPT_BYTES = 32 << 20
_VALID = "a DataFrame, an Arrow table, or a path or glob of CSV, Parquet or Arrow files"


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


class Table:
    """A table with a name, columns and rows, behind DuckDB; nothing is copied until it is asked.

    Columns of text files are read as text, so that a value such as ``007`` stays as it is written.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, name: str, files: Sequence[Path] = ()
    ) -> None:
        self._connection = connection
        self.name = name
        self.files = tuple(files)
        described = self.query("describe data").to_pylist()
        self.types: dict[str, str] = {row["column_name"]: row["column_type"] for row in described}
        self.declared_levels: dict[str, tuple[str, ...]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    @cached_property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.query("select count(*) as n from data").to_pylist()[0]["n"])

    def query(self, sql: str) -> pa.Table:
        """Run a query over the view ``data``; an unreadable file raises :class:`InputError`."""
        import duckdb

        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            message = str(error).split("\n")[0].partition(": ")[2] or str(error)
            raise InputError(f"the table cannot be read ({message})", where=self.name) from None

    def scalar(self, sql: str) -> Any:
        """Run a query for one value."""
        return self.query(f"select ({sql}) as value").to_pylist()[0]["value"]

    def require(self, columns: Iterable[str], *, option: str | None = None) -> None:
        """Raise :class:`InputError` unless all these columns exist and the table has rows."""
        for column in columns:
            if column not in self.types:
                what = f"there is no column {column!r}"
                where = f"{self.name}, {option}" if option else self.name
                raise InputError(what, where=where, valid=nearest(column, self.columns))
        if self.rows == 0:
            raise InputError("the table has 0 rows", where=self.name, valid="at least one row")

    def text(self, column: str) -> str:
        """Return SQL that writes a column as text, missing values as NULL."""
        name = quoted(column)
        if self.types[column] in {"DOUBLE", "FLOAT"}:
            return f"case when isnan({name}) then null else cast({name} as varchar) end"
        return f"cast({name} as varchar)"

    def number(self, column: str) -> str:
        """Return SQL that reads a column as a number, missing values and NaN as NULL."""
        value = f"try_cast({quoted(column)} as double)"
        return f"case when isnan({value}) then null else {value} end"

    def require_numbers(self, column: str, *, option: str | None = None) -> None:
        """Raise :class:`InputError` where a value of the column is not a number."""
        text, number = self.text(column), self.number(column)
        bad = self.query(
            f"select {text} as v, count(*) over () as n from data "
            f"where {text} is not null and {number} is null "
            f"and lower(trim({text})) not in ('nan', '') limit 1"
        ).to_pylist()
        if bad:
            raise InputError(
                f"column {column!r} holds {bad[0]['v']!r} and other text in {bad[0]['n']:,} of "
                f"{self.rows:,} rows",
                where=f"{self.name}, {option}" if option else self.name,
                valid="numbers",
            )

    def row_hashes(self, columns: Sequence[str]) -> NDArray[np.uint64]:
        """Return the SHA-256 of every row over these columns, in order, shape ``[rows, 4]``.

        Fields are written as text with their length before them, so that no two different rows
        are the same string.
        """
        parts = ", ".join(
            f"coalesce(length({text}) || ':' || {text}, '-')"
            for text in (self.text(column) for column in columns)
        )
        table = self.query(f"select unhex(sha256(concat({parts}))) as h from data")
        blobs = b"".join(table.column("h").to_pylist())
        return np.frombuffer(blobs, np.uint64).reshape(-1, 4)


def open_table(source: Any, *, name: str | None = None) -> Table:
    """Open a table.

    Parameters
    ----------
    source:
        A pandas or polars DataFrame, an Arrow table, or a path: a CSV (``.csv``, ``.tsv``, also
        ``.gz``), Parquet or Arrow file, a folder of such files, or a glob.
    name:
        What messages call it; the path by default.

    Raises :class:`InputError` where it cannot be read.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, (str, Path)):
        return _open_files(str(source), name)
    return _open_memory(source, name or "the table")


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        }
    )


def _open_files(source: str, name: str | None) -> Table:
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
    connection = _connect()
    if kind == "arrow":
        return _register(connection, _read_arrow(files), name=name or source, files=files)
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    reader = (
        f"read_csv([{listed}], header=true, all_varchar=true, union_by_name=true)"
        if kind == "csv"
        else f"read_parquet([{listed}], union_by_name=true)"
    )
    import duckdb

    # Text is parsed anew by every query; a small file is parsed once and kept.
    small = kind == "csv" and sum(path.stat().st_size for path in files) <= _KEPT_BYTES
    try:
        connection.execute(f"create {'table' if small else 'view'} data as select * from {reader}")
    except duckdb.Error as error:
        message = str(error).split("\n")[0].partition(": ")[2] or str(error)
        raise InputError(f"the file cannot be read ({message})", where=name or source) from None
    return Table(connection, name=name or source, files=files)


def _expand(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and _suffix(p) in _SUFFIXES)
        if not files:
            raise InputError("no table in this folder", where=source, valid=_VALID)
        return files
    if path.is_file():
        return [path]
    files = sorted(Path(p) for p in globbing.glob(str(path), recursive=True) if Path(p).is_file())
    if not files:
        raise InputError("no such file", where=source, valid=_VALID)
    return files


def _suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in {".gz", ".zst", ".bz2"}:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _kind(path: Path) -> str:
    suffix = _suffix(path)
    if suffix not in _SUFFIXES:
        raise InputError(
            f"unknown kind of file {suffix or 'without a suffix'!r}", where=str(path), valid=_VALID
        )
    return _SUFFIXES[suffix]


def _read_arrow(files: Sequence[Path]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.feather as feather

    try:
        return pa.concat_tables([feather.read_table(str(path)) for path in files])
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"the file cannot be read ({str(error).splitlines()[0]})", where=str(files[0])
        ) from None


def _open_memory(source: Any, name: str) -> Table:
    import pyarrow as pa

    if isinstance(source, pa.Table):
        table = source
    elif hasattr(source, "to_arrow"):  # polars
        table = source.to_arrow()
    elif type(source).__module__.startswith("pandas"):
        repeated = [str(c) for c, twice in zip(source.columns, source.columns.duplicated(),
                                               strict=True) if twice]  # fmt: skip
        if repeated:
            raise InputError(f"column {repeated[0]!r} occurs twice", where=name)
        try:
            table = pa.Table.from_pandas(
                source.rename(columns=str), preserve_index=False, nthreads=1
            )
        except pa.ArrowException as error:
            raise InputError(
                f"a column mixes types ({str(error).splitlines()[0]})", where=name
            ) from None
    else:
        raise InputError(f"{type(source).__name__} is not a table", where=name, valid=_VALID)
    return _register(_connect(), table, name=name)


def _register(
    connection: duckdb.DuckDBPyConnection,
    arrow: pa.Table,
    *,
    name: str,
    files: Sequence[Path] = (),
) -> Table:
    import pyarrow as pa

    if not arrow.num_columns:
        raise InputError("the table has no columns", where=name)
    levels: dict[str, tuple[str, ...]] = {}
    for position, column in enumerate(arrow.schema):
        if pa.types.is_dictionary(column.type):
            # Declared categories stay declared, also the ones without a record.
            chunked = arrow.column(position).unify_dictionaries()
            if chunked.num_chunks:
                dictionary = chunked.chunk(0).dictionary.cast(pa.string()).to_pylist()
                levels[column.name] = tuple(v for v in dictionary if v is not None)
            arrow = arrow.set_column(position, column.name, chunked.cast(column.type.value_type))
    connection.register("data", arrow)
    table = Table(connection, name=name, files=files)
    table.declared_levels = levels
    return table
