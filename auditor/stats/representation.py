"""Records of each slice, and what share of a reference population it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auditor.stats.groups import Family, Groups
from auditor.stats.table import SliceTable

__all__ = ["REPRESENTATION", "REPRESENTATION_COLUMNS", "representation_zero", "with_population"]

REPRESENTATION = "representation-counts"

REPRESENTATION_COLUMNS = ("records", "compared", "population", "of", "listed")
"""The records of a slice; the records of all groups of its family that the population lists; the
slice's share of the population, times the number of merged parts; that number itself, 0 where the
population says nothing of the family; and the same for slices that the population lists."""


def representation_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty counts without a population."""
    return SliceTable.zero(REPRESENTATION, groups, REPRESENTATION_COLUMNS, sums=True,
                           context=context)  # fmt: skip


def with_population(
    counts: SliceTable, shares: Mapping[Family, Mapping[tuple[str, ...], float]]
) -> SliceTable:
    """Return counts whose ``records`` are filled in, with the shares of a population beside them.

    ``shares[family]`` maps levels, in the order of the family, to shares that add up to 1. The
    shares of two merged parts are added and so is the number of parts, so that their quotient stays
    what it was.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> counts = representation_zero(groups)
    >>> counts.values[:, 0] = [10, 3, 6, 1]
    >>> with_population(counts, {("sex",): {("F",): 0.5, ("M",): 0.5}}).family(("sex",)).tolist()
    [[3.0, 9.0, 0.5, 1.0, 1.0], [6.0, 9.0, 0.5, 1.0, 1.0], [1.0, 9.0, 0.0, 1.0, 0.0]]
    """
    groups = counts.groups
    values = counts.values.copy()
    for family, given in shares.items():
        start = groups.offset(family)
        rows = values[start : start + groups.size(family)]
        places = [groups.number_of(family, dict(zip(family, key, strict=True))) for key in given]
        rows[places, 2] = list(given.values())
        rows[places, 4] = 1
        rows[:, 3] = 1
        rows[:, 1] = rows[places, 0].sum()
    return replace(counts, values=values)
