"""What each step computed: its loss, the random state before it, and the chain over all of it.

Beside the records of its steps (:mod:`auditor.ledger.step_segment`) a segment has a *trace*. The
chain goes through both, one link for each step and one for each checkpoint, in their order::

    h = SHA-256("auditor/step-link/v1\\n" || h before || leaf hash of the step || loss as float64
                || digest of the random state || digest of what is known by its content alone)
    h = SHA-256("auditor/checkpoint-link/v1\\n" || h before || digest of the checkpoint)

The first link follows the digest of entry 0 of the ledger. So a value of the chain that lies in a
checkpoint, or that somebody wrote down, stands for every step before it and for the policy, the
seed and the data that were registered before the first of them.

The file of a trace is compact, all little-endian; digests are left out where no step has one::

    "auditor/trace/1\\n"  first step, steps, random digests, content digests (0 or steps each),
                         checkpoints as five uint64
                         losses: float64 [steps]   links: 8 bytes [steps]
                         random, content: 32 bytes [0 or steps]
                         checkpoints: uint64 and 32 bytes each

The number of a checkpoint is how many steps of the segment came before it. The links are the first
8 bytes of the chain after each step: they tell which step is off where the chain is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.ledger.layout import EVIDENCE
from auditor.ledger.record_key import check_split_name
from auditor.ledger.sorted_tree import WIDTH

__all__ = [
    "CHAIN_METHOD",
    "NOTHING",
    "Trace",
    "chain_start",
    "checkpoint_link",
    "make_trace",
    "step_link",
    "trace_file",
]

CHAIN_METHOD = "sha256-step-links-1"
"""What the ledger says about how the chain was made."""

NOTHING = bytes(WIDTH)
"""The digest of a step that has none."""

_LINK = 8
_MAGIC = b"auditor/trace/1\n"
_HEADER = len(_MAGIC) + 40
_STEP = b"auditor/step-link/v1\n"
_CHECKPOINT = b"auditor/checkpoint-link/v1\n"


def trace_file(split: str, first: int, *, again: int = 1) -> str:
    """Return where in a run the trace of a segment lies, beside its file of steps.

    >>> trace_file("train", 1), trace_file("train", 1, again=2)
    ('evidence/trace-train-000000001.bin', 'evidence/trace-train-000000001-2.bin')
    """
    suffix = "" if again == 1 else f"-{again}"
    return f"{EVIDENCE}/trace-{check_split_name(split)}-{first:09d}{suffix}.bin"


def chain_start(entry_0: str) -> bytes:
    """Return what the first link follows, given the digest of entry 0 (``sha256:…``): 32 bytes."""
    return bytes.fromhex(entry_0.removeprefix("sha256:"))


def step_link(before: bytes, leaf: bytes, loss: bytes, random: bytes, content: bytes) -> bytes:
    """Return the chain after a step; ``loss`` is a float64 of 8 bytes, little-endian."""
    return sha256(_STEP + before + leaf + loss + random + content).digest()


def checkpoint_link(before: bytes, digest: bytes) -> bytes:
    """Return the chain after a checkpoint."""
    return sha256(_CHECKPOINT + before + digest).digest()


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of consecutive steps, from number ``first``.

    ``losses`` has shape ``[steps]`` (float64), ``links`` ``[steps, 8]``, ``random`` and ``content``
    ``[steps, 32]`` or ``[0, 32]`` (uint8); ``checkpoints`` are pairs of the number of steps before
    and the digest.
    """

    first: int
    losses: NDArray[np.float64]
    links: NDArray[np.uint8]
    random: NDArray[np.uint8]
    content: NDArray[np.uint8]
    checkpoints: tuple[tuple[int, bytes], ...] = ()

    def __len__(self) -> int:
        return len(self.losses)

    def data(self) -> bytes:
        """Return the content of the file."""
        sizes = (self.first, len(self), len(self.random), len(self.content), len(self.checkpoints))
        return b"".join(
            (_MAGIC, np.array(sizes, "<u8").tobytes(), self.losses.astype("<f8").tobytes(),
             self.links.tobytes(), self.random.tobytes(), self.content.tobytes(),
             *(after.to_bytes(8, "little") + digest for after, digest in self.checkpoints))
        )  # fmt: skip

    @classmethod
    def read(cls, data: bytes | memoryview, *, where: str) -> Trace:
        """Read the file; raises :class:`InputError` for what :meth:`data` would not have written.

        A list of digests that are all zero is such a thing: it would have been left out.
        """
        head = bytes(data[:_HEADER])
        if len(head) < _HEADER or not head.startswith(_MAGIC):
            raise InputError("not a trace of steps", where=where)
        first, steps, random, content, checkpoints = (
            int.from_bytes(head[at : at + 8], "little") for at in range(len(_MAGIC), _HEADER, 8)
        )
        kept = WIDTH * (random + content)
        size = _HEADER + (8 + _LINK) * steps + kept + (8 + WIDTH) * checkpoints
        if len(data) != size or first + steps >= 2**53 or {random, content} - {0, steps}:
            raise InputError("the trace is cut, or too long", where=where)
        at = _HEADER + 8 * steps
        links = np.frombuffer(data, np.uint8, _LINK * steps, at).reshape(-1, _LINK)
        at += _LINK * steps
        digests = np.frombuffer(data, np.uint8, kept, at).reshape(-1, WIDTH)
        parts = digests[:random], digests[random:]
        if any(len(part) and not part.any() for part in parts):
            raise InputError("the trace has digests that are none", where=where)
        pairs = tuple(
            (int.from_bytes(bytes(data[at : at + 8]), "little"), bytes(data[at + 8 : at + 40]))
            for at in range(at + kept, size, 8 + WIDTH)
        )
        afters = [after for after, _ in pairs]
        if afters != sorted(afters) or (afters and afters[-1] > steps):
            raise InputError("the checkpoints of the trace are not in order", where=where)
        return cls(first, np.frombuffer(data, "<f8", steps, _HEADER), links, *parts, pairs)

    def chain(self, before: bytes, leaves: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
        """Return the chain after these steps, and after each, given the leaf hash of each."""
        losses = self.losses.astype("<f8").tobytes()
        random, content = _digests(self.random, len(self)), _digests(self.content, len(self))
        links = iter((*self.checkpoints, (len(self) + 1, NOTHING)))
        after, digest = next(links)
        value, values = before, list[bytes]()
        for index in range(len(self) + 1):
            while after == index:
                value = checkpoint_link(value, digest)
                after, digest = next(links)
            if index < len(self):
                loss = losses[8 * index : 8 * index + 8]
                value = step_link(value, leaves[index], loss, random[index], content[index])
                values.append(value)
        return value, values

    def first_break(self, values: Sequence[bytes]) -> int | None:
        """Return the first step that the chain after each does not fit; ``None`` where all do."""
        for index, value in enumerate(values):
            if self.links[index].tobytes() != value[:_LINK]:
                return self.first + index
        return None


def make_trace(
    first: int,
    before: bytes,
    leaves: Sequence[bytes],
    *,
    losses: Sequence[float],
    random: Sequence[bytes],
    content: Sequence[bytes],
    checkpoints: Sequence[tuple[int, bytes]],
) -> tuple[Trace, bytes]:
    """Return the trace of steps after the chain ``before``, and the chain after them.

    ``leaves`` are the leaf hashes of the steps, ``random`` and ``content`` their digests, empty
    where there is none.
    """
    trace = Trace(
        first, np.array(losses, np.float64), np.zeros((0, _LINK), np.uint8), _kept(random),
        _kept(content), tuple(checkpoints),
    )  # fmt: skip
    value, values = trace.chain(before, leaves)
    links = np.frombuffer(b"".join(v[:_LINK] for v in values), np.uint8).reshape(-1, _LINK)
    return replace(trace, links=links), value


def _kept(digests: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return digests as an array; an empty one where none is given."""
    data = b"".join([digest or NOTHING for digest in digests])
    return np.frombuffer(data if any(data) else b"", np.uint8).reshape(-1, WIDTH)


def _digests(kept: NDArray[np.uint8], steps: int) -> list[bytes]:
    if not len(kept):
        return [NOTHING] * steps
    data = kept.tobytes()
    return [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]
