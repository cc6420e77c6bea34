"""The manifest of a promoted checkpoint: which bytes went through which gate, and who says so.

It is one line of canonical JSON, ``{"manifest": {…}, "schema": …, "signature": …}``. What is signed
is DSSE's pre-authentication encoding of the manifest's canonical JSON under a payload type of its
own, so that no signature over a ledger's head or a statement can stand for one over a checkpoint.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator

from auditor.errors import CheckpointError, InputError
from auditor.evidence import PolicyReference, Stage, Status, Value, canonical_json
from auditor.ledger.checkpoint_files import FileDigests
from auditor.ledger.encoding import decode_base64, encode_base64, read_canonical
from auditor.ledger.keys import SigningKey
from auditor.ledger.statements.dsse import pre_authentication_encoding
from auditor.ledger.verifying import VerifyingKey

__all__ = [
    "CHECKPOINT_SCHEMA",
    "CheckpointManifest",
    "JudgedRule",
    "LedgerPosition",
    "encode_manifest",
    "read_manifest",
]

CHECKPOINT_SCHEMA = "auditor/checkpoint/v1"
PAYLOAD_TYPE = "application/vnd.auditor.checkpoint.v1+json"

LARGEST_MANIFEST = 64 * 2**20
"""The most bytes of a manifest: two hundred thousand files fit."""


class LedgerPosition(Value):
    """The entry after which the manifest was written, and what the ledger was with it.

    ``registration`` and ``digest`` are those of entry 0 and of this entry, ``root`` is the tree
    head over all entries up to it.
    """

    entry: Annotated[int, Field(ge=0)]
    digest: str
    root: str
    registration: str


class JudgedRule(Value):
    """What a rule said when the checkpoint was judged."""

    id: str
    status: Status
    on_fail: Literal["warn", "block", "stop"]
    reason: str


class CheckpointManifest(Value):
    """What a manifest says.

    ``name`` and ``kind`` are those of the checkpoint when it was judged; a folder may be renamed.
    ``stages`` are those whose rules were judged, after ``look`` looks and, where the loop said so,
    ``step`` steps. ``status`` is the verdict (``None``: there is no policy), ``warnings`` what it
    warned of. ``key`` is the public key of the signer as a line.
    """

    name: str
    kind: Literal["file", "folder"]
    files: tuple[FileDigests, ...]
    run: str
    ledger: LedgerPosition
    policy: PolicyReference | None = None
    status: Status | None = None
    stages: tuple[Stage, ...] = ()
    rules: tuple[JudgedRule, ...] = ()
    warnings: tuple[str, ...] = ()
    look: int | None = None
    step: int | None = None
    time: str
    auditor: str
    key: str | None = None

    @field_validator("files")
    @classmethod
    def _in_order(cls, files: tuple[FileDigests, ...]) -> tuple[FileDigests, ...]:
        names = [file.name for file in files]
        if not names or names != sorted(set(names)):
            raise ValueError("the files do not stand in the order of their names, each once")
        return files

    @property
    def signer(self) -> VerifyingKey | None:
        """The key that the manifest names; raises :class:`InputError` where it is none."""
        return None if self.key is None else VerifyingKey.parse(self.key, where="the manifest")

    def document(self) -> dict[str, Any]:
        """Return the JSON that is signed: every field, and nothing left out."""
        return self.model_dump(mode="json")


def encode_manifest(manifest: CheckpointManifest, key: SigningKey | None) -> bytes:
    """Return the bytes of a manifest, signed by ``key``, which it must name."""
    if manifest.key != (None if key is None else str(key.verifying_key)):
        raise InputError("the manifest names another signer than its key")
    document = manifest.document()
    signature = None if key is None else encode_base64(key.sign(_signed(document)))
    return canonical_json(
        {"manifest": document, "schema": CHECKPOINT_SCHEMA, "signature": signature}
    )


def read_manifest(data: bytes, *, where: str) -> CheckpointManifest:
    """Read a manifest whose signature, where it names a signer, is right.

    Raises :class:`CheckpointError` for everything else: another spelling of it, a signature that
    was stripped, that does not verify, or that nobody is named for.
    """
    try:
        manifest, signature, document = _parse(data, where)
        signer = manifest.signer
    except InputError as error:
        raise CheckpointError(f"the manifest cannot be read: {error.what}", where=where) from None
    except ValueError as error:
        raise CheckpointError(f"the manifest is not JSON ({error})", where=where) from None
    if signer is None:
        if signature is not None:
            raise CheckpointError("the manifest is signed and names no signer", where=where)
    elif signature is None:
        raise CheckpointError(
            f"the signature was stripped: the manifest names {signer.name}", where=where
        )
    elif not signer.verify(signature, _signed(document)):
        raise CheckpointError(f"the signature by {signer.name} does not verify", where=where)
    return manifest


def _parse(data: bytes, where: str) -> tuple[CheckpointManifest, bytes | None, Any]:
    read = read_canonical(data)
    fields = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
    if fields.get("schema") != CHECKPOINT_SCHEMA or fields.keys() != {
        "manifest", "schema", "signature",
    }:  # fmt: skip
        raise InputError(f"not of schema {CHECKPOINT_SCHEMA}")
    manifest = CheckpointManifest.from_json(fields["manifest"], where=where)
    if manifest.document() != fields["manifest"]:
        raise InputError("a field is missing, or written in another way")
    text = fields["signature"]
    if text is not None and not isinstance(text, str):
        raise InputError("the signature is no text")
    signature = None if text is None else decode_base64(text, what="the signature")
    return manifest, signature, fields["manifest"]


def _signed(document: Any) -> bytes:
    return pre_authentication_encoding(PAYLOAD_TYPE, canonical_json(document))
