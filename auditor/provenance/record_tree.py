"""The Merkle tree of RFC 6962 over many leaves: levels hashed at once, memory of a logarithm.

Hashes are arrays of bytes of shape ``[n, 32]``; a leaf is ``SHA-256(0x00 || data)``, a node
``SHA-256(0x01 || left || right)``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["MerkleTree", "inclusion_path", "root_from_path", "sha256_each"]

Hashes = NDArray[np.uint8]
# Below this many, Python's own loop is done before a query has started.
_FEW = 4096
_SUBTREE = 1 << 18
_PARALLEL = 1 << 14


def sha256_each(data: pa.Array) -> Hashes:
    """Return the SHA-256 of every value of an Arrow binary array, shape ``[n, 32]``.

    Many values go through DuckDB, which hashes them on all cores outside Python's lock.
    """
    import pyarrow as pa

    if len(data) < _FEW:
        digests = b"".join([hashlib.sha256(value).digest() for value in data.to_pylist()])
        return np.frombuffer(digests, np.uint8).reshape(-1, 32)
    parts = [data.slice(start, _PARALLEL) for start in range(0, len(data), _PARALLEL)]
    table = pa.table({"d": pa.chunked_array(parts)})
    found = (
        _database(os.getpid())
        .cursor()
        .from_arrow(table)
        .project("sha256(d) as h")
        .to_arrow_table()["h"]
    )
    return np.concatenate([_unhex(part) for part in found.chunks])


def _unhex(texts: pa.Array) -> Hashes:
    import binascii

    import pyarrow as pa

    texts = texts.cast(pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)
    start, end = offsets[texts.offset], offsets[texts.offset + len(texts)]
    digits = memoryview(texts.buffers()[2])[start:end]
    return np.frombuffer(binascii.unhexlify(digits), np.uint8).reshape(-1, 32)


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001 -- a fork has its own
    import duckdb

    return duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )


def _above(level: Hashes) -> Hashes:
    """Return the level above: neighbours in pairs, an odd one moving up unchanged."""
    import pyarrow as pa

    pairs = len(level) // 2
    nodes = np.empty((pairs, 65), np.uint8)
    nodes[:, 0] = 1
    nodes[:, 1:] = level[: 2 * pairs].reshape(pairs, 64)
    offsets = np.arange(pairs + 1, dtype=np.int64) * 65
    data = pa.Array.from_buffers(
        pa.large_binary(), pairs, [None, pa.py_buffer(offsets), pa.py_buffer(nodes)]
    )
    above = sha256_each(data)
    return np.concatenate([above, level[-1:]]) if len(level) % 2 else above


def _root(level: Hashes) -> bytes:
    while len(level) > 1:
        level = _above(level)
    return level[0].tobytes()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """The tree of the leaf hashes so far: whole subtrees by their root, the rest as it came.

    ``subtree``, a power of two, is the number of leaves that are hashed level by level at once.

    >>> leaf = np.zeros((1, 32), np.uint8)
    >>> tree = MerkleTree()
    >>> tree.add(leaf)
    >>> tree.size, tree.root() == leaf.tobytes()
    (1, True)
    """

    def __init__(self, *, subtree: int = _SUBTREE) -> None:
        self.size = 0
        self._whole = subtree
        self._subtrees = 0
        self._peaks: list[bytes] = []
        self._waiting: list[Hashes] = []
        self._rest = 0

    def add(self, leaves: Hashes) -> None:
        """Add leaf hashes, shape ``[n, 32]``, after those that are there."""
        self.size += len(leaves)
        self._rest += len(leaves)
        self._waiting.append(leaves)
        if self._rest < self._whole:
            return
        level = np.concatenate(self._waiting)
        whole = len(level) // self._whole * self._whole
        for start in range(0, whole, self._whole):
            self._complete(_root(level[start : start + self._whole]))
        self._waiting, self._rest = [level[whole:].copy()], len(level) - whole

    def _complete(self, root: bytes) -> None:
        full = self._subtrees
        while full % 2:  # every trailing one of their number is a tree that this one completes
            root = _node(self._peaks.pop(), root)
            full //= 2
        self._peaks.append(root)
        self._subtrees += 1

    def root(self) -> bytes:
        """Return the tree head: 32 bytes, of no leaf ``SHA-256("")`` (RFC 6962, section 2.1)."""
        peaks = list(self._peaks)
        if self._rest:
            peaks.append(_root(np.concatenate(self._waiting)))
        if not peaks:
            return hashlib.sha256(b"").digest()
        root = peaks.pop()
        while peaks:
            root = _node(peaks.pop(), root)
        return root


def inclusion_path(leaves: Hashes, index: int) -> list[bytes]:
    """Return the audit path of a leaf, from the bottom to the top (RFC 6962, section 2.1.1).

    ``leaves`` are all leaf hashes, shape ``[n, 32]``. Raises :class:`InputError` for an index that
    is none.
    """
    if not 0 <= index < len(leaves):
        raise InputError(f"no leaf {index:,} in a tree of {len(leaves):,}")
    path: list[bytes] = []
    level = np.ascontiguousarray(leaves)
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside].tobytes())
        level, index = _above(level), index // 2
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf hash and its audit path lead to (RFC 9162, section 2.1.3.2).

    The leaf is in the tree of this size exactly when it is the tree's root. Raises
    :class:`InputError` for a path that is too long or too short for index and size.
    """
    if not 0 <= index < size:
        raise InputError(f"no leaf {index:,} in a tree of {size:,}")
    node, last, left = leaf, size - 1, list(path)
    while last:
        if index % 2 or index < last:
            if not left:
                raise InputError("an audit path that is too short")
            beside = left.pop(0)
            node = _node(beside, node) if index % 2 else _node(node, beside)
        index, last = index // 2, last // 2
    if left:
        raise InputError("an audit path that is too long")
    return node
