"""The chain: entries that each hold the digest of the one before.

A line of ``ledger.jsonl`` is the canonical JSON (RFC 8785) of an entry and a newline. The digest
of an entry is the SHA-256 of its line without the newline; the first entry follows 64 zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ConfigDict

from auditor.errors import InputError, RunError
from auditor.evidence import Value, canonical_json, sha256
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import LEDGER, REGISTER, SEAL
from auditor.ledger.tree import tree_root

__all__ = [
    "GENESIS",
    "Entry",
    "Ledger",
    "LedgerFault",
    "examine_ledger",
    "format_time",
    "parse_ledger",
    "parse_time",
]

GENESIS = f"sha256:{'0' * 64}"
"""What entry 0 follows."""


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
    """

    entries: tuple[Entry, ...]
    lines: tuple[bytes, ...]
    torn: bytes = b""

    def root(self) -> bytes:
        """Return the RFC 6962 tree head over the lines: 32 bytes."""
        return tree_root(self.lines)

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
    entries: list[Entry] = []
    faults: list[LedgerFault] = []
    prev, time = GENESIS, ""
    for seq, line in enumerate(lines):
        try:
            entry = _read_line(line)
        except InputError as error:
            faults.append(LedgerFault(seq, error.what, ledger=where))
        else:
            found = _misplaced(entry, seq=seq, prev=prev, after=time)
            faults += [LedgerFault(seq, what, ledger=where) for what in found]
            entries.append(entry)
            time = max(time, entry.time, key=_time_order)
        prev = sha256(line)
    if not lines:
        faults.append(LedgerFault(0, "the ledger is empty", ledger=where))
    return Ledger(tuple(entries), tuple(lines), torn), tuple(faults)


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
    try:
        moment = datetime.fromisoformat(text)
        return moment if format_time(moment) == text else None
    except (ValueError, OverflowError):
        return None


def _read_line(line: bytes) -> Entry:
    """Read an entry, and insist on its canonical form: a second spelling is another line."""
    try:
        document = read_json(line)
        canonical = canonical_json(document) == line
    except ValueError as error:
        raise InputError(f"not JSON ({error})") from None
    except RecursionError:  # the writer of canonical JSON gives up before its reader does
        raise InputError("not JSON (nested too deeply)") from None
    if not canonical:
        raise InputError("the JSON is not in canonical form (RFC 8785)")
    return Entry.from_json(document)


def _misplaced(entry: Entry, *, seq: int, prev: str, after: str) -> Iterator[str]:
    if entry.seq != seq:
        yield f"the entry says that it is number {entry.seq}"
    if entry.prev != prev:
        yield "the entry does not follow the one before it: an entry was changed, moved or removed"
    if parse_time(entry.time) is None:
        yield f"the time {entry.time[:40]!r} is not in UTC as 2026-11-01T12:00:00Z"
    elif after and _time_order(entry.time) < _time_order(after):
        yield f"the time {entry.time} lies before that of an earlier entry, {after}"


def _time_order(text: str) -> datetime:
    return parse_time(text) or datetime.min.replace(tzinfo=UTC)
