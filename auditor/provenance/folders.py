"""The manifest of a folder: which files it holds, under which names."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.provenance.digest_cache import DigestCache
from auditor.provenance.file_digests import FILE_METHOD, file_digest
from auditor.provenance.record_tree import MerkleTree

__all__ = ["FOLDER_METHOD", "FileEntry", "FolderManifest", "SuffixCount", "folder_manifest"]

FOLDER_METHOD = "sha256-rfc6962-files-1"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file: its name below the folder (with ``/``), its size in bytes and its digest."""

    name: str
    bytes: int
    digest: str

    def leaf(self) -> bytes:
        """Return the canonical JSON (RFC 8785) that the folder's root binds."""
        return canonical_json({"bytes": self.bytes, "digest": self.digest, "name": self.name})


@dataclass(frozen=True, slots=True)
class SuffixCount:
    """The files of one suffix: how many, and their bytes together."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FolderManifest:
    """What a folder held.

    ``root`` is ``sha256:<hex>``, the RFC 6962 root over the canonical entries in the order of their
    names' UTF-8 bytes; ``suffixes`` sums up by lower-case suffix (``""`` for none).
    """

    root: str
    files: int
    bytes: int
    suffixes: Mapping[str, SuffixCount]
    entries: tuple[FileEntry, ...]
    method: str = FOLDER_METHOD


def folder_manifest(
    folder: str | Path,
    *,
    method: str = FILE_METHOD,
    cache: DigestCache | None = None,
    threads: int | None = None,
) -> FolderManifest:
    """Return the manifest of all files below a folder, hidden ones too.

    Folders are in it by the names of their files; an empty folder holds no data. ``method`` is that
    of the files, see :func:`auditor.provenance.file_digests.file_digest`. Raises
    :class:`InputError` that names them for links, sockets, pipes and devices, for names that are no
    UTF-8, for what cannot be read, and for a folder whose files change meanwhile.
    """
    top = Path(folder)
    before = _listing(top)
    names = sorted(before, key=str.encode)
    digest = partial(file_digest, method=method, cache=cache)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        digests = pool.map(digest, (top / name for name in names))
        entries = tuple(
            FileEntry(name, before[name][0], found)
            for name, found in zip(names, digests, strict=True)
        )
    if changed := _listing(top).items() ^ before.items():
        name = min(name for name, _ in changed)
        raise InputError(f"{name!r} changed while the folder was read", where=str(folder))
    return _bound(entries)


def _bound(entries: tuple[FileEntry, ...]) -> FolderManifest:
    tree = MerkleTree()
    hashed = [hashlib.sha256(b"\x00" + entry.leaf()).digest() for entry in entries]
    tree.add(np.frombuffer(b"".join(hashed), np.uint8).reshape(-1, 32))
    return FolderManifest(
        root=f"sha256:{tree.root().hex()}",
        files=len(entries),
        bytes=sum(entry.bytes for entry in entries),
        suffixes=_by_suffix(entries),
        entries=entries,
    )


def _by_suffix(entries: tuple[FileEntry, ...]) -> dict[str, SuffixCount]:
    found: dict[str, list[int]] = {}
    for entry in entries:
        sums = found.setdefault(PurePosixPath(entry.name).suffix.lower(), [0, 0])
        sums[0] += 1
        sums[1] += entry.bytes
    return {suffix: SuffixCount(*found[suffix]) for suffix in sorted(found)}


def _listing(top: Path) -> dict[str, tuple[int, int, int]]:
    """Return size, time of change and inode of every file by its name."""
    found: dict[str, tuple[int, int, int]] = {}
    odd: list[str] = []
    prefix = os.path.join(top, "")
    for entry in _walk(top):
        name = entry.path.removeprefix(prefix).replace(os.sep, "/")
        mode = entry.stat(follow_symlinks=False)
        if not _is_text(name):
            odd.append(f"{name!a} (no UTF-8)")
        elif not stat.S_ISREG(mode.st_mode):
            odd.append(f"{name!r} ({_KINDS.get(stat.S_IFMT(mode.st_mode), 'no file')})")
        else:
            found[name] = (mode.st_size, mode.st_mtime_ns, mode.st_ino)
    if odd:
        shown = ", ".join(sorted(odd)[:5]) + (f" and {len(odd) - 5:,} more" if odd[5:] else "")
        raise InputError(
            f"entries that no manifest can bind: {shown}", where=str(top),
            valid="regular files with UTF-8 names, in folders",
        )  # fmt: skip
    return found


_KINDS = {
    stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe",
    stat.S_IFBLK: "a device", stat.S_IFCHR: "a device",
}  # fmt: skip


def _walk(top: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a folder but the folders; those with odd names too."""
    waiting = [str(top)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False) and _is_text(entry.name):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"the folder cannot be read: {reason}", where=folder,
                             valid="a folder") from None  # fmt: skip


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
