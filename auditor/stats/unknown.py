"""Levels that mean that nobody knows: counted with the missing values, and no group."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from auditor.stats.groups import Attribute, Groups
from auditor.stats.table import SliceTable

__all__ = ["with_unknown"]


def with_unknown(table: SliceTable, unknown: Collection[str]) -> SliceTable:
    """Return the statistic with some levels of its attributes read as missing values.

    No record is lost: the rows of these levels are added to those of the missing value, so that
    everybody's row and all totals stay as they are. A level that no attribute has changes nothing.

    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M", "Unknown"))])
    >>> table = SliceTable.zero("counts", groups, ["n"])
    >>> table.values[:, 0] = [10, 4, 3, 2, 1]  # everybody, F, M, Unknown, missing
    >>> with_unknown(table, ["Unknown"]).values[:, 0].tolist()
    [10, 4, 3, 3]
    """
    old = table.groups
    if not any(level in unknown for a in old.attributes for level in a.levels):
        return table
    attributes = [
        Attribute(name=a.name, levels=tuple(level for level in a.levels if level not in unknown))
        for a in old.attributes
    ]
    places = {
        a.name: np.array([new.index.get(level, len(new.levels)) for level in (*a.levels, None)])
        for a, new in zip(old.attributes, attributes, strict=True)
    }
    groups = Groups(attributes=tuple(attributes), families=old.families)
    values = np.zeros((groups.total, len(table.columns)), table.values.dtype)
    for family in old.families:
        numbers = np.full(old.size(family), groups.offset(family), np.int64)
        if family:
            codes = np.unravel_index(np.arange(old.size(family)), old.shape(family))
            inner = np.zeros(old.size(family), np.int64)
            for name, code in zip(family, codes, strict=True):
                inner = inner * groups.attribute(name).size + places[name][code]
            numbers += inner
        np.add.at(values, numbers, table.family(family))
    return SliceTable(table.kind, groups, table.columns, values, table.context)
