"""A proof file: is a record among those to which a run committed, and which steps used it?"""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import quote

from auditor.verify.standalone.formats import (
    BUCKETS,
    CHUNK,
    EMPTY,
    ENTRY,
    METHODS,
    WIDTH,
    Bad,
    climb,
    digest_text,
    leaf_hash,
    read_json,
    sha,
    shaped,
    step_leaf,
    unhex,
)
from auditor.verify.standalone.records import key_root
from auditor.verify.standalone.signatures import Report, check_note
from auditor.verify.standalone.steps import resumption

__all__ = ["check_proof"]

PROOF: dict[str, type] = {
    "run": str, "record": str, "split": str, "included": bool, "head": str, "entries": list,
    "key": dict, "leaves": list, "schema": str,
}  # fmt: skip
LINE: dict[str, type] = {"line": str, "path": list}
SECRET: dict[str, type] = {"key": str, "path": list}
LEAF: dict[str, type] = {"index": int, "leaf": str, "path": list}
STEP: dict[str, type] = {
    "step": int, "segment": int, "records": int, "chunk": int, "commitments": str,
    "chunk_path": list, "path": list,
}  # fmt: skip


def check_proof(report: Report, data: bytes) -> None:
    """Check a proof that a record is, or is not, among those to which a run committed."""
    try:
        proof = read_json(data[:-1])
    except Bad as error:
        return report.fault("the proof", str(error))
    whole = data[-1:] == b"\n" and shaped(
        proof, PROOF, ("steps", "superseded")
    ) and shaped(
        proof["key"], SECRET
    ) and all(
        isinstance(part, list) and all(shaped(item, shape) for item in part)
        for part, shape in ((proof["entries"], LINE), (proof["leaves"], LEAF),
                            (proof.get("steps", []), STEP), (proof.get("superseded", []), STEP))
    )  # fmt: skip
    if not whole or proof["schema"] != "auditor/proof/v1" or len(proof["entries"]) < 2:
        return report.fault("the proof", "not the fields of a proof")
    try:
        entries = [read_json(shown["line"].encode()) for shown in proof["entries"]]
        whole = all(shaped(entry, ENTRY) for entry in entries)
    except Bad as error:
        return report.fault("entries", str(error))
    if not whole:
        return report.fault("entries", "not entries of a ledger")
    first, records, split = entries[0]["body"], entries[1]["body"], proof["split"]
    note = check_note(report, proof["head"].encode(), first)
    if note is None:
        return None
    for entry, shown in zip(entries, proof["entries"], strict=True):
        root = climb(leaf_hash(shown["line"].encode()), entry["seq"], note[1], shown["path"])
        report.demand(root == digest_text(note[2]), "entries", "not in the ledger of this head")
    kinds = [entry["type"] for entry in entries]
    right = kinds[:2] == ["register", "records"] and {*kinds[2:]} <= {"steps", "resumed"}
    report.demand(right and entries[0]["seq"] == 0, "entries", "not register, records, steps")
    named = proof["run"] == first.get("run")
    named = named and note[0] == f"auditor/run/{quote(proof['run'], safe='')}"
    report.demand(named, "run", "entry 0 and the head name another run")
    right = all(e["body"].get("split") == split for e in entries[1:] if e["type"] != "resumed")
    report.demand(right, "split", "the entries speak of another split")

    record, secret = proof["record"].encode(), unhex(proof["key"]["key"])
    bucket = int.from_bytes(sha(b"auditor/record-bucket/v1\n" + record)[:2], "big")
    leaf = leaf_hash(sha(b"auditor/record-bucket-commitment/v1\n" + secret))
    root = climb(leaf, bucket, BUCKETS, proof["key"]["path"])
    right = len(secret) == 32 and root is not None and root == key_root(first, records)
    report.demand(right, "key", "not the key of the record's bucket")
    message = b"auditor/record/v1\n" + split.encode() + b"\n" + record
    mine, count = hmac.digest(secret, message, "sha256"), records.get("count")
    shown = [(item["index"], unhex(item["leaf"])) for item in proof["leaves"]]
    for item, (index, leaf) in zip(proof["leaves"], shown, strict=True):
        root = climb(leaf_hash(leaf), index, count, item["path"])
        right = len(leaf) == WIDTH and root is not None and root == records.get("root")
        report.demand(right, "leaves", "not among the commitments of the split")
    right = type(count) is int and records.get("method") == METHODS["records"]
    if report.demand(right, "entries[1]", "committed to otherwise"):
        place = sum(leaf < mine for _, leaf in shown) and 1 + max(
            index for index, leaf in shown if leaf < mine
        )
        around = [index for index in (place - 1, place) if 0 <= index < count]
        sides = [leaf < mine for _, leaf in shown]
        absent = (mine not in [leaf for _, leaf in shown] and sides == sorted(sides, reverse=True)
                  and [index for index, _ in shown] == around
                  and (shown or records.get("root") == digest_text(EMPTY)))  # fmt: skip
        right = [leaf for _, leaf in shown] == [mine] if proof["included"] else absent
        report.demand(right, "leaves", "they do not show what the proof says")
    check_steps_shown(report, proof, entries, mine)
    word = "is" if proof["included"] else "is not"
    report.says.append(f"{proof['record']!r} {word} among the records of {split} of {proof['run']}")
    for name, said in (("steps", ""), ("superseded", ", superseded by a resumption")):
        if name in proof and proof["included"]:
            numbers = ", ".join(str(step["step"]) for step in proof[name]) or "none"
            report.says.append(f"steps shown that used it{said}: {numbers}")
    report.says.append("that the list is in order, and no step left out, the run folder shows")
    return None


def check_steps_shown(
    report: Report, proof: dict[str, Any], entries: list[dict[str, Any]], mine: bytes
) -> None:
    """Hold the steps that used the record against their entries, those superseded apart."""
    steps, lost = proof.get("steps", []), proof.get("superseded", [])
    resumed = [entry for entry in entries if entry["type"] == "resumed"]
    segments = {e["seq"]: e["body"] for e in entries[2:] if e["type"] == "steps"}
    numbers = [step["step"] for step in steps]
    places = [(step["segment"], step["step"]) for step in lost]
    order = [entry["seq"] for entry in entries]
    right = numbers == sorted(set(numbers)) and places == sorted(set(places))
    right = right and order == sorted(set(order)) and (proof["included"] or not (steps or lost))
    right = right and set(segments) == {step["segment"] for step in (*steps, *lost)}
    right = right and bool(resumed) == bool(lost) == ("superseded" in proof)
    report.demand(right, "steps", "not in order, or not those of the entries")
    right = all(resumption(entry) is not None for entry in resumed)
    report.demand(right, "entries", "a resumption that does not say from where")
    end, spans = max(order, default=0) + 1, list[tuple[int, int]]()
    for entry in sorted(resumed, key=lambda entry: entry["seq"], reverse=True):
        said = resumption(entry)
        if said is not None and entry["seq"] < end:
            spans.append((entry["seq"], end))
            end = said[1]
    spans.append((0, end))
    for step, counts in [*((step, True) for step in steps), *((step, False) for step in lost)]:
        right = uses(step, segments.get(step["segment"], {}), mine)
        right = right and counts == any(low <= step["segment"] < high for low, high in spans)
        report.demand(right, "steps", f"step {step['step']} is not shown")


def uses(step: dict[str, Any], body: dict[str, Any], mine: bytes) -> bool:
    """Whether a step of a segment of the ledger used the record."""
    data, size, at = unhex(step["commitments"]), step["records"], step["chunk"]
    chunks = -(-size // CHUNK)
    length = min(CHUNK, size - CHUNK * at) * WIDTH
    held = [data[i : i + WIDTH] for i in range(0, len(data), WIDTH)]
    root = climb(leaf_hash(data), at, chunks, step["chunk_path"])
    good = type(body.get("first")) is int and body.get("method") == METHODS["steps"]
    if not good or root is None or len(data) != length or mine not in held:
        return False
    if not (0 < size < 2**63 and 0 <= step["step"] < 2**63):
        return False
    leaf = step_leaf(step["step"], size, bytes.fromhex(root[7:]))
    root = climb(leaf_hash(leaf), step["step"] - body["first"], body.get("count"), step["path"])
    return root is not None and root == body.get("root")
