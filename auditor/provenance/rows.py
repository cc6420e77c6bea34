"""Equal rows: within a table and across two, by the digests of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["repeated", "seen_in"]


def _keys(hashes: NDArray[np.uint64]) -> NDArray[np.void]:
    width = hashes.shape[1] * hashes.itemsize
    return np.ascontiguousarray(hashes).view(np.dtype((np.void, width))).ravel()


def repeated(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark the rows that equal an earlier row.

    ``hashes`` are row digests, shape ``[rows, words]``; the result has shape ``[rows]``.

    >>> repeated(np.array([[1], [2], [1]], np.uint64)).tolist()
    [False, False, True]
    """
    first = np.zeros(len(hashes), bool)
    first[np.unique(_keys(hashes), return_index=True)[1]] = True
    return ~first


def seen_in(hashes: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark the rows that also occur in ``earlier``; shapes as in :func:`repeated`.

    >>> seen_in(np.array([[1], [2]], np.uint64), np.array([[2], [3]], np.uint64)).tolist()
    [False, True]
    """
    return np.isin(_keys(hashes), _keys(earlier))
