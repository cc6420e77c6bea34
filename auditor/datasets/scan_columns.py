"""What the values of each column are like: distinct and most frequent ones, and equal columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from auditor.datasets.table import Table, quoted
from auditor.metrics.feature_quality import COLUMN_VALUES, EQUAL_COLUMNS
from auditor.stats import Groups, SliceTable

__all__ = ["scan_column_values", "scan_equal_columns"]

_MOST_VALUES = 200_000
_MOST_ALIKE = 20
_EVERYBODY = Groups.declare(())


def scan_column_values(table: Table, columns: Sequence[str], *, split: str) -> list[SliceTable]:
    """Count the known, distinct and most frequent values of each column.

    Memory grows with the distinct values. Where there are more than about 200,000, one in so
    many of them is drawn by its hash, with all its records; the context says ``one_in``.
    """
    listed = ", ".join(
        f"approx_count_distinct({_value(table, c)}) as d{i}, count({_value(table, c)}) as n{i}"
        for i, c in enumerate(columns)
    )
    about = table.query(f"select {listed} from data").to_pylist()[0]
    return [_scan_column(table, column, about[f"n{i}"], about[f"d{i}"], split)
            for i, column in enumerate(columns)]  # fmt: skip


def _scan_column(table: Table, column: str, known: int, about: int, split: str) -> SliceTable:
    one_in = max(1, math.ceil(about / _MOST_VALUES))
    value = _value(table, column)
    drawn = f"where ({value}) is not null"
    if one_in > 1:
        drawn += f" and hash({value}) % {one_in} = 0"
    row = table.query(
        "select count(*) as d, coalesce(sum(n), 0) as n, coalesce(sum(n * n), 0) as s, "
        f"coalesce(max(n), 0) as m from "
        f"(select count(*)::double as n from data {drawn} group by {value})"
    ).to_pylist()[0]
    modal = row["m"]
    if one_in > 1:  # the most frequent value need not be among those drawn
        top = f"list_contains((select approx_top_k({value}, 1) from data), {value})"
        modal = max(modal, table.scalar(f"select count(*) from data where {top}"))
    counts = SliceTable.zero(
        COLUMN_VALUES, _EVERYBODY, ("records", "known", "listed", "distinct", "squares", "modal"),
        sums=True, context={"column": column, "split": split, "one_in": one_in},
    )  # fmt: skip
    counts.values[0] = [table.rows, known, row["n"], row["d"], row["s"], modal]
    return counts


def scan_equal_columns(table: Table, counted: Sequence[SliceTable], *, split: str) -> SliceTable:
    """Count the columns that equal an earlier one, and the rows on which such pairs agree.

    ``counted`` is what :func:`scan_column_values` gave. Columns whose values occur as often as each
    other's are compared by a sum of hashes, which does not heed the order of the rows, and those
    that agree in it row by row. Numbers equal numbers, however they are stored. Of more than 20
    columns with one sum the first 20 are compared.
    """
    alike: dict[object, list[str]] = {}
    for item in counted:
        column = str(item.context["column"])
        key = (table.is_numeric(column), *item.values[0].tolist())
        alike.setdefault(key, []).append(column)
    alike = _hashed(table, [column for same in alike.values() if len(same) > 1 for column in same])
    pairs = [
        pair for same in alike.values() for pair in itertools.combinations(same[:_MOST_ALIKE], 2)
    ]
    agree: dict[str, int] = {}
    repeats: set[str] = set()
    if pairs:
        equal = ", ".join(
            f"count(*) filter (({_value(table, a)}) is not distinct from ({_value(table, b)})) "
            f"as p{i}"
            for i, (a, b) in enumerate(pairs)
        )
        found = table.query(f"select {equal} from data").to_pylist()[0]
        for i, (a, b) in enumerate(pairs):
            if found[f"p{i}"] == table.rows:
                agree[f"{a} = {b}"] = found[f"p{i}"]
                repeats.add(b)
    counts = SliceTable.zero(
        EQUAL_COLUMNS, _EVERYBODY, ("columns", "equal", "rows", *(f"agree:{p}" for p in agree)),
        context={"split": split, "pairs": list(agree)},
    )  # fmt: skip
    counts.values[0] = [len(counted), len(repeats), table.rows, *agree.values()]
    return counts


def _hashed(table: Table, columns: Sequence[str]) -> dict[object, list[str]]:
    """Put columns together that agree in the sum of the hashes of their values."""
    if not columns:
        return {}
    sums = ", ".join(
        f"sum(hash({_value(table, c)})::hugeint) filter (({_value(table, c)}) is not null)"
        f"::varchar as c{i}"
        for i, c in enumerate(columns)
    )
    row = table.query(f"select {sums} from data").to_pylist()[0]
    alike: dict[object, list[str]] = {}
    for i, column in enumerate(columns):
        alike.setdefault((table.is_numeric(column), row[f"c{i}"]), []).append(column)
    return alike


def _value(table: Table, column: str) -> str:
    """Return SQL of the value as it is compared; missing values, NaN too, as NULL."""
    if table.types[column] == "BOOLEAN":
        return quoted(column)
    return table.number(column) if table.is_numeric(column) else table.text(column)
