"""Entities (patients, users, sources) whose records lie on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EntityOverlap", "entity_overlap"]


@dataclass(frozen=True, slots=True, eq=False)
class EntityOverlap:
    """The entities of one side.

    Parameters
    ----------
    numbers:
        Which entity a record is of, by numbers that mean nothing elsewhere, -1 for a missing one;
        shape ``[records]``.
    shared:
        Whether the entity has records on the other side too, shape ``[records]``.
    """

    numbers: NDArray[np.int64]
    shared: NDArray[np.bool_]

    def distinct(self, slices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark one record of each entity in each slice, so that they can be counted."""
        known = np.flatnonzero(self.numbers >= 0)
        order = known[np.lexsort((self.numbers[known], slices[known]))]
        marked = np.zeros(self.numbers.size, bool)
        new = np.ones(order.size, bool)
        new[1:] = np.diff(self.numbers[order]) != 0
        new[1:] |= np.diff(slices[order]) != 0
        marked[order[new]] = True
        return marked


def entity_overlap(
    entities: NDArray[np.uint64],
    known: NDArray[np.bool_],
    source: NDArray[np.uint64],
    source_known: NDArray[np.bool_],
) -> EntityOverlap:
    """Find the entities that both sides share.

    ``entities`` are one 64-bit hash a record, ``known`` says where there is an entity at all.

    >>> a, b = np.array([5, 5, 7, 0], np.uint64), np.array([7], np.uint64)
    >>> found = entity_overlap(a, np.array([True, True, True, False]), b, np.array([True]))
    >>> found.shared.tolist(), found.numbers.tolist()
    ([False, False, True, False], [0, 0, 1, -1])
    """
    numbers = np.full(entities.size, -1, np.int64)
    order = np.flatnonzero(known)[np.argsort(entities[known], kind="stable")]
    new = np.zeros(order.size, np.int64)
    new[1:] = entities[order][1:] != entities[order][:-1]
    numbers[order] = np.cumsum(new)
    shared = known & np.isin(entities, source[source_known], kind="sort")
    return EntityOverlap(numbers, shared)
