"""The files of a model, and their digests as OpenSSF model-signing takes them.

A model is one file, or a folder. The method ``files`` gives each file one digest, ``shards`` one
digest to every ``shard_size`` bytes of it. Empty files have no shard, and linked folders are not
followed by either: what a signature cannot bind is named here, never passed over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from auditor.errors import InputError
from auditor.evidence import Value

__all__ = [
    "GIT_PATHS",
    "ModelListing",
    "Piece",
    "Serialization",
    "hash_pieces",
    "list_model",
    "pieces_of",
]

GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
"""What is left out unless it is asked for: it is not the model."""

_CHUNK = 2**20
_MOST_WORKERS = 16


class Serialization(Value):
    """How a model becomes digests: method, hash, links, and paths left out (and all below them)."""

    method: Literal["files", "shards"] = "files"
    hash_type: Literal["sha256", "blake2b", "blake3"] = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = GIT_PATHS

    @property
    def algorithm(self) -> str:
        """The name of the digests, which carries their parameters."""
        if self.method == "files":
            return self.hash_type
        return f"{self.hash_type}-sharded-{self.shard_size}"

    def to_json(self) -> dict[str, Any]:
        """Return the form in which a signature holds it."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A file, by the parts of its path, or the bytes from ``start`` to ``end`` of it."""

    parts: tuple[str, ...]
    start: int = 0
    end: int | None = None

    @property
    def file(self) -> str:
        """The relative POSIX path; a model that is one file is ``.``."""
        return "/".join(self.parts) or "."

    @property
    def name(self) -> str:
        """The name of the piece in a signature."""
        return self.file if self.end is None else f"{self.file}:{self.start}:{self.end}"


@dataclass(frozen=True)
class ModelListing:
    """The files of a model with their sizes, and by path what no digest can bind."""

    sizes: dict[str, int]
    odd: dict[str, str]


def list_model(
    model: Path, serialization: Serialization, *, ignored: Sequence[str] = ()
) -> ModelListing:
    """List the files of a model; raises :class:`InputError` where it cannot be read at all.

    ``ignored`` are further relative paths that are left out, such as the signature itself.
    """
    left_out = {PurePosixPath(path) for path in (*serialization.ignore_paths, *ignored)}
    if model.is_symlink() and not serialization.allow_symlinks:
        return ModelListing({}, {".": "is a symbolic link"})
    try:
        if model.is_file():
            return ModelListing({".": model.stat().st_size}, {})
        found = list(_walk(model, "", left_out, follow=serialization.allow_symlinks))
    except OSError as error:
        raise InputError(
            f"the model cannot be read: {error.strerror}",
            where=error.filename or str(model),
            valid="a file or a folder",
        ) from None
    sizes = {name: what for name, what in found if isinstance(what, int)}
    odd = {name: what for name, what in found if isinstance(what, str)}
    return ModelListing(dict(sorted(sizes.items())), dict(sorted(odd.items())))


def pieces_of(file: str, size: int, serialization: Serialization) -> Iterator[Piece]:
    """Yield what is hashed of a file: all of it, or its shards; an empty file has no shard."""
    parts = PurePosixPath(file).parts
    step = serialization.shard_size
    if step is None:
        yield Piece(parts)
        return
    for start in range(0, size, step):
        yield Piece(parts, start, min(start + step, size))


def hash_pieces(model: Path, pieces: Sequence[Piece], hash_type: str) -> dict[str, bytes]:
    """Return the digest of every piece by its name, computed in parallel.

    Raises :class:`InputError` where a file cannot be read.
    """
    # BLAKE3 takes all cores for each file already.
    workers = 1 if hash_type == "blake3" else min(_MOST_WORKERS, os.cpu_count() or 1)

    def digest(piece: Piece) -> bytes:
        path = model if piece.file == "." else model / piece.file
        try:
            return _digest(path, piece, hash_type)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"the file cannot be read: {reason}", where=str(path)) from None

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip((piece.name for piece in pieces), pool.map(digest, pieces), strict=True))


def _digest(path: Path, piece: Piece, hash_type: str) -> bytes:
    hasher: Any
    if hash_type == "blake3":
        from blake3 import blake3

        hasher = blake3(max_threads=blake3.AUTO)
        if piece.end is None:
            return hasher.update_mmap(path).digest()
    else:
        hasher = hashlib.new(hash_type)
    buffer = memoryview(bytearray(_CHUNK))
    left = piece.end - piece.start if piece.end is not None else None
    with path.open("rb", buffering=0) as file:
        file.seek(piece.start)
        while left is None or left > 0:
            size = file.readinto(buffer[: _CHUNK if left is None else min(_CHUNK, left)])
            if not size:
                break
            hasher.update(buffer[:size])
            left = None if left is None else left - size
    return hasher.digest()


def _walk(
    model: Path, prefix: str, left_out: set[PurePosixPath], *, follow: bool
) -> Iterator[tuple[str, int | str]]:
    """Yield files with their sizes, and what cannot be bound with the reason."""
    waiting = [prefix]
    while waiting:
        prefix = waiting.pop()
        for item in os.scandir(model / prefix):
            name = f"{prefix}{item.name}"
            if PurePosixPath(name) in left_out:
                continue
            linked = item.is_symlink()
            if not _is_utf8(name):
                yield ascii(name), "has a name that is not UTF-8"
            elif linked and not follow:
                yield name, "is a symbolic link"
            elif item.is_dir():
                if linked:
                    yield name, "is a link to a folder, whose files no signature binds"
                else:
                    waiting.append(f"{name}/")
            elif item.is_file():
                yield name, item.stat().st_size
            else:
                yield name, "is neither a file nor a folder"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
