"""The writer: whole lines or none, by one writer, until the seal."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import InputError, RunError
from auditor.ledger import Ledger, LedgerWriter, parse_ledger


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
