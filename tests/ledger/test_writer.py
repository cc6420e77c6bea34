"""The writer: whole lines or none, by one writer, until the seal."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from auditor.errors import InputError, RunError
from auditor.ledger import Ledger, LedgerWriter, parse_ledger
from auditor.ledger.locks import holder_of


def read(writer: LedgerWriter) -> Ledger:
    return parse_ledger(writer.path.read_bytes())


def test_what_append_returns_is_what_a_reader_sees(
    tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    with LedgerWriter(tmp_path, clock=clock) as writer:
        entries = [
            writer.append("first", {"b": 1.0, "a": "é"}),
            writer.append("second", {"nested": {"list": [None, True]}, "tuple": (1, 2)}),
        ]
        assert read(writer).entries == tuple(entries)
        assert read(writer).root() == writer.root()
    assert writer.path == tmp_path / "ledger.jsonl"
    assert entries[0].time == "2026-11-01T12:00:00Z"
    assert entries[1].time == "2026-11-01T12:00:00.250000Z"
    assert entries[1].prev == entries[0].digest
    assert entries[1].body == {"nested": {"list": [None, True]}, "tuple": [1, 2]}
    assert (writer.first, writer.last, writer.size) == (*entries, 2)


def test_a_clock_that_is_set_back_does_not_spoil_the_ledger(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    moments = iter([noon, noon - timedelta(hours=1), noon + timedelta(hours=1)])
    with LedgerWriter(tmp_path, clock=lambda: next(moments)) as writer:
        times = [writer.append("tick", {}).time for _ in range(3)]
        assert read(writer).entries[-1].seq == 2
    assert times == ["2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z", "2026-11-01T13:00:00Z"]


def test_a_count_of_operations_beyond_the_integers_of_json_reads_back(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        entry = writer.append("energy", {"flops": 1.5e18, "more": -(2.0**53)})
        assert entry.body == {"flops": 1.5e18, "more": -(2.0**53)}
        assert read(writer).entries == (entry,)
        assert b'"flops":1500000000000000000,' in writer.path.read_bytes()


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": 2**60}, {"x": object()}, {1: 2}])
def test_a_body_without_a_json_form_changes_nothing(tmp_path: Path, body: Any) -> None:
    with LedgerWriter(tmp_path) as writer:
        writer.append("first", {})
        before = writer.path.read_bytes()
        with pytest.raises(InputError, match="canonical JSON"):
            writer.append("second", body)
        assert writer.path.read_bytes() == before
        assert writer.append("second", {}).seq == 1


def test_nothing_follows_the_seal(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        writer.append("register", {})
        assert not writer.sealed
        writer.append("seal", {"files": {}})
        assert writer.sealed
        with pytest.raises(RunError, match="sealed; nothing is written after the seal"):
            writer.append("more", {})
        assert len(read(writer).entries) == 2


def test_a_closed_ledger_is_not_written(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path)
    writer.append("register", {})
    writer.close()
    writer.close()
    assert writer.closed
    with pytest.raises(RunError, match="closed"):
        writer.append("more", {})


def test_a_ledger_is_never_continued_or_overwritten(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        writer.append("register", {})
        with pytest.raises(RunError, match="being written by this process"):
            LedgerWriter(tmp_path)
    before = writer.path.read_bytes()
    with pytest.raises(RunError, match="there is a ledger already"):
        LedgerWriter(tmp_path)
    assert writer.path.read_bytes() == before


def test_a_ledger_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be created: No such file"):
        LedgerWriter(tmp_path / "absent")


def test_a_draft_that_was_overtaken_is_refused(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        draft = writer.draft("late", {})
        writer.append("early", {})
        with pytest.raises(RunError, match="another entry was written"):
            writer.commit(draft)
        fresh = writer.draft("late", {})
        assert writer.commit(fresh) == fresh.entry
        assert (fresh.size, fresh.root()) == (writer.size, writer.root())
        assert [entry.type for entry in read(writer).entries] == ["early", "late"]


def test_many_threads_write_one_chain(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as writer:
        threads = [
            threading.Thread(target=lambda: [writer.append("tick", {}) for _ in range(10)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(read(writer).entries) == 40


# What the system can do to a write. A fake for `os.write` or `os.fsync` fails once.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_failed_write_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, written: int
) -> None:
    with LedgerWriter(tmp_path) as writer:
        writer.append("register", {})
        before = writer.path.read_bytes()
        real, calls = os.write, iter(range(100))

        def failing(fd: int, data: memoryview) -> int:
            if next(calls) == 0 and written:
                return real(fd, data[:written])
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing)
            with pytest.raises(RunError) as caught:
                writer.append("metrics", {"value": 1})
        assert str(caught.value) == (
            f"{writer.path}: entry 1 (metrics) could not be written: {os.strerror(number)}; "
            "the run is intact up to entry 0"
        )
        assert writer.path.read_bytes() == before
        assert writer.append("metrics", {"value": 1}).seq == 1
        assert len(read(writer).entries) == 2


def test_a_first_entry_that_fails_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LedgerWriter(tmp_path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(RunError, match="no entry was written before it"):
                writer.append("register", {})
        assert writer.path.read_bytes() == b""
        assert writer.append("register", {}).seq == 0


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with LedgerWriter(tmp_path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
            writer.append("register", {"text": "long enough for many pieces"})
        assert read(writer).entries == (writer.first,)


def test_an_entry_that_could_neither_be_written_nor_taken_back_is_repaired_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    real = os.write

    def half(fd: int, data: memoryview) -> int:
        real(fd, data[:20])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LedgerWriter(tmp_path) as writer:
        writer.append("register", {})
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", failing)
            patch.setattr(os, "write", half)
            with pytest.raises(RunError, match="intact up to entry 0"):
                writer.append("more", {})
            torn = read(writer)
            assert (len(torn.entries), len(torn.torn)) == (1, 20)
            with pytest.raises(RunError, match="could not be repaired"):
                writer.append("more", {})
        writer.append("more", {})
        assert len(read(writer).entries) == 2
        assert read(writer).torn == b""


def test_an_interruption_at_any_point_leaves_a_ledger_that_goes_on(tmp_path: Path) -> None:
    """Raise KeyboardInterrupt wherever the interpreter looks for signals, one point at a time.

    It looks where a Python function is entered and where a C function returns; the profiler is
    called at these points, and may raise.
    """
    files = ("writer.py", "storage.py", "tree.py", "chain.py", "digest.py")

    def interrupt_at(point: int) -> Callable[[FrameType, str, object], None]:
        left = point

        def profile(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            if event in ("call", "c_return") and frame.f_code.co_filename.endswith(files):
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt

        return profile

    before = sys.getprofile()
    written, interrupted = 0, 0
    with LedgerWriter(tmp_path) as writer:
        writer.append("register", {})
        for point in range(1, 1000):
            try:
                sys.setprofile(interrupt_at(point))
                writer.append("interrupted", {"point": point})
            except KeyboardInterrupt:
                interrupted += 1
                written += writer.size % 2 == 0
            else:
                break
            finally:
                sys.setprofile(before)
            assert not read(writer).torn
            writer.append("after", {})
            assert len(read(writer).entries) == writer.size
            if writer.size % 2:
                continue
            writer.append("even", {})
        else:
            pytest.fail("the append never came to its end")
        types = [entry.type for entry in read(writer).entries]
    assert interrupted > 50, "the profiler must have been called"
    assert 0 < written < interrupted
    assert types.count("after") == interrupted


def test_a_handler_that_writes_in_the_middle_of_a_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = os.write, []

    with LedgerWriter(tmp_path) as writer:

        def write(fd: int, data: memoryview) -> int:
            for act in (lambda: writer.append("nested", {}), writer.close):
                with pytest.raises(RunError, match="being written at this moment"):
                    act()
                refused.append(act)
            return real(fd, data)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            writer.append("outer", {})
        assert len(refused) == 2
        assert [entry.type for entry in read(writer).entries] == ["outer"]


APPEND_UNTIL_INTERRUPTED = """
import sys
from auditor.ledger import LedgerWriter
with LedgerWriter(sys.argv[1]) as writer:
    writer.append("register", {})
    print("ready", flush=True)
    rounds = int(sys.argv[2])
    while rounds:
        try:
            while True:
                writer.append("tick", {"n": writer.size, "text": "x" * 300})
        except KeyboardInterrupt:
            rounds -= 1
            writer.append("interrupted", {"left": rounds})
            print("caught", flush=True)
"""


def test_ctrl_c_while_appending_leaves_a_valid_ledger(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    child = start_python(APPEND_UNTIL_INTERRUPTED, tmp_path, 25)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    pause = threading.Event()
    for n in range(25):
        pause.wait(0.002 + 0.0003 * n)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "caught\n"
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    ledger = parse_ledger((tmp_path / "ledger.jsonl").read_bytes())
    assert not ledger.torn
    assert [entry.type for entry in ledger.entries].count("interrupted") == 25
    assert len(ledger.entries) > 26


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_ends_in_the_middle_leaves_whole_entries_and_no_lock(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    child = start_python(APPEND_UNTIL_INTERRUPTED.replace("rounds -= 1", "raise"), tmp_path, 1)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    assert holder_of(tmp_path / "ledger.jsonl") == "another process"
    with pytest.raises(RunError, match="being written by another process"):
        LedgerWriter(tmp_path)
    threading.Event().wait(0.05)
    child.send_signal(number)
    child.communicate(timeout=60)
    assert child.returncode != 0
    assert holder_of(tmp_path / "ledger.jsonl") == "nobody"
    ledger = parse_ledger((tmp_path / "ledger.jsonl").read_bytes())
    assert ledger.seal is None
    assert len(ledger.entries) >= 1


FILL_THE_DISK = """
import resource, signal, sys
from auditor.errors import RunError
from auditor.ledger import LedgerWriter, parse_ledger
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with LedgerWriter(sys.argv[1]) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        while True:
            writer.append("tick", {"text": "x" * 300})
    except RunError as error:
        print(error)
    ledger = parse_ledger(writer.path.read_bytes())
    print(len(ledger.entries), ledger.torn, writer.path.stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.append("room again", {})
print([entry.type for entry in parse_ledger(writer.path.read_bytes()).entries][-2:])
"""


def test_a_full_disk_keeps_the_entries_before(
    tmp_path: Path, run_python: Callable[..., str]
) -> None:
    message, state, after = run_python(FILL_THE_DISK, tmp_path).splitlines()
    entries, torn, size = state.split()
    assert message == (
        f"{tmp_path}/ledger.jsonl: entry {entries} (tick) could not be written: File too large; "
        f"the run is intact up to entry {int(entries) - 1}"
    )
    assert torn == "b''"
    assert 4000 < int(size) <= 5000
    assert after == "['tick', 'room again']"


FORK = """
import os, sys
from auditor.errors import RunError
from auditor.ledger import LedgerWriter
from auditor.ledger.locks import holder_of
writer = LedgerWriter(sys.argv[1])
writer.append("register", {})
child = os.fork()
if child == 0:
    try:
        writer.append("child", {})
    except RunError as error:
        print("child:", error.what)
    writer.close()
    print("child:", holder_of(writer.path))
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
worker = os.fork()
if worker == 0:
    os.read(0, 1)  # a worker of a data loader: it keeps the open file and does nothing with it
    os._exit(0)
writer.append("parent", {})
writer.close()
print("parent:", holder_of(writer.path))
os.kill(worker, 9)
os.waitpid(worker, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_workers_neither_write_nor_unlock_nor_keep_the_lock(
    tmp_path: Path, run_python: Callable[..., str]
) -> None:
    assert run_python(FORK, tmp_path).splitlines() == [
        "child: a forked process cannot write the ledger of its parent",
        "child: another process",
        "parent: nobody",
    ]
    entries = parse_ledger((tmp_path / "ledger.jsonl").read_bytes()).entries
    assert [entry.type for entry in entries] == ["register", "parent"]
