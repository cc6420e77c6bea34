"""Locks: who writes, as far as the system can tell."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from auditor.ledger import LedgerWriter, RunFolder, RunRecord, check_integrity, locks


def test_the_holder_is_known_until_the_lock_is_released(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    assert locks.holder_of(file) == "nobody"
    writer = LedgerWriter(tmp_path)
    assert locks.holder_of(file) == "this process"
    writer.close()
    assert locks.holder_of(file) == "nobody"


@pytest.mark.parametrize("missing", ["module", "locks"])
def test_without_locks_runs_are_written_and_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if missing == "module":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        assert locks.holder_of(writer.path) == "nobody"
        run.register(writer, signer=None)
        assert not RunRecord.load(run.path).sealed
        run.seal(writer, None)
    assert RunRecord.load(run.path).sealed
    assert check_integrity(run.path).intact
