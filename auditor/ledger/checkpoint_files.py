"""The files of a checkpoint: what lies there, and the digests of each."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from auditor.errors import CheckpointError, InputError
from auditor.evidence import Value, canonical_json, sha256
from auditor.ledger.model_files import Serialization, list_model
from auditor.ledger.storage import open_regular

__all__ = [
    "FOLDER_MANIFEST",
    "FileDigests",
    "digests_of",
    "file_digests",
    "listed_files",
    "manifest_path",
    "note_path",
    "set_digest",
]

FOLDER_MANIFEST = "auditor-checkpoint.json"
"""The manifest of a checkpoint that is a folder; it lies in it."""

_BESIDE = ".auditor.json"
_NOTE = ".quarantined.txt"
_PIECE = 1 << 20
_MOST_WORKERS = 8
_HEX = r"^[0-9a-f]{64}$"


class FileDigests(Value):
    """A file: its name below the folder (with ``/``), its bytes, and two digests of them as hex."""

    name: Annotated[str, Field(min_length=1)]
    bytes: Annotated[int, Field(ge=0)]
    blake3: Annotated[str, Field(pattern=_HEX)]
    sha256: Annotated[str, Field(pattern=_HEX)]


def manifest_path(checkpoint: Path) -> Path:
    """Return where the manifest lies: inside a folder, beside a file (``<file>.auditor.json``)."""
    if checkpoint.is_dir():
        return checkpoint / FOLDER_MANIFEST
    return checkpoint.with_name(f"{checkpoint.name}{_BESIDE}")


def note_path(checkpoint: Path) -> Path:
    """Return where the reason lies for which a checkpoint was put into quarantine."""
    return checkpoint.with_name(f"{checkpoint.name}{_NOTE}")


def listed_files(checkpoint: Path) -> dict[str, int]:
    """Return the files of a checkpoint by name, with their sizes; hidden ones too.

    A checkpoint that is one file is listed under its own name. The manifest is left out. Raises
    :class:`CheckpointError` for links, sockets, pipes and devices, for names that are no UTF-8, for
    what cannot be read, and where there is no file at all.
    """
    everything = Serialization(ignore_paths=())
    try:
        listing = list_model(checkpoint, everything, ignored=(FOLDER_MANIFEST,))
    except InputError as error:
        raise CheckpointError(error.what, where=error.where, valid=error.valid) from None
    for name, what in listing.odd.items():
        raise CheckpointError(
            f"{'it' if name == '.' else name} {what}", where=str(checkpoint),
            valid="regular files, in folders",
        )  # fmt: skip
    if not listing.sizes:
        raise CheckpointError("there is no file in it", where=str(checkpoint))
    return {checkpoint.name if name == "." else name: n for name, n in listing.sizes.items()}


def file_digests(
    checkpoint: Path, names: Iterable[str] | None = None, *, durable: bool = False
) -> tuple[FileDigests, ...]:
    """Read every file of a checkpoint once and return its digests, in the order of names.

    ``names`` are some of :func:`listed_files`. With ``durable`` the files are on the disk before
    this returns. Raises :class:`CheckpointError` as :func:`listed_files` does, and for a file that
    changes while it is read.
    """
    wanted: Sequence[str] = sorted(listed_files(checkpoint) if names is None else names)

    def one(name: str) -> FileDigests:
        path = checkpoint / name if checkpoint.is_dir() else checkpoint
        try:
            return _read(path, name, durable=durable)
        except OSError as error:
            raise CheckpointError(
                f"{name} cannot be read: {error.strerror}", where=str(checkpoint)
            ) from None

    with ThreadPoolExecutor(min(_MOST_WORKERS, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(one, wanted))


def digests_of(name: str, data: bytes) -> FileDigests:
    """Return the digests of bytes that were read already."""
    from blake3 import blake3

    return FileDigests(
        name=name, bytes=len(data), blake3=blake3(data).hexdigest(),
        sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def set_digest(files: Sequence[FileDigests]) -> str:
    """Return ``sha256:…`` over the canonical JSON of the list of files."""
    return sha256(canonical_json([file.model_dump() for file in files]))


def _read(path: Path, name: str, *, durable: bool) -> FileDigests:
    from blake3 import blake3

    sha: Any = hashlib.sha256()
    blake: Any = blake3()
    piece = memoryview(bytearray(_PIECE))
    with open_regular(path) as file:
        before = os.fstat(file.fileno())
        while read := file.raw.readinto(piece):
            sha.update(piece[:read])
            blake.update(piece[:read])
        if durable:
            with contextlib.suppress(OSError):  # not every system syncs what is open for reading
                os.fsync(file.fileno())
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise CheckpointError("the file changed while it was read", where=str(path))
    return FileDigests(
        name=name, bytes=after.st_size, blake3=blake.hexdigest(), sha256=sha.hexdigest()
    )
