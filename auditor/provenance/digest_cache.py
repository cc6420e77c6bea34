"""Digests that were computed before, of files that have not changed since."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Lock

from auditor.errors import InputError

__all__ = ["DigestCache", "FileIdentity", "default_cache", "file_identity"]

# A file may change again within one tick of its clock; two seconds is the coarsest one (FAT).
_TICK = 2 * 10**9
_TABLE = "create table if not exists digests (key blob primary key, value blob, proof blob)"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells a file, and that nobody has written to it: as good as the file system's times."""

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


def file_identity(path: Path, descriptor: int | None = None) -> FileIdentity:
    """Return the identity of a regular file, of an open one by its descriptor.

    Raises :class:`OSError` for a file that is not there, :class:`InputError` for what is no file.
    """
    found = os.stat(path) if descriptor is None else os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise InputError("the file cannot be read: Is a directory", where=str(path))
    if not stat.S_ISREG(found.st_mode):
        raise InputError("the file cannot be read: not a regular file", where=str(path))
    return FileIdentity(
        path=os.fsencode(os.path.abspath(path)),
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        device=found.st_dev,
    )


class DigestCache:
    """Digests by absolute path, size, times, inode and method, in a SQLite file of the user.

    A cache is an economy and no evidence: whoever may write the user's files may write it, and a
    writer through a memory map may be seen late. A file that changed in the last two seconds is
    not kept. Every entry carries its own SHA-256 with key and value, so that a damaged file costs
    time and never gives a wrong digest; a file that is no database is left alone.
    """

    def __init__(self, path: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.path, self._clock = path, clock
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        self._usable = True

    def get(self, identity: FileIdentity, method: str) -> bytes | None:
        """Return what was put for this file and method, or ``None``."""
        key = _key(identity, method)
        rows = self._execute("select value, proof from digests where key = ?", (key,))
        for value, proof in rows:
            if isinstance(value, bytes) and proof == _proof(key, value):
                return value
        return None

    def put(self, identity: FileIdentity, method: str, value: bytes) -> None:
        """Keep a digest of a file, unless the file has only just changed."""
        if self._clock() - max(identity.mtime_ns, identity.ctime_ns) < _TICK:
            return
        key = _key(identity, method)
        self._execute("replace into digests values (?, ?, ?)", (key, value, _proof(key, value)))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _execute(self, sql: str, values: tuple[bytes, ...]) -> list[tuple[object, object]]:
        with self._lock:
            if not self._usable:
                return []
            try:
                if self._database is None:
                    self._database = self._connect()
                return self._database.execute(sql, values).fetchall()
            except (sqlite3.Error, OSError, OverflowError):
                self._usable = False
                return []

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(
            self.path, timeout=1, isolation_level=None, check_same_thread=False
        )
        database.execute("pragma synchronous = off")  # what a crash loses is computed again
        database.execute(_TABLE)
        return database


def default_cache(environment: Mapping[str, str] = os.environ) -> DigestCache | None:
    """Return the user's cache, or ``None`` where it is turned off.

    ``AUDITOR_CACHE`` names its folder, or is ``off``; else it lies in ``XDG_CACHE_HOME`` or
    ``~/.cache``, in a folder ``auditor``.
    """
    chosen = environment.get("AUDITOR_CACHE", "")
    if chosen.lower() == "off":
        return None
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(chosen) if chosen else Path(base) / "auditor"
    try:
        return DigestCache(folder.expanduser() / "digests.sqlite")
    except RuntimeError:  # a user without a home
        return None


def _key(identity: FileIdentity, method: str) -> bytes:
    path, *numbers = astuple(identity)
    parts = [path, method.encode(), *(str(number).encode() for number in numbers)]
    return hashlib.sha256(b"".join(len(p).to_bytes(8, "little") + p for p in parts)).digest()


def _proof(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(key + value).digest()
