"""Whatever is changed in a run folder, by one bit or with care, is found."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import canonical_json
from auditor.ledger import (
    Integrity,
    LedgerWriter,
    RunFolder,
    SigningKey,
    check_integrity,
    parse_ledger,
)

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]
MakeKey = Callable[..., SigningKey]

FILES = ["findings.json", "head", "key.pub", "ledger.jsonl", "policy.yaml", "run.json"]
NO_SEAL = "the last entry is not a seal: the run was interrupted, or the file was cut"


def told(found: Integrity) -> dict[str, str]:
    """The faults by place; of several in one place the first."""
    return {fault.where: fault.what for fault in reversed(found.faults)}


def all_files(run: Path) -> list[Path]:
    return sorted(item for item in run.rglob("*") if item.is_file())


def test_a_signed_run_is_intact_signed_and_pinned(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    ledger = parse_ledger((run / "ledger.jsonl").read_bytes())
    digest = f"sha256:{ledger.root().hex()}"
    found = check_integrity(run, key=key.verifying_key, head=digest)
    assert found == Integrity(
        faults=(),
        signed=True,
        signer=str(key.verifying_key),
        pinned=True,
        entries=3,
        sealed=True,
        head_digest=digest,
    )
    assert found.intact
    unpinned = check_integrity(str(run))
    assert (unpinned.intact, unpinned.signed, unpinned.pinned) == (True, True, False)


def test_an_unsigned_run_is_intact_and_unsigned(sealed_run: SealedRun) -> None:
    found = check_integrity(sealed_run())
    assert (found.intact, found.signed, found.signer, found.pinned) == (True, False, None, False)


def test_a_copy_under_another_name_is_as_good(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    assert check_integrity(copy, key=key.verifying_key).faults == ()


@pytest.mark.parametrize("signed", [True, False])
def test_every_single_byte_counts(sealed_run: SealedRun, key: SigningKey, signed: bool) -> None:
    """Flip one bit of each byte of each file; the bit moves on with the byte."""
    run = sealed_run("small", key if signed else None)
    files = all_files(run)
    assert len(files) == 7 - (not signed)
    unseen: list[tuple[str, int]] = []
    for file in files:
        original = file.read_bytes()
        for at in range(len(original)):
            altered = bytearray(original)
            altered[at] ^= 1 << at % 8
            file.write_bytes(altered)
            if check_integrity(run).intact:
                unseen.append((file.name, at))
        file.write_bytes(original)
    assert unseen == []
    assert check_integrity(run).intact


@pytest.mark.parametrize("name", ["head", "key.pub"])
def test_every_bit_of_head_and_key_counts(
    sealed_run: SealedRun, key: SigningKey, name: str
) -> None:
    file = sealed_run("small", key) / name
    original = file.read_bytes()
    for at in range(len(original)):
        for bit in range(8):
            altered = bytearray(original)
            altered[at] ^= 1 << bit
            file.write_bytes(altered)
            assert not check_integrity(file.parent).intact, (at, bit)


def test_every_other_spelling_of_the_base64_in_the_head_is_found(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    """The unused bits before the padding change no decoded byte, and are a change all the same."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    file = sealed_run("small", key) / "head"
    original = file.read_text()
    tried = 0
    for at in [index - 1 for index, letter in enumerate(original) if letter == "="]:
        quad = original[at - 2 : at + 2]
        for letter in letters:
            other = f"{quad[:2]}{letter}="
            if other != quad and base64.b64decode(other) == base64.b64decode(quad):
                file.write_text(original[: at - 2] + other + original[at + 2 :])
                what = "the root" if at < original.index("\n\n") else "the signature"
                assert told(check_integrity(file.parent)) == {
                    "head": f"{what} is not canonical base64"
                }
                tried += 1
    assert tried == 6


def test_a_cut_or_lengthened_file_is_found(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    for file in all_files(run):
        original = file.read_bytes()
        for altered in (b"", original[:-1], original[: len(original) // 2], original + b"\n",
                        original + b" ", original + original, b"\n" + original):  # fmt: skip
            file.write_bytes(altered)
            assert not check_integrity(run).intact, (file.name, len(altered))
        file.write_bytes(original)


def test_a_missing_file_is_found(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    for file in all_files(run):
        original = file.read_bytes()
        file.unlink()
        found = told(check_integrity(run))
        assert found[file.relative_to(run).as_posix()] == "the file is missing"
        file.write_bytes(original)
    shutil.rmtree(run / "evidence")
    assert "the file is missing" in told(check_integrity(run)).values()


@pytest.mark.parametrize(
    ("name", "make", "what"),
    [
        ("verdict.json", Path.touch, "the file was added after the seal"),
        (".DS_Store", Path.touch, "the file was added after the seal"),
        ("evidence/.hidden", Path.touch, "the file was added after the seal"),
        ("evidence/ledger.jsonl", Path.touch, "the file was added after the seal"),
        ("evidence/head", Path.touch, "the file was added after the seal"),
        ("HEAD", Path.touch, "the file was added after the seal"),
        ("empty", Path.mkdir, "an empty folder"),
        ("evidence/empty", Path.mkdir, "an empty folder"),
        ("link", lambda path: path.symlink_to("run.json"), "is a symbolic link"),
        ("dangling", lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
        ("folder", lambda path: path.symlink_to("evidence"), "is a symbolic link"),
        ("pipe", os.mkfifo, "is neither a file nor a folder"),
    ],
)
def test_whatever_is_added_is_found(
    sealed_run: SealedRun, name: str, make: Callable[[Path], object], what: str
) -> None:
    run = sealed_run()
    make(run / name)
    assert told(check_integrity(run)) == {name: what}


def test_a_name_that_is_no_text_is_found_and_printed_as_text(sealed_run: SealedRun) -> None:
    run = sealed_run()
    try:
        (run / "evil\udcff").touch()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    (fault,) = check_integrity(run).faults
    assert fault.what == "has a name that is not UTF-8"
    assert fault.where.isascii()


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_found_even_where_it_leads_to_the_same_bytes(
    sealed_run: SealedRun, key: SigningKey, name: str
) -> None:
    run = sealed_run("small", key)
    (run / name).rename(run.parent / "outside")
    (run / name).symlink_to(run.parent / "outside")
    assert told(check_integrity(run))[name] == "is a symbolic link"


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_or_a_folder_in_place_of_a_file_is_found_and_does_not_block(
    sealed_run: SealedRun, key: SigningKey, name: str
) -> None:
    run = sealed_run("small", key)
    (run / name).unlink()
    os.mkfifo(run / name)
    assert told(check_integrity(run))[name] == "is neither a file nor a folder"
    (run / name).unlink()
    (run / name).mkdir()
    assert told(check_integrity(run))[name] == "the file is missing" or (
        told(check_integrity(run))[name] == "an empty folder"
    )


@pytest.mark.parametrize("name", FILES)
def test_an_unreadable_file_is_a_fault_and_no_crash(
    sealed_run: SealedRun, key: SigningKey, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The administrator may read everything, so the system's answer is given by hand."""
    run = sealed_run("small", key)
    real_open, real_read = os.open, Path.read_bytes

    def refuse(path: object) -> None:
        if Path(str(path)) == run / name:
            raise PermissionError(13, "Permission denied")

    def opened(path: str, *arguments: int) -> int:
        refuse(path)
        return real_open(path, *arguments)

    def read(path: Path) -> bytes:
        refuse(path)
        return real_read(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        patch.setattr(Path, "read_bytes", read)
        assert told(check_integrity(run))[name] == "cannot be read: Permission denied"


# The ledger.


def test_every_line_taken_out_doubled_or_moved_is_found(
    sealed_run: SealedRun, key: SigningKey
) -> None:
    run = sealed_run("small", key)
    file = run / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    altered: list[list[bytes]] = []
    for at in range(3):
        altered.append(lines[:at] + lines[at + 1 :])
        altered.append(lines[: at + 1] + lines[at:])
        for to in range(at):
            swapped = list(lines)
            swapped[at], swapped[to] = swapped[to], swapped[at]
            altered.append(swapped)
    for order in altered:
        file.write_bytes(b"".join(order))
        assert not check_integrity(run).intact
    file.write_bytes(b"".join(lines))
    assert check_integrity(run).intact


def test_an_interrupted_run_is_not_intact(open_run: OpenRun) -> None:
    run, writer = open_run()
    writer.close()
    found = check_integrity(run.path)
    assert told(found) == {
        "ledger.jsonl": NO_SEAL,
        "head": "the file is missing",
    }
    assert (found.sealed, found.entries) == (False, 2)


def test_a_torn_end_is_a_fault_of_its_own(sealed_run: SealedRun) -> None:
    run = sealed_run()
    with (run / "ledger.jsonl").open("ab") as file:
        file.write(b'{"body":{}')
    found = check_integrity(run)
    assert list(told(found)) == ["ledger.jsonl, after entry 2"]
    assert not found.sealed


# What is no run, and what is no digest.


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, complaint in [
        ("absent", "cannot be read: No such file"),
        ("file", "cannot be read: Not a directory"),
        (".", r"not a run: there is no ledger.jsonl"),
    ]:
        with pytest.raises(RunError, match=complaint):
            check_integrity(tmp_path / name)


@pytest.mark.parametrize("head", ["", "sha256:", "0" * 64, f"sha256:{'A' * 64}"])
def test_a_head_that_is_no_digest_is_wrong_usage(sealed_run: SealedRun, head: str) -> None:
    with pytest.raises(InputError, match=r"--head: .* is not a digest"):
        check_integrity(sealed_run(), head=head)


def test_the_examination_itself_changes_nothing(sealed_run: SealedRun, key: SigningKey) -> None:
    run = sealed_run("small", key)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in all_files(run)}
    check_integrity(run, key=key.verifying_key)
    after = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in all_files(run)}
    assert before == after


def test_the_result_can_be_printed_as_json(sealed_run: SealedRun) -> None:
    run = sealed_run()
    (run / "new").touch()
    found = check_integrity(run)
    document = json.loads(canonical_json(found.model_dump()))
    assert document["faults"] == [{"where": "new", "what": "the file was added after the seal"}]
