"""An RFC 6962 tree over sorted leaves of 32 bytes: it shows what is in it, and what is not.

That a value is absent is shown by two leaves that stand next to each other, one below and one above
it (or by the first or the last leaf, or by the empty tree). This rests on the order of the leaves:
whoever has the file checks it by :meth:`SortedTree.first_disorder`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import overload

from auditor.errors import InputError
from auditor.ledger.tree import fold_hashes, hash_path

__all__ = ["WIDTH", "SortedTree", "neighbours_of_absent"]

WIDTH = 32
_BLOCK = 4_096  # leaves; a power of two, so that each block is a full subtree


class SortedTree(Sequence[bytes]):
    """The leaves of a file, one after the other; ``buffer`` may be mapped from a file of any size.

    Raises :class:`InputError` where the buffer does not hold whole leaves.
    """

    def __init__(self, buffer: bytes | memoryview) -> None:
        self.buffer = memoryview(buffer).cast("B")
        if len(self.buffer) % WIDTH:
            raise InputError(f"{len(self.buffer):,} bytes are no whole number of leaves")

    def __len__(self) -> int:
        return len(self.buffer) // WIDTH

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return bytes(self.buffer[WIDTH * index : WIDTH * (index + 1)])

    def first_disorder(self) -> int | None:
        """Return the first leaf that is not above the one before it; ``None`` where all are."""
        import numpy as np  # for whoever has a file to check: a proof is checked without it

        for start in range(0, len(self) - 1, _BLOCK):
            part = self.buffer[WIDTH * start : WIDTH * (start + _BLOCK + 1)]
            words = np.frombuffer(part, ">u8").reshape(-1, 4)
            above = np.zeros(len(words) - 1, bool)
            for word in words.T[::-1]:  # from the last to the first, which decides
                above = (word[1:] > word[:-1]) | ((word[1:] == word[:-1]) & above)
            if not above.all():
                return start + int(above.argmin()) + 1
        return None

    def place_of(self, leaf: bytes) -> int:
        """Return how many leaves lie below ``leaf``: its place, if it is there."""
        return bisect_left(self, leaf)

    def holds(self, leaf: bytes) -> bool:
        """Whether ``leaf`` is one of the leaves."""
        place = self.place_of(leaf)
        return place < len(self) and self[place] == leaf

    def root(self) -> bytes:
        """Return the tree head: 32 bytes."""
        return fold_hashes(self._blocks)

    def path(self, index: int) -> list[bytes]:
        """Return the inclusion path of a leaf; raises :class:`IndexError` where it is not there."""
        if not 0 <= index < len(self):
            raise IndexError(f"leaf {index} of {len(self)}")
        block, within = divmod(index, _BLOCK)
        return [*hash_path(self._hashes(block), within), *hash_path(self._blocks, block)]

    @cached_property
    def _blocks(self) -> list[bytes]:
        count = -(-len(self) // _BLOCK)
        return [fold_hashes(self._hashes(block)) for block in range(count)]

    def _hashes(self, block: int) -> list[bytes]:
        data = bytes(self.buffer[WIDTH * _BLOCK * block : WIDTH * _BLOCK * (block + 1)])
        return [
            sha256(b"\x00" + data[at : at + WIDTH]).digest() for at in range(0, len(data), WIDTH)
        ]


def neighbours_of_absent(place: int, size: int) -> list[int]:
    """Return which leaves show that nothing stands at ``place``, between two of ``size`` leaves.

    >>> neighbours_of_absent(0, 3), neighbours_of_absent(2, 3), neighbours_of_absent(3, 3)
    ([0], [1, 2], [2])
    """
    return [index for index in (place - 1, place) if 0 <= index < size]
