"""Digests and the canonical JSON (RFC 8785) over which they are taken."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from auditor.errors import InputError

__all__ = ["canonical_json", "sha256"]


def canonical_json(document: Any) -> bytes:
    """Serialise to RFC 8785 JSON: one byte string for one value.

    Raises :class:`InputError` for NaN, infinity and integers beyond 2^53.

    >>> canonical_json({"b": 1.0, "a": "é"})
    b'{"a":"\\xc3\\xa9","b":1}'
    """
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, ValueError) as error:
        raise InputError(f"this value has no canonical JSON form: {error}") from None


def sha256(data: bytes) -> str:
    """Return ``sha256:<64 hex digits>``.

    >>> sha256(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
