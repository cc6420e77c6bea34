"""The digest of a multiset of records: the same for every order, another for every other count."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from typing import IO

import numpy as np
from numpy.typing import NDArray

__all__ = ["RecordSet"]

_ENTRY = np.dtype([("digest", "V32"), ("count", "<u8")])
Entries = tuple[NDArray[np.uint8], NDArray[np.uint64]]
_HELD = 1 << 22
_BUCKETS = 256


class RecordSet:
    """Counts equal record digests; sorted, they give one digest.

    The digest is ``SHA-256(head || d1 || n1 || … || dk || nk)``: the distinct record digests in
    ascending order, 32 bytes each, each with how often it occurs, 8 bytes little-endian; ``head``
    is 32 bytes. Two multisets with one digest are a collision of SHA-256, as entries have one width
    and one order. A sum or XOR of digests would need less memory, but XOR forgets what occurs
    twice, and a sum of 256 bits falls to the generalised birthday problem (Wagner, CRYPTO 2002,
    section 4) where it would have to hold against whoever made the records.

    At most about ``held`` digests are kept in memory; beyond, they wait in temporary files, sorted
    apart by their first byte. Use it as a context, which removes them.
    """

    def __init__(self, head: bytes, *, held: int = _HELD) -> None:
        self._head, self._limit = head, held
        self._parts: list[Entries] = []
        self._rows = 0
        self._files: list[IO[bytes]] = []
        self._open = ExitStack()

    def __enter__(self) -> RecordSet:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, digests: NDArray[np.uint8]) -> None:
        """Add record digests, shape ``[n, 32]``."""
        self._parts.append((digests, np.ones(len(digests), np.uint64)))
        self._rows += len(digests)
        if self._rows >= self._limit:
            merged = self._merge()
            if len(merged[0]) >= self._limit // 2:
                self._spill(merged)
            else:  # many equal ones: they need no file
                self._parts, self._rows = [merged], len(merged[0])

    def digest(self) -> bytes:
        """Return the digest of what was added: 32 bytes."""
        found = hashlib.sha256(self._head)
        if not self._files:
            found.update(_bytes(self._merge()))
            return found.digest()
        self._spill(self._merge())
        for file in self._files:
            file.seek(0)
            held = np.frombuffer(file.read(), _ENTRY)
            digests = np.ascontiguousarray(held["digest"]).view(np.uint8).reshape(-1, 32)
            found.update(_bytes(counted(digests, np.ascontiguousarray(held["count"]))))
        return found.digest()

    def _merge(self) -> Entries:
        if not self._parts:
            return np.empty((0, 32), np.uint8), np.empty(0, np.uint64)
        digests, counts = zip(*self._parts, strict=True)
        return counted(np.concatenate(digests), np.concatenate(counts))

    def _spill(self, merged: Entries) -> None:
        if not self._files:
            self._files = [
                self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                for _ in range(_BUCKETS)
            ]
        ends = np.searchsorted(merged[0][:, 0], np.arange(_BUCKETS + 1))
        for file, start, end in zip(self._files, ends[:-1], ends[1:], strict=True):
            file.seek(0, 2)
            file.write(_bytes((merged[0][start:end], merged[1][start:end])))
        self._parts, self._rows = [], 0


def _bytes(entries: Entries) -> bytes:
    found = np.empty(len(entries[1]), _ENTRY)
    found["digest"] = entries[0].view("V32").ravel()
    found["count"] = entries[1]
    return found.tobytes()


def counted(digests: NDArray[np.uint8], counts: NDArray[np.uint64]) -> Entries:
    """Return the distinct digests in ascending order, and the sums of their counts.

    >>> digests = np.array([[2] * 32, [1] * 32, [2] * 32], np.uint8)
    >>> distinct, sums = counted(digests, np.ones(3, np.uint64))
    >>> distinct[:, 0].tolist(), sums.tolist()
    ([1, 2], [1, 2])
    """
    if not len(digests):
        return digests, counts
    keys = np.ascontiguousarray(digests).view(">u8")
    order = np.argsort(keys[:, 0].astype(np.uint64))
    tops = keys[order, 0]
    near = tops[1:] == tops[:-1]
    if near.any():  # the same record, or two that share their first 8 bytes
        order = order[_settled(keys[order], np.concatenate([near, [False]]))]
    found = digests[order]
    same = np.flatnonzero(near)
    again = np.zeros(len(found), bool)
    again[same + 1] = (found[same + 1] == found[same]).all(axis=1)
    if not again.any():
        return found, counts[order]
    starts = np.flatnonzero(~again)
    return found[starts], np.add.reduceat(counts[order], starts)


def _settled(keys: NDArray[np.uint64], near: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the order that sorts keys whose first words are in order already."""
    rest = np.flatnonzero(near[:-1])
    if (keys[rest] == keys[rest + 1]).all():
        return np.arange(len(keys))
    return np.lexsort(keys.T[::-1])
