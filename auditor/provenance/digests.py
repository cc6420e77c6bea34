"""Digests of files and of rows: which data it was, without keeping the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.digest_cache import DigestCache
from auditor.provenance.file_digests import FILE_METHOD, file_digest

__all__ = ["FILE_METHOD", "ROW_METHOD", "file_digest", "file_manifest", "rows_digest"]

ROW_METHOD = "blake3-of-sha256-rows"


def file_manifest(
    files: Sequence[Path], *, method: str = FILE_METHOD, cache: DigestCache | None = None
) -> list[dict[str, Any]]:
    """Return name, size in bytes and digest of each file; names only, no folders of a machine."""
    return [
        {
            "name": path.name,
            "digest": file_digest(path, method=method, cache=cache),
            "bytes": path.stat().st_size,
        }
        for path in files
    ]


def rows_digest(
    columns: Sequence[str], hashes: NDArray[np.uint64] | Iterable[NDArray[np.uint64]]
) -> str:
    """Return the digest of a table's columns and rows, in order.

    ``hashes`` are the SHA-256 digests of the rows, shape ``[rows, 4]``, or parts of them. The same
    data from another kind of file has the same digest where its fields are written alike.
    """
    from blake3 import blake3

    digest = blake3(len(columns).to_bytes(8, "little"))
    for name in columns:
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    for part in [hashes] if isinstance(hashes, np.ndarray) else hashes:
        digest.update(np.ascontiguousarray(part).tobytes())
    return "blake3:" + digest.hexdigest()
