"""How the values of a column become labels, scores and groups, in SQL and as keys to count by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from auditor.datasets.table import Table, number_sql, quoted, string_sql
from auditor.datasets.tally import MOST_CELLS, Key, estimate_cells, find_tally, tally
from auditor.errors import InputError

__all__ = [
    "attribute_key",
    "attribute_sql",
    "bin_labels",
    "label_key",
    "label_sql",
    "labels_of",
    "score_sql",
    "threshold_key",
]

_MOST_SPELLINGS = 20


def attribute_key(table: Table, name: str, edges: Sequence[float] | None) -> Key:
    """Return the key that groups rows by the level of an attribute, written as text or NULL."""
    if edges is None:
        if table.types.get(name) in {"DOUBLE", "FLOAT"}:  # 0 and -0 are one value, but two texts
            return Key(table.text(name))
        table.require([name])
        return Key(quoted(name), "cast({} as varchar)")
    number = table.number(name)
    labels = bin_labels(edges)
    cases = " ".join(f"when ({number}) < {number_sql(e)} then {i}" for i, e in enumerate(edges))
    names = " ".join(f"when {i} then {string_sql(label)}" for i, label in enumerate(labels))
    return Key(
        f"case when ({number}) is null then null {cases} else {len(edges)} end",
        f"case {{}} {names} end",
    )


def label_key(table: Table, column: str) -> Key:
    """Return the key that groups rows by a label, written as text or NULL."""
    table.require([column])
    if table.types[column] in {"DOUBLE", "FLOAT"}:
        written = "case when isnan({}) then null else cast({} as varchar) end"
        return Key(quoted(column), written)
    return Key(quoted(column), "cast({} as varchar)")


def threshold_key(table: Table, score: str, threshold: float) -> Key:
    """Return the key of the prediction that a threshold makes of a score: 1, 0, 2 if missing."""
    number = table.number(score)
    return Key(
        f"case when ({number}) is null then 2 "
        f"when ({number}) >= {number_sql(threshold)} then 1 else 0 end"
    )


def labels_of(table: Table, column: str, positive: str | None) -> dict[str | None, int]:
    """Return what each value of a column stands for: 1, 0, or 2 for a missing label.

    Raises :class:`InputError` where there are more than two values, no value at all, or no way to
    know which of two is the positive one.
    """
    key = label_key(table, column)
    where = f"{table.name}, column {column!r}"
    made = find_tally(table, [key])
    if made is None and estimate_cells(table, [key]) <= MOST_CELLS:
        made = tally(table, [key])
    if made is None:
        raise InputError(_very_many(table, column), where=where,
                         valid="two values (make the column binary first)")  # fmt: skip
    found = sorted(
        ((v, n) for v, n in made.distinct(key) if v is not None), key=lambda row: (-row[1], row[0])
    )
    texts = [value for value, _ in found]
    values = [value for value in texts if value.strip().lower() not in {"nan", ""}]
    if len(found) > _MOST_SPELLINGS:  # nobody looks through so many for two that are meant
        raise InputError(_too_many(table, values), where=where,
                         valid="two values (make the column binary first)")  # fmt: skip
    if not values:
        raise InputError(f"all {table.rows:,} values are missing", where=where,
                         valid="two values, missing ones beside them")  # fmt: skip
    if positive is not None:
        positives = [value for value in values if _same(value, positive)]
        if not positives and len(values) > 1:
            raise InputError(f"the positive value {positive!r} does not occur", where=where,
                             valid="one of " + ", ".join(values[:6]))  # fmt: skip
        if len(set(values) - set(positives)) > 1:
            raise InputError(_too_many(table, values), where=where,
                             valid="two values (make the column binary first)")  # fmt: skip
    elif all(_is_one(value) is not None for value in values):
        positives = [value for value in values if _is_one(value)]
    elif len(values) > 2:
        raise InputError(
            _too_many(table, values), where=where,
            valid="0 and 1, two values with --positive, or --task multiclass",
        )  # fmt: skip
    else:
        raise InputError(
            f"which of {' and '.join(map(repr, values))} is the positive value is not said",
            where=where, valid=f"--positive {values[-1]}",
        )  # fmt: skip
    meant = {value: int(value in positives) for value in values}
    return {None: 2, **dict.fromkeys(texts, 2), **meant}


def label_sql(table: Table, column: str, positive: str | None) -> str:
    """Return SQL giving 1, 0, or 2 for a missing label; raises as :func:`labels_of` does."""
    name, kind = quoted(column), table.types.get(column)
    meant = labels_of(table, column, positive)
    by_label: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for value, label in meant.items():
        if value is not None:
            by_label[label].append(f"cast({string_sql(value)} as {kind})")
    missing = [f"{name} is null", *([f"isnan({name})"] if kind in {"DOUBLE", "FLOAT"} else [])]
    if by_label[2]:
        missing.append(f"{name} in ({', '.join(by_label[2])})")
    selected = f"when {name} in ({', '.join(by_label[1])}) then 1 " if by_label[1] else ""
    return f"case when {' or '.join(missing)} then 2 {selected}else 0 end"


def score_sql(table: Table, column: str) -> str:
    """Return SQL giving the score as a number or NULL; raises :class:`InputError`."""
    table.require([column])
    found = table.profile(column)
    if found.other:
        table.require_numbers(column, option="--score")
    where = f"{table.name}, column {column!r}"
    if not found.known:
        raise InputError(f"all {table.rows:,} scores are missing", where=where, valid="numbers")
    if found.infinite:
        what = f"{found.infinite:,} scores are infinite"
        raise InputError(what, where=where, valid="finite numbers")
    return table.number(column)


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Name the bins between ascending edges; raises :class:`InputError` for other edges.

    >>> bin_labels([25, 45])
    ('<25', '[25, 45)', '>=45')
    """
    shown = [str(int(edge)) if float(edge).is_integer() else repr(float(edge)) for edge in edges]
    if not (shown and all(map(math.isfinite, edges)) and all(a < b for a, b in pairwise(edges))):
        raise InputError(
            f"the edges {', '.join(shown) or 'of the bins'} do not ascend", where="--bins",
            valid="for example age=25,45,65",
        )  # fmt: skip
    middle = [f"[{a}, {b})" for a, b in pairwise(shown)]
    return (f"<{shown[0]}", *middle, f">={shown[-1]}")


def attribute_sql(table: Table, name: str, edges: Sequence[float] | None) -> str:
    """Return SQL giving the level of an attribute as text, or NULL."""
    if edges is None:
        return table.text(name)
    number = table.number(name)
    *below, above = bin_labels(edges)
    arms = " ".join(
        f"when ({number}) < {number_sql(edge)} then {string_sql(label)}"
        for edge, label in zip(edges, below, strict=True)
    )
    return f"case when ({number}) is null then null {arms} else {string_sql(above)} end"


def _same(value: str, positive: str) -> bool:
    if value == positive:
        return True
    try:
        return float(value) == float(positive)
    except ValueError:
        return False


def _is_one(value: str) -> bool | None:
    """Whether a label is 1 or true; ``None`` where it is neither that nor 0 or false."""
    known = {"true": True, "false": False, "1": True, "0": False}
    if value.lower() in known:
        return known[value.lower()]
    try:
        return {1.0: True, 0.0: False}.get(float(value))
    except ValueError:
        return None


def _too_many(table: Table, values: Sequence[str]) -> str:
    shown = ", ".join(map(repr, values[:3])) + (", …" if len(values) > 3 else "")
    return f"{len(values)} values ({shown}) in {table.rows:,} rows where two are meant"


def _very_many(table: Table, column: str) -> str:
    distinct = int(table.scalar(f"select approx_count_distinct({quoted(column)}) from data"))
    return f"about {distinct:,} values in {table.rows:,} rows where two are meant"
