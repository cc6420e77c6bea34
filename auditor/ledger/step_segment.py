"""Which records each optimizer step consumed: a file, and a tree over the steps.

A *step* is one update of the weights: with gradient accumulation, or with several batches for
another reason, all their records count. The commitments of a step's records, in the order of its
batches, are cut into chunks of 32; the root over the chunks (RFC 6962), the step's number and its
size are one leaf of the tree over the steps of a segment, which a ``steps`` entry of the ledger
binds. So a proof that a record was in a step shows one chunk, and not the whole batch.

The file of a segment is compact: positions in the sorted commitments, not the commitments::

    "auditor/steps/1\\n"  first step, steps, records as three uint64
                         offsets: uint64 [steps + 1]   positions: uint32 [records]

all little-endian. The position 2^32 - 1 is a record that is not of the split; it is committed to as
32 zero bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.ledger.layout import EVIDENCE
from auditor.ledger.record_key import check_split_name
from auditor.ledger.sorted_tree import WIDTH
from auditor.ledger.tree import fold_hashes

__all__ = [
    "CHUNK",
    "STEPS",
    "STEPS_METHOD",
    "UNKNOWN",
    "StepSegment",
    "chunks_of",
    "step_leaf",
    "steps_file",
]

STEPS = "steps"
"""The type of the ledger's entry for a segment of steps."""

STEPS_METHOD = "rfc6962-chunks-32"
"""What the ledger says about how steps were committed to."""

CHUNK = 32
"""The number of commitments in a chunk, the part of a step that a proof shows."""

UNKNOWN = 2**32 - 1
"""The position of a record that is not of the split."""

_MAGIC = b"auditor/steps/1\n"
_HEADER = len(_MAGIC) + 24


def steps_file(split: str, first: int, *, again: int = 1) -> str:
    """Return where in a run a segment of steps lies.

    ``again`` tells segments with the same first step apart: those after a training was resumed,
    and those of a checkpoint alone.

    >>> steps_file("train", 1), steps_file("train", 1, again=2)
    ('evidence/steps-train-000000001.bin', 'evidence/steps-train-000000001-2.bin')
    """
    suffix = "" if again == 1 else f"-{again}"
    return f"{EVIDENCE}/steps-{check_split_name(split)}-{first:09d}{suffix}.bin"


def chunks_of(commitments: bytes) -> list[bytes]:
    """Cut the commitments of a step, one after the other, into the chunks of its tree."""
    width = WIDTH * CHUNK
    return [commitments[at : at + width] for at in range(0, len(commitments), width)]


def step_leaf(number: int, size: int, chunks_root: bytes) -> bytes:
    """Return the leaf of a step: its number, the number of its records, the root of its chunks."""
    return number.to_bytes(8, "big") + size.to_bytes(8, "big") + chunks_root


@dataclass(frozen=True, slots=True)
class StepSegment:
    """Consecutive steps, from number ``first``.

    ``positions`` are those of the records in the sorted commitments, shape ``[records]`` (uint32);
    step ``first + i`` consumed ``positions[offsets[i]:offsets[i + 1]]``.
    """

    first: int
    offsets: NDArray[np.uint64]
    positions: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def data(self) -> bytes:
        """Return the content of the file."""
        header = np.array([self.first, len(self), len(self.positions)], "<u8")
        return b"".join(
            (_MAGIC, header.tobytes(), self.offsets.astype("<u8").tobytes(),
             self.positions.astype("<u4").tobytes())
        )  # fmt: skip

    @classmethod
    def read(cls, data: bytes | memoryview, *, records: int, where: str) -> StepSegment:
        """Read the file of a segment of a split of ``records`` records.

        Raises :class:`InputError` for anything that :meth:`data` would not have written.
        """
        head = bytes(data[:_HEADER])
        if len(head) < _HEADER or not head.startswith(_MAGIC):
            raise InputError("not a file of steps", where=where)
        first, steps, total = (
            int.from_bytes(head[at : at + 8], "little") for at in range(len(_MAGIC), _HEADER, 8)
        )
        if len(data) != _HEADER + 8 * (steps + 1) + 4 * total or first + steps >= 2**53:
            raise InputError("the file of steps is cut, or too long", where=where)
        offsets = np.frombuffer(data, "<u8", steps + 1, _HEADER)
        positions = np.frombuffer(data, "<u4", total, _HEADER + 8 * (steps + 1))
        rising = offsets[0] == 0 and offsets[-1] == total and (offsets[1:] >= offsets[:-1]).all()
        if not rising:
            raise InputError("the offsets of the steps are not in order", where=where)
        if ((positions >= records) & (positions != UNKNOWN)).any():
            raise InputError("a step names a record that is not there", where=where)
        return cls(first, offsets, positions)

    def commitments(self, leaves: NDArray[np.uint8], index: int) -> bytes:
        """Return the commitments of the records of one step, one after the other."""
        part = self.positions[int(self.offsets[index]) : int(self.offsets[index + 1])]
        known = part != UNKNOWN
        if known.all():
            return leaves.take(part, axis=0).tobytes()  # three times as fast as leaves[part]
        found = np.zeros((len(part), WIDTH), np.uint8)
        found[known] = leaves[part[known]]
        return found.tobytes()

    def hashes(self, leaves: NDArray[np.uint8]) -> list[bytes]:
        """Return the leaf hash of every step, given the sorted commitments ``[records, 32]``."""
        found: list[bytes] = []
        width = WIDTH * CHUNK
        for index in range(len(self)):
            data = self.commitments(leaves, index)
            # leaf_hash spelt out: the calls would cost as much as the hashes of small chunks.
            level = [
                sha256(b"\x00" + data[at : at + width]).digest()
                for at in range(0, len(data), width)
            ]
            leaf = step_leaf(self.first + index, len(data) // WIDTH, fold_hashes(level))
            found.append(sha256(b"\x00" + leaf).digest())
        return found

    def steps_of(self, position: int) -> Iterator[tuple[int, int]]:
        """Give the steps that consumed a record: the index in the segment, the first place there.

        A record that a step drew more than once is given once.
        """
        places = np.flatnonzero(self.positions == position)
        indices = np.searchsorted(self.offsets, places, side="right") - 1
        indices, firsts = np.unique(indices, return_index=True)
        for index, place in zip(indices.tolist(), places[firsts].tolist(), strict=True):
            yield index, place - int(self.offsets[index])
