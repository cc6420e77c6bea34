"""The chain: entries that each hold the digest of the one before.

A line of ``ledger.jsonl`` is the canonical JSON (RFC 8785) of an entry and a newline. The digest
of an entry is the SHA-256 of its line without the newline; the first entry follows 64 zeros.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ConfigDict

from auditor.errors import InputError, RunError
from auditor.evidence import Value, canonical_json, sha256
from auditor.ledger.encoding import read_canonical
from auditor.ledger.layout import LEDGER, REGISTER, SEAL
from auditor.ledger.tree import GrowingTree, leaf_hash, node_hash, tree_root

__all__ = [
    "GENESIS",
    "LONGEST_LINE",
    "ChainExaminer",
    "Entry",
    "Ledger",
    "LedgerFault",
    "examine_ledger",
    "format_time",
    "parse_ledger",
    "parse_time",
    "read_entry",
]

GENESIS = f"sha256:{'0' * 64}"
"""What entry 0 follows."""

LONGEST_LINE = 64 * 2**20
"""The most bytes of an entry: a seal that lists half a million files fits."""

_MOST_FAULTS = 1_000
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z"
)


class Entry(Value):
    """One thing that happened: its number, the digest before it, when, what, and the details."""

    model_config = ConfigDict(strict=True)

    seq: int
    prev: str
    time: str
    type: str
    body: dict[str, Any]

    @property
    def line(self) -> bytes:
        """The canonical JSON of the entry, without the newline."""
        return canonical_json({name: getattr(self, name) for name in Entry.model_fields})

    @property
    def digest(self) -> str:
        """``sha256:…`` of the line."""
        return sha256(self.line)


class LedgerFault(RunError):  # noqa: N818 -- it is collected as often as it is raised
    """What is off with one entry of a ledger: ``seq`` is its place in the file, from 0."""

    def __init__(self, seq: int, what: str, *, ledger: str = LEDGER) -> None:
        super().__init__(what, where=f"{ledger}, entry {seq}")
        self.seq = seq


@dataclass(frozen=True)
class Ledger:
    """What a ledger file holds: its entries, their lines as they stand there, and a torn end.

    ``torn`` is an incomplete last line, which an interrupted writer leaves behind; it is no entry.
    Entries and lines of a large file are read when they are asked for.
    """

    entries: Sequence[Entry]
    lines: Sequence[bytes]
    torn: bytes = b""
    tree: GrowingTree | None = field(default=None, compare=False, repr=False)

    def root(self) -> bytes:
        """Return the RFC 6962 tree head over the lines: 32 bytes."""
        return tree_root(self.lines) if self.tree is None else self.tree.root()

    def of_type(self, *types: str) -> tuple[Entry, ...]:
        """Return the entries of these types in their order, without reading the others.

        In canonical form the type is what a line ends with.
        """
        ends = tuple(b',"type":' + canonical_json(name) + b"}" for name in types)
        found: list[Entry] = []
        for line in self.lines:
            if line.endswith(ends):
                try:
                    entry = read_entry(line)
                except InputError:  # a fault, which was listed when the ledger was examined
                    continue
                found.append(entry)
        return tuple(found)

    @property
    def registration(self) -> Entry | None:
        """Entry 0, where it registers a run."""
        first = self.entries[0] if self.entries else None
        return first if first and first.type == REGISTER else None

    @property
    def seal(self) -> Entry | None:
        """The last entry, where it seals the run."""
        last = self.entries[-1] if self.entries else None
        return last if last and last.type == SEAL else None


class ChainExaminer:
    """Takes the lines of a ledger one after the other, and collects what is off with them.

    Memory does not grow with the ledger: of a thousand faults and more the rest is counted.
    """

    def __init__(self, *, where: str = LEDGER) -> None:
        self._where = where
        self._size = 0
        self._prev = GENESIS
        self._latest: tuple[datetime, str] | None = None
        self._peaks: list[bytes] = []
        self._faults: list[LedgerFault] = []
        self._more = 0

    def take(self, line: bytes) -> Entry | None:
        """Examine the next line; ``None`` where it is no entry, which is a fault."""
        seq, entry = self._size, None
        try:
            entry = read_entry(line)
        except InputError as error:
            self.fault(error.what)
        else:
            self._place(entry)
        self._prev = f"sha256:{hashlib.sha256(line).hexdigest()}"
        top = leaf_hash(line)
        while seq & 1:  # every trailing one of the size is a subtree that this leaf completes
            top = node_hash(self._peaks.pop(), top)
            seq >>= 1
        self._peaks.append(top)
        self._size += 1
        return entry

    def fault(self, what: str) -> None:
        """Note what is off with the entry that comes next."""
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(LedgerFault(self._size, what, ledger=self._where))
        else:
            self._more += 1

    def faults(self) -> tuple[LedgerFault, ...]:
        """Return what was off, in the order of the entries."""
        if not self._size and not self._faults:
            self.fault("the ledger is empty")
        if not self._more:
            return tuple(self._faults)
        more = LedgerFault(self._size, f"{self._more} more faults before it", ledger=self._where)
        return (*self._faults, more)

    def tree(self) -> GrowingTree:
        """Return the tree over the lines so far."""
        return GrowingTree(self._size, tuple(self._peaks))

    def _place(self, entry: Entry) -> None:
        if entry.seq != self._size:
            self.fault(f"the entry says that it is number {entry.seq}")
        if entry.prev != self._prev:
            self.fault(
                "the entry does not follow the one before it: an entry was changed, moved or "
                "removed"
            )
        moment = parse_time(entry.time)
        if moment is None:
            self.fault(f"the time {entry.time[:40]!r} is not in UTC as 2026-11-01T12:00:00Z")
        elif self._latest is not None and moment < self._latest[0]:
            latest = self._latest[1]
            self.fault(f"the time {entry.time} lies before that of an earlier entry, {latest}")
        else:
            self._latest = moment, entry.time


def parse_ledger(data: bytes, *, where: str = LEDGER) -> Ledger:
    """Read a ledger file; raises the first :class:`LedgerFault`, and none for a torn end."""
    ledger, faults = examine_ledger(data, where=where)
    for fault in faults:
        raise fault
    return ledger


def examine_ledger(data: bytes, *, where: str = LEDGER) -> tuple[Ledger, tuple[LedgerFault, ...]]:
    """Read as much of a ledger file as can be read, and list every fault in it.

    The entries of a ledger without faults correspond to its lines one to one.
    """
    *lines, torn = data.split(b"\n")
    examiner = ChainExaminer(where=where)
    entries = [entry for line in lines if (entry := examiner.take(line)) is not None]
    return Ledger(tuple(entries), tuple(lines), torn, examiner.tree()), examiner.faults()


def format_time(moment: datetime) -> str:
    """Write a moment in UTC: ``2026-11-01T12:00:00Z``, with six decimals where it has any.

    Raises :class:`ValueError` for a moment without a time zone.

    >>> format_time(datetime(2026, 11, 1, 12, 0, 0, 250000, tzinfo=UTC))
    '2026-11-01T12:00:00.250000Z'
    """
    if moment.utcoffset() is None:
        raise ValueError("a clock gives moments with a time zone")
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def parse_time(text: str) -> datetime | None:
    """Read a moment as :func:`format_time` writes it; ``None`` for any other spelling."""
    if not _MOMENT.fullmatch(text) or text.endswith(".000000Z"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return None


def read_entry(line: bytes) -> Entry:
    """Read an entry, and insist on its canonical form: a second spelling is another line.

    Raises :class:`InputError`.
    """
    if len(line) > LONGEST_LINE:
        raise InputError(f"longer than {LONGEST_LINE:,} bytes")
    try:
        document = read_canonical(line)
    except ValueError as error:
        raise InputError(f"not JSON ({error})") from None
    return Entry.from_json(document)
