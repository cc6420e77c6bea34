"""Sharded SHA-256 of large files: parts that are hashed, kept and verified alone."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.provenance.digest_cache import DigestCache, FileIdentity
from auditor.provenance.file_digests import opened
from auditor.provenance.record_tree import MerkleTree

__all__ = ["ShardedDigest", "sharded_digest", "verify_shard"]

_PIECE = 1 << 20
# What an interrupted run may have to read again.
_BLOCK = 256 << 20


@dataclass(frozen=True, slots=True)
class ShardedDigest:
    """The digests of a file's parts, bound into one with its name and size.

    ``shards`` are the SHA-256 of bytes ``[i * shard, (i + 1) * shard)``, 32 bytes each; an empty
    file has none.
    """

    name: str
    bytes: int
    shard: int
    shards: tuple[bytes, ...]

    @property
    def method(self) -> str:
        """How: ``sha256-sharded-<bytes of a shard>``."""
        return f"sha256-sharded-{self.shard}"

    @property
    def digest(self) -> str:
        """``<method>:<hex>``, the RFC 6962 root over :meth:`leaves`."""
        tree = MerkleTree()
        tree.add(self.leaves())
        return f"{self.method}:{tree.root().hex()}"

    def leaves(self) -> NDArray[np.uint8]:
        """Return the leaf hashes, shape ``[1 + shards, 32]``, for an inclusion path.

        Leaf 0 is the canonical JSON of ``{"bytes", "method", "name"}``, leaf ``i + 1`` the 32 bytes
        of shard ``i``.
        """
        head = canonical_json({"bytes": self.bytes, "method": self.method, "name": self.name})
        hashed = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in (head, *self.shards))
        return np.frombuffer(b"".join(hashed), np.uint8).reshape(-1, 32)


def sharded_digest(
    path: Path,
    *,
    shard: int = 1 << 20,
    name: str | None = None,
    cache: DigestCache | None = None,
    threads: int | None = None,
) -> ShardedDigest:
    """Return the shard digests of a file, computed by ``threads`` (the cores, by default).

    With a ``cache``, every 256 MiB that are done are kept, and an interrupted run of the same file
    goes on behind them. ``name`` is bound, the file's own by default. Raises :class:`InputError` as
    :func:`auditor.provenance.file_digests.file_digest` does.
    """
    if shard < 1:
        raise InputError(f"a shard of {shard:,} bytes", valid="one byte or more")
    block = max(1, _BLOCK // shard)
    digests: list[bytes] = []
    workers = threads or os.cpu_count() or 1
    with opened(path) as (descriptor, identity), ThreadPoolExecutor(workers) as pool:
        count = -(-identity.size // shard)
        for start in range(0, count, block):
            expected = range(start, min(start + block, count))
            method = f"sha256-sharded-{shard}:{start}"
            kept = cache.get(identity, method) if cache else None
            if kept is None or len(kept) != 32 * len(expected):
                kept = b"".join(_hashed(descriptor, identity, shard, expected, pool))
                if cache:
                    cache.put(identity, method, kept)
            digests += [kept[at : at + 32] for at in range(0, len(kept), 32)]
    return ShardedDigest(
        name=_text(path, name), bytes=identity.size, shard=shard, shards=tuple(digests)
    )


def verify_shard(manifest: ShardedDigest, index: int, data: bytes) -> bool:
    """Return whether ``data`` is part ``index`` of the file; raises :class:`InputError`."""
    if not 0 <= index < len(manifest.shards):
        raise InputError(f"no shard {index:,} among {len(manifest.shards):,}")
    size = min(manifest.shard, manifest.bytes - index * manifest.shard)
    return len(data) == size and hashlib.sha256(data).digest() == manifest.shards[index]


def _hashed(
    descriptor: int, identity: FileIdentity, shard: int, wanted: range, pool: ThreadPoolExecutor
) -> list[bytes]:
    def one(index: int) -> bytes:
        found = hashlib.sha256()
        at, end = index * shard, min((index + 1) * shard, identity.size)
        while at < end:
            piece = os.pread(descriptor, min(_PIECE, end - at), at)
            if not piece:  # cut meanwhile: refused when the file is closed
                break
            found.update(piece)
            at += len(piece)
        return found.digest()

    return list(pool.map(one, wanted))


def _text(path: Path, name: str | None) -> str:
    text = path.name if name is None else name
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("a name that is no UTF-8", where=ascii(text)) from None
    return text
