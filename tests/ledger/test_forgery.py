"""Somebody who knows the format: in vain without the key, and told apart by the key or the head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.evidence import sha256
from auditor.ledger import (
    Entry,
    Head,
    Integrity,
    LedgerWriter,
    RunFolder,
    SigningKey,
    VerifyingKey,
    check_integrity,
    format_head,
    parse_ledger,
    tree_root,
)

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]
MakeKey = Callable[..., SigningKey]

NO_SEAL = "the last entry is not a seal: the run was interrupted, or the file was cut"


def told(found: Integrity) -> dict[str, str]:
    """The faults by place; of several in one place the first."""
    return {fault.where: fault.what for fault in reversed(found.faults)}


def forge(
    run: Path,
    change: Callable[[list[dict[str, Any]]], None],
    *,
    signer: SigningKey | None = None,
    origin: str = "auditor/run/small",
) -> None:
    """Write a consistent ledger with other entries, and a head that fits."""
    ledger = parse_ledger((run / "ledger.jsonl").read_bytes())
    entries = [
        {"type": entry.type, "body": entry.body, "time": entry.time} for entry in ledger.entries
    ]
    change(entries)
    prev, lines = ledger.entries[0].prev, []
    for seq, fields in enumerate(entries):
        entry = Entry(seq=seq, prev=prev, **fields)
        prev = entry.digest
        lines.append(entry.line)
    (run / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    head = Head(origin=origin, size=len(lines), root=tree_root(lines))
    (run / "head").write_bytes(format_head(head, signer))


def rewrite(run: Path, name: str, data: bytes) -> Callable[[list[dict[str, Any]]], None]:
    """Change a file, and the digest that binds it."""
    (run / name).write_bytes(data)

    def change(entries: list[dict[str, Any]]) -> None:
        entries[-1]["body"]["files"][name] = sha256(data)

    return change


def test_better_findings_cannot_be_put_under_an_old_signature(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run("small", key)
    line = (run / "head").read_bytes().partition(b"\n\n")[2]
    change = rewrite(run, "findings.json", b'{"better":1}')
    forge(run, change)
    assert told(check_integrity(run)) == {
        "head": "the signature was stripped: entry 0 names a signer"
    }
    (run / "head").write_bytes((run / "head").read_bytes() + line)
    assert told(check_integrity(run)) == {"head": "the signature by me does not verify"}


def test_a_stripped_signature_is_a_fault(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    data = (run / "head").read_bytes()
    (run / "head").write_bytes(data[: data.index(b"\n\n") + 2])
    found = check_integrity(run)
    assert told(found) == {"head": "the signature was stripped: entry 0 names a signer"}
    assert not found.signed


def test_a_signature_by_somebody_else_is_a_fault(
    sealed_run: SealedRun, key: SigningKey, make_key: MakeKey
) -> None:
    run = sealed_run("small", key)
    for other in (make_key(bytes(32), "them"), make_key(bytes(32), "me")):
        forge(run, lambda _: None, signer=other)
        assert told(check_integrity(run)) == {
            "head": f"signed by {other.name}, not by the signer {key.verifying_key} of entry 0"
        }


def test_a_second_signature_is_a_change(
    sealed_run: SealedRun, key: SigningKey, make_key: MakeKey
) -> None:
    run = sealed_run("small", key)
    ledger = parse_ledger((run / "ledger.jsonl").read_bytes())
    head = Head(origin="auditor/run/small", size=3, root=ledger.root())
    for other in (make_key(bytes(32), "witness"), key):
        signed = format_head(head, key) + format_head(head, other).partition(b"\n\n")[2]
        (run / "head").write_bytes(signed)
        assert told(check_integrity(run)) == {"head": "there is more than one signature"}


def test_a_signature_where_entry_0_names_no_signer_is_a_fault(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run()
    forge(run, lambda _: None, signer=key)
    found = check_integrity(run)
    assert told(found) == {"head": "signed by me, but entry 0 names no signer"}
    assert not found.signed


def test_a_run_signed_again_by_another_is_told_apart_by_the_key_or_the_head(
    sealed_run: SealedRun, key: SigningKey, make_key: MakeKey
) -> None:
    """Nothing inside such a folder is off: whom to trust comes from outside."""
    run = sealed_run("small", key)
    head = check_integrity(run).head_digest
    thief = make_key(bytes(32), "me")
    change = rewrite(run, "key.pub", f"{thief.verifying_key}\n".encode())

    def take_over(entries: list[dict[str, Any]]) -> None:
        change(entries)
        entries[0]["body"]["signer"] = str(thief.verifying_key)

    forge(run, take_over, signer=thief)
    found = check_integrity(run)
    assert (found.intact, found.signed, found.pinned) == (True, True, False)
    pinned = check_integrity(run, key=key.verifying_key)
    assert told(pinned) == {
        "--key": f"the run is signed by {thief.verifying_key}, and not by the key given"
    }
    assert not pinned.pinned
    by_head = check_integrity(run, head=head)
    assert told(by_head) == {"--head": f"the head of this run is {found.head_digest}"}


def test_a_run_made_unsigned_with_care_is_told_apart_by_the_key(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run("small", key)
    (run / "key.pub").unlink()

    def disown(entries: list[dict[str, Any]]) -> None:
        entries[0]["body"]["signer"] = None
        del entries[-1]["body"]["files"]["key.pub"]

    forge(run, disown)
    assert check_integrity(run).intact
    assert not check_integrity(run).signed
    assert told(check_integrity(run, key=key.verifying_key)) == {
        "--key": "the run is not signed, and not by the key given"
    }


def test_the_name_of_the_key_does_not_matter_to_who_is_trusted(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    renamed = VerifyingKey(name="copied.from.a.letter", public=key.verifying_key.public)
    assert check_integrity(sealed_run("small", key), key=renamed).pinned


def test_a_head_of_another_run_is_a_fault(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    forge(run, lambda _: None, signer=key, origin="auditor/run/other")
    assert told(check_integrity(run)) == {"head": "the head belongs to another run"}


def set_body(**fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(entries: list[dict[str, Any]]) -> None:
        for name, value in fields.items():
            if value is ...:
                del entries[0]["body"][name]
            else:
                entries[0]["body"][name] = value

    return change


VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (set_body(signer=...), "ledger.jsonl, entry 0", "nothing is said about a signer"),
        (set_body(signer="me"), "ledger.jsonl, entry 0, signer", "not a public key"),
        (set_body(signer=7), "ledger.jsonl, entry 0, signer", "not a public key"),
        (set_body(signer=""), "ledger.jsonl, entry 0, signer", "not a public key"),
        (set_body(signer=VKEY), "key.pub", "this is not the signer that entry 0 names"),
        (set_body(run=...), "ledger.jsonl, entry 0", "the run has no name"),
        (set_body(run=""), "ledger.jsonl, entry 0", "the run has no name"),
        (set_body(run="other"), "head", "the head belongs to another run"),
        (set_body(policy=None), "policy.yaml", "there is a policy, and entry 0 registered none"),
        (set_body(policy={}), "ledger.jsonl, entry 0, policy", "there is no digest"),
        (set_body(policy="x"), "ledger.jsonl, entry 0, policy", "there is no digest"),
        (
            set_body(policy={"id": "x", "version": "1", "digest": sha256(b"")}),
            "policy.yaml",
            "this is not the policy that entry 0 registered",
        ),
        (
            lambda entries: entries[0].update(type="hello"),
            "ledger.jsonl, entry 0",
            "the run starts with 'hello'",
        ),
        (
            lambda entries: entries[1].update(type="seal"),
            "ledger.jsonl",
            "there are entries after the seal, entry 1",
        ),
        (
            lambda entries: entries.append({**entries[1], "time": entries[-1]["time"]}),
            "ledger.jsonl",
            NO_SEAL,
        ),
        (
            lambda entries: entries.append(dict(entries[-1])),
            "ledger.jsonl",
            "there are entries after the seal, entry 2",
        ),
        (
            lambda entries: entries[-1].update(body={"files": []}),
            "ledger.jsonl, the seal",
            "it does not list the files of the run",
        ),
        (
            lambda entries: entries[-1]["body"].update(more=1),
            "ledger.jsonl, the seal",
            "it does not list the files of the run",
        ),
        (
            lambda entries: entries[-1]["body"]["files"].update({"../x": sha256(b"")}),
            "../x",
            "the file is missing",
        ),
        (
            lambda entries: entries[-1]["body"]["files"].update({"run.json": None}),
            "run.json",
            "the file was changed after the seal",
        ),
        (
            lambda entries: entries[1].update(time=entries[2]["time"].replace("2026", "2027")),
            "ledger.jsonl, entry 2",
            "the time 2026-11-01T12:00:00.500000Z lies before that of an earlier entry, "
            "2027-11-01T12:00:00.500000Z",
        ),
    ],
)
def test_what_even_the_signer_may_not_write_is_found(
    sealed_run: SealedRun,
    key: SigningKey,
    change: Callable[[list[dict[str, Any]]], None],
    where: str,
    what: str,
) -> None:
    run = sealed_run("small", key)
    forge(run, change, signer=key)
    assert told(check_integrity(run))[where] == what


def test_a_policy_that_was_registered_cannot_be_swapped_by_the_signer_after_all(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run("small", key)
    forge(run, rewrite(run, "policy.yaml", b"id: laxer\n"), signer=key)
    assert told(check_integrity(run)) == {
        "policy.yaml": "this is not the policy that entry 0 registered"
    }


def test_a_head_that_is_older_than_the_ledger_is_found(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run("small", key)
    lines = parse_ledger((run / "ledger.jsonl").read_bytes()).lines
    older = Head(origin="auditor/run/small", size=2, root=tree_root(lines[:2]))
    (run / "head").write_bytes(format_head(older, key))
    assert [fault.what for fault in check_integrity(run).faults] == [
        "2 entries, but there are 3",
        "the root is not that of the ledger",
    ]
