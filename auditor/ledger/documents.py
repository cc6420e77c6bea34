"""Documents that are kept under the digest of their own content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.errors import InputError, RunError
from auditor.evidence import sha256
from auditor.ledger.encoding import is_digest, read_json
from auditor.ledger.layout import EVIDENCE
from auditor.ledger.storage import read_file

__all__ = ["document_name", "read_document"]


def document_name(digest: str) -> str:
    """Return where in a run the document of this digest lies.

    >>> document_name("sha256:" + "0" * 64)[:16]
    'evidence/0000000'
    """
    if not is_digest(digest):
        raise InputError(f"{digest[:80]!r} is not a digest", valid="sha256:<64 hex digits>")
    return f"{EVIDENCE}/{digest.removeprefix('sha256:')}.json"


def read_document(run: Path, digest: str) -> Any:
    """Read a document and check it against its name; raises :class:`RunError`."""
    path = run / document_name(digest)
    try:
        data = read_file(path)
    except OSError as error:
        raise RunError(f"the evidence cannot be read: {error.strerror}", where=str(path)) from None
    if sha256(data) != digest:
        raise RunError("the evidence is not what its name says: it was changed", where=str(path))
    try:
        return read_json(data)
    except ValueError:
        raise RunError("the evidence is not JSON", where=str(path)) from None
