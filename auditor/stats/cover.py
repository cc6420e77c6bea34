"""Which joint tables to count, so that every family is a marginal of one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.stats.groups import Family, Groups

__all__ = ["count_cells", "cover"]

_MOST_CELLS = 1 << 17


def cover(
    families: Sequence[Family], sizes: Mapping[str, int], *, limit: int
) -> list[tuple[Family, list[Family]]]:
    """Return sets of attributes, and the families that are counted in each; every family once.

    A set starts from the largest family that is not covered and takes in, one by one, the
    attribute that covers most others, while its joint table has at most ``limit`` cells. A family
    that is larger than the limit is a set of its own. The order of the attributes is that of the
    families' own names.

    >>> cover([(), ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")],
    ...       {"a": 2, "b": 3, "c": 9}, limit=20)
    [(('b', 'c'), [(), ('b',), ('c',), ('b', 'c')]), (('a', 'c'), [('a',), ('a', 'c')]), \
(('a', 'b'), [('a', 'b')])]
    """

    def cells(names: frozenset[str]) -> int:
        return math.prod(sizes[name] for name in names)

    order = {name: position for position, name in enumerate(sizes)}
    left = {frozenset(family): family for family in families}
    out: list[tuple[Family, list[Family]]] = []
    while left:
        block = max(left, key=lambda names: (cells(names), len(names)))
        while True:
            wider = [block | {n} for n in order if n not in block]
            gain = {w: sum(family <= w for family in left) for w in wider if cells(w) <= limit}
            best = max(gain, key=lambda w: (gain[w], -cells(w)), default=block)
            if best == block or gain[best] <= sum(family <= block for family in left):
                break
            block = best
        served = [family for names, family in left.items() if names <= block]
        left = {names: family for names, family in left.items() if not names <= block}
        out.append((tuple(sorted(block, key=order.__getitem__)), served))
    return out


def count_cells(
    groups: Groups, codes: NDArray[np.int32], cells: NDArray[Any], out: NDArray[np.int64]
) -> None:
    """Add each record to its cell of its slice of every family.

    ``codes`` has shape ``[rows, attributes]``, ``cells`` ``[rows]`` with numbers from 0, and
    ``out`` ``[slices, cells]``. Records are counted in a few joint tables that cover the families,
    and these are added up, because there are fewer tables than families.
    """
    groups.check_codes(codes)
    width = out.shape[1]
    sizes = {attribute.name: attribute.size for attribute in groups.attributes}
    names = list(sizes)
    for block, families in cover(groups.families, sizes, limit=max(1, _MOST_CELLS // width)):
        numbers = np.zeros(codes.shape[0], np.int64)
        for name in block:
            numbers *= sizes[name]
            numbers += codes[:, names.index(name)]
        numbers *= width
        numbers += cells
        shape = (*(sizes[name] for name in block), width)
        if math.prod(shape) <= max(_MOST_CELLS, 4 * codes.shape[0]):
            table = np.bincount(numbers, minlength=math.prod(shape)).reshape(shape)
        else:  # a table much larger than the batch is not worth a pass over it
            start = groups.offset(block)
            np.add.at(out[start : start + groups.size(block)].reshape(-1), numbers, 1)
            if len(families) == 1:
                continue
            unique, counted = np.unique(numbers, return_counts=True)
            for family in families:
                if family != block:
                    _add_marginals(groups, block, family, unique, counted, out)
            continue
        for family in families:
            axes = tuple(i for i, name in enumerate(block) if name not in family)
            start = groups.offset(family)
            out[start : start + groups.size(family)] += table.sum(axis=axes).reshape(-1, width)


def _add_marginals(
    groups: Groups,
    block: Family,
    family: Family,
    numbers: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    rest, cells = np.divmod(numbers, out.shape[1])
    codes: dict[str, NDArray[np.int64]] = {}
    for name in reversed(block):
        rest, codes[name] = np.divmod(rest, groups.attribute(name).size)
    slices = np.zeros(numbers.size, np.int64)
    for name in family:
        slices = slices * groups.attribute(name).size + codes[name]
    np.add.at(out, (slices + groups.offset(family), cells), counts)
