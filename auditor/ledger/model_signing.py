"""Signatures of models in the format of OpenSSF model-signing 1.0, made and verified.

A signature is a Sigstore bundle: a DSSE envelope around an in-toto statement whose predicate lists
a digest for every file (or shard) of the model, signed by an elliptic curve key. The stock
``python -m model_signing verify key`` accepts what :func:`sign_model` gives, and
:func:`verify_model` accepts what the stock signs with a key. A signature says which files make up
the model; it says nothing about the data, the training or the judgement. Those are in the run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from auditor.errors import InputError
from auditor.evidence import Value, canonical_json
from auditor.ledger.encoding import decode_base64, encode_base64
from auditor.ledger.integrity import Fault
from auditor.ledger.model_files import (
    ModelListing,
    Piece,
    Serialization,
    hash_pieces,
    list_model,
    pieces_of,
)
from auditor.ledger.model_key import ModelKey, ModelVerifyingKey
from auditor.ledger.statements.dsse import (
    PAYLOAD_TYPE,
    pre_authentication_encoding,
    read_foreign_json,
)
from auditor.ledger.storage import write_atomically

__all__ = [
    "BUNDLE_TYPE",
    "PREDICATE_TYPE",
    "ModelSignature",
    "ModelVerification",
    "read_model_signature",
    "sign_model",
    "verify_model",
    "verify_model_signature",
    "write_model_signature",
]

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The media type of a Sigstore bundle."""

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
"""The predicate type of a model signature."""

_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_LARGEST = 16 * 2**20
_MOST_SHOWN = 100


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


class ModelVerification(Value):
    """What was found: ``files`` that the signature binds, and the faults.

    ``unbound`` are files of the model that are there and that no digest speaks of: paths that the
    signer left out, and empty files where the method is ``shards``.
    """

    model: str
    files: int
    hint: str | None
    unbound: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing is off."""
        return not self.faults


def sign_model(
    model: str | Path,
    key: ModelKey,
    *,
    serialization: Serialization | None = None,
    ignored: Sequence[str] = (),
) -> bytes:
    """Return the signature of a file or a folder: a Sigstore bundle as JSON.

    ``ignored`` are relative paths of the folder that the signature leaves out, and names as left
    out; a signature that will lie inside the folder is one of them. Raises :class:`InputError` for
    links (unless ``allow_symlinks``), for what is neither file nor folder, and for an empty model.
    """
    path = Path(model).expanduser()
    method = _checked(serialization or Serialization(), where=str(model))
    left_out = (*method.ignore_paths, *(_relative(name) for name in ignored))
    method = method.model_copy(update={"ignore_paths": tuple(dict.fromkeys(left_out))})
    listing = list_model(path, method)
    for name, what in listing.odd.items():
        raise InputError(f"{name} {what}", where=str(model), valid="files that a digest can bind")
    pieces = sorted(
        piece for file, size in listing.sizes.items() for piece in pieces_of(file, size, method)
    )
    if not pieces:
        raise InputError("there is nothing to sign", where=str(model))
    if method.method == "shards" and any(":" in piece.file for piece in pieces):
        raise InputError("a file name with a colon cannot be sharded", where=str(model))
    digests = hash_pieces(path, pieces, method.hash_type)
    return _bundle(path.name or path.resolve().name, digests, method, key)


def write_model_signature(
    model: str | Path, key: ModelKey, *, signature: str | Path | None = None
) -> Path:
    """Sign a checkpoint and write the signature beside it in one step; return where it lies.

    Without ``signature`` that is ``<checkpoint>.sig``. One that is there already is replaced.
    """
    path = Path(model).expanduser()
    target = path.with_name(f"{path.name}.sig") if signature is None else Path(signature)
    inside = _inside(path, target)
    write_atomically(target, sign_model(path, key, ignored=() if inside is None else (inside,)))
    return target


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


def verify_model(
    model: str | Path,
    signature: bytes,
    key: ModelVerifyingKey,
    *,
    ignored: Sequence[str] = (),
    where: str = "signature",
) -> ModelVerification:
    """Hold a model against its signature, file by file, by the method that the signature names.

    ``ignored`` are relative paths that may lie in the folder unsigned: the signature itself. Raises
    :class:`InputError` where the signature or the model cannot be read; what does not agree is a
    fault. Nothing of the model is looked at where the signature does not verify.
    """
    read = read_model_signature(signature, where=where)
    result = ModelVerification(
        model=read.model, files=len({_file_of(name, read) for name in read.digests}), hint=read.hint
    )
    if not key.verify(read.signature, read.signed) or read.hint not in (None, key.hint):
        fault = Fault(where=where, what="not signed by the key given")
        return result.model_copy(update={"faults": (fault,)})
    path = Path(model).expanduser()
    listing = list_model(path, read.serialization, ignored=ignored)
    faults = (*_odd(listing), *_differences(path, listing, read))
    shown = faults[:_MOST_SHOWN]
    if len(faults) > len(shown):
        shown += (Fault(where=str(model), what=f"{len(faults) - len(shown):,} more differences"),)
    return result.model_copy(
        update={"faults": shown, "unbound": tuple(_unbound(path, listing, read, ignored))}
    )


def verify_model_signature(
    signature: str | Path, model: str | Path, public_key: str | Path | ModelVerifyingKey
) -> ModelVerification:
    """Verify the signature in a file; what is off with its content is a fault too.

    Raises :class:`InputError` where one of the three cannot be read at all.
    """
    file, path = Path(signature).expanduser(), Path(model).expanduser()
    key = (
        public_key
        if isinstance(public_key, ModelVerifyingKey)
        else ModelVerifyingKey.load(public_key)
    )
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"the signature cannot be read: {error.strerror}", where=str(signature)
        ) from None
    try:
        read_model_signature(data, where=file.name)
    except InputError as error:
        fault = Fault(where=file.name, what=error.what)
        return ModelVerification(model=path.name, files=0, hint=None, faults=(fault,))
    inside = _inside(path, file)
    ignored = () if inside is None else (inside,)
    return verify_model(path, data, key, ignored=ignored, where=file.name)


def _bundle(name: str, digests: Mapping[str, bytes], method: Serialization, key: ModelKey) -> bytes:
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
    serialization = _checked(
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


def _differences(path: Path, listing: ModelListing, read: ModelSignature) -> Iterator[Fault]:
    """Compare names and sizes first, and hash only what has its place in the signature."""
    expected: dict[str, set[str]] = {}
    for name in read.digests:
        expected.setdefault(_file_of(name, read), set()).add(name)
    waiting: list[Piece] = []
    for file in sorted({*expected, *listing.sizes}):
        if file not in listing.sizes:
            if file not in listing.odd:
                yield Fault(where=file, what="the file is missing")
            continue
        size, step = listing.sizes[file], read.serialization.shard_size
        shards = 1 if step is None else -(-size // step)
        if file not in expected:
            if shards:
                yield Fault(where=file, what="the file was added after the signature")
        elif shards != len(expected[file]):  # before its shards are listed, which may be many
            yield Fault(where=file, what="the file was changed: it has another size")
        else:
            pieces = list(pieces_of(file, size, read.serialization))
            if {piece.name for piece in pieces} == expected[file]:
                waiting += pieces
            else:
                yield Fault(where=file, what="the file was changed: it has another size")
    found = hash_pieces(path, waiting, read.serialization.hash_type)
    changed = {p.file for p in waiting if found[p.name] != read.digests[p.name]}
    for file in sorted(changed):
        yield Fault(where=file, what="the file was changed after the signature")


def _odd(listing: ModelListing) -> Iterator[Fault]:
    for name, what in listing.odd.items():
        yield Fault(where=name, what=what)


def _unbound(
    path: Path, listing: ModelListing, read: ModelSignature, ignored: Sequence[str]
) -> Iterator[str]:
    for name in read.serialization.ignore_paths:
        if name not in ignored and path.is_dir() and os.path.lexists(path / name):
            yield name
    if read.serialization.method == "shards":
        yield from (file for file, size in listing.sizes.items() if not size)


def _file_of(name: str, read: ModelSignature) -> str:
    return name.rsplit(":", 2)[0] if read.serialization.method == "shards" else name


def _checked(serialization: Serialization, *, where: str | None) -> Serialization:
    """Refuse a method that would bind nothing, or that cannot be carried out."""
    sharded = serialization.method == "shards"
    size = serialization.shard_size
    if sharded != (size is not None) or (size is not None and size < 1):
        raise InputError("shards need a size, and files have none", where=where)
    for path in serialization.ignore_paths:
        _relative(path, where=where)
    return serialization


def _relative(path: str, *, where: str | None = None) -> str:
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
        raise InputError(
            f"{path[:80]!r} cannot be left out", where=where, valid="a path inside the model"
        )
    return "/".join(parts)


def _inside(model: Path, file: Path) -> str | None:
    """Return the path of ``file`` relative to the folder ``model``, where it lies in it."""
    try:
        relative = file.absolute().resolve().relative_to(model.absolute().resolve())
    except ValueError:
        return None
    return relative.as_posix() if relative.parts else None


def _object(value: object, *, where: str | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError("not a model signature", where=where, valid="the JSON of a bundle")
    return cast("dict[str, Any]", value)


def _base64(value: object, what: str, *, where: str | None) -> bytes:
    if not isinstance(value, str):
        raise InputError(f"{what} is not base64", where=where)
    return decode_base64(value, what=what, where=where)
