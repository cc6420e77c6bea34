"""Where a checkpoint lies before it is promoted, and how it gets to its place or to quarantine.

A staging place is a folder beside the checkpoint, ``.<name>.<host>-<process>-<random>.auditor-
staging``, in which the checkpoint is written under its own name: on the same file system, so that
one rename moves it, and under a name that no loader picks up. Nothing here deletes what is not a
staging place, or a checkpoint that was replaced and whose place is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Self

from auditor.errors import InputError, RunError
from auditor.ledger.checkpoint_files import manifest_path, note_path
from auditor.ledger.storage import sync_folder, write_atomically

__all__ = ["QUARANTINE", "Staging", "quarantine", "withdraw"]

QUARANTINE = "quarantine"
"""The folder beside a checkpoint in which those lie that went through no gate."""

_SUFFIX = ".auditor-staging"
_REPLACED = ".replaced"


class Staging:
    """A staging place for one checkpoint; :attr:`path` is where it is to be written."""

    def __init__(self, target: Path, folder: Path) -> None:
        self.target, self._folder = target, folder
        self.path = folder / target.name

    @classmethod
    def open(cls, target: Path) -> Self:
        """Make a staging place, and remove those that a dead process left for the same checkpoint.

        Raises :class:`InputError` where nothing can be written there.
        """
        name = f".{target.name}.{_host()}-{os.getpid()}-{os.urandom(4).hex()}{_SUFFIX}"
        folder = target.with_name(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _clean(target)
            folder.mkdir()
        except OSError as error:
            raise InputError(
                f"the checkpoint cannot be written: {error.strerror}",
                where=str(target),
                valid="a folder that can be written",
            ) from None
        return cls(target, folder)

    def others(self) -> list[str]:
        """Return what lies in the staging place beside the checkpoint."""
        return sorted(name for name in os.listdir(self._folder) if name != self.target.name)

    def place(self) -> None:
        """Put the checkpoint in its place in one step; raises :class:`OSError`.

        A file takes the place of another file at once. A folder cannot: the one that is there is
        put aside first, and removed by :meth:`drop`, or put back by the next call for this
        checkpoint where the process ends in between. One that no manifest vouches for may be
        anything: it is moved to quarantine, and never removed.
        """
        if os.path.lexists(self.target) and (self.path.is_dir() or self.target.is_dir()):
            if manifest_path(self.target).exists():
                os.rename(self.target, self._folder / _REPLACED)
            else:
                quarantine(self.target, self.target, "It was where a checkpoint was to be put.\n")
        try:
            os.replace(self.path, self.target)
        except OSError:
            _put_back(self._folder, self.target)
            raise
        sync_folder(self.target.parent)

    def drop(self) -> None:
        """Remove the staging place with all that is left in it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def quarantine(path: Path, target: Path, reasons: str) -> Path:
    """Move what lies at ``path`` to the quarantine beside ``target``, and say there why.

    Returns where it lies now; raises :class:`OSError`. On a full disk it may lie there without its
    note: it has no manifest, and is refused all the same.
    """
    folder = target.parent / QUARANTINE
    folder.mkdir(exist_ok=True)
    place, number = folder / target.name, 1
    while os.path.lexists(place) or os.path.lexists(note_path(place)):
        number += 1
        place = folder / f"{target.name}-{number}"
    os.rename(path, place)
    with contextlib.suppress(RunError):
        write_atomically(note_path(place), reasons.encode())
    sync_folder(folder)
    sync_folder(target.parent)
    return place


def withdraw(checkpoint: Path) -> None:
    """Take a checkpoint's manifest away, so that nothing vouches for it; raises OSError."""
    manifest = manifest_path(checkpoint)
    if os.path.lexists(manifest):
        os.unlink(manifest)
        sync_folder(manifest.parent)


def _clean(target: Path) -> None:
    start = f".{target.name}."
    for name in os.listdir(target.parent):
        match = re.fullmatch(r"([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}",
                             name.removeprefix(start).removesuffix(_SUFFIX))  # fmt: skip
        if not name.startswith(start) or not name.endswith(_SUFFIX) or match is None:
            continue
        if match[1] == _host() and _is_alive(int(match[2])):
            continue
        folder = target.with_name(name)
        replaced = folder / _REPLACED
        if target.is_dir() and not manifest_path(target).exists() and manifest_path(
            replaced).exists():  # fmt: skip
            quarantine(target, target, "The process ended before its manifest was written.\n")
        _put_back(folder, target)
        shutil.rmtree(folder, ignore_errors=True)


def _put_back(folder: Path, target: Path) -> None:
    """Put the checkpoint back that was to be replaced, where nothing took its place."""
    replaced = folder / _REPLACED
    if os.path.lexists(replaced) and not os.path.lexists(target):
        with contextlib.suppress(OSError):
            os.rename(replaced, target)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return False  # a place of an earlier call, which did not get to remove it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
