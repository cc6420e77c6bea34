"""kill -9 while a ledger is written: nothing that was acknowledged is lost, nothing is dropped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import auditor
from auditor.errors import RunError
from auditor.ledger import (
    LedgerWriter,
    RunFolder,
    RunRecord,
    StateKind,
    check_integrity,
    parse_ledger,
    state_of,
)
from auditor.verify import verify_run

WRITER = """
import os, signal, sys
from pathlib import Path
from auditor.ledger import RunFolder

path, durable, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
acknowledge = os.fdopen(1, "wb", buffering=0)
for round in range(rounds):
    go = sys.stdin.readline()
    child = os.fork()
    if child:
        acknowledge.write(b"pid %d\\n" % child)
        os.waitpid(child, 0)
        acknowledge.write(b"end\\n")
        continue
    run = RunFolder.create(path / f"run-{round}")
    writer = run.writer(durable=durable)
    run.register(writer, signer=None)
    acknowledge.write(b"0\\n")
    while True:
        entry = writer.append("step", {"n": writer.size, "text": "x" * (writer.size * 37 % 500)})
        acknowledge.write(b"%d\\n" % entry.seq)
"""


def kill_at_random_points(folder: Path, durable: str, rounds: int) -> list[int]:
    """Let a child write ``rounds`` runs, each killed at another point; return what it said."""
    wait = random.Random(durable)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), durable, str(rounds)],
        env=os.environ | {"PYTHONPATH": str(Path(auditor.__file__).parent.parent)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    acknowledged: list[int] = []
    try:
        for _ in range(rounds):
            process.stdin.write(b"go\n")
            process.stdin.flush()
            child, last, stop = 0, -1, wait.randrange(60)
            while (line := process.stdout.readline()) != b"end\n":
                assert line, "the writer ended by itself"
                if line.startswith(b"pid "):
                    child = int(line[4:])
                else:
                    last = int(line)
                # Not before it said so, and then at once: in the middle of what comes next.
                if child and last >= stop:
                    stop = 10**9
                    os.kill(child, signal.SIGKILL)
            acknowledged.append(last)
    finally:
        process.kill()
        process.communicate()
    return acknowledged


def entries_lost(folder: Path, durable: str, rounds: int) -> list[int]:
    """Kill writers, hold each run against what it may be, and count the acknowledged that lack."""
    lost: list[int] = []
    acknowledged = kill_at_random_points(folder, durable, rounds)
    assert len(acknowledged) == rounds
    assert len(set(acknowledged)) > rounds // 10, "the points differ"
    for number, last in enumerate(acknowledged):
        run = folder / f"run-{number}"
        record = RunRecord.load(run)
        lost.append(max(last + 1 - len(record.ledger.entries), 0))
        assert [entry.seq for entry in record.ledger.entries] == list(
            range(len(record.ledger.entries))
        )
        whole = b"".join(line + b"\n" for line in record.ledger.lines)
        assert whole + record.torn == (run / "ledger.jsonl").read_bytes()
        state = state_of(run)
        assert (state.kind, state.entries) == (StateKind.INTERRUPTED, len(record.ledger.entries))
        found = verify_run(run)
        assert (found.state, found.exit_code) == ("interrupted", 1)
    return lost


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("durable", ["entry", "sync"])
def test_a_killed_writer_loses_no_entry_that_it_acknowledged(tmp_path: Path, durable: str) -> None:
    assert entries_lost(tmp_path, durable, 20) == [0] * 20


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("durable", ["entry", "sync"])
def test_two_hundred_killed_writers_lose_no_entry_that_they_acknowledged(
    tmp_path: Path, durable: str
) -> None:
    assert entries_lost(tmp_path, durable, 200) == [0] * 200


def test_a_line_torn_at_any_byte_is_set_aside_and_told(tmp_path: Path) -> None:
    """A kill between two bytes of one write is rare, so that it is made by hand."""
    run = RunFolder.create(tmp_path / "run")
    with run.writer(durable="sync") as writer:
        run.register(writer, signer=None)
        writer.append("step", {"n": 1})
    ledger = run.path / "ledger.jsonl"
    data = ledger.read_bytes()
    start = data.index(b"\n") + 1
    for end in range(start + 1, len(data)):
        ledger.write_bytes(data[:end])
        record = RunRecord.load(run.path)
        assert (len(record.ledger.entries), record.torn) == (1, data[start:end])
        found = verify_run(run.path)
        assert found.state == "interrupted"
        assert "ledger.jsonl, after entry 0" in {fault.where for fault in found.faults}
        assert ledger.read_bytes() == data[:end], "reading repairs nothing"


def test_zeros_that_a_power_cut_left_at_the_end_are_a_torn_line(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
    with (run.path / "ledger.jsonl").open("ab") as file:
        file.write(bytes(512))
    record = RunRecord.load(run.path)
    assert (len(record.ledger.entries), record.torn) == (1, bytes(512))


def test_an_interrupted_run_is_told_from_a_broken_one(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
        writer.append("step", {"n": 1})
        writer.append("step", {"n": 2})
    result = verify_run(run.path)
    assert (result.state, result.integrity.sealed, result.exit_code) == ("interrupted", False, 1)
    assert json.loads(json.dumps(result.to_json()))["state"] == "interrupted"
    ledger = run.path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"n":1', b'"n":7'))
    assert verify_run(run.path).state == "broken"


# A reader beside the writer.

SLOW_WRITER = """
import sys
from auditor.ledger import RunFolder
run = RunFolder.create(sys.argv[1])
writer = run.writer(durable="sync")
run.register(writer, signer=None)
print("ready", flush=True)
for n in range(100_000):
    writer.append("step", {"n": n})
"""


def test_a_reader_sees_a_valid_and_growing_beginning_of_what_is_being_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(auditor.__file__).parent.parent)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(RunError, match=r"being written by another process.*live=True"):
            RunRecord.load(path)
        seen: list[bytes] = []
        looks, until = 0, time.monotonic() + 60  # a busy machine may let the writer wait
        while looks < 8 or (len(seen) < 3 and time.monotonic() < until):
            record = RunRecord.load(path, live=True)
            assert not record.sealed
            lines = list(record.ledger.lines)
            assert lines[: len(seen)] == seen
            seen, looks = lines, looks + 1
        assert len(seen) >= 3
    finally:
        process.kill()
        process.communicate()


# What "sync" leaves out, and what it keeps.


def test_entries_reach_the_disk_when_asked_and_at_the_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(fd), real(fd)))
    with LedgerWriter(tmp_path, durable="sync") as writer:
        synced.clear()
        for n in range(5):
            writer.append("step", {"n": n})
        assert synced == []
        writer.sync()
        writer.sync()
        assert len(synced) == 1, "the second time there is nothing to do"
        writer.append("step", {})
        writer.append("seal", {"files": {}})
        assert len(synced) == 2
    assert len(synced) == 2
    assert len(parse_ledger(writer.path.read_bytes()).entries) == 7


def test_closing_puts_everything_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LedgerWriter(tmp_path, durable="sync")
    writer.append("step", {})
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    writer.close()
    writer.sync()
    assert len(synced) == 1


def test_a_disk_that_refuses_to_sync_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with LedgerWriter(tmp_path, durable="sync") as writer:
        writer.append("step", {})
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(RunError, match="could not be put on the disk: Input/output error"):
                writer.sync()
        assert writer.append("step", {}).seq == 1
    assert check_integrity(tmp_path).entries == 2


def test_another_durability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(auditor.InputError, match="entry or sync"):
        LedgerWriter(tmp_path, durable="maybe")  # type: ignore[arg-type]
    assert not (tmp_path / "ledger.jsonl").exists()
