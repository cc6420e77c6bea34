from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from auditor.provenance import read_ahead
from auditor.provenance.read_ahead import pieces_of


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(read_ahead, "_PIECE", 1_000)
    path = tmp_path / "data"
    path.write_bytes(os.urandom(12_345))
    return path


def test_the_pieces_are_the_file_in_its_order(file: Path) -> None:
    with file.open("rb") as opened, pieces_of(opened.fileno()) as pieces:
        read = [bytes(piece) for piece in pieces]
    assert b"".join(read) == file.read_bytes()
    assert [len(piece) for piece in read] == [1_000] * 12 + [345]


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as opened, pieces_of(opened.fileno()) as pieces:
        assert list(pieces) == []


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_no_thread_outlives_a_reader_who_stops(file: Path, taken: int) -> None:
    before = threading.active_count()
    with (
        file.open("rb") as opened,
        pytest.raises(ZeroDivisionError),
        pieces_of(opened.fileno()) as pieces,
    ):
        for _ in range(taken):
            next(pieces)
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_what_cannot_be_read_is_an_error_at_its_piece(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, readv = [3], os.readv

    def failing(descriptor: int, buffers: list[memoryview]) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "Input/output error")
        return readv(descriptor, buffers)

    monkeypatch.setattr(read_ahead.os, "readv", failing)
    read: list[bytes] = []
    with (
        file.open("rb") as opened,
        pytest.raises(OSError, match="Input/output error"),
        pieces_of(opened.fileno()) as pieces,
    ):
        for piece in pieces:
            read.append(bytes(piece))
    assert b"".join(read) == file.read_bytes()[:3_000]
