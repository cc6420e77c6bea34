"""Key files: written once and for their owner alone, never over another file."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Sequence
from pathlib import Path

from auditor.errors import InputError
from auditor.ledger.storage import write_all

__all__ = [
    "PRIVATE",
    "PUBLIC",
    "KeyFileWarning",
    "public_file",
    "warn_if_others_read",
    "write_key_files",
]

PRIVATE, PUBLIC = 0o600, 0o644
"""The modes of the two halves of a key."""


class KeyFileWarning(UserWarning):
    """A file that holds a secret can be read by others."""


def public_file(file: Path) -> Path:
    """Return ``FILE.pub``."""
    return file.with_name(f"{file.name}.pub")


def write_key_files(files: Sequence[tuple[Path, bytes, int]]) -> None:
    """Write new files (path, content, mode), all of them or none.

    Raises :class:`InputError` where one is there already, or cannot be written.
    """
    for file, _, _ in files:
        if os.path.lexists(file):
            raise _not_written(file, FileExistsError())
    for folder in {file.parent for file, _, _ in files}:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the key's folder cannot be made: {error.strerror}", where=str(folder)
            ) from None
    written: list[Path] = []
    try:
        for file, data, mode in files:
            _write_new(file, data, mode=mode)
            written.append(file)
    except BaseException:
        for file in written:
            with contextlib.suppress(OSError):
                file.unlink()
        raise


def warn_if_others_read(file: Path, what: str) -> None:
    """Warn where the file's mode lets anybody but its owner read it."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            warnings.warn(
                f"{file}: {what} can be read by others (mode {mode:04o}); chmod 600 {file}",
                KeyFileWarning,
                stacklevel=3,
            )


def _write_new(file: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet; a failure leaves none behind."""
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise _not_written(file, error) from None
    try:
        try:
            if hasattr(os, "fchmod"):  # whatever the umask: neither more open nor unreadable
                os.fchmod(fd, mode)
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException as error:
        with contextlib.suppress(OSError):
            file.unlink()
        if isinstance(error, OSError):
            raise _not_written(file, error) from None
        raise


def _not_written(file: Path, error: OSError) -> InputError:
    if isinstance(error, FileExistsError):
        return InputError(
            "this file exists, and a key is never overwritten",
            where=str(file),
            valid="the name of a new file",
        )
    return InputError(f"the key cannot be written: {error.strerror}", where=str(file))
