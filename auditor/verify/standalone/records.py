"""The records and steps to which a run committed, held against their files."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from auditor.verify.standalone.formats import (
    CHUNK,
    METHODS,
    WIDTH,
    canonical,
    digest_text,
    file_digest,
    fold,
    is_digest,
    leaf_hash,
    step_leaf,
)
from auditor.verify.standalone.signatures import Report

__all__ = ["check_records"]

UNKNOWN = 2**32 - 1


def check_records(
    report: Report, run: Path, entries: list[dict[str, Any]], present: set[str],
    missing: set[str],
) -> None:  # fmt: skip
    """Hold the committed records and steps against their files: order, roots, counts."""
    splits: dict[str, bytes | mmap] = {}
    following: dict[str, int] = {}
    bound: set[str] = set()
    for entry in entries:
        body, kind = entry["body"], entry["type"]
        if kind not in METHODS:
            continue
        where, name = f"ledger.jsonl, entry {entry['seq']}", usual_name(kind, body)
        bound.add(name)
        if {name, f"evidence/records-{body.get('split')}.bin"} & missing:
            continue
        right = body.get("file") == name and body.get("method") == METHODS[kind]
        if not report.demand(right and name in present, where, "not the file of such an entry"):
            continue
        split, data = str(body["split"]), mapped(run / name)
        if kind == "records":
            root = entries[0]["body"].get("records_key_root")
            right = split not in splits and is_digest(root)
            said = read_records(data)
            splits[split] = data
        else:
            right = split in splits and body["first"] == following.get(split, body["first"])
            said = read_steps(data, splits.get(split, b""))
            following[split] = said["last"] + 1 if said else -1
        if said is None:
            report.fault(name, "not in order, cut, or something else")
        else:
            said["digest"] = file_digest(run / name)
            right = right and canonical(body) == canonical({**body, **said})
            report.demand(right, where, f"it does not say what {name} holds")
    for name in sorted(present - bound):
        right = not name.startswith(("evidence/records-", "evidence/steps-"))
        report.demand(right, name, "no entry speaks of this file")


def usual_name(kind: str, body: dict[str, Any]) -> str:
    """Return where the file of an entry lies; nothing where the entry is none."""
    split, first = body.get("split"), body.get("first")
    if type(split) is not str or (kind == "steps" and type(first) is not int):
        return ""
    return f"evidence/{kind}-{split}" + (".bin" if kind == "records" else f"-{first:09d}.bin")


def mapped(path: Path) -> bytes | mmap:
    """Map a file, which is sliced like bytes; an empty one cannot be mapped."""
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ) if path.stat().st_size else b""


def read_records(data: bytes | mmap) -> dict[str, Any] | None:
    """Return what an entry says of sorted commitments; ``None`` where they are not in order."""
    before, starts = b"", range(0, len(data), WIDTH)
    for at in starts:
        if before >= data[at : at + WIDTH]:
            return None
        before = data[at : at + WIDTH]
    if len(data) % WIDTH:
        return None
    root = fold(leaf_hash(data[at : at + WIDTH]) for at in starts)
    return {"count": len(starts), "root": digest_text(root)}


def read_steps(data: bytes | mmap, leaves: bytes | mmap) -> dict[str, Any] | None:
    """Return what an entry says of a file of steps; ``None`` where it cannot be read."""
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
    hashes = (
        step_hash(first + at, positions[low:high], leaves)
        for at, (low, high) in enumerate(pairwise(offsets))
    )
    return {
        "first": first,
        "last": first + steps - 1,
        "count": steps,
        "records": total,
        "unknown": positions.count(UNKNOWN),
        "root": digest_text(fold(hashes)),
    }


def step_hash(number: int, positions: Sequence[int], leaves: bytes | mmap) -> bytes:
    """Return the leaf hash of a step, over the commitments of its records."""
    held = [leaves[WIDTH * p : WIDTH * p + WIDTH] if p != UNKNOWN else bytes(WIDTH)
            for p in positions]  # fmt: skip
    chunks = (leaf_hash(b"".join(held[at : at + CHUNK])) for at in range(0, len(held), CHUNK))
    return leaf_hash(step_leaf(number, len(held), fold(chunks)))
