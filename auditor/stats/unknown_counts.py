"""The confusion counts of each group beside those of the records whose group is unknown."""

from __future__ import annotations

import numpy as np

from auditor.stats.confusion import CELLS
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable

__all__ = ["UNKNOWN", "UNKNOWN_COLUMNS", "unknown_counts"]

UNKNOWN = "unknown-counts"

UNKNOWN_COLUMNS = ("records", *CELLS, *(f"unknown:{cell}" for cell in CELLS))
"""Records, their cells, and the cells of the records whose value of the attribute is missing."""


def unknown_counts(confusion: SliceTable) -> SliceTable:
    """Return the groups of each attribute with the unknown records of that attribute beside them.

    It is linear in the counts, so that it merges as they do. Intersections take no part.

    >>> from auditor.stats import Attribute, confusion_counts
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M", None]})
    >>> counts = unknown_counts(confusion_counts(groups, codes, [1, 0, 1], [1, 1, 0]))
    >>> counts.column("unknown:fn"), counts.family(("sex",))[:, 13].tolist()
    (13, [1, 1, 0])
    """
    old = confusion.groups
    families = tuple(family for family in old.families if len(family) < 2)
    groups = Groups(attributes=old.attributes, families=families)
    out = SliceTable.zero(UNKNOWN, groups, UNKNOWN_COLUMNS, context=confusion.context)
    width = len(CELLS)
    for family in families:
        cells, rows = np.asarray(confusion.family(family), np.int64), out.family(family)
        rows[:, 0] = cells.sum(axis=1)
        rows[:, 1 : 1 + width] = cells
        if family:
            rows[:-1, 1 + width :] = cells[-1]
    return out
