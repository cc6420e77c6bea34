"""A table behind DuckDB: its name, its columns and what SQL reads of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from auditor.datasets.tally import Tally

__all__ = ["Profile", "Table", "connect", "number_sql", "quoted", "reason_of", "string_sql"]

_NUMERIC = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
    "UBIGINT", "UHUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN",
}  # fmt: skip
_REASONS = ("Expected Number", "Invalid unicode", "Value with", "Maximum line")


def quoted(name: str) -> str:
    """Quote an identifier for SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def string_sql(value: str) -> str:
    """Write a string as an SQL literal.

    >>> string_sql("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def number_sql(value: float) -> str:
    """Write a number as an SQL double; a bare ``0.1`` would be a decimal, and rounded twice."""
    return f"cast('{float(value)!r}' as double)"


def reason_of(error: Exception) -> str:
    """Return the reason of a DuckDB error in one line, without the data that it quotes.

    >>> reason_of(ValueError("IO Error: gone\\nOriginal Line: secret"))
    'gone'
    """
    first, *more = str(error).splitlines() or [type(error).__name__]
    said = [first.partition(": ")[2] or first]
    said += [line.strip() for line in more if line.startswith(_REASONS)][:1]
    return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Profile:
    """What one pass tells of a column of numbers; the bounds are those of the finite values."""

    low: float | None
    high: float | None
    known: int
    infinite: int
    other: int

    @staticmethod
    def sums(table: Table, column: str) -> dict[str, str]:
        """Return the SQL aggregates that a profile is made of."""
        number = table.number(column)
        other = "0"
        if not table.is_numeric(column):
            text = quoted(column)
            blank = f"lower(trim(cast({text} as varchar))) in ('nan', '')"
            other = f"count(*) filter ({text} is not null and ({number}) is null and not {blank})"
        return {
            "low": f"min({number}) filter (isfinite({number}))",
            "high": f"max({number}) filter (isfinite({number}))",
            "known": f"count({number})",
            "infinite": f"count(*) filter (isinf({number}))",
            "other": other,
        }

    @classmethod
    def merged(cls, sums: Mapping[str, NDArray[Any]]) -> Profile:
        """Add up the aggregates of any parts of a column."""
        low, high = sums["low"].astype(np.float64), sums["high"].astype(np.float64)
        found = low[~np.isnan(low)]
        return cls(
            float(found.min()) if found.size else None,
            float(high[~np.isnan(high)].max()) if found.size else None,
            *(int(sums[name].sum()) for name in ("known", "infinite", "other")),
        )


class Table:
    """A table with a name, columns and rows, behind DuckDB; nothing is copied until it is asked.

    Columns of text files are read as text, so that a value such as ``007`` stays as it is written.
    ``declared_levels`` holds the categories of categorical columns, the ones without a record too.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        name: str,
        files: Sequence[Path] = (),
        declared_levels: Mapping[str, tuple[str, ...]] | None = None,
        rows: int | None = None,
    ) -> None:
        self._connection = connection
        self.name = name
        self.files = tuple(files)
        described = self.query("describe data").to_pylist()
        self.types: dict[str, str] = {row["column_name"]: row["column_type"] for row in described}
        self.declared_levels: dict[str, tuple[str, ...]] = dict(declared_levels or {})
        self._rows = rows
        self.tallies: list[Tally] = []
        self.profiles: dict[str, Profile] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    @property
    def rows(self) -> int:
        """The number of rows."""
        if self._rows is None:
            self._rows = int(self.query("select count(*) as n from data").to_pylist()[0]["n"])
        return self._rows

    def keep(self, tally: Tally, *, rows: int | None = None) -> None:
        """Keep counts for those who ask later, and the number of rows where they tell it."""
        self.tallies.append(tally)
        self._rows = self._rows if rows is None else rows

    @cached_property
    def _empty(self) -> bool:
        if self._rows is not None:
            return self._rows == 0
        # To count the rows of a text file is to parse it.
        return not self.query("select 1 from data limit 1").num_rows

    def query(self, sql: str) -> pa.Table:
        """Run a query over the view ``data``; an unreadable file raises :class:`InputError`."""
        import duckdb

        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            what = f"the table cannot be read ({reason_of(error)})"
            raise InputError(what, where=self.name) from None

    def bounded_query(self, sql: str, *, memory: str) -> pa.Table | None:
        """Run a query that may take so much memory (``512MB``); ``None`` where it takes more."""
        import duckdb

        try:
            self._connection.execute(f"set memory_limit = {string_sql(memory)}")
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.OutOfMemoryException:
            return None
        except duckdb.Error as error:
            what = f"the table cannot be read ({reason_of(error)})"
            raise InputError(what, where=self.name) from None
        finally:
            self._connection.execute("reset memory_limit")

    def batches(self, sql: str, *, rows: int = 1 << 18) -> Iterator[pa.RecordBatch]:
        """Stream a query over the view ``data``; memory is that of one batch of rows.

        Rows come in no stated order. An unreadable file raises :class:`InputError`.
        """
        import duckdb

        try:
            yield from self._connection.sql(sql).to_arrow_reader(rows)
        except duckdb.Error as error:
            what = f"the table cannot be read ({reason_of(error)})"
            raise InputError(what, where=self.name) from None

    def scalar(self, sql: str) -> Any:
        """Run a query for one value."""
        return self.query(f"select ({sql}) as value").to_pylist()[0]["value"]

    def place(self, option: str | None = None) -> str:
        """Name this table, and the option that speaks of it, for a message."""
        return f"{self.name}, {option}" if option else self.name

    def require(self, columns: Iterable[str], *, option: str | None = None) -> None:
        """Raise :class:`InputError` unless all these columns exist and the table has rows."""
        for column in columns:
            self._known(column, option)
        if self._empty:
            raise InputError("the table has 0 rows", where=self.name, valid="at least one row")

    def text(self, column: str) -> str:
        """Return SQL that writes a column as text, missing values as NULL.

        Raises :class:`InputError` where there is no such column.
        """
        name = quoted(self._known(column))
        if self.types[column] in {"DOUBLE", "FLOAT"}:
            return f"case when isnan({name}) then null else cast({name} as varchar) end"
        return f"cast({name} as varchar)"

    def number(self, column: str) -> str:
        """Return SQL that reads a column as a number, missing values and NaN as NULL.

        Raises :class:`InputError` where there is no such column.
        """
        name = quoted(self._known(column))
        value = name if self.types[column] == "DOUBLE" else f"try_cast({name} as double)"
        if self.is_numeric(column) and self.types[column] not in {"DOUBLE", "FLOAT"}:
            return value
        return f"case when isnan({value}) then null else {value} end"

    def require_numbers(self, column: str, *, option: str | None = None) -> None:
        """Raise :class:`InputError` where a value of the column is not a number."""
        self._known(column, option)
        if self.is_numeric(column) or (column in self.profiles and not self.profiles[column].other):
            return
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
                where=self.place(option),
                valid="numbers",
            )

    def is_numeric(self, column: str) -> bool:
        """Whether the type of a column admits numbers only."""
        return self.types[column].partition("(")[0] in _NUMERIC

    def profile(self, column: str) -> Profile:
        """Return the bounds and the numbers of known, infinite and other values of a column."""
        if column not in self.profiles:
            sums = Profile.sums(self, self._known(column))
            listed = ", ".join(f"{sql} as {name}" for name, sql in sums.items())
            found = self.query(f"select {listed} from data")
            self.profiles[column] = Profile.merged(
                {name: found.column(name).to_numpy() for name in sums}
            )
        return self.profiles[column]

    def row_hashes(self, columns: Sequence[str]) -> NDArray[np.uint64]:
        """Return the SHA-256 of every row over these columns, in order, shape ``[rows, 4]``.

        Fields are written as text with their length before them, so that no two different rows
        are the same string. A whole number is written alike in a column of integers and of floats:
        one missing value makes floats of a frame's integers, and must not hide its equal rows.
        """
        parts = list(self.row_hash_batches(columns))
        return np.concatenate(parts) if parts else np.zeros((0, 4), np.uint64)

    def row_hash_batches(self, columns: Sequence[str]) -> Iterator[NDArray[np.uint64]]:
        """Yield what :meth:`row_hashes` returns, some rows at a time."""
        import pyarrow as pa

        texts = [self._content(column) for column in columns]
        parts = ["''", *(f"coalesce(length({text}) || ':' || {text}, '-')" for text in texts)]
        sql = f"select unhex(sha256(concat({', '.join(parts)}))) as h from data"
        for batch in self.batches(sql):
            blobs = batch.column("h").cast(pa.binary(32))
            start = 32 * blobs.offset
            data = blobs.buffers()[1].to_pybytes()[start : start + 32 * len(blobs)]
            yield np.frombuffer(data, np.uint64).reshape(-1, 4)

    def contents(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, every field as the text that :meth:`row_hashes` hashes."""
        listed = ", ".join(f"{self._content(c)} as {quoted(c)}" for c in self.columns)
        yield from self.batches(f"select {listed} from data")

    def records(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, in the types that the table has."""
        yield from self.batches("select * from data")

    def _content(self, column: str) -> str:
        text = self.text(column)
        if self.types[column] not in {"DOUBLE", "FLOAT"}:
            return text
        name = quoted(column)
        whole = f"{name} = floor({name}) and abs({name}) < 9007199254740992"
        return f"case when {whole} then cast(cast({name} as bigint) as varchar) else {text} end"

    def _known(self, column: str, option: str | None = None) -> str:
        if column not in self.types:
            raise InputError(
                f"there is no column {column!r}",
                where=self.place(option),
                valid=nearest(column, self.columns),
            )
        return column


def connect() -> duckdb.DuckDBPyConnection:
    """Open a database in memory that loads no extension and spills no data to a disk."""
    import duckdb

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "temp_directory": "",
        }
    )
    # The bar would be drawn on stdout. In a notebook without ipywidgets it is off, and DuckDB
    # refuses to set it at all.
    setting = connection.sql("select current_setting('enable_progress_bar')").fetchall()
    if setting != [(False,)]:
        connection.execute("set enable_progress_bar = false")
    return connection
