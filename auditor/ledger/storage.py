"""Writing files so that a reader sees the old content or the new, never a part of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from auditor.errors import RunError

__all__ = [
    "LARGEST_DOCUMENT",
    "StagedFile",
    "open_regular",
    "read_file",
    "sync_folder",
    "write_all",
    "write_atomically",
]

LARGEST_DOCUMENT = 256 * 2**20
"""The most bytes of a JSON document in a run: a million findings fit."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, and nothing else: no link is followed, no pipe waited for.

    Raises :class:`OSError`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    fd = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_file(path: Path, *, most: int = LARGEST_DOCUMENT) -> bytes:
    """Read a regular file of at most ``most`` bytes; raises :class:`OSError`."""
    with open_regular(path) as file:
        data = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"Larger than {most:,} bytes", str(path))
    return data


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``; a short write is continued. Raises :class:`OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: Path) -> None:
    """Make a rename in ``path`` durable, where the file system knows how."""
    with contextlib.suppress(OSError):  # some systems cannot open or sync a folder
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class StagedFile:
    """Content that lies complete and durable beside its place, and is put there in one step.

    Raises :class:`RunError` where the content cannot be written (a full disk, a quota, a folder
    without permission); what was in the place before is then still there, and nothing is left
    beside it.
    """

    def __init__(self, target: Path, data: bytes) -> None:
        self.target = target
        self._staged = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
        try:
            fd = os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def place(self) -> None:
        """Put the content in its place; raises :class:`RunError`."""
        try:
            os.replace(self._staged, self.target)
        except OSError as error:
            self.discard()
            raise self._failed(error) from error
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the staged content; nothing happens where it was placed already."""
        with contextlib.suppress(OSError):
            os.unlink(self._staged)

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"{self.target.name} could not be written: {error.strerror}",
            where=str(self.target.parent),
            valid="nothing that was there is damaged; make room or permission, and try again",
        )


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file in one step; raises :class:`RunError` and leaves the old file as it was."""
    staged = StagedFile(target, data)
    try:
        staged.place()
    finally:
        staged.discard()
