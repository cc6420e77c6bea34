"""The records and steps to which a run committed, held against their files."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from auditor.verify.standalone.formats import (
    METHODS,
    WIDTH,
    canonical,
    digest_text,
    file_digest,
    fold,
    is_digest,
    leaf_hash,
    sha,
)
from auditor.verify.standalone.signatures import Report
from auditor.verify.standalone.steps import CHAINED, Walk, follow, read_steps, read_trace

__all__ = ["check_records"]


def check_records(
    report: Report, run: Path, entries: list[dict[str, Any]], present: set[str],
    missing: set[str],
) -> None:  # fmt: skip
    """Hold the committed records and steps against their files: order, roots, counts, chain."""
    splits: dict[str, bytes | mmap] = {}
    walk = Walk()
    bound: set[str] = set()
    entry_0 = digest_text(sha(canonical(entries[0]).encode()))
    for entry in entries:
        body, where = entry["body"], f"ledger.jsonl, entry {entry['seq']}"
        if entry["type"] == "resumed":
            report.demand(walk.go_back(entry), where, "it does not say from where the run goes on")
        elif entry["type"] == "records":
            check_commitments(report, run, entry, entries[0]["body"], present, missing, splits)
            bound.add(f"evidence/records-{body.get('split')}.bin")
        elif entry["type"] == "steps":
            right = type(body.get("split")) is str and type(body.get("first")) is int
            if report.demand(right, where, "not the file of such an entry"):
                ending = f"{body['split']}-{body['first']:09d}"
                ending += walk.suffix(body["split"], body["first"])
                names = f"evidence/steps-{ending}", f"evidence/trace-{ending}"
                bound |= {names[0], *(names[1:] if "trace" in body else ())}
                check_steps(report, run, entry, names, walk, splits, present, missing, entry_0)
        walk.states[entry["seq"]] = walk.next
    for name in sorted(present - bound):
        kinds = tuple(f"evidence/{kind}-" for kind in ("records", "steps", "trace"))
        report.demand(not name.startswith(kinds) or not name.endswith(".bin"), name,
                      "no entry speaks of this file")  # fmt: skip


def check_commitments(
    report: Report, run: Path, entry: dict[str, Any], first: dict[str, Any], present: set[str],
    missing: set[str], splits: dict[str, bytes | mmap],
) -> None:  # fmt: skip
    """Hold the sorted commitments of a split against their entry."""
    body, where = entry["body"], f"ledger.jsonl, entry {entry['seq']}"
    name = f"evidence/records-{body.get('split')}.bin"
    if name in missing:
        return
    right = type(body.get("split")) is str and body.get("file") == name
    right = right and body.get("method") == METHODS["records"] and name in present
    if not report.demand(right, where, "not the file of such an entry"):
        return
    right = body["split"] not in splits and key_root(first, body) is not None
    data = splits[body["split"]] = mapped(run / name)
    said = read_records(data)
    if said is None:
        report.fault(name, "not in order, cut, or something else")
        return
    said["digest"] = file_digest(run / name)
    right = right and canonical(body) == canonical({**body, **said})
    report.demand(right, where, f"it does not say what {name} holds")


def key_root(first: dict[str, Any], records: dict[str, Any]) -> str | None:
    """Return the root of the keys of records: of entry 0, or else of the entry of the records."""
    roots = [body.get("records_key_root") for body in (first, records)]
    given = [root for root in roots if root is not None]
    by_content = records.get("identified_by") == "content"
    if len(given) != 1 or not is_digest(given[0]) or by_content != (roots[0] is None):
        return None
    return str(given[0])


def check_steps(
    report: Report, run: Path, entry: dict[str, Any], names: tuple[str, str], walk: Walk,
    splits: dict[str, bytes | mmap], present: set[str], missing: set[str], entry_0: str,
) -> None:  # fmt: skip
    """Hold a segment of steps and its trace against their entry, and both against those before."""
    body, where, (name, traced) = entry["body"], f"ledger.jsonl, entry {entry['seq']}", names
    split, first = body["split"], body["first"]
    before, chained = follow(walk, body, entry_0), bool(CHAINED & set(body))
    right = first == walk.next.get(split, (first,))[0] and chained == (before is not None)
    report.demand(right, where, "the steps do not follow those before")
    hidden = bool({name, f"evidence/records-{split}.bin"} & missing)
    hashes: list[bytes] | None = None
    if not hidden:
        right = body.get("file") == name and body.get("method") == METHODS["steps"]
        if not report.demand(right and name in present, where, "not the file of such an entry"):
            return None
        read = read_steps(mapped(run / name), splits.get(split, b""))
        if read is None or split not in splits:
            return report.fault(name, "not in order, cut, or something else")
        said, hashes = read
        said["digest"] = file_digest(run / name)
        right = canonical(body) == canonical({**body, **said})
        report.demand(right, where, f"it does not say what {name} holds")
    if before is not None and not {traced} & missing and hashes is not None:
        right = body.get("trace") == traced and traced in present and is_digest(before)
        if not report.demand(right, where, "not the trace of such an entry"):
            return None
        found = read_trace(mapped(run / traced), first, hashes, before)
        if isinstance(found, str):
            return report.fault(traced, found)
        found["trace_digest"] = file_digest(run / traced)
        right = canonical(body) == canonical({**body, **found})
        report.demand(right, where, f"it does not say what {traced} holds")
    right = type(body.get("count")) is int and (before is None or is_digest(body.get("chain")))
    if report.demand(right, where, "it says not how many steps"):
        walk.next = {**walk.next, split: (first + body["count"], body.get("chain"))}
    return None


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
