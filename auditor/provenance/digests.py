"""Digests of files and of rows: which data it was, without keeping the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

__all__ = ["FILE_METHOD", "ROW_METHOD", "file_digest", "file_manifest", "rows_digest"]

FILE_METHOD = "blake3"
ROW_METHOD = "blake3-of-sha256-rows"


def file_digest(path: Path) -> str:
    """Return ``blake3:<hex>`` of a file's bytes; raises :class:`InputError`."""
    from blake3 import blake3

    try:
        return "blake3:" + blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"the file cannot be read: {reason}", where=str(path)) from None


def file_manifest(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return name, size in bytes and digest of each file; names only, no folders of a machine."""
    return [
        {"name": path.name, "bytes": path.stat().st_size, "digest": file_digest(path)}
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
