"""Outcomes added up by the probability of belonging to a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles, label_sql, prediction_sql
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import Groups, SliceTable
from auditor.stats.membership import (
    ROUNDING,
    membership_groups,
    membership_sums,
    membership_zero,
)

__all__ = ["check_membership", "scan_membership"]


def check_membership(table: Table, attribute: str, columns: Mapping[str, str]) -> None:
    """Raise :class:`InputError` unless the columns hold probabilities, 1 in sum at most."""
    option = "--membership"
    table.require(columns.values(), option=option)
    if len(columns) < 2 or len(set(columns.values())) != len(columns):
        raise InputError(f"{attribute!r} needs two or more levels, each with its own column",
                         where=option, valid="race=White:p_white,Black:p_black")  # fmt: skip
    for column in columns.values():
        table.require_numbers(column, option=option)
    numbers = {column: table.number(column) for column in columns.values()}
    outside = [
        f"count(*) filter (({n}) < 0 or ({n}) > 1) as b{i}" for i, n in enumerate(numbers.values())
    ]
    total = " + ".join(f"({n})" for n in numbers.values())
    over = f"count(*) filter (({total}) > {1 + ROUNDING!r}) as over"
    placed = f"count({total}) as placed"
    row = table.query(f"select {', '.join([*outside, over, placed])} from data").to_pylist()[0]
    for i, column in enumerate(numbers):
        if row[f"b{i}"]:
            what = f"{row[f'b{i}']:,} of {table.rows:,} probabilities lie outside 0 to 1"
            raise InputError(what, where=f"{table.name}, column {column!r}", valid="0 to 1")
    where = f"{table.name}, columns {', '.join(map(repr, numbers))}"
    if row["over"]:
        what = f"the probabilities of {row['over']:,} of {table.rows:,} records exceed 1 in sum"
        raise InputError(what, where=where, valid="1 at most; what is left is unknown")
    if not row["placed"]:
        raise InputError(f"no record of {table.rows:,} has all probabilities", where=where,
                         valid="numbers from 0 to 1")  # fmt: skip


def scan_membership(
    table: Table,
    roles: Roles,
    attribute: str,
    *,
    threshold: float = 0.5,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Add up one attribute of ``roles.membership``; raises as :func:`check_membership` does."""
    columns = roles.membership[attribute]
    check_membership(table, attribute, columns)
    groups = membership_groups(attribute, tuple(columns))
    true = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    fields = {f"p{i}": table.number(column) for i, column in enumerate(columns.values())}
    fields |= {"y": f"({true})", "q": f"({prediction_sql(table, roles)})"}
    settings = {
        **roles.context(), "membership": {attribute: dict(columns)}, **(context or {})
    }  # fmt: skip
    sums = membership_zero(groups, {"threshold": threshold, **settings})
    for batch in stream(table, Groups.declare([]), Roles(), fields):
        p = np.stack([batch.numbers(f"p{i}") for i in range(len(columns))], axis=1)
        labels = [np.where((v := batch.numbers(n)) == 2, np.nan, v) for n in ("y", "q")]
        part = membership_sums(groups, p, *labels, threshold=threshold, context=settings)
        sums = sums.merge(part)
    return sums
