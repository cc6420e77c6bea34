"""How the values of one feature lie over the groups: counts by position, without the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.stats.groups import Family, Groups
from auditor.stats.table import SliceTable

__all__ = ["PROXY", "proxy_add", "proxy_counts", "proxy_zero"]

PROXY = "proxy-counts"

Codes = NDArray[np.int32]
Places = NDArray[np.int64]


def proxy_zero(
    groups: Groups, positions: int, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Return empty counts of ``positions`` positions.

    The columns are ``records``, ``missing`` (records without the feature), the records of the
    slice at each position, and at each position the records of the other known groups of its
    attribute. What value a position stands for is not kept: of a number it is its rank, and of a
    category the half that a record fell into by lot, times the number of categories, plus a number
    for the category.
    """
    inside = [f"in:{i}" for i in range(positions)]
    outside = [f"out:{i}" for i in range(positions)]
    return SliceTable.zero(PROXY, groups, ("records", "missing", *inside, *outside),
                           context=context)  # fmt: skip


def proxy_counts(
    groups: Groups, codes: Codes, places: Places, positions: int, *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:  # fmt: skip
    """Count one batch of records.

    Parameters
    ----------
    groups:
        The declared groups, without intersections.
    codes:
        Group codes, shape ``[rows, attributes]``.
    places:
        The position of each record's value, −1 where it is missing, shape ``[rows]``.

    Raises :class:`InputError` for positions out of range, and for groups with intersections.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M", "M", None]})
    >>> proxy_counts(groups, codes, np.array([0, 1, 1, 0]), 2).family(("sex",)).tolist()
    [[1, 0, 1, 0, 0, 2], [2, 0, 0, 2, 1, 0], [1, 0, 1, 0, 1, 2]]
    """
    if any(len(family) > 1 for family in groups.families):
        raise InputError("proxies are counted for attributes, not for their intersections")
    if places.size and (places.min() < -1 or places.max() >= positions):
        raise InputError("a position is out of range", valid=f"-1 to {positions - 1}")
    table = proxy_zero(groups, positions, context=context)
    for family in groups.families:
        numbers = groups.family_codes(codes, family) - groups.offset(family)
        proxy_add(table, family, numbers, places)
    return table


def proxy_add(table: SliceTable, family: Family, numbers: Places, places: Places) -> None:
    """Add records to the slices of one family, given by their numbers within it."""
    rows = table.family(family)
    size, positions = rows.shape[0], (rows.shape[1] - 2) // 2
    rows[:, 0] += np.bincount(numbers, minlength=size)
    rows[:, 1] += np.bincount(numbers[places < 0], minlength=size)
    known = places >= 0
    cells = numbers[known] * positions + places[known]
    inside = np.bincount(cells, minlength=size * positions).reshape(size, positions)
    rows[:, 2 : 2 + positions] += inside
    if family:
        others = inside[:-1].sum(axis=0)
        rows[:-1, 2 + positions :] += others - inside[:-1]
        rows[-1, 2 + positions :] += others
