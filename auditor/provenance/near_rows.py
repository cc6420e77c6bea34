"""Near duplicate rows: rows that differ in few columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import comb, floor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.near_duplicates import NearDuplicates, near_duplicates
from auditor.provenance.tokens import Tokens, mixed, text_tokens

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["differing_columns", "near_rows", "row_tokens", "rows_are_enumerated"]

_MOST_SUBSETS = 300
_PART = 1 << 16


def row_tokens(columns: Sequence[tuple[pa.Array, pa.Array]]) -> NDArray[np.uint64]:
    """Hash rows as tokens ``column=value``, shape ``[rows, columns]``.

    Each column comes as its numbers (float64) and its texts; a value is the number where there is
    one, else its text, normalised as in :func:`text_tokens`, else missing, which is a value too.
    """
    out: list[NDArray[np.uint64]] = []
    for place, (numbers, texts) in enumerate(columns):
        values = np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64) + 0.0
        text = ~np.asarray(texts.is_null())
        hashes = mixed(values.view(np.uint64) ^ np.uint64(1))
        hashes[np.isnan(values)] = 0
        if text.any():
            hashes[text] = text_tokens(texts.drop_null()).keys()
        out.append(mixed(hashes + mixed(np.array([place + 1], np.uint64))))
    return np.stack(out, axis=1)


def differing_columns(columns: int, similarity: float) -> int:
    """Return in how many columns two rows as similar may differ: (k − d) / (k + d) ≥ s.

    >>> differing_columns(15, 0.8), differing_columns(5, 0.8)
    (1, 0)
    """
    return floor(columns * (1 - similarity) / (1 + similarity) + 1e-9)


def rows_are_enumerated(columns: int, similarity: float) -> bool:
    """Whether so few sets of columns may differ that all are gone through, and nothing is missed.

    >>> rows_are_enumerated(15, 0.8), rows_are_enumerated(100, 0.8)
    (True, False)
    """
    return comb(columns, differing_columns(columns, similarity)) <= _MOST_SUBSETS


def near_rows(
    parts: Mapping[str, NDArray[np.uint64]], *, similarity: float, source: str = "train"
) -> dict[str, NearDuplicates]:
    """Find the rows whose Jaccard similarity to another, as sets of tokens, is large enough.

    ``parts`` come from :func:`row_tokens`, with the same columns. Two rows of k columns that differ
    in d have similarity (k − d) / (k + d). Where few sets of d columns may differ, rows that agree
    on all others are found for each such set by sorting: exact, and without a pair being listed.
    Otherwise MinHash finds them, as in :func:`near_duplicates`.
    """
    columns = next(iter(parts.values())).shape[1]
    if not rows_are_enumerated(columns, similarity):
        streams = {name: _streamed(values) for name, values in parts.items()}
        return near_duplicates(streams, similarity=similarity, shingle=1, source=source)
    names = list(parts)
    values = np.concatenate([parts[name] for name in names])
    index = np.concatenate([np.arange(len(parts[name])) for name in names])
    owner = np.repeat(np.arange(len(names)), [len(parts[name]) for name in names])
    repeated, shared = np.zeros(index.size, bool), np.zeros(index.size, bool)
    total = values.sum(axis=1, dtype=np.uint64)
    for left_out in combinations(range(columns), differing_columns(columns, similarity)):
        key = total - values[:, list(left_out)].sum(axis=1, dtype=np.uint64)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: order.size])
        run = np.repeat(np.arange(starts.size), np.diff(np.append(starts, order.size)))
        for place, name in enumerate(names):
            own = owner[order] == place
            nobody = len(parts[name])
            # Stable sorting leaves the rows of a run in order.
            first = np.minimum.reduceat(np.where(own, index[order], nobody), starts) \
                if starts.size else starts  # fmt: skip
            repeated[order[own]] |= first[run[own]] < index[order[own]]
            if name == source:
                shared[order] |= first[run] < nobody
    out: dict[str, NearDuplicates] = {}
    for place, name in enumerate(names):
        mine, none = owner == place, np.zeros(len(parts[name]), bool)
        found = repeated[mine] if name == source else shared[mine]
        out[name] = NearDuplicates(repeated[mine], found, none)
    return out


def _streamed(values: NDArray[np.uint64]) -> Iterable[Tokens]:
    width = values.shape[1]
    for start in range(0, len(values), _PART):
        part = values[start : start + _PART]
        yield Tokens(part.ravel(), np.arange(len(part) + 1, dtype=np.int64) * width)
