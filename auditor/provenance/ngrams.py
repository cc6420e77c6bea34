"""Runs of consecutive tokens as 64-bit hashes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.tokens import Tokens, mixed

__all__ = ["shingles", "windows"]


def shingles(tokens: Tokens, size: int) -> Tokens:
    """Return the runs of ``size`` tokens of each document; a shorter one is one run of all it has.

    >>> import pyarrow as pa
    >>> from auditor.provenance.tokens import text_tokens
    >>> shingles(text_tokens(pa.array(["a b c", "a b", ""])), 2).lengths.tolist()
    [2, 1, 0]
    """
    if size == 1:
        return tokens
    ends = np.repeat(tokens.offsets[1:], tokens.lengths)
    sums = _first(tokens.values)
    for place in range(1, size):
        _add(sums, tokens.values, ends, place)
    kept = np.arange(sums.size) + size <= ends
    starts = tokens.offsets[:-1]
    kept[starts[starts < tokens.offsets[1:]]] = True
    lengths = np.where(tokens.lengths > 0, np.maximum(tokens.lengths - size + 1, 1), 0)
    offsets = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Tokens(mixed(sums[kept]), offsets)


def windows(
    tokens: Tokens, sizes: Collection[int]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
    """Yield, for each size in ascending order, where its runs begin and their hashes.

    The hash is Σ tᵢ mᵢ mod 2⁶⁴ with fixed odd mᵢ, mixed (multilinear; Lemire and Kaser 2014): two
    different runs share one with probability about 2⁻⁶⁴. No run crosses a border of documents.
    """
    ends = np.repeat(tokens.offsets[1:], tokens.lengths)
    sums = _first(tokens.values)
    for size in range(1, max(sizes, default=0) + 1):
        if size > 1:
            _add(sums, tokens.values, ends, size - 1)
        if size in sizes:
            begin = np.flatnonzero(np.arange(sums.size) + size <= ends)
            yield size, begin, mixed(sums[begin] + np.uint64(size))


def _multiplier(place: int) -> np.uint64:
    return mixed(np.array([place + 1], np.uint64))[0] | np.uint64(1)


def _first(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return values * _multiplier(0)


def _add(
    sums: NDArray[np.uint64], values: NDArray[np.uint64], ends: NDArray[np.int64], place: int
) -> None:
    """Add the token that lies ``place`` further on, where it is of the same document."""
    if place >= sums.size:
        return
    inside = np.arange(place, sums.size) < ends[: sums.size - place]
    sums[: sums.size - place] += values[place:] * _multiplier(place) * inside
