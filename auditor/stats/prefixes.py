"""How far the composition of the first places of a list is from that of the whole list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["list_ndkl"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

_MOST = 1 << 22
"""Numbers that are expanded at once."""


def list_ndkl(owner: Whole, values: Array, group: Whole) -> Array:
    """Return the NDKL of each list that holds two groups or more.

    Parameters
    ----------
    owner, values, group:
        The list, the score and the group of each record, shape ``[rows]``. ``owner`` ascends, and
        the scores descend within it.

    Normalised discounted cumulative Kullback–Leibler divergence: Σᵢ wᵢ KL(Dᵢ ‖ D) / Σᵢ wᵢ with
    wᵢ = 1 / log₂(i + 1), where Dᵢ are the shares of the groups among the first i records and D
    those in the whole list (Geyik, Ambler and Kenthapadi 2019, section 3.2). Tied records share
    their places: the i-th place is filled by each group of a tie in proportion.

    >>> list_ndkl(np.array([0, 0]), np.array([2.0, 1.0]), np.array([0, 1])).round(4).tolist()
    [0.425]
    """
    rows = owner.size
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    lengths = np.diff(starts, append=rows)
    which = np.repeat(np.arange(starts.size), lengths)
    rank = np.arange(rows) - starts[which] + 1.0
    group = np.unique(group, return_inverse=True)[1].ravel()
    width = int(group.max()) + 1
    new = np.ones(rows, np.bool_)
    new[1:] = (np.diff(which) != 0) | (np.diff(values) != 0)
    first = np.flatnonzero(new)
    block = np.cumsum(new) - 1
    size = np.diff(first, append=rows)

    # One row for each group of each tie: how many, how many before it, how many in the list.
    pairs, many = np.unique(block * width + group, return_counts=True)
    of_block, of_group = pairs // width, pairs % width
    of_list = which[first][of_block]
    before, total = _running(of_list * width + of_group, many)

    # KL(Dᵢ ‖ D) = S / i − ln i + ln N with S = Σ over groups of f(c) − c ln n and f(c) = c ln c.
    change = _xlogx(before + many) - _xlogx(before) - many * np.log(total)
    block_change = np.bincount(of_block, change, minlength=first.size)
    sums = np.cumsum(block_change) - block_change
    sums -= sums[block[starts]][which[first]]
    sums = sums[block]
    spans = size[of_block]
    ends = np.cumsum(spans)
    edge = 0
    while edge < pairs.size:
        done = ends[edge - 1] if edge else 0
        stop = max(int(np.searchsorted(ends, done + _MOST, side="right")), edge + 1)
        part = slice(edge, stop)
        repeat = np.repeat(np.arange(edge, stop), spans[part])
        step = np.arange(repeat.size) - np.repeat(ends[part] - spans[part] - done, spans[part])
        added = (step + 1) * (many[repeat] / spans[repeat])
        now = (
            _xlogx(before[repeat] + added) - _xlogx(before[repeat]) - added * np.log(total[repeat])
        )
        at = first[of_block[repeat]] + step
        low = int(at[0])
        sums[low : int(at.max()) + 1] += np.bincount(at - low, now)
        edge = stop
    divergence = np.maximum(sums / rank - np.log(rank) + np.log(lengths[which]), 0.0)
    weight = 1 / np.log2(rank + 1)
    found = np.bincount(which, weight * divergence) / np.bincount(which, weight)
    groups_in = np.bincount(np.unique(which * width + group) // width, minlength=starts.size)
    return found[groups_in > 1]


def _running(key: Whole, many: Whole) -> tuple[Array, Array]:
    """Return what stands before each row under its own key, and all that stands under it."""
    order = np.argsort(key, kind="stable")
    sums = np.cumsum(many[order])
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    spans = np.diff(starts, append=key.size)
    offset = np.repeat(sums[starts] - many[order][starts], spans)
    before, total = np.empty(key.size), np.empty(key.size)
    before[order] = sums - many[order] - offset
    total[order] = np.repeat(np.add.reduceat(many[order], starts), spans)
    return before, total


def _xlogx(x: Array) -> Array:
    return x * np.log(np.where(x > 0, x, 1.0))
