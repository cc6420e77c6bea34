"""What the record keeps of files: names, sizes and digests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditor.provenance.digest_cache import DigestCache
from auditor.provenance.file_digests import FILE_METHOD, file_digest

__all__ = ["FILE_METHOD", "file_digest", "file_manifest"]


def file_manifest(
    files: Sequence[Path], *, method: str = FILE_METHOD, cache: DigestCache | None = None
) -> list[dict[str, Any]]:
    """Return name, size in bytes and digests of each file; names only, no folders of a machine.

    SHA-256 stands beside the digest for the formats that know nothing else (Croissant, in-toto).
    """
    return [
        {
            "name": path.name,
            "digest": file_digest(path, method=method, cache=cache),
            "sha256": file_digest(path, method="sha256", cache=cache).removeprefix("sha256:"),
            "bytes": path.stat().st_size,
        }
        for path in files
    ]
