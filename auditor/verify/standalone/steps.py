"""The steps of a training: their records, their chain, and where a resumed run went on."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from mmap import mmap
from typing import Any

from auditor.verify.standalone.formats import (
    CHUNK,
    WIDTH,
    digest_text,
    fold,
    leaf_hash,
    sha,
    step_leaf,
    unhex,
)

__all__ = ["Walk", "follow", "read_steps", "read_trace", "resumption"]

UNKNOWN = 2**32 - 1
CHAINED = {"trace", "trace_digest", "checkpoints", "chain_before", "chain", "chain_method"}


class Walk:
    """What comes next of each split, after each entry so far: step number and chain."""

    def __init__(self) -> None:
        self.next: dict[str, tuple[int, str | None]] = {}
        self.states: dict[int, dict[str, tuple[int, str | None]]] = {}
        self.seen: dict[tuple[str, int], int] = {}

    def suffix(self, split: str, first: int) -> str:
        """Return what the name of a segment's file ends with."""
        self.seen[split, first] = self.seen.get((split, first), 0) + 1
        again = self.seen[split, first]
        return ".bin" if again == 1 else f"-{again}.bin"

    def go_back(self, entry: dict[str, Any]) -> bool:
        """Take up what was known when the state of a ``resumed`` entry was taken."""
        said = resumption(entry)
        if said is None:
            return False
        before = [seq for seq in self.states if seq < said[1]]
        self.next = self.states[max(before)] if before else {}
        return all(following <= said[0] + 1 for following, _ in self.next.values())


def resumption(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the step and the number of entries from which a run went on, if it says them."""
    body = entry["body"]
    if set(body) != {"step", "look", "entries"}:
        return None
    if any(type(number) is not int or number < 0 for number in body.values()):
        return None
    return (body["step"], body["entries"]) if 0 < body["entries"] <= entry["seq"] else None


def read_steps(
    data: bytes | mmap, leaves: bytes | mmap
) -> tuple[dict[str, Any], list[bytes]] | None:
    """Return what an entry says of a file of steps, and the leaf hashes; ``None`` for no file."""
    first, steps, total = (int.from_bytes(data[at : at + 8], "little") for at in (16, 24, 32))
    if data[:16] != b"auditor/steps/1\n" or len(data) != 48 + 8 * steps + 4 * total:
        return None
    offsets, positions = array("Q", data[40 : 48 + 8 * steps]), array("I", data[48 + 8 * steps :])
    if sys.byteorder == "big":
        offsets.byteswap()
        positions.byteswap()
    rising = all(low <= high for low, high in pairwise(offsets))
    beyond = any(p * WIDTH >= len(leaves) and p != UNKNOWN for p in positions)
    if offsets[0] != 0 or offsets[-1] != total or not rising or beyond:
        return None
    hashes = [
        step_hash(first + at, positions[low:high], leaves)
        for at, (low, high) in enumerate(pairwise(offsets))
    ]
    return {
        "first": first,
        "last": first + steps - 1,
        "count": steps,
        "records": total,
        "unknown": positions.count(UNKNOWN),
        "root": digest_text(fold(hashes)),
    }, hashes


def step_hash(number: int, positions: Sequence[int], leaves: bytes | mmap) -> bytes:
    """Return the leaf hash of a step, over the commitments of its records."""
    held = [leaves[WIDTH * p : WIDTH * p + WIDTH] if p != UNKNOWN else bytes(WIDTH)
            for p in positions]  # fmt: skip
    chunks = (leaf_hash(b"".join(held[at : at + CHUNK])) for at in range(0, len(held), CHUNK))
    return leaf_hash(step_leaf(number, len(held), fold(chunks)))


def read_trace(
    data: bytes | mmap, first: int, hashes: list[bytes], before: str
) -> dict[str, Any] | str:
    """Return what an entry says of a trace after the chain ``before``, or what is off with it."""
    fields = [int.from_bytes(data[at : at + 8], "little") for at in range(16, 56, 8)]
    steps, random, content, checkpoints = fields[1:]
    size = 56 + 16 * steps + WIDTH * (random + content) + 40 * checkpoints
    if data[:16] != b"auditor/trace/1\n" or len(data) != size or fields[0] != first:
        return "not the trace of these steps"
    if steps != len(hashes) or {random, content} - {0, steps}:
        return "not the trace of these steps"
    digests, at = list[list[bytes]](), 56 + 16 * steps
    for count in (random, content):
        part = [data[at + WIDTH * i : at + WIDTH * i + WIDTH] for i in range(count)]
        if count and not any(map(any, part)):
            return "digests that are none"
        digests.append(part or [bytes(WIDTH)] * steps)
        at += WIDTH * count
    bound = [(int.from_bytes(data[i : i + 8], "little"), data[i + 8 : i + 40])
             for i in range(at, size, 40)]  # fmt: skip
    if any(low[0] > high[0] for low, high in pairwise(bound)) or (bound and bound[-1][0] > steps):
        return "checkpoints that are not in order"
    value = unhex(before[7:])
    for step in range(steps + 1):
        while bound and bound[0][0] == step:
            value = sha(b"auditor/checkpoint-link/v1\n" + value + bound.pop(0)[1])
        if step < steps:
            loss = data[56 + 8 * step : 64 + 8 * step]
            link = value + hashes[step] + loss + digests[0][step] + digests[1][step]
            value = sha(b"auditor/step-link/v1\n" + link)
            at = 56 + 8 * steps + 8 * step
            if value[:8] != data[at : at + 8]:
                return f"the chain breaks at step {first + step}"
    return {
        "checkpoints": checkpoints, "chain_before": before, "chain": digest_text(value),
        "chain_method": "sha256-step-links-1",
    }  # fmt: skip


def follow(walk: Walk, body: dict[str, Any], entry_0: str) -> str | None:
    """Return the chain that a segment must follow; ``None`` where it may have no trace."""
    following = walk.next.get(str(body["split"]))
    if following is None:
        return entry_0 if CHAINED & set(body) else None
    return following[1]
