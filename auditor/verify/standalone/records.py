"""The records and steps to which a run committed, held against their files."""

from __future__ import annotations

import sys
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

from auditor.verify.standalone.formats import (
    CHUNK,
    METHODS,
    WIDTH,
    digest_text,
    fold,
    leaf_hash,
    sha,
    step_leaf,
)
from auditor.verify.standalone.signatures import Report

__all__ = ["check_records"]

UNKNOWN = 2**32 - 1


def check_records(
    report: Report, run: Path, entries: list[dict[str, Any]], present: set[str]
) -> None:
    """Hold the committed records and steps against their files: order, roots, counts."""
    splits: dict[str, bytes] = {}
    following: dict[str, int] = {}
    bound: set[str] = set()
    for entry in entries:
        body, kind, where = entry["body"], entry["type"], f"ledger.jsonl, entry {entry['seq']}"
        if kind not in METHODS:
            continue
        split, name = str(body.get("split")), str(body.get("file"))
        bound.add(name)
        usual = f"evidence/records-{split}.bin"
        if kind == "steps" and type(body.get("first")) is int:
            usual = f"evidence/steps-{split}-{body['first']:09d}.bin"
        if not report.demand(name == usual and name in present and body.get("method") == METHODS[kind],
                             where, "not the file or method of such an entry"):  # fmt: skip
            continue
        data = (run / name).read_bytes()
        if kind == "records":
            good = split not in splits and "records_key_root" in entries[0]["body"]
            splits[split] = data
            leaves = [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]
            rising = all(low < high for low, high in pairwise(leaves))
            report.demand(rising and len(data) % WIDTH == 0, name, "not in strict order")
            said = {"count": len(leaves), "root": digest_text(fold(list(map(leaf_hash, leaves))))}
        else:
            first = body.get("first")
            good = split in splits and first == following.get(split, first)
            said = read_steps(data, splits.get(split, b""))
            if said:
                following[split] = said["last"] + 1
        said = said and {**said, "digest": digest_text(sha(data))}
        good = good and said and all(body.get(field) == value for field, value in said.items())
        report.demand(good, where, f"does not say what {name} holds")
    for name in sorted(present - bound):
        report.demand(not name.startswith(("evidence/records-", "evidence/steps-")), name,
                      "no entry speaks of this file")  # fmt: skip


def read_steps(data: bytes, leaves: bytes) -> dict[str, Any] | None:
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
    hashes: list[bytes] = []
    for at in range(steps):
        part = [leaves[WIDTH * p : WIDTH * p + WIDTH] if p != UNKNOWN else bytes(WIDTH)
                for p in positions[offsets[at] : offsets[at + 1]]]  # fmt: skip
        chunks = [leaf_hash(b"".join(part[i : i + CHUNK])) for i in range(0, len(part), CHUNK)]
        hashes.append(leaf_hash(step_leaf(first + at, len(part), fold(chunks))))
    return {"first": first, "last": first + steps - 1, "count": steps, "records": total,
            "unknown": positions.count(UNKNOWN), "root": digest_text(fold(hashes))}  # fmt: skip
