"""Writing files so that a reader sees the old content or the new, never a part of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from auditor.errors import RunError

__all__ = ["StagedFile", "sync_folder", "write_all", "write_atomically"]


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
