"""Totals and selected by stratum: what a comparison within strata is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable

__all__ = ["STRATA", "strata_counts", "strata_zero"]

STRATA = "stratum-counts"

_FIRST = ("records", "unplaced")


def strata_zero(
    groups: Groups, levels: Sequence[str], context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Return empty counts over the declared groups and strata.

    The columns are ``records``, ``unplaced`` (records without a stratum or without a prediction),
    and for each stratum its ``total`` and its ``selected``. Raises :class:`InputError` for a
    stratum that is named twice.
    """
    if len(set(levels)) != len(levels):
        raise InputError("a stratum is named twice", valid="distinct strata")
    columns = [*_FIRST, *(f"{what}:{level}" for level in levels for what in ("total", "selected"))]
    context = {**(context or {}), "levels": list(levels)}
    return SliceTable.zero(STRATA, groups, columns, context=context)


def strata_counts(
    groups: Groups,
    codes: NDArray[np.int32],
    places: NDArray[np.int64],
    predicted: NDArray[np.int64],
    *,
    levels: Sequence[str],
    frequency: NDArray[np.int64] | None = None,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count one batch of records.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    places:
        The position of each record's stratum among ``levels``, shape ``[rows]``; ``len(levels)``
        where it has none.
    predicted:
        1 for selected, 0 for not, 2 for no prediction, shape ``[rows]``.
    frequency:
        For how many equal records each row stands; 1 where it is not given.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "F", "M"]})
    >>> placed = np.array([0, 1, 1]), np.array([1, 0, 2])
    >>> counts = strata_counts(groups, codes, *placed, levels=("a", "b"))
    >>> counts.family(("sex",))[:2].tolist()  # records, unplaced, a: total, selected, b: …
    [[2, 0, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0]]
    """
    table = strata_zero(groups, levels, context)
    n = np.ones(codes.shape[0], np.int64) if frequency is None else frequency
    placed = (places < len(levels)) & (predicted < 2)
    chosen = placed & (predicted == 1)
    flat = groups.flat(codes)
    total = len(_FIRST) + 2 * places
    for position in range(flat.shape[1]):
        where = flat[:, position]
        np.add.at(table.values[:, 0], where, n)
        np.add.at(table.values[:, 1], where[~placed], n[~placed])
        np.add.at(table.values, (where[placed], total[placed]), n[placed])
        np.add.at(table.values, (where[chosen], total[chosen] + 1), n[chosen])
    return table
