"""Digests of whole files: read once, never mapped, and refused where they change meanwhile.

A file that is cut while it is mapped into memory ends the process that reads it; reading it costs
no more, as the disk reads ahead while the last piece is hashed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor.errors import InputError
from auditor.provenance.digest_cache import DigestCache, FileIdentity, file_identity

__all__ = ["FILE_METHOD", "file_digest", "opened"]

FILE_METHOD = "blake3"
_METHODS = "blake3, sha256, sha256-sharded-<bytes of a shard>"
_PIECE = 1 << 20
# A smaller file is hashed in less time than it takes to look it up, or to share it out.
_LARGE = 4 << 20


def file_digest(path: Path, *, method: str = FILE_METHOD, cache: DigestCache | None = None) -> str:
    """Return ``<method>:<hex>`` of a file's bytes.

    ``method`` is ``blake3`` (on all cores), ``sha256``, or ``sha256-sharded-<bytes>``, which binds
    the file's name and size too, goes on where an interrupted run with the same ``cache`` was, and
    is described at :func:`auditor.provenance.shards.sharded_digest`. BLAKE3 and plain SHA-256 start
    again. Raises :class:`InputError` for a file that cannot be read, that is none, or that changes
    while it is read.
    """
    if sharded := re.fullmatch(r"sha256-sharded-([1-9][0-9]{0,17})", method):
        from auditor.provenance.shards import sharded_digest

        return sharded_digest(path, shard=int(sharded[1]), cache=cache).digest
    if method not in {"blake3", "sha256"}:
        raise InputError(f"no digest method {method!r}", valid=_METHODS)
    with opened(path) as (descriptor, identity):
        kept = cache if identity.size >= _LARGE else None
        digest = kept.get(identity, method) if kept else None
        if digest is None or len(digest) != 32:
            digest = _hashed(descriptor, identity, method)
        else:
            kept = None
    if kept:  # only now is it known that the file did not change
        kept.put(identity, method, digest)
    return f"{method}:{digest.hex()}"


@contextmanager
def opened(path: Path) -> Generator[tuple[int, FileIdentity]]:
    """Open a regular file, and refuse it afterwards where it is no longer what it was."""
    try:
        # Without waiting: a pipe is opened only to be refused.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            identity = file_identity(path, descriptor)
            yield descriptor, identity
            after = file_identity(path, descriptor), file_identity(path)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"the file cannot be read: {reason}", where=str(path)) from None
    if after != (identity, identity):
        raise InputError("the file changed while it was read", where=str(path))


def _hashed(descriptor: int, identity: FileIdentity, method: str) -> bytes:
    found = _hasher(method, identity.size)
    piece = memoryview(bytearray(min(_PIECE, identity.size + 1)))
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        while read := file.readinto(piece):
            found.update(piece[:read])
    return found.digest()


def _hasher(method: str, size: int) -> Any:
    if method == "sha256":
        return hashlib.sha256()
    from blake3 import blake3

    return blake3(max_threads=blake3.AUTO if size >= _LARGE else 1)
