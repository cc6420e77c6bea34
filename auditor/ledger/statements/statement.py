"""An in-toto Statement v1: subjects by digest, and a predicate that says something about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self, cast

from pydantic import Field, field_validator, model_validator

from auditor.errors import InputError
from auditor.evidence import Value, canonical_json
from auditor.ledger.keys import SigningKey
from auditor.ledger.statements.dsse import read_canonical_json, seal_envelope, verify_envelope
from auditor.ledger.verifying import VerifyingKey

__all__ = [
    "STATEMENT_TYPE",
    "Resource",
    "Statement",
    "digest_set",
    "read_statement",
    "sign_statement",
    "verify_statement",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
"""The type of every statement here."""

_ALGORITHM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_LENGTHS = {"sha256": 64, "blake3": 64, "sha1": 40, "gitCommit": 40}


class Resource(Value):
    """A ResourceDescriptor: something with a name, a URI or digests (hex by algorithm)."""

    name: str | None = None
    uri: str | None = None
    digest: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, Any] = Field(default_factory=dict)

    @field_validator("digest")
    @classmethod
    def _real_digests(cls, digest: dict[str, str]) -> dict[str, str]:
        for algorithm, value in digest.items():
            right = _HEX.fullmatch(value) and len(value) == _LENGTHS.get(algorithm, len(value))
            if not right or not _ALGORITHM.fullmatch(algorithm):
                raise ValueError(f"{algorithm[:40]!r} is not a digest in lower-case hex")
        return digest

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if not (self.name or self.uri or self.digest):
            raise ValueError("a resource has a name, a URI or a digest")
        return self


class Statement(Value):
    """A statement: each subject has a digest, and the predicate is not empty.

    Raises :class:`~auditor.errors.InputError` (from :meth:`from_document`) for anything that the
    specification does not allow, for digests that cannot be one, and for further keys.
    """

    subject: tuple[Resource, ...]
    predicate_type: str
    predicate: dict[str, Any]

    @field_validator("subject")
    @classmethod
    def _bound_subjects(cls, subject: tuple[Resource, ...]) -> tuple[Resource, ...]:
        if not subject or not all(item.digest for item in subject):
            raise ValueError("a statement is about at least one subject, each with a digest")
        return subject

    @field_validator("predicate_type")
    @classmethod
    def _type_uri(cls, predicate_type: str) -> str:
        if not _URI.fullmatch(predicate_type):
            raise ValueError("a predicate's type is a URI")
        return predicate_type

    @field_validator("predicate")
    @classmethod
    def _says_something(cls, predicate: dict[str, Any]) -> dict[str, Any]:
        if not predicate:
            raise ValueError("a predicate says something")
        return predicate

    def to_json(self) -> dict[str, Any]:
        """Return the in-toto document."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [item.to_json() for item in self.subject],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }

    def encode(self) -> bytes:
        """Return the document as canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_document(cls, document: Any, *, where: str | None = None) -> Self:
        """Read the in-toto document."""
        keys = {"_type", "subject", "predicateType", "predicate"}
        if not isinstance(document, dict) or document.keys() != keys:
            raise InputError(
                "not an in-toto statement", where=where, valid=f"{', '.join(sorted(keys))} alone"
            )
        if document["_type"] != STATEMENT_TYPE:
            raise InputError("another type of statement", where=where, valid=STATEMENT_TYPE)
        fields = {
            "subject": document["subject"],
            "predicate_type": document["predicateType"],
            "predicate": document["predicate"],
        }
        return cls.from_json(fields, where=where)


def digest_set(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a manifest by algorithm.

    ``digest`` reads ``algorithm:hex``; a ``method`` beside it names how it was computed, and is
    then the name of the algorithm, because a digest over rows is not the digest of a file. Further
    digests stand in ``digests``. Raises :class:`InputError` where there is none.

    >>> digest_set({"digest": "sha256:00ff"})
    {'sha256': '00ff'}
    >>> digest_set({"digest": "blake3:00ff", "method": "blake3-of-sha256-rows"})
    {'blake3-of-sha256-rows': '00ff'}
    """
    found: dict[str, str] = {}
    digest, more = manifest.get("digest"), manifest.get("digests")
    for text in [digest, *(cast("list[object]", more) if isinstance(more, list) else [])]:
        if isinstance(text, str) and ":" in text:
            algorithm, _, value = text.partition(":")
            found[str(manifest.get("method", algorithm)) if text is digest else algorithm] = value
    if isinstance(more, dict):
        found |= {str(algorithm): str(value) for algorithm, value in more.items()}
    if not found:
        raise InputError("there is no digest", where=str(manifest.get("name", "a manifest")))
    return found


def sign_statement(statement: Statement, key: SigningKey) -> bytes:
    """Return the signed envelope of a statement."""
    return seal_envelope(statement.encode(), key)


def verify_statement(data: bytes, key: VerifyingKey, *, where: str | None = None) -> Statement:
    """Return the statement of an envelope that ``key`` signed; raises :class:`InputError`."""
    return read_statement(verify_envelope(data, key, where=where), where=where)


def read_statement(payload: bytes, *, where: str | None = None) -> Statement:
    """Read a statement as this package writes it; raises :class:`InputError` otherwise."""
    document = read_canonical_json(payload, what="the statement", where=where)
    statement = Statement.from_document(document, where=where)
    if statement.encode() != payload:  # an empty field written out is another spelling
        raise InputError("the statement is not in canonical form", where=where)
    return statement
