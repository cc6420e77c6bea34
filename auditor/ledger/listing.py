"""What lies in a folder, all of it: files, empty folders, and what should not be there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Listing", "digest_file", "list_folder"]


@dataclass(frozen=True)
class Listing:
    """The content of a folder by relative POSIX path, sorted.

    ``files`` are regular files, hidden ones too; ``empty_folders`` have no file anywhere below
    them; ``odd`` maps everything else (links, pipes, names that are not UTF-8, unreadable folders)
    to what it is.
    """

    files: tuple[str, ...]
    empty_folders: tuple[str, ...]
    odd: dict[str, str]


def list_folder(path: Path) -> Listing:
    """List ``path`` without following a link; raises :class:`OSError` where it cannot be read."""
    files: list[str] = []
    folders: list[str] = []
    odd: dict[str, str] = {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            found = list(os.scandir(path / prefix))
        except OSError as error:
            if not prefix:
                raise
            odd[prefix.removesuffix("/")] = f"cannot be read: {error.strerror}"
            continue
        for item in found:
            name = f"{prefix}{item.name}"
            if not _is_utf8(name):
                odd[ascii(name)] = "has a name that is not UTF-8"
            elif item.is_symlink():
                odd[name] = "is a symbolic link"
            elif item.is_dir(follow_symlinks=False):
                folders.append(f"{name}/")
                waiting.append(f"{name}/")
            elif item.is_file(follow_symlinks=False):
                files.append(name)
            else:
                odd[name] = "is neither a file nor a folder"
    inhabited = {name[: at + 1] for name in (*files, *odd) for at in _slashes(name)}
    empty = sorted(folder.removesuffix("/") for folder in folders if folder not in inhabited)
    return Listing(tuple(sorted(files)), tuple(empty), dict(sorted(odd.items())))


def digest_file(path: Path) -> str:
    """Return ``sha256:…`` of a regular file; raises :class:`OSError`."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb", buffering=0) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _slashes(name: str) -> list[int]:
    return [at for at, character in enumerate(name) if character == "/"]
