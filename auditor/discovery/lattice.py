"""The lattice of conjunctions: single values, one level of slices, the candidates of the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

__all__ = ["Candidates", "Level", "Literals", "blocks", "join", "literals_of", "within"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Literals:
    """The values of features that are large enough, numbered from 0, feature by feature.

    ``edges`` are the numbers at which the features begin, shape ``[features + 1]``. ``of_rows``
    has the value of each feature of each row within its feature, shape ``[features, rows]``; all
    rare values are one, the last. The rows of value i are ``rows[starts[i]:starts[i + 1]]``.
    """

    features: Integers
    codes: Integers
    edges: Integers
    of_rows: Integers
    rows: Integers
    starts: Integers


@dataclass(frozen=True, slots=True)
class Level:
    """Slices of equally many features: literals ``[slices, features]``, ascending, and sums.

    The sums are those of the slices themselves, or bounds of them that their parents give.
    """

    literals: Integers
    sizes: Integers
    errors: Array
    largest: Array

    def __len__(self) -> int:
        return self.sizes.size

    @property
    def width(self) -> int:
        """How many features each slice fixes."""
        return self.literals.shape[1]

    def take(self, which: Integers | NDArray[np.bool_]) -> Level:
        """Return some of the slices."""
        return Level(
            self.literals[which], self.sizes[which], self.errors[which], self.largest[which]
        )

    @classmethod
    def together(cls, parts: Sequence[Level], *, width: int) -> Self:
        """Join parts of one level."""
        return cls(
            np.concatenate([np.zeros((0, width), np.int64), *(p.literals for p in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(p.sizes for p in parts)]),
            np.concatenate([np.zeros(0), *(p.errors for p in parts)]),
            np.concatenate([np.zeros(0), *(p.largest for p in parts)]),
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Slices that may exist, bounded by all their parents; ``parent`` is one in ``parents``."""

    parents: Level
    parent: Integers
    level: Level

    def where(self, which: NDArray[np.bool_]) -> Candidates:
        """Return some of the candidates."""
        return Candidates(self.parents, self.parent[which], self.level.take(which))


def literals_of(
    table: Integers, levels: Sequence[int], errors: Array, *, least: int
) -> tuple[Literals, Level]:
    """Return the values of ``least`` records or more, and the level that they make."""
    none = np.zeros(0, np.int64)
    features, codes, rows, sizes, edges = [none], [none], [none], [none], [0]
    of_rows = np.empty((table.shape[1], table.shape[0]), np.int64)
    for feature, size in enumerate(levels):
        column = table[:, feature]
        counts = np.bincount(column, minlength=size)
        kept = np.flatnonzero(counts >= least)
        number = np.full(size, kept.size, np.int64)
        number[kept] = np.arange(kept.size)
        of_rows[feature] = number[column]
        order = np.argsort(of_rows[feature], kind="stable")
        rows.append(order[: int(counts[kept].sum())])
        sizes.append(counts[kept])
        features.append(np.full(kept.size, feature, np.int64))
        codes.append(kept)
        edges.append(edges[-1] + kept.size)
    together, members = np.concatenate(sizes), np.concatenate(rows)
    literals = Literals(
        np.concatenate(features), np.concatenate(codes), np.array(edges, np.int64), of_rows,
        members, np.append(0, np.cumsum(together)),
    )  # fmt: skip
    own = np.repeat(np.arange(together.size), together)
    sums = np.bincount(own, errors[members], minlength=together.size).astype(np.float64)
    largest = np.zeros(together.size)
    np.maximum.at(largest, own, errors[members])
    return literals, Level(np.arange(together.size)[:, None], together, sums, largest)


def join(level: Level, literals: Literals) -> Iterator[Candidates]:
    """Yield the slices of one feature more of which all parents are in the level, each once.

    A candidate is made by the two parents that share all literals but the last (as in Apriori,
    Agrawal and Srikant 1994), so that none comes twice; its bounds are the least of all its
    parents'. Raises :class:`InputError` where there are too many conjunctions to number.
    """
    if len(level) < 2:
        return
    base = literals.features.size + 1
    if base ** (level.width + 1) >= 1 << 63:
        raise InputError(
            f"conjunctions of {level.width + 1} out of {base - 1:,} values",
            valid="fewer values, a larger support, or a smaller depth",
        )
    level = level.take(np.lexsort(level.literals.T[::-1]))
    keys = _keys(level.literals, base)
    _, sizes = np.unique(keys // base, return_counts=True)
    partners = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(level)) - 1
    for begin, end in blocks(partners):
        left = np.repeat(np.arange(begin, end), partners[begin:end])
        right = left + 1 + within(partners[begin:end])
        apart = (
            literals.features[level.literals[left, -1]]
            != literals.features[level.literals[right, -1]]
        )
        left, right = left[apart], right[apart]
        made = np.concatenate([level.literals[left], level.literals[right, -1:]], axis=1)
        parents = [left, right]
        complete = np.ones(left.size, bool)
        for gone in range(level.width - 1):
            wanted = _keys(np.delete(made, gone, axis=1), base)
            place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
            complete &= keys[place] == wanted
            parents.append(place)
        bounds = Level(
            made,
            np.min([level.sizes[p] for p in parents], axis=0),
            np.min([level.errors[p] for p in parents], axis=0),
            np.min([level.largest[p] for p in parents], axis=0),
        )
        yield Candidates(level, left, bounds).where(complete)


def blocks(costs: Integers, *, most: int = 1 << 22) -> Iterator[tuple[int, int]]:
    """Cut a list into runs of a total cost of up to ``most``, or of one item.

    >>> list(blocks(np.array([2, 2, 5, 1]), most=4))
    [(0, 2), (2, 3), (3, 4)]
    """
    total = np.cumsum(costs)
    begin = 0
    while begin < costs.size:
        before = int(total[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + most, side="right")))
        yield begin, end
        begin = end


def within(counts: Integers) -> Integers:
    """Number the members of each of several sets from 0.

    >>> within(np.array([2, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - counts, counts)


def _keys(literals: Integers, base: int) -> Integers:
    """Write each row of literals as one number, in the same order."""
    keys = np.zeros(literals.shape[0], np.int64)
    for column in literals.T:
        keys = keys * base + column
    return keys
