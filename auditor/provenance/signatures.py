"""Which documents may be similar: MinHash signatures in bands, by rensa."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.banding import Bands
from auditor.provenance.tokens import Tokens, distinct, mixed

__all__ = ["Candidates", "candidate_pairs", "sharing_a_band"]

_SEED = 42
_ROWS = 1 << 13
_MOST_PAIRS = 1 << 23

Candidates = tuple[NDArray[np.int64], NDArray[np.int64], int]
"""First documents, second documents, and how many pairs of crowded bands were left out."""


def sharing_a_band(sets: Tokens, bands: Bands) -> NDArray[np.bool_]:
    """Mark the documents that share a band with another one, shape ``[documents]``."""
    if sets.documents < 2:
        return np.zeros(sets.documents, bool)
    matrix = _signed(sets.values, sets.offsets, bands)
    # The threshold plays no part in the bands.
    index = _rensa().RMinHashLSH(0.5, bands.slots, bands.bands)
    return np.array(index.query_duplicate_flags_matrix_one_shot(matrix), bool)


def candidate_pairs(sets: Tokens, bands: Bands) -> Candidates:
    """Return all pairs that share a band, each once, the smaller number first.

    In a band that very many share, only neighbours in order are paired, so that there are never
    more than 2²³ pairs; how many were left out is returned.
    """
    keys = _band_keys(sets, bands)
    budget = _MOST_PAIRS // bands.bands
    found: list[NDArray[np.uint64]] = []
    left_out = 0
    for band in range(bands.bands):
        order = np.argsort(keys[:, band], kind="stable").astype(np.uint64)
        ordered = keys[order, band]
        starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - np.uint64(1)))
        sizes = np.diff(np.append(starts, ordered.size))
        crowd = np.repeat(sizes, sizes)
        # Whoever shares the band with nobody is passed over from the start.
        order, ordered = order[crowd > 1], ordered[crowd > 1]
        wanted = int((sizes * (sizes - 1) // 2).sum())
        made = 0
        for step in range(1, int(sizes.max(initial=1))):
            together = np.flatnonzero(ordered[step:] == ordered[:-step])[: budget - made]
            if not together.size:
                break
            found.append(order[together] << np.uint64(32) | order[together + step])
            made += together.size
        left_out += wanted - made
    pairs = distinct(np.concatenate([np.zeros(0, np.uint64), *found]))
    first, second = pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)
    return first.astype(np.int64), second.astype(np.int64), left_out


def _band_keys(sets: Tokens, bands: Bands) -> NDArray[np.uint64]:
    """Return a hash of each band of each document, shape ``[documents, bands]``."""
    keys = np.empty((sets.documents, bands.bands), np.uint64)
    odd = mixed(np.arange(1, bands.rows + 1, dtype=np.uint64)) | np.uint64(1)
    for start in range(0, sets.documents, _ROWS):
        offsets = sets.offsets[start : start + _ROWS + 1]
        values = sets.values[offsets[0] : offsets[-1]]
        matrix = _signed(values, offsets - offsets[0], bands)
        slots = np.array(matrix.to_rows(), np.uint64).reshape(-1, bands.bands, bands.rows)
        keys[start : start + _ROWS] = mixed((mixed(slots) * odd).sum(axis=2, dtype=np.uint64))
    return keys


def _signed(values: NDArray[np.uint64], offsets: NDArray[np.int64], bands: Bands) -> Any:
    return _rensa().RMinHash.digest_matrix_from_flat_token_hashes(
        values, offsets, bands.slots, _SEED
    )


def _rensa() -> Any:
    return import_module("rensa")  # it has no types
