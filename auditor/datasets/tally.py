"""How often each combination of values occurs: one pass over a table serves all who ask later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.datasets.table import Table

__all__ = [
    "MOST_CELLS",
    "Column",
    "Key",
    "Tally",
    "estimate_cells",
    "find_tally",
    "tallies",
    "tally",
]

MOST_CELLS = 1 << 18
"""Combinations that one pass may keep at a time."""

_SAMPLE = 1 << 14
_MOST_FOUND = 1 << 22
_MEMORY = "512MB"


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are grouped by.

    ``by`` is SQL over a row, left in the type that it has, because writing ten million values as
    text takes longer than counting them; ``written`` is SQL over a distinct value, which is ``{}``.
    """

    by: str
    written: str = "{}"

    def write(self, value: str) -> str:
        """Return the SQL that writes a distinct value."""
        return self.written.replace("{}", value)


@dataclass(frozen=True, slots=True)
class Column:
    """One key's values by combination: ``values[code]``; the last code is that of NULL."""

    codes: NDArray[np.int64]
    values: list[Any]

    @property
    def size(self) -> int:
        """The distinct values, and one for NULL."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Tally:
    """The distinct combinations of some keys, the rows of each, and sums over these rows."""

    columns: Mapping[Key, Column]
    counts: NDArray[np.int64]
    sums: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def distinct(self, key: Key) -> list[tuple[Any, int]]:
        """Return a key's values with their rows, NULL (as ``None``) last, if it occurs."""
        column = self.columns[key]
        rows = np.zeros(column.size, np.int64)
        np.add.at(rows, column.codes, self.counts)
        return [(v, n) for v, n in zip(column.values, rows.tolist(), strict=True) if n]


def find_tally(table: Table, keys: Iterable[Key]) -> Tally | None:
    """Return the smallest tally that was already made over these keys, among others."""
    wanted = set(keys)
    found = [t for t in table.tallies if wanted <= t.columns.keys()]
    return min(found, key=lambda t: t.counts.size, default=None)


def estimate_cells(table: Table, keys: Sequence[Key]) -> float:
    """Estimate from the first rows how many combinations of the keys occur.

    Chao's lower bound: what occurs in the sample, and f₁ (f₁ - 1) / 2 (f₂ + 1) more, where f₁
    combinations occur once and f₂ twice (Chao 1984, Scandinavian Journal of Statistics 11). A
    table whose order hides what follows is caught by the limits of :func:`tally`.
    """
    if not keys:
        return 1.0
    by = ", ".join(f"{key.by} as k{position}" for position, key in enumerate(keys))
    row = table.query(
        "select count(*) as cells, count(*) filter (n = 1) as one, count(*) filter (n = 2) as two "
        f"from (select count(*) as n from (select {by} from (select * from data limit {_SAMPLE})) "
        f"group by {', '.join(f'k{position}' for position in range(len(keys)))})"
    ).to_pylist()[0]
    return row["cells"] + row["one"] * (row["one"] - 1) / (2 * (row["two"] + 1))


def tally(
    table: Table,
    keys: Sequence[Key],
    *,
    sums: Mapping[str, str] | None = None,
    where: str | None = None,
    bounded: bool = True,
) -> Tally | None:
    """Count every combination of the keys in one pass; kept by the table where nothing is summed.

    ``sums`` maps names to SQL aggregates. ``None`` where there are so many combinations that the
    counts would approach the rows themselves, unless the pass is not ``bounded``.
    """
    select, group = _select(keys, sums or {}), ", ".join(key.by for key in keys)
    inner = f"select {select} from data" + (f" where {where}" if where else "")
    sql = _written(keys, sums or {}, inner + (f" group by {group}" if keys else ""))
    if bounded:
        found = table.bounded_query(f"{sql} limit {_MOST_FOUND + 1}", memory=_MEMORY)
        if found is None or found.num_rows > _MOST_FOUND:
            return None
    else:
        found = table.query(sql)
    made = _tally(found, keys, range(len(keys)), sums or {})
    if where is None and made.counts.size <= 4 * MOST_CELLS:
        table.keep(Tally(made.columns, made.counts), rows=int(made.counts.sum()))
    return made


def tallies(
    table: Table,
    sets: Sequence[Sequence[Key]],
    *,
    sums: Mapping[str, str] | None = None,
    where: str | None = None,
) -> Iterator[Tally]:
    """Count the combinations of several sets of keys in one pass, one tally a set, in order."""
    if len(sets) == 1:
        made = tally(table, sets[0], sums=sums, where=where, bounded=False)
        assert made is not None
        yield made
        return
    keys = list(dict.fromkeys(key for each in sets for key in each))
    by = ", ".join(key.by for key in keys)
    listed = ", ".join("(" + ", ".join(key.by for key in each) + ")" for each in sets)
    select = f"{_select(keys, sums or {})}, grouping({by}) as mask"
    inner = f"select {select} from data" + (f" where {where}" if where else "")
    found = table.query(
        _written(keys, sums or {}, f"{inner} group by grouping sets ({listed})", "mask")
    )
    import pyarrow.compute as pc

    for each in sets:
        # grouping() sets a bit for each key that is not in the set, the first one highest.
        mask = int("".join("10"[key in each] for key in keys), 2)
        positions = [keys.index(key) for key in each]
        part = found.filter(pc.equal(found["mask"], mask))  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownArgumentType]
        made = _tally(part, each, positions, sums or {})
        if where is None and made.counts.size <= MOST_CELLS:
            table.keep(Tally(made.columns, made.counts))
        yield made


def _select(keys: Sequence[Key], sums: Mapping[str, str]) -> str:
    parts = [f"{key.by} as k{position}" for position, key in enumerate(keys)]
    parts += [f"{sql} as s{position}" for position, sql in enumerate(sums.values())]
    return ", ".join([*parts, "count(*) as n"])


def _written(keys: Sequence[Key], sums: Mapping[str, str], inner: str, *more: str) -> str:
    parts = [f"{key.write(f'k{position}')} as k{position}" for position, key in enumerate(keys)]
    parts += [f"s{position}" for position in range(len(sums))]
    return f"select {', '.join([*parts, 'n', *more])} from ({inner})"


def _tally(
    found: pa.Table, keys: Sequence[Key], positions: Iterable[int], sums: Mapping[str, str]
) -> Tally:
    columns = {
        key: _column(found.column(f"k{position}"))
        for key, position in zip(keys, positions, strict=True)
    }
    summed = {name: _numbers(found.column(f"s{i}")) for i, name in enumerate(sums)}
    return Tally(columns, found.column("n").to_numpy().astype(np.int64, copy=False), summed)


def _column(values: pa.ChunkedArray) -> Column:
    coded = values.combine_chunks().dictionary_encode()
    if not hasattr(coded, "indices"):  # a chunked array of one chunk, or of none
        coded = coded.combine_chunks()
    distinct = coded.dictionary.to_pylist()
    codes = coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    return Column(codes.astype(np.int64), [*distinct, None])


def _numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_decimal(values.type):  # what DuckDB makes of the sum of integers
        values = values.cast(pa.int64() if values.type.scale == 0 else pa.float64())
    return values.to_numpy()
