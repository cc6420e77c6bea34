"""Exposure and top places of ranked records by slice, list by list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.groups import Family, Groups
from auditor.stats.prefixes import list_ndkl
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_numbers

__all__ = ["RANKS", "ndkl_columns", "places", "rank_columns", "rank_sums", "rank_zero"]

RANKS = "rank-sums"

Array = NDArray[np.float64]

_BASIC = ("records", "ranked", "lists", "sum:exposure", "squares:exposure",
          "products:ranked", "expected:ranked", "products:exposure",
          "products:exposure·ranked")  # fmt: skip


def rank_columns(groups: Groups, top: Sequence[int]) -> tuple[str, ...]:
    """Name the columns.

    Records, those with a rank, and the lists that hold one; Σ and Σ² of the exposure of a record.
    With n ranked records of the slice among N in a list, E their exposure and T how many of them
    are in its top k: ``products`` are the sums over the lists of n², E², E n, T² and T n, and
    ``expected:ranked`` is Σ n² / N. ``ndkl`` columns are filled for everybody only.
    """
    tops = [
        name for k in top
        for name in (f"top:{k}", f"products:top:{k}", f"products:top:{k}·ranked")
    ]  # fmt: skip
    families = [name for family in groups.families if family for name in ndkl_columns(family)]
    return (*_BASIC, *tops, *families)


def ndkl_columns(family: Family) -> tuple[str, str, str]:
    """Name the columns of a family: lists with two groups, Σ and Σ² of their NDKL."""
    over = json.dumps(sorted(family), ensure_ascii=False)
    return f"lists:ndkl:{over}", f"sum:ndkl:{over}", f"squares:ndkl:{over}"


def rank_zero(
    groups: Groups, *, top: Sequence[int], context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Return empty sums; raises :class:`InputError` for lengths that are not from 1, or twice."""
    if len(set(top)) != len(top) or any(k < 1 for k in top):
        raise InputError(f"the lengths {', '.join(map(str, top))} of top lists",
                         valid="whole numbers from 1, each once")  # fmt: skip
    given = {**(context or {}), "top": [int(k) for k in top]}
    return SliceTable.zero(RANKS, groups, rank_columns(groups, top), sums=True, context=given)


def rank_sums(
    groups: Groups,
    codes: NDArray[np.int32],
    scores: ArrayLike,
    lists: ArrayLike | None = None,
    *,
    top: Sequence[int] = (10, 100),
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Add up the ranks of one batch of whole lists.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    scores:
        Numbers, shape ``[rows]``, the highest first; NaN for a record that is not ranked.
    lists:
        The number of the list of each record, whole numbers from 0, shape ``[rows]``; below 0 for
        a record of no list. ``None``: all are one list.
    top:
        The lengths k of top lists. A list of fewer than k records is a top list as a whole.

    Tied records share their places (see :func:`places`). Batches merge by addition as long as no
    list is split over two of them. Raises :class:`InputError` for an infinite score.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M", "M"]})
    >>> sums = rank_sums(groups, codes, [3.0, 2.0, 2.0], top=[2])  # the second place is shared
    >>> sums.values[:3, sums.column("top:2")].tolist()  # everybody, F, M
    [2.0, 1.0, 1.0]
    """
    rows = codes.shape[0]
    values = to_numbers(scores, rows, "scores", valid="numbers, or missing")
    if np.isinf(values).any():
        raise InputError("a score is infinite", valid="finite numbers, or missing")
    owner = np.zeros(rows, np.int64) if lists is None else np.asarray(lists, np.int64)
    if owner.shape != (rows,):
        raise InputError(f"lists have shape {owner.shape}", valid=f"shape ({rows},)")
    table = rank_zero(groups, top=top, context=context)
    table.values[:, 0] = np.bincount(groups.flat(codes).ravel(), minlength=groups.total)
    ranked = np.flatnonzero(~np.isnan(values) & (owner >= 0))
    if not ranked.size:
        return table
    order = ranked[np.lexsort((-values[ranked], owner[ranked]))]
    owner = np.unique(owner[order], return_inverse=True)[1].ravel()
    values = values[order]
    exposure, inside = places(owner, values, top)
    length = np.bincount(owner)
    flat = groups.flat(codes[order])
    for position, family in enumerate(groups.families):
        _add(table, flat[:, position], owner, length, exposure, inside, top)
        if family:
            _add_ndkl(table, groups, codes[order], owner, values, family)
    return table


def places(owner: NDArray[np.int64], values: Array, top: Sequence[int]) -> tuple[Array, Array]:
    """Return the exposure of ranked records, and their shares of places in the top lists.

    ``owner`` (the list) ascends, and ``values`` descend within it, shape ``[rows]``. The exposure
    at rank r is 1 / log₂(1 + r) (Singh and Joachims 2018). Records that are tied at r, …, r + t − 1
    each have the mean exposure of these ranks, and of k places the same share: what a random
    order of them gives on average. Shapes ``[rows]`` and ``[rows, lengths]``.

    >>> exposure, inside = places(np.zeros(3, int), np.array([9.0, 5.0, 5.0]), [2])
    >>> exposure.round(4).tolist(), inside[:, 0].tolist()  # (1/log₂ 3 + 1/2) / 2 = 0.5655
    ([1.0, 0.5655, 0.5655], [1.0, 0.5, 0.5])
    """
    rows = owner.size
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    rank = np.arange(rows) - np.repeat(starts, np.diff(starts, append=rows))  # from 0
    new = np.ones(rows, np.bool_)
    new[1:] = (np.diff(owner) != 0) | (np.diff(values) != 0)
    first = np.flatnonzero(new)
    size = np.diff(first, append=rows)
    block = np.cumsum(new) - 1
    gain = 1 / np.log2(rank + 2.0)
    exposure = (np.add.reduceat(gain, first) / size)[block]
    lengths = np.asarray(top, np.float64)[None, :]
    within = np.clip(lengths - rank[first][:, None], 0, size[:, None]) / size[:, None]
    return exposure, within[block]


def _add(
    table: SliceTable,
    slices: NDArray[np.int64],
    owner: NDArray[np.int64],
    length: NDArray[np.int64],
    exposure: Array,
    inside: Array,
    top: Sequence[int],
) -> None:
    """Add the slices of one family: first within each list, then over the lists."""
    pairs, inverse = np.unique(slices * length.size + owner, return_inverse=True)
    inverse = inverse.ravel()
    where, which = pairs // length.size, pairs % length.size

    def within(weights: Array | None = None) -> Array:
        return np.bincount(inverse, weights, minlength=pairs.size).astype(np.float64)

    n, e = within(), within(exposure)
    columns: dict[str, Array] = {
        "ranked": n, "lists": np.ones(pairs.size), "sum:exposure": e,
        "squares:exposure": within(exposure**2), "products:ranked": n * n,
        "expected:ranked": n * n / length[which], "products:exposure": e * e,
        "products:exposure·ranked": e * n,
    }  # fmt: skip
    for position, k in enumerate(top):
        t = within(inside[:, position])
        columns |= {f"top:{k}": t, f"products:top:{k}": t * t, f"products:top:{k}·ranked": t * n}
    for name, values in columns.items():
        added = np.bincount(where, values, minlength=table.groups.total)
        table.values[:, table.column(name)] += added


def _add_ndkl(
    table: SliceTable,
    groups: Groups,
    codes: NDArray[np.int32],
    owner: NDArray[np.int64],
    values: Array,
    family: Family,
) -> None:
    """Add the lists' NDKL over the groups of a family, without the records of unknown groups."""
    names = [attribute.name for attribute in groups.attributes]
    known = np.ones(owner.size, np.bool_)
    for name in family:
        known &= codes[:, names.index(name)] < groups.attribute(name).size - 1
    if not known.any():
        return
    group = groups.family_codes(codes[known], family)
    found = list_ndkl(owner[known], values[known], group)
    for name, value in zip(
        ndkl_columns(family), (found.size, found.sum(), (found**2).sum()), strict=True
    ):
        table.values[groups.offset(()), table.column(name)] += value
