"""Ctrl-C, a killed process, a full disk, a fork: a ledger of whole entries, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from auditor.errors import RunError
from auditor.ledger import Ledger, LedgerWriter, parse_ledger
from auditor.ledger.locks import holder_of


def read(writer: LedgerWriter) -> Ledger:
    return parse_ledger(writer.path.read_bytes())


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
