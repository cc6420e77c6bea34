"""One pass over a table for the counts of every slice, done by DuckDB where the table lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles, attribute_sql, label_sql, score_sql
from auditor.datasets.table import Table, number_sql, quoted
from auditor.errors import InputError
from auditor.stats import (
    MOST_DISTINCT,
    Groups,
    ScoreCounts,
    ScoreGrid,
    SliceTable,
    confusion_zero,
)

__all__ = ["group_codes", "scan_confusion", "scan_missing", "scan_scores"]


def scan_confusion(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count true and predicted labels by slice; the same counts as :func:`confusion_counts`."""
    true = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    predicted = _prediction_sql(table, roles)
    counts = confusion_zero(groups, {**roles.context(), **(context or {})})
    fields = {"cell": f"3 * ({true}) + ({predicted})"}
    for row, number in _grouped(table, groups, roles, fields):
        counts.values[number, row["cell"]] = row["n"]
    return counts


def scan_scores(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> ScoreCounts:
    """Count scores by slice and label; exact up to 1,024 distinct scores, binned beyond."""
    if roles.score is None:
        raise InputError("no score column", where=table.name)
    score = score_sql(table, roles.score)
    true = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    distinct = table.query(
        f"select distinct {score} as s from data where ({score}) is not null "
        f"limit {MOST_DISTINCT + 1}"
    )
    if distinct.num_rows <= MOST_DISTINCT:
        grid = ScoreGrid(values=tuple(sorted(distinct.column("s").to_pylist())))
        place = score
    else:
        limits = table.query(f"select min({score}) as low, max({score}) as high from data")
        grid = ScoreGrid.spanning(limits["low"][0].as_py(), limits["high"][0].as_py())
        low, high = number_sql(grid.low), number_sql(grid.high)
        # A missing score has no place; least() alone would pass over it and give the last bin.
        place = (
            f"case when ({score}) is not null then least({grid.bins - 1}, "
            f"cast(floor((({score}) - {low}) / ({high} - {low}) * {grid.bins}) as bigint)) end"
        )
    values = {value: index for index, value in enumerate(grid.values or ())}
    zero = ScoreCounts.zero(groups, grid, {**roles.context(), **(context or {})})
    keys: list[int] = []
    counts: list[int] = []
    for row, number in _grouped(table, groups, roles, {"place": place, "label": true}):
        if row["place"] is None or row["label"] == 2:
            zero.unscored[number] += row["n"]
            continue
        position = values[row["place"]] if grid.exact else int(row["place"])
        keys.append((number * grid.size + position) * 2 + row["label"])
        counts.append(row["n"])
    order = np.argsort(np.asarray(keys, np.int64), kind="stable")
    return ScoreCounts(
        groups, grid, np.asarray(keys, np.int64)[order], np.asarray(counts, np.int64)[order],
        zero.unscored, zero.context,
    )  # fmt: skip


def scan_missing(
    table: Table, groups: Groups, roles: Roles, columns: Sequence[str], *, split: str
) -> SliceTable:
    """Count missing values of each column by slice; the first column is ``records``."""
    names = ("records", *columns)
    counts = SliceTable.zero("missing-counts", groups, names, context={"split": split})
    missing = {
        f"m{position}": f"{table.text(column)} is null" for position, column in enumerate(columns)
    }
    for row, number in _grouped(table, groups, roles, {}, counted=missing):
        counts.values[number] = [row["n"], *(row[name] for name in missing)]
    return counts


def group_codes(table: Table, groups: Groups, roles: Roles) -> NDArray[np.int32]:
    """Return the group codes of every row, shape ``[rows, attributes]``, in the table's order."""
    if not groups.attributes:
        return np.zeros((table.rows, 0), np.int32)
    fields = [
        f"{attribute_sql(table, a.name, roles.bins.get(a.name))} as {quoted(a.name)}"
        for a in groups.attributes
    ]
    found = table.query(f"select {', '.join(fields)} from data")
    return groups.encode({a.name: found.column(a.name).to_pylist() for a in groups.attributes})


def _prediction_sql(table: Table, roles: Roles) -> str:
    if roles.prediction is not None:
        return label_sql(table, roles.prediction, roles.positive)
    if roles.score is not None and roles.threshold is not None:
        score = score_sql(table, roles.score)
        return (
            f"case when ({score}) is null then 2 "
            f"when ({score}) >= {number_sql(roles.threshold)} then 1 else 0 end"
        )
    return "2"


def _grouped(
    table: Table,
    groups: Groups,
    roles: Roles,
    fields: Mapping[str, str],
    *,
    counted: Mapping[str, str] | None = None,
) -> list[tuple[dict[str, Any], int]]:
    """Group by every declared family and the fields; gives ``(row, flat slice number)``.

    ``fields`` and ``counted`` map names to SQL; of ``counted`` the rows that are true are counted.
    """
    names = [attribute.name for attribute in groups.attributes]
    position = {name: f"g{index}" for index, name in enumerate(names)}
    inner = [
        f"{attribute_sql(table, name, roles.bins.get(name))} as {position[name]}" for name in names
    ]
    inner += [f"{sql} as {quoted(name)}" for name, sql in {**fields, **(counted or {})}.items()]
    keys = [quoted(name) for name in fields]
    sets = ", ".join(
        "(" + ", ".join([position[name] for name in family] + keys) + ")"
        for family in groups.families
    )
    mask = f"grouping({', '.join(position.values())})" if names else "0"
    outer = [*position.values(), *keys, f"{mask} as mask", "count(*) as n"]
    outer += [f"count(*) filter ({quoted(name)}) as {quoted(name)}" for name in counted or {}]
    found = table.query(
        f"select {', '.join(outer)} from (select {', '.join(inner) or '1 as one'} from data) "
        f"group by grouping sets ({sets})"
    ).to_pylist()
    # grouping() sets a bit for each attribute that is summed over, the first one highest.
    families = {
        int("0" + "".join("01"[name not in family] for name in names), 2): family
        for family in groups.families
    }
    out: list[tuple[dict[str, Any], int]] = []
    for row in found:
        family = families[row["mask"]]
        where = {name: row[position[name]] for name in family}
        try:
            number = groups.number_of(family, where)
        except InputError as error:
            raise InputError(error.what, where=table.name, valid=error.valid) from None
        out.append((row, groups.offset(family) + number))
    return out
