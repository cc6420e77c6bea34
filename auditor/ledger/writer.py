"""The one who writes a ledger: alone, one whole line at a time, safe before it says so.

Two things can end a run: the process (a signal, a crash, no memory), and the machine (a power cut,
a kernel panic). What the system took survives the first, what the disk took survives both.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from auditor.errors import InputError, RunError
from auditor.evidence import canonical_json, sha256
from auditor.ledger.chain import GENESIS, LONGEST_LINE, Entry, format_time, parse_time
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import LEDGER, SEAL
from auditor.ledger.locks import holder_of, lock, lock_within, unlock
from auditor.ledger.storage import sync_folder, write_all
from auditor.ledger.stored import read_ledger
from auditor.ledger.tree import GrowingTree

__all__ = ["Clock", "Draft", "Durability", "LedgerWriter", "utc_now"]

Clock = Callable[[], datetime]

Durability = Literal["entry", "sync"]
"""When an entry is on the disk: before ``append`` returns, or at the next ``sync``."""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Tail:
    """What is written so far. Replaced as a whole, so that no interruption can split it."""

    tree: GrowingTree = field(default_factory=GrowingTree)
    first: Entry | None = None
    last: Entry | None = None
    prev: str = GENESIS
    moment: datetime = _LONG_AGO
    length: int = 0


@dataclass(frozen=True)
class Draft:
    """An entry that is not written yet, and the size and root of the ledger with it."""

    entry: Entry
    line: bytes
    tail: _Tail

    @property
    def size(self) -> int:
        """The number of entries with this one."""
        return self.tail.tree.size

    def root(self) -> bytes:
        """Return the tree head with this entry: 32 bytes."""
        return self.tail.tree.root()


class LedgerWriter:
    """Creates ``RUN/ledger.jsonl`` and appends to it, as the only one who may.

    The file is new, and a ledger that is there is neither continued nor overwritten, unless
    ``go_on`` says so. It is locked until :meth:`close` (or the end of the process). After an entry
    of type ``seal`` nothing is appended.

    Parameters
    ----------
    run:
        The run folder, which exists.
    clock:
        Gives the present moment with a time zone. Entries are never dated before the one they
        follow: where the clock was set back, the earlier entry's time is repeated.
    durable:
        ``"entry"``: an entry that was returned is on the disk, and nothing takes it. ``"sync"``: it
        was handed to the system, so that the end of this process takes nothing; the disk has it
        after :meth:`sync`, after the seal and after :meth:`close`. A power cut takes at most the
        entries since then: the ledger ends earlier, or in a torn line that readers set aside.
    go_on:
        Continue the ledger of an interrupted run behind its last whole entry; a torn last line is
        cut off. ``patience`` is how many seconds to wait for another process to let go of it.

    Raises
    ------
    RunError
        Where the folder has a ledger already (the message says whether somebody is writing it), or
        where the file cannot be created. With ``go_on``, where there is none, where it is damaged,
        and where somebody goes on writing it.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        clock: Clock = utc_now,
        durable: Durability = "entry",
        go_on: bool = False,
        patience: float = 10.0,
    ) -> None:
        if durable not in ("entry", "sync"):
            raise InputError(f"durable={durable!r} is no durability", valid="entry or sync")
        self.path = Path(run) / LEDGER
        self.durable: Durability = durable
        self._unsynced = False
        self._clock = clock
        self._turn = threading.RLock()
        self._busy = False
        self._tail = _Tail()
        self._pending: _Tail | None = None
        self._process = os.getpid()
        if go_on:
            self._fd = self._reopen(patience)
            try:
                self._take_up()
            except BaseException:
                self.close()
                raise
        else:
            self._fd = self._create()
            lock(self._fd)
            sync_folder(self.path.parent)

    def _create(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except FileExistsError:
            holder = holder_of(self.path)
            what = "there is a ledger already"
            if holder != "nobody":
                what = f"the run is being written by {holder}"
            raise RunError(what, where=str(self.path), valid="a new folder") from None
        except OSError as error:
            raise RunError(
                f"the ledger cannot be created: {error.strerror}", where=str(self.path)
            ) from None

    def _reopen(self, patience: float) -> int:
        """Open the ledger that is there, and lock it; raises :class:`RunError`."""
        where = str(self.path)
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise RunError(f"the ledger cannot be opened: {error.strerror}", where=where) from None
        if holder_of(self.path) == "this process" or not lock_within(fd, patience):
            os.close(fd)
            raise RunError("the run is being written", where=where, valid="wait for it to end")
        return fd

    def _take_up(self) -> None:
        """Continue behind the last whole entry of the file; raises :class:`RunError`."""
        ledger, faults = read_ledger(self.path, where=str(self.path))
        if ledger.lines:
            for fault in faults:
                raise fault
        self._tail = _Tail(length=sum(len(line) + 1 for line in ledger.lines))
        if ledger.lines and ledger.tree is not None:
            last = ledger.entries[-1]
            self._tail = _Tail(
                tree=ledger.tree,
                first=ledger.entries[0],
                last=last,
                prev=sha256(ledger.lines[-1]),
                moment=parse_time(last.time) or _LONG_AGO,
                length=self._tail.length,
            )
        os.ftruncate(self._fd, self._tail.length)
        self._unsynced = True

    @property
    def size(self) -> int:
        """The number of entries written."""
        return self._tail.tree.size

    @property
    def first(self) -> Entry | None:
        """Entry 0, once it is written."""
        return self._tail.first

    @property
    def last(self) -> Entry | None:
        """The entry written last."""
        return self._tail.last

    @property
    def sealed(self) -> bool:
        """Whether the last entry seals the run."""
        return self.last is not None and self.last.type == SEAL

    @property
    def closed(self) -> bool:
        """Whether the lock is released and nothing more can be written."""
        return self._fd < 0

    def root(self) -> bytes:
        """Return the RFC 6962 tree head of what is written: 32 bytes."""
        return self._tail.tree.root()

    def append(self, type: str, body: Mapping[str, Any]) -> Entry:
        """Write one entry as a whole, and return it as a reader will see it.

        Whether the disk has it already is told by ``durable``. Raises :class:`RunError` where it
        could not be written (a full disk); the ledger is then as it was before the call, and the
        same entry can be tried again. Raises
        :class:`~auditor.errors.InputError` for a body without a canonical JSON form.
        """
        with self._turn:
            return self.commit(self.draft(type, body))

    def draft(self, type: str, body: Mapping[str, Any]) -> Draft:
        """Return the entry that would come next, without writing it."""
        with self._turn:
            self._get_ready()
            tail = self._tail
            moment = max(self._clock(), tail.moment)
            written = canonical_json(dict(body))
            entry = Entry(
                seq=tail.tree.size,
                prev=tail.prev,
                time=format_time(moment),
                type=type,
                body=read_json(written),
            )
            line = _line(entry, written)
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"an entry of {len(line):,} bytes",
                    where=str(self.path),
                    valid=f"at most {LONGEST_LINE:,}; the rest as evidence under its digest",
                )
            return Draft(
                entry,
                line,
                _Tail(
                    tree=tail.tree.plus(line),
                    first=tail.first or entry,
                    last=entry,
                    prev=sha256(line),
                    moment=moment,
                    length=tail.length + len(line) + 1,
                ),
            )

    def commit(self, draft: Draft) -> Entry:
        """Write a drafted entry; raises :class:`RunError` where another one came in between."""
        with self._turn:
            self._get_ready()
            if (draft.entry.seq, draft.entry.prev) != (self.size, self._tail.prev):
                raise RunError("another entry was written after this draft", where=str(self.path))
            try:
                self._busy = True
                self._write(draft)
            finally:
                self._busy = False
            return draft.entry

    def sync(self) -> None:
        """Put on the disk what is written so far; nothing happens where it is there already.

        Raises :class:`RunError` where the disk refuses: the entries are in the ledger, and a power
        cut may take them.
        """
        with self._turn:
            if self.closed or os.getpid() != self._process:
                return
            self._refuse_reentry()
            try:
                self._sync()
            except OSError as error:
                raise RunError(
                    f"the ledger could not be put on the disk: {error.strerror}",
                    where=str(self.path),
                    valid="the entries are written; a power cut may take the last of them",
                ) from error

    def close(self) -> None:
        """Put everything on the disk and release the lock; calling it twice does nothing."""
        with self._turn:
            if self.closed:
                return
            self._refuse_reentry()
            owner = os.getpid() == self._process
            if owner:
                with contextlib.suppress(OSError):  # a torn end is set aside by every reader
                    self._settle()
                with contextlib.suppress(OSError):  # nothing is lost unless the power goes, too
                    self._sync()
                unlock(self._fd)
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get_ready(self) -> None:
        where = str(self.path)
        if self.closed:
            raise RunError("the ledger is closed", where=where)
        if os.getpid() != self._process:
            raise RunError("a forked process cannot write the ledger of its parent", where=where)
        self._refuse_reentry()
        try:
            self._settle()
        except OSError as error:
            raise self._failed("the ledger could not be repaired", error) from error
        if self.sealed:
            raise RunError("the run is sealed; nothing is written after the seal", where=where)

    def _refuse_reentry(self) -> None:
        if self._busy:  # only a signal handler of the same thread gets here
            raise RunError("an entry is being written at this moment", where=str(self.path))

    def _write(self, draft: Draft) -> None:
        self._pending = draft.tail
        try:
            write_all(self._fd, draft.line + b"\n")
            self._unsynced = True
            if self.durable == "entry" or draft.entry.type == SEAL:
                self._sync()
        except OSError as error:
            with contextlib.suppress(OSError):  # tried again before the next entry
                self._take_back()
            what = f"entry {draft.entry.seq} ({draft.entry.type}) could not be written"
            raise self._failed(what, error) from error
        finally:
            with contextlib.suppress(OSError):
                self._settle()

    def _sync(self) -> None:
        if self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def _settle(self) -> None:
        """Take in the entry that an interruption left unsaid, or take back its half."""
        if self._pending is None:
            return
        if os.fstat(self._fd).st_size == self._pending.length:
            self._tail = self._pending
            self._pending = None
        else:
            self._take_back()

    def _take_back(self) -> None:
        os.ftruncate(self._fd, self._tail.length)
        self._pending = None

    def _failed(self, what: str, error: OSError) -> RunError:
        intact = (
            f"the run is intact up to entry {self.size - 1}"
            if self.size
            else "no entry was written before it"
        )
        return RunError(f"{what}: {error.strerror}", where=str(self.path), valid=intact)


def _line(entry: Entry, body: bytes) -> bytes:
    """Return :attr:`Entry.line`, given the canonical JSON of the body; the keys are sorted."""
    return (
        b'{"body":%b,"prev":"%b","seq":%d,"time":"%b","type":%b}'
        % (body, entry.prev.encode(), entry.seq, entry.time.encode(), canonical_json(entry.type))
    )  # fmt: skip
