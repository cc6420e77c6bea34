"""A model signature as bytes: a Sigstore bundle around a DSSE envelope around a statement.

The form is that of OpenSSF model-signing 1.0, predicate ``https://model_signing/signature/v1.0``.
Reading is lenient in the JSON's spelling, because others write it, and strict in all that it says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from auditor.errors import InputError
from auditor.evidence import Value, canonical_json
from auditor.ledger.encoding import decode_base64, encode_base64
from auditor.ledger.model_files import Serialization
from auditor.ledger.model_key import ModelKey
from auditor.ledger.statements.dsse import (
    PAYLOAD_TYPE,
    pre_authentication_encoding,
    read_foreign_json,
)

__all__ = [
    "BUNDLE_TYPE",
    "PREDICATE_TYPE",
    "ModelSignature",
    "check_serialization",
    "read_model_signature",
    "relative_path",
    "signed_bundle",
]

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The media type of a Sigstore bundle."""

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
"""The predicate type of a model signature."""

_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_HEX = re.compile(r"(?:[0-9a-f]{2})+")


class ModelSignature(Value):
    """What a signature says, read and not yet verified.

    ``digests`` are the digests by the name of the file or shard; ``signed`` and ``signature`` are
    what is verified, and ``hint`` names the key where the signature has one.
    """

    model: str
    serialization: Serialization
    digests: dict[str, bytes]
    hint: str | None
    signed: bytes
    signature: bytes

    def file_of(self, name: str) -> str:
        """Return the file that a name in ``digests`` belongs to."""
        return name.rsplit(":", 2)[0] if self.serialization.method == "shards" else name


def signed_bundle(
    name: str, digests: Mapping[str, bytes], method: Serialization, key: ModelKey
) -> bytes:
    """Return the signature of the model ``name``, whose files or shards have these digests."""
    root = hashlib.sha256(b"".join(digests.values())).hexdigest()
    statement = {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": method.to_json(),
            "resources": [
                {"name": piece, "algorithm": method.algorithm, "digest": digest.hex()}
                for piece, digest in digests.items()
            ],
        },
    }
    payload = canonical_json(statement)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return canonical_json(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": key.verifying_key.hint},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": encode_base64(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"keyid": "", "sig": encode_base64(signature)}],
            },
        }
    )


def read_model_signature(data: bytes, *, where: str | None = None) -> ModelSignature:
    """Read a signature by a key; raises :class:`InputError` for anything else.

    Refused are keys given twice, resources given twice, digests that do not add up to the one of
    the subject, other predicates, and signatures by a certificate.
    """
    bundle = _object(read_foreign_json(data, what="the signature", where=where), where=where)
    if bundle.get("mediaType") != BUNDLE_TYPE:
        raise InputError("not a model signature", where=where, valid=f"mediaType {BUNDLE_TYPE}")
    material = _object(bundle.get("verificationMaterial"), where=where)
    if "publicKey" not in material:
        raise InputError(
            "the model is signed by a certificate", where=where, valid="a signature by a key"
        )
    hint = _object(material["publicKey"], where=where).get("hint")
    if hint is not None and not isinstance(hint, str):
        raise InputError("the hint at the key is not a text", where=where)
    envelope = _object(bundle.get("dsseEnvelope"), where=where)
    signatures = envelope.get("signatures")
    if envelope.get("payloadType") != PAYLOAD_TYPE or not isinstance(signatures, list):
        raise InputError("not an in-toto envelope", where=where, valid=PAYLOAD_TYPE)
    if len(signatures) != 1:
        raise InputError(f"{len(signatures)} signatures where one is meant", where=where)
    payload = _base64(envelope.get("payload"), "the payload", where=where)
    signature = _object(signatures[0], where=where).get("sig")
    model, serialization, digests = _read_payload(payload, where=where)
    return ModelSignature(
        model=model,
        serialization=serialization,
        digests=digests,
        hint=hint or None,
        signed=pre_authentication_encoding(PAYLOAD_TYPE, payload),
        signature=_base64(signature, "the signature", where=where),
    )


def check_serialization(serialization: Serialization, *, where: str | None) -> Serialization:
    """Refuse a method that would bind nothing, or that cannot be carried out."""
    sharded = serialization.method == "shards"
    size = serialization.shard_size
    if sharded != (size is not None) or (size is not None and size < 1):
        raise InputError("shards need a size, and files have none", where=where)
    for path in serialization.ignore_paths:
        relative_path(path, where=where)
    return serialization


def relative_path(path: str, *, where: str | None = None) -> str:
    """Return a path inside a model in its one spelling; raises :class:`InputError`."""
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
        raise InputError(
            f"{path[:80]!r} cannot be left out", where=where, valid="a path inside the model"
        )
    return "/".join(parts)


def _read_payload(
    payload: bytes, *, where: str | None
) -> tuple[str, Serialization, dict[str, bytes]]:
    statement = _object(read_foreign_json(payload, what="the payload", where=where), where=where)
    kinds = (statement.get("_type"), statement.get("predicateType"))
    if kinds != (_STATEMENT_TYPE, PREDICATE_TYPE):
        raise InputError("another kind of statement", where=where, valid=PREDICATE_TYPE)
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise InputError("a model signature has one subject", where=where)
    subject = _object(subjects[0], where=where)
    predicate = _object(statement.get("predicate"), where=where)
    serialization = check_serialization(
        Serialization.from_json(
            {"ignore_paths": (), **_object(predicate.get("serialization"), where=where)},
            where=where,
        ),
        where=where,
    )
    digests = _read_resources(predicate.get("resources"), serialization, where=where)
    root = hashlib.sha256(b"".join(digests.values())).hexdigest()
    if _object(subject.get("digest"), where=where) != {"sha256": root}:
        raise InputError("the digests do not add up to that of the subject", where=where)
    return str(subject.get("name", "")), serialization, digests


def _read_resources(
    resources: object, serialization: Serialization, *, where: str | None
) -> dict[str, bytes]:
    if not isinstance(resources, list) or not resources:
        raise InputError("the signature lists no file", where=where)
    digests: dict[str, bytes] = {}
    for item in resources:
        fields = _object(item, where=where)
        name, digest = fields.get("name"), fields.get("digest")
        if not isinstance(name, str) or not isinstance(digest, str) or not _HEX.fullmatch(digest):
            raise InputError("a file without name or digest", where=where)
        if name in digests:
            raise InputError(f"{name[:80]!r} is listed twice", where=where)
        if fields.get("algorithm") != serialization.algorithm:
            raise InputError(
                f"{name[:80]!r} has another algorithm", where=where, valid=serialization.algorithm
            )
        digests[name] = bytes.fromhex(digest)
    return digests


def _object(value: object, *, where: str | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError("not a model signature", where=where, valid="the JSON of a bundle")
    return cast("dict[str, Any]", value)


def _base64(value: object, what: str, *, where: str | None) -> bytes:
    if not isinstance(value, str):
        raise InputError(f"{what} is not base64", where=where)
    return decode_base64(value, what=what, where=where)
