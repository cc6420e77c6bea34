"""A run folder while it is written: never over something else, and never half a file."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import PolicyReference, canonical_json, sha256
from auditor.ledger import (
    LedgerWriter,
    RunFolder,
    RunRecord,
    SigningKey,
    check_integrity,
    parse_ledger,
    state_of,
    verify_head,
)

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_from_the_first_entry_to_the_seal(open_run: OpenRun, key: SigningKey) -> None:
    run, writer = open_run("credit-7", key)
    head = run.seal(writer, key)
    ledger = parse_ledger((run.path / "ledger.jsonl").read_bytes())
    first, statistics, seal = ledger.entries
    assert first.type == "register"
    assert first.body["run"] == "credit-7"
    assert first.body["signer"] == str(key.verifying_key)
    assert first.body["policy"]["digest"] == sha256((run.path / "policy.yaml").read_bytes())
    assert statistics.body["digest"] == sha256(b'{"counts":[1,2]}')
    assert seal.type == "seal"
    assert seal.body == {"files": run.files()}
    assert set(seal.body["files"]) == {
        "evidence/" + statistics.body["digest"].removeprefix("sha256:") + ".json",
        "findings.json",
        "key.pub",
        "policy.yaml",
        "run.json",
    }
    assert verify_head((run.path / "head").read_bytes(), key.verifying_key) == head
    assert (head.origin, head.size, head.root) == ("auditor/run/credit-7", 3, ledger.root())
    assert (run.path / "key.pub").read_text() == f"{key.verifying_key}\n"
    assert writer.closed


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


# The seal.


def test_nothing_is_written_after_the_seal(open_run: OpenRun, key: SigningKey) -> None:
    run, writer = open_run("small", key)
    assert not run.sealed
    run.seal(writer, key)
    assert run.sealed
    before = snapshot(run.path)
    for act in (
        lambda: run.write("report.html", b""),
        lambda: run.put_evidence({"new": 1}),
        lambda: run.seal(writer, key),
        lambda: writer.append("more", {}),
    ):
        with pytest.raises(RunError, match=r"sealed|closed"):
            act()
    assert snapshot(run.path) == before


def test_empty_folders_do_not_reach_the_seal(open_run: OpenRun) -> None:
    run, writer = open_run()
    (run.path / "a" / "b" / "c").mkdir(parents=True)
    run.write("d/e/file", b"")
    run.seal(writer, None)
    assert not (run.path / "a").exists()
    assert check_integrity(run.path).intact


def test_only_the_signer_of_entry_0_seals(
    open_run: OpenRun, key: SigningKey, make_key: Callable[..., SigningKey]
) -> None:
    run, writer = open_run("signed", key)
    for other in (None, make_key(bytes(32)), make_key(name="namesake")):
        with pytest.raises(RunError, match="signed by another key than entry 0 names"):
            run.seal(writer, other)
    unsigned, its_writer = open_run("unsigned")
    with pytest.raises(RunError, match="signed by another key than entry 0 names; no key"):
        unsigned.seal(its_writer, key)
    with pytest.raises(RunError, match="belongs to another run"):
        run.seal(its_writer, key)
    run.seal(writer, key)
    unsigned.seal(its_writer, None)
    assert check_integrity(run.path).intact
    assert check_integrity(unsigned.path).intact


def test_a_run_without_a_registration_is_not_sealed(
    tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer(clock=clock) as writer:
        with pytest.raises(RunError, match="does not register this run"):
            run.seal(writer, None)
        writer.append("register", {"run": "another", "signer": None, "policy": None})
        with pytest.raises(RunError, match="does not register this run"):
            run.seal(writer, None)
        with pytest.raises(RunError, match="registered already"):
            run.register(writer, signer=None)


def test_a_policy_is_registered_with_the_digest_of_its_text(
    tmp_path: Path, policy: tuple[PolicyReference, str]
) -> None:
    run = RunFolder.create(tmp_path / "run")
    reference, text = policy
    with run.writer() as writer:
        for wrong in ((None, text), (reference, None), (reference, text + "#")):
            with pytest.raises(InputError, match="not that of its text"):
                run.register(writer, signer=None, policy=wrong[0], policy_text=wrong[1])
        assert (writer.size, snapshot(run.path)) == (0, {"ledger.jsonl": b""})
        entry = run.register(writer, signer=None, policy=reference, policy_text=text, seed=7)
    assert entry.body == {
        "run": "run",
        "signer": None,
        "policy": {"id": "small", "version": "1.0.0", "digest": reference.digest},
        "seed": 7,
    }


SEAL_ON_A_FULL_DISK = """
import resource, sys
from auditor.errors import RunError
from auditor.ledger import RunFolder, check_integrity, parse_ledger
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
run = RunFolder.create(sys.argv[1])
writer = run.writer()
run.register(writer, signer=None)
for n in range(30):
    run.write(f"file-{n}", b"")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    run.seal(writer, None)
except RunError as error:
    print(error)
try:
    run.write("big", b"x" * 5000)
except RunError as error:
    print(error)
print(sorted(item.name for item in run.path.iterdir() if "file-" not in item.name))
print(writer.sealed, len(parse_ledger(writer.path.read_bytes()).entries))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
run.seal(writer, None)
print(check_integrity(run.path).faults)
"""


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        ("1000", "ledger.jsonl: entry 1 (seal) could not be written: File too large; the run is"),
        ("20", ": head could not be written: File too large; nothing that was there is damaged"),
    ],
)
def test_a_full_disk_at_the_seal_leaves_a_run_that_can_still_be_sealed(
    tmp_path: Path, run_python: Callable[..., str], limit: str, complaint: str
) -> None:
    path = tmp_path / "run"
    seal, write, names, state, faults = run_python(SEAL_ON_A_FULL_DISK, path, limit).splitlines()
    assert complaint in seal
    assert write.startswith(f"{path}: big could not be written: File too large; nothing that was")
    assert names == "['ledger.jsonl']"
    assert state == "False 1"
    assert faults == "()"


def test_an_interrupted_seal_is_finished_or_can_be_called_again(
    open_run: OpenRun, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = {call: getattr(os, call) for call in ("write", "fsync", "replace")}
    for call, real_call in real.items():
        for point in range(4):
            for done_before in (True, False):
                run, writer = open_run(f"{call}-{point}-{done_before}", key)
                left = point

                def interrupt(
                    *arguments: object, _done: bool = done_before, _real: object = real_call
                ) -> object:
                    nonlocal left
                    left -= 1
                    if left == -1:
                        if _done:
                            _real(*arguments)  # type: ignore[operator]
                        raise KeyboardInterrupt
                    return _real(*arguments)  # type: ignore[operator]

                with monkeypatch.context() as patch:
                    patch.setattr(os, call, interrupt)
                    try:
                        run.seal(writer, key)
                    except KeyboardInterrupt:
                        ledger = parse_ledger(writer.path.read_bytes())
                        assert (ledger.seal is None) != (run.path / "head").exists()
                        if ledger.seal:
                            with pytest.raises(RunError, match="nothing is written after"):
                                run.write("late.txt", b"")
                if not run.sealed:
                    run.seal(writer, key)
                found = check_integrity(run.path, key=key.verifying_key)
                assert found.faults == ()
                assert found.pinned
                assert [p.name for p in run.path.iterdir() if p.name.endswith(".tmp")] == []
