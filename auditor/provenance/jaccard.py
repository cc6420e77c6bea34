"""The Jaccard similarity of sets of hashes, pair by pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.tokens import Tokens, distinct

__all__ = ["as_sets", "jaccard"]

_CHUNK = 1 << 21


def as_sets(documents: Tokens) -> Tokens:
    """Return each document as a sorted set of numbers below 2³² that stand for the hashes."""
    order = np.argsort(documents.values)
    ordered = documents.values[order]
    numbers = np.zeros(order.size, np.uint64)
    if order.size:
        numbers[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
    owners = np.repeat(np.arange(documents.documents, dtype=np.uint64), documents.lengths)
    kept = distinct(owners << np.uint64(32) | numbers)
    offsets = np.searchsorted(kept, np.arange(documents.documents + 1, dtype=np.uint64) << 32)
    return Tokens(kept & np.uint64(0xFFFFFFFF), offsets.astype(np.int64))


def jaccard(
    sets: Tokens, first: NDArray[np.int64], second: NDArray[np.int64], *, least: float = 0.0
) -> NDArray[np.float64]:
    """Return |A ∩ B| / |A ∪ B| of each pair of sets, shape ``[pairs]``; 0 of two empty ones.

    ``sets`` come from :func:`as_sets`. Pairs whose sizes alone exclude ``least`` are given 0.
    """
    sizes = sets.lengths
    a, b = sizes[first], sizes[second]
    out = np.zeros(first.size)
    possible = np.flatnonzero((np.minimum(a, b) >= least * np.maximum(a, b)) & (a + b > 0))
    until = np.cumsum(a[possible] + b[possible])
    start = 0
    while start < possible.size:
        done = until[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(until, done + _CHUNK, side="right")))
        some = possible[start:end]
        shared = _shared(sets, first[some], second[some])
        out[some] = shared / (a[some] + b[some] - shared)
        start = end
    return out


def _shared(sets: Tokens, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count common elements: both sets of a pair in one list, where equal neighbours are shared."""
    every = np.concatenate([_elements(sets, first), _elements(sets, second)])
    every.sort()
    twice = every[1:][every[1:] == every[:-1]]
    return np.bincount((twice >> np.uint64(32)).astype(np.int64), minlength=first.size)


def _elements(sets: Tokens, documents: NDArray[np.int64]) -> NDArray[np.uint64]:
    lengths = sets.lengths[documents]
    pair = np.repeat(np.arange(documents.size, dtype=np.uint64), lengths)
    ends = np.cumsum(lengths)
    places = np.arange(pair.size) + np.repeat(sets.offsets[documents] - ends + lengths, lengths)
    return pair << np.uint64(32) | sets.values[places]
