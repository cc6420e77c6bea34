"""A run folder while it is written: never over something else, and never half a file."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import canonical_json, sha256
from auditor.ledger import (
    LedgerWriter,
    RunFolder,
    RunRecord,
    SigningKey,
    check_integrity,
    state_of,
)

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "a" / "b" / "run")
    assert run.path.is_dir()
    assert run.name == "run"
    again = RunFolder.create(str(run.path))
    assert again.name == "run"


def test_a_finished_run_is_not_overwritten(sealed_run: SealedRun) -> None:
    path = sealed_run()
    before = snapshot(path)
    with pytest.raises(InputError) as caught:
        RunFolder.create(path)
    assert str(caught.value) == (
        f"{path}: a finished run; nothing was overwritten; choose another --out"
    )
    assert snapshot(path) == before


def test_an_interrupted_run_is_recognised_and_not_overwritten(open_run: OpenRun) -> None:
    run, writer = open_run()
    writer.close()
    before = snapshot(run.path)
    with pytest.raises(InputError) as caught:
        RunFolder.create(run.path)
    assert str(caught.value) == (
        f"{run.path}: an interrupted run, 2 entries; nothing was overwritten; choose another --out"
    )
    assert snapshot(run.path) == before


@pytest.mark.parametrize("damage", ["torn", "no head", "empty"])
def test_a_damaged_end_counts_as_interrupted(sealed_run: SealedRun, damage: str) -> None:
    path = sealed_run()
    ledger = path / "ledger.jsonl"
    if damage == "torn":
        ledger.write_bytes(ledger.read_bytes() + b'{"body":')
    elif damage == "empty":
        ledger.write_bytes(b"")
    else:
        (path / "head").unlink()
    with pytest.raises(RunError, match=f"an interrupted run, {0 if damage == 'empty' else 3} ent"):
        RunFolder.create(path)


HOLD = """
import sys
from auditor.ledger import RunFolder
run = RunFolder.create(sys.argv[1])
with run.writer() as writer:
    run.register(writer, signer=None)
    writer.append("tick", {})
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_another_process_writes_is_left_alone_and_recognised_after_its_death(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "run"
    child = start_python(HOLD, path)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    before = snapshot(path)
    locked = "the run is being written by another process"
    for act in (RunFolder.create, RunRecord.load, check_integrity, LedgerWriter):
        with pytest.raises(RunError, match=locked):
            act(path)
    assert state_of(path).detail == locked
    child.kill()
    child.communicate()
    with pytest.raises(RunError, match="an interrupted run, 2 entries; nothing was overwritten"):
        RunFolder.create(path)
    assert snapshot(path) == before
    record = RunRecord.load(path)
    assert not record.sealed
    assert len(record.ledger.entries) == 2


def test_two_that_start_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    first, second = RunFolder.create(tmp_path / "run"), RunFolder.create(tmp_path / "run")
    with first.writer(), pytest.raises(RunError, match="being written by this process"):
        second.writer()


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "headless").mkdir()
    (tmp_path / "headless" / "run.json").write_text("{}")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, complaint in [
        ("file", "this is a file, not a folder; choose another --out"),
        ("full", "the folder is not empty, and not a run; choose another --out"),
        ("headless", "the folder holds a run without a ledger; choose another --out"),
        ("dangling", "this is a link that leads nowhere, not a folder"),
        ("file/run", "cannot be made: Not a directory; a folder that you may write, as --out"),
    ]:
        with pytest.raises(InputError) as caught:
            RunFolder.create(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert complaint in str(caught.value)
    assert (tmp_path / "full" / "thesis.tex").read_text() == "x"


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_folder_without_permission_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The administrator may write everywhere, so the system's answer is given by hand."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(InputError, match="cannot be made: Permission denied"):
            RunFolder.create(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(InputError, match="cannot be written"):
            RunFolder.create(tmp_path / "empty")


def test_a_name_that_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    for name in ("new\nline", "not\udcffutf8"):
        with pytest.raises(InputError, match="cannot be the name of a run"):
            RunFolder.create(tmp_path / name)


@pytest.mark.parametrize("name", ["my run+1", "Prüfung", "100%"])
def test_any_printable_name_makes_a_run(sealed_run: SealedRun, key: SigningKey, name: str) -> None:
    found = check_integrity(sealed_run(name, key), key=key.verifying_key)
    assert (found.faults, found.pinned) == ((), True)


# Files.


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write("report.html", b"a long first version")
    run.write("report.html", b"short")
    run.write("statements/deep/one.json", b"{}")
    assert snapshot(run.path) == {"report.html": b"short", "statements/deep/one.json": b"{}"}
    assert run.files() == {
        "report.html": sha256(b"short"),
        "statements/deep/one.json": sha256(b"{}"),
    }


def test_files_have_the_mode_that_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run = RunFolder.create(tmp_path / "run")
        run.write("report.html", b"")
    finally:
        os.umask(before)
    assert (run.path / "report.html").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/x", "../x", "a/../x", "a//b", "./a", "a/", "head", "ledger.jsonl"]
)
def test_only_paths_inside_the_run_are_written(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path / "run")
    with pytest.raises(InputError, match=r"not a path inside a run|by the ledger alone"):
        run.write(name, b"x")
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    run = RunFolder.create(tmp_path / "run")
    run.write("findings.json", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(RunError) as caught:
            run.write("findings.json", b"new")
    assert str(caught.value) == (
        f"{run.path}: findings.json could not be written: {os.strerror(number)}; "
        "nothing that was there is damaged; make room or permission, and try again"
    )
    assert snapshot(run.path) == {"findings.json": b"old"}


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write("statements", b"a file in the way")
    with pytest.raises(RunError, match=r"Not a directory|File exists"):
        run.write("statements/one/two.json", b"{}")
    assert snapshot(run.path) == {"statements": b"a file in the way"}


def test_an_interruption_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    run = RunFolder.create(tmp_path / "run")
    run.write("findings.json", b"old")
    for call in ("write", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, interrupt)
            with pytest.raises(KeyboardInterrupt):
                run.write("findings.json", b"new")
        assert snapshot(run.path) == {"findings.json": b"old"}


def test_evidence_is_kept_once_under_its_digest(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    document = {"b": [1, 2.5], "a": "é"}
    digest = run.put_evidence(document)
    file = run.path / "evidence" / f"{digest.removeprefix('sha256:')}.json"
    assert file.read_bytes() == canonical_json(document) == '{"a":"é","b":[1,2.5]}'.encode()
    before = file.stat().st_mtime_ns
    assert run.put_evidence({"a": "é", "b": [1, 2.5]}) == digest
    assert file.stat().st_mtime_ns == before
    assert run.evidence(digest) == document
    file.write_bytes(b'{"a":"e","b":[1,2.5]}')
    with pytest.raises(RunError, match="it was changed"):
        run.evidence(digest)
    with pytest.raises(RunError, match="cannot be read: No such file"):
        run.evidence(sha256(b""))
    for name in ("", "sha256:", "../../etc/passwd", digest.upper(), f"{digest}\n"):
        with pytest.raises(InputError, match="not a digest"):
            run.evidence(name)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    (run.path / "link").symlink_to("/etc/hostname")
    with pytest.raises(RunError, match="link is a symbolic link"):
        run.files()
    (run.path / "link").unlink()
    os.mkfifo(run.path / "pipe")
    with pytest.raises(RunError, match="pipe is neither a file nor a folder"):
        run.files()
    (run.path / "pipe").unlink()
    (run.path / ".hidden").write_bytes(b"")
    assert list(run.files()) == [".hidden"]


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        ("run", "run: the folder cannot be read: Permission denied"),
        ("deep", "run: deep cannot be read: Permission denied"),
    ],
)
def test_a_folder_that_cannot_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, complaint: str
) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write("deep/file", b"")
    real = os.scandir

    def scan(path: Path) -> object:
        if path.name == refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        with pytest.raises(RunError, match=complaint):
            run.files()
