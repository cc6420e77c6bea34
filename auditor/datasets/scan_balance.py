"""Records of each class in each slice, of any number of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.datasets.grouping import grouped
from auditor.datasets.roles import Roles
from auditor.datasets.table import Table
from auditor.datasets.target import class_names, class_sql
from auditor.metrics.balance import BALANCE
from auditor.stats import MOST_CLASSES, Groups, SliceTable

__all__ = ["scan_balance"]


def scan_balance(tables: Mapping[str, Table], groups: Groups, roles: Roles) -> list[SliceTable]:
    """Count the records of each split by slice and class; the classes are those of all splits.

    The columns are ``records``, ``unlabelled`` and one for each class, without its name. Where
    there are no classes (no target, or more than 200 values) the context says why.
    """
    names: Sequence[str] = ()
    reason = "no target was given"
    if roles.target is not None:
        found = class_names(list(tables.values()), roles.target, most=MOST_CLASSES)
        names, reason = found or (), "the target has no value" if found is not None else (
            f"the target has more than {MOST_CLASSES} values"
        )  # fmt: skip
    return [_scan(table, groups, roles, names, {"split": split, "classes": "" if names else reason})
            for split, table in tables.items()]  # fmt: skip


def _scan(
    table: Table, groups: Groups, roles: Roles, names: Sequence[str], context: Mapping[str, Any]
) -> SliceTable:
    columns = ("records", "unlabelled", *(f"class:{i}" for i in range(len(names))))
    counts = SliceTable.zero(BALANCE, groups, columns, context=context)
    labelled = names and roles.target in table.types
    fields = {"y": class_sql(table, str(roles.target))} if labelled else {}
    found = grouped(table, groups, roles, fields)
    np.add.at(counts.values[:, 0], found.slices, found.counts)
    if not labelled:
        counts.values[:, 1] = counts.values[:, 0]
        return counts
    place = {None: 1, **{name: 2 + i for i, name in enumerate(names)}}
    column = found.columns["y"]
    places = np.array([place[value] for value in column.values], np.int64)[column.codes]
    np.add.at(counts.values, (found.slices, places), found.counts)
    return counts
