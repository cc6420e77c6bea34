"""DSSE: the envelope in which a statement is signed (secure-systems-lab/dsse, protocol 1.0.0).

What is signed is the pre-authentication encoding ``PAE(type, body) = "DSSEv1" SP LEN(type) SP type
SP LEN(body) SP body``, so that a signature never fits another kind of document. An envelope is
canonical JSON, and so has one spelling: reading refuses every other one.
"""

from __future__ import annotations

import json
from typing import Any, cast

from auditor.errors import InputError
from auditor.evidence import Value, canonical_json
from auditor.ledger.encoding import decode_base64, encode_base64, read_json
from auditor.ledger.keys import SigningKey
from auditor.ledger.verifying import VerifyingKey

__all__ = [
    "PAYLOAD_TYPE",
    "DsseSignature",
    "Envelope",
    "pre_authentication_encoding",
    "read_canonical_json",
    "read_envelope",
    "read_foreign_json",
    "seal_envelope",
    "verify_envelope",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""The payload type of an in-toto statement."""

_LARGEST = 16 * 2**20
_MOST_SIGNATURES = 100
_LONGEST_KEY_ID = 256


class DsseSignature(Value):
    """A signature and the key that it names; the name is a hint and proves nothing."""

    keyid: str
    signature: bytes


class Envelope(Value):
    """A payload, its type, and signatures, none of which is verified by reading them."""

    payload_type: str
    payload: bytes
    signatures: tuple[DsseSignature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that every signature covers."""
        return pre_authentication_encoding(self.payload_type, self.payload)

    def encode(self) -> bytes:
        """Return the envelope as canonical JSON."""
        return canonical_json(
            {
                "payload": encode_base64(self.payload),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": item.keyid, "sig": encode_base64(item.signature)}
                    for item in self.signatures
                ],
            }
        )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed; the example is that of the specification.

    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal_envelope(payload: bytes, key: SigningKey, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Sign a payload, and return the envelope."""
    signature = DsseSignature(
        keyid=key.verifying_key.fingerprint,
        signature=key.sign(pre_authentication_encoding(payload_type, payload)),
    )
    envelope = Envelope(payload_type=payload_type, payload=payload, signatures=(signature,))
    return envelope.encode()


def read_envelope(data: bytes, *, where: str | None = None) -> Envelope:
    """Read an envelope of a statement; raises :class:`InputError` for any other spelling.

    Refused are other JSON of the same value, keys given twice, further keys, base64 that is not
    canonical, another type of payload, no signature, and more than 16 MiB.
    """
    document = read_canonical_json(data, what="the envelope", where=where)
    if not isinstance(document, dict) or document.keys() != {
        "payload", "payloadType", "signatures"
    }:  # fmt: skip
        raise InputError(
            "not an envelope", where=where, valid="payload, payloadType and signatures alone"
        )
    if document["payloadType"] != PAYLOAD_TYPE:
        raise InputError("another type of payload", where=where, valid=PAYLOAD_TYPE)
    payload, signatures = document["payload"], document["signatures"]
    if not isinstance(payload, str):
        raise InputError("the payload is not base64", where=where)
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _MOST_SIGNATURES:
        raise InputError("the envelope is not signed", where=where, valid="1 to 100 signatures")
    return Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=decode_base64(payload, what="the payload", where=where),
        signatures=tuple(_read_signature(item, where=where) for item in signatures),
    )


def verify_envelope(data: bytes, key: VerifyingKey, *, where: str | None = None) -> bytes:
    """Return the payload where ``key`` signed it; raises :class:`InputError` otherwise.

    Signatures by other keys are ignored, as the protocol asks; one that names this key and does
    not verify is enough to refuse.
    """
    envelope = read_envelope(data, where=where)
    own = [item for item in envelope.signatures if item.keyid == key.fingerprint]
    if not own:
        raise InputError(f"the statement is not signed by {key}", where=where)
    if not all(key.verify(item.signature, envelope.signed) for item in own):
        raise InputError(f"the signature by {key.name} does not verify", where=where)
    return envelope.payload


def read_canonical_json(data: bytes, *, what: str, where: str | None = None) -> Any:
    """Read JSON of at most 16 MiB whose bytes are its canonical form (RFC 8785)."""
    _refuse_large(data, what=what, where=where)
    try:
        document = read_json(data)
        canonical = canonical_json(document) == data
    except (ValueError, RecursionError, InputError):
        raise InputError(f"{what} is not JSON", where=where) from None
    if not canonical:
        raise InputError(f"{what} is not in canonical form (RFC 8785)", where=where)
    return document


def read_foreign_json(data: bytes, *, what: str, where: str | None = None) -> Any:
    """Read JSON of at most 16 MiB as others write it; a key given twice, and NaN, are refused."""
    _refuse_large(data, what=what, where=where)
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError(f"{what} is not JSON with every key once", where=where) from None


def _read_signature(item: object, *, where: str | None) -> DsseSignature:
    fields = cast("dict[str, object]", item) if isinstance(item, dict) else {}
    keyid, signature = fields.get("keyid"), fields.get("sig")
    if fields.keys() != {"keyid", "sig"} or not isinstance(keyid, str) or len(keyid) > (
        _LONGEST_KEY_ID
    ) or not isinstance(signature, str):  # fmt: skip
        raise InputError("not a signature", where=where, valid="keyid and sig alone, both strings")
    return DsseSignature(
        keyid=keyid, signature=decode_base64(signature, what="the signature", where=where)
    )


def _refuse_large(data: bytes, *, what: str, where: str | None) -> None:
    if len(data) > _LARGEST:
        raise InputError(f"{what} is too large", where=where, valid="at most 16 MiB")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key given twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
