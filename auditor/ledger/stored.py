"""A ledger read from its file: a small one as a whole, a large one line by line.

Whatever the size, every line is examined once, in order. Of a large file the places of its lines
are kept, eight bytes each; an entry is read again when somebody asks for it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import overload

from auditor.errors import RunError
from auditor.ledger.chain import (
    LONGEST_LINE,
    ChainExaminer,
    Entry,
    Ledger,
    LedgerFault,
    examine_ledger,
    read_entry,
)
from auditor.ledger.layout import LEDGER
from auditor.ledger.storage import open_regular

__all__ = ["read_ledger"]

_SMALL = 16 * 2**20


def read_ledger(
    path: Path, *, where: str = LEDGER, small: int = _SMALL
) -> tuple[Ledger, tuple[LedgerFault, ...]]:
    """Read and examine a ledger file; what is appended meanwhile may be part of it or not.

    A file of at most ``small`` bytes is held in memory. Raises :class:`OSError`.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if status.st_size <= small:
            return examine_ledger(file.read(), where=where)
        return _examine_lines(path, file, (status.st_dev, status.st_ino), where)


def _examine_lines(
    path: Path, file: BufferedReader, identity: tuple[int, int], where: str
) -> tuple[Ledger, tuple[LedgerFault, ...]]:
    examiner = ChainExaminer(where=where)
    starts, readable = array("Q"), array("Q")
    at, torn = 0, b""
    while line := file.readline(LONGEST_LINE + 2):
        if not line.endswith(b"\n"):
            if len(line) > LONGEST_LINE:
                examiner.fault(f"longer than {LONGEST_LINE:,} bytes; nothing after it was read")
            else:
                torn = line
            break
        if examiner.take(line[:-1]) is not None:
            readable.append(len(starts))
        starts.append(at)
        at += len(line)
    lines = _Lines(path, identity, starts, at)
    return Ledger(_Entries(lines, readable), lines, torn, examiner.tree()), examiner.faults()


class _Lines(Sequence[bytes]):
    """The whole lines of a file by their places in it."""

    def __init__(self, path: Path, identity: tuple[int, int], starts: array[int], end: int) -> None:
        self._path, self._identity, self._starts, self._end = path, identity, starts, end

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(*index.indices(len(self))))
        at = range(len(self))[index]
        end = self._starts[at + 1] if at + 1 < len(self) else self._end
        with self._open() as file:
            file.seek(self._starts[at])
            return file.read(end - self._starts[at])[:-1]

    def __iter__(self) -> Iterator[bytes]:
        with self._open() as file:
            for _ in range(len(self)):
                yield file.readline()[:-1]

    def _open(self) -> BufferedReader:
        try:
            file = open_regular(self._path)
        except OSError as error:
            raise RunError(
                f"the ledger cannot be read: {error.strerror}", where=str(self._path)
            ) from None
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._end:
            file.close()
            raise RunError("the ledger was replaced while it was read", where=str(self._path))
        return file


class _Entries(Sequence[Entry]):
    """The entries among the lines: ``readable`` are the numbers of the lines that are entries."""

    def __init__(self, lines: _Lines, readable: array[int]) -> None:
        self._lines, self._readable = lines, readable

    def __len__(self) -> int:
        return len(self._readable)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(*index.indices(len(self))))
        return read_entry(self._lines[self._readable[index]])

    def __iter__(self) -> Iterator[Entry]:
        at = 0
        for number, line in enumerate(self._lines):
            if at < len(self._readable) and self._readable[at] == number:
                at += 1
                yield read_entry(line)
