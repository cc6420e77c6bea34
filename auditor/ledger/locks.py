"""Who is writing a ledger now: an advisory lock on the file, dropped by the system with its owner.

Without ``fcntl`` (Windows), or on a file system without locks, nobody ever seems to write; a
second writer is then still refused, because a ledger is created exclusively.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Literal

try:
    import fcntl
except ImportError:  # pragma: no cover -- there is no fcntl on Windows
    fcntl = None

__all__ = ["Holder", "holder_of", "lock", "lock_within", "unlock"]

Holder = Literal["nobody", "this process", "another process"]

_held: set[tuple[int, int, int]] = set()
"""Process, device and inode of the files locked here: a lock does not tell who holds it."""


def lock(fd: int) -> None:
    """Lock the open file until :func:`unlock`, or until the process ends.

    The call waits: the file was created by the caller, and only a reader that asks
    :func:`holder_of` can be in the way, for microseconds.
    """
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
            _held.add(_key(os.fstat(fd)))


def lock_within(fd: int, seconds: float) -> bool:
    """Lock the open file unless somebody else holds it for so long; whether it is locked.

    The workers of a process that was killed hold its lock until they notice that they are alone.
    """
    if fcntl is None:
        return True
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        except OSError:  # a file system without locks
            return True
        else:
            _held.add(_key(os.fstat(fd)))
            return True


def unlock(fd: int) -> None:
    """Release the lock, also for the copies of ``fd`` that forked workers still hold."""
    if fcntl is not None:
        _held.discard(_key(os.fstat(fd)))
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)


def holder_of(path: Path) -> Holder:
    """Return who has locked the file; ``nobody`` where it is absent or cannot be opened."""
    if fcntl is None:
        return "nobody"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return "nobody"
    try:
        if _key(os.fstat(fd)) in _held:
            return "this process"
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "another process"
    except OSError:  # a file system without locks
        return "nobody"
    finally:
        os.close(fd)
    return "nobody"


def _key(status: os.stat_result) -> tuple[int, int, int]:
    return os.getpid(), status.st_dev, status.st_ino
