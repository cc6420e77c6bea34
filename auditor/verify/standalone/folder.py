"""A run folder: the chain, the head, every file against the seal, the statements."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from auditor.verify.standalone.formats import (
    ENTRY,
    Bad,
    digest_text,
    file_digest,
    fold,
    leaf_hash,
    read_json,
    sha,
    shaped,
    unbase64,
)
from auditor.verify.standalone.records import check_records
from auditor.verify.standalone.signatures import Report, check_note, check_signature
from auditor.verify.standalone.withheld import read_withheld

__all__ = ["check_run"]


def list_folder(report: Report, run: Path) -> list[str]:
    """Return the regular files below ``run`` by POSIX path; everything else is a fault."""
    files: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        found = sorted(os.scandir(run / prefix), key=lambda item: item.name)
        report.demand(found or not prefix, prefix[:-1], "an empty folder")
        for item in found:
            name = prefix + item.name
            if item.is_symlink() or not (item.is_dir() or item.is_file()):
                report.fault(ascii(name), "neither a file nor a folder")
            elif item.is_dir():
                waiting.append(name + "/")
            else:
                files.append(name)
    return files


def moment(text: str) -> datetime | None:
    """Read a moment in its only spelling."""
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.replace(tzinfo=None).isoformat() + "Z" == text else None


def read_ledger(report: Report, data: bytes) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Read the chain: every line canonical, numbered, after the one before, not dated before it."""
    *lines, torn = data.split(b"\n")
    report.demand(not torn, "ledger.jsonl", "an incomplete line at the end")
    report.demand(lines, "ledger.jsonl", "the ledger is empty")
    entries: list[dict[str, Any]] = []
    before, latest = "sha256:" + "0" * 64, datetime.min.replace(tzinfo=UTC)
    for seq, line in enumerate(lines):
        where = f"ledger.jsonl, entry {seq}"
        try:
            entry = read_json(line)
        except Bad as error:
            report.fault(where, str(error))
        else:
            if report.demand(shaped(entry, ENTRY), where, "not the fields of an entry"):
                time = moment(entry["time"])
                report.demand(entry["seq"] == seq, where, "the number is another one")
                report.demand(entry["prev"] == before, where, "does not follow the one before it")
                report.demand(time, where, "the time is not in UTC as 2026-11-01T12:00:00Z")
                report.demand(not time or time >= latest, where, "dated before an earlier one")
                latest = max(time or latest, latest)
                entries.append(entry)
        before = digest_text(sha(line))
    return entries, lines


def check_run(report: Report, run: Path) -> None:
    """Check a run folder, byte by byte; raises :class:`Bad` where there is none."""
    files = list_folder(report, run)
    if not {"ledger.jsonl", "head", "run.json", "findings.json", "key.pub"} & set(files):
        raise Bad("not a run: there is no ledger.jsonl")

    def read(name: str) -> bytes:
        return (run / name).read_bytes() if name in files else b""

    entries, lines = read_ledger(report, read("ledger.jsonl"))
    root = fold(map(leaf_hash, lines))
    if entries and entries[0]["seq"] == 0:
        first = entries[0]["body"]
        report.demand(entries[0]["type"] == "register", "entry 0", "it does not register a run")
        report.demand("signer" in first, "entry 0", "nothing is said about a signer")
        note = check_note(report, read("head"), first)
        if note:
            named = note[0] == f"auditor/run/{quote(str(first.get('run')), safe='')}"
            report.demand(named and first.get("run"), "head", "the head belongs to another run")
            report.demand(note[1] == len(lines), "head", "the number of entries is another one")
            report.demand(note[2] == root, "head", "the root is not that of the ledger")
        key = b"" if first.get("signer") is None else f"{first['signer']}\n".encode()
        report.demand(read("key.pub") == key, "key.pub", "not the signer that entry 0 names")
        policy = first.get("policy")
        stated = policy.get("digest") if isinstance(policy, dict) else policy
        found = digest_text(sha(read("policy.yaml"))) if "policy.yaml" in files else None
        named = stated == found and (policy is None or stated is not None)
        report.demand(named, "policy.yaml", "not the policy that entry 0 registered")
        check_seal(report, run, entries, set(files) - {"ledger.jsonl", "head"})
    else:
        report.fault("ledger.jsonl", "there is no entry 0")
    report.root = root
    report.says.append(f"{len(lines)} entries; findings and verdicts were not computed again")


def check_seal(report: Report, run: Path, entries: list[dict[str, Any]], present: set[str]) -> None:
    """Hold every file against the last entry, and then what the files hold."""
    body, seals = (
        entries[-1]["body"],
        [entry["seq"] for entry in entries if entry["type"] == "seal"],
    )
    bound = body.get("files")
    if not isinstance(bound, dict) or len(body) != 1 or seals != [entries[-1]["seq"]]:
        report.fault("ledger.jsonl", "the last entry, and no other, is not a seal")
        return
    missing, added = read_withheld(report, run, entries, cast("dict[str, Any]", bound), present)
    for name in sorted(present - set(bound) - added):
        report.fault(name, "the file was added after the seal")
    for name, digest in cast("dict[str, Any]", bound).items():
        if name not in missing and report.demand(name in present, name, "the file is missing"):
            same = file_digest(run / name) == digest
            report.demand(same, name, "the file was changed after the seal")
    check_statements(report, run, present)
    check_records(report, run, entries, present, missing)


def check_statements(report: Report, run: Path, present: set[str]) -> None:
    """Check the DSSE envelopes: ``DSSEv1 LEN type LEN body``, signed by the signer of entry 0."""
    for name in sorted(name for name in present if name.startswith("statements/")):
        if name.endswith(".intoto.json"):
            report.demand(not report.signer, name, "the signature was stripped")
        if not name.endswith(".dsse.json"):
            continue
        try:
            document = read_json((run / name).read_bytes())
            kind, body = document["payloadType"], unbase64(document["payload"])
            signatures = [unbase64(item["sig"]) for item in document["signatures"]]
            signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
            good = report.signer and signatures and all(
                check_signature(report, signature, signed) for signature in signatures
            )  # fmt: skip
        except (Bad, KeyError, TypeError, AttributeError) as error:
            report.fault(name, f"cannot be read ({error})")
        else:
            report.demand(good, name, "not signed by the signer of entry 0")
