"""The public half of a signing key, and its one-line form.

A public key is written as a C2SP *vkey*: ``<name>+<key id>+<base64(0x01 || 32 bytes)>``, where the
key id is the first four bytes of ``SHA-256(name || "\\n" || 0x01 || key)`` as eight hex digits. The
name is a label of the owner's choice; two keys are the same when their 32 bytes are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

from pydantic import field_validator

from auditor.errors import InputError
from auditor.evidence import Value, sha256
from auditor.ledger.encoding import decode_base64, encode_base64

__all__ = ["ED25519", "VerifyingKey", "is_key_name", "read_key_file"]

ED25519 = b"\x01"
"""The signature type of Ed25519 (C2SP signed-note)."""

_LARGEST_KEY_FILE = 65_536
_PRIME = 2**255 - 19
_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})
"""The y coordinates of the eight points under which one signature can fit many texts."""


class VerifyingKey(Value):
    """An Ed25519 public key with its owner's name for it; ``public`` is 32 bytes."""

    name: str
    public: bytes

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not is_key_name(name):
            raise ValueError("a key's name has no spaces and no plus, and is not empty")
        return name

    @field_validator("public")
    @classmethod
    def _usable_point(cls, public: bytes) -> bytes:
        if len(public) != 32:
            raise ValueError("an Ed25519 public key has 32 bytes")
        y = int.from_bytes(public, "little") & (2**255 - 1)
        if y >= _PRIME or y in _SMALL_ORDER:
            raise ValueError("not a point that an Ed25519 key can be")
        return public

    @property
    def key_id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def fingerprint(self) -> str:
        """``sha256:…`` of the 32 bytes, independent of the name."""
        return sha256(self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(ED25519 + self.public)}"

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` was made with the private half of this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def parse(cls, text: str, *, where: str | None = None) -> Self:
        """Read the one-line form; raises :class:`InputError` for any other spelling of it."""
        parts = text.split("+", 2)  # base64 may hold a plus, a name may not
        if len(parts) != 3:
            raise InputError("not a public key", where=where, valid="<name>+<key id>+<base64>")
        name, key_id, encoded = parts
        data = decode_base64(encoded, what="the public key", where=where)
        if data[:1] != ED25519:
            raise InputError("not an Ed25519 public key", where=where)
        key = cls.from_json({"name": name, "public": data[1:]}, where=where)
        if key.key_id.hex() != key_id:
            raise InputError(
                f"the key id {key_id!r} does not belong to this name and key",
                where=where,
                valid=key.key_id.hex(),
            )
        return key

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``FILE.pub``: the one line, with or without the newline at its end.

        Raises :class:`InputError` where the file is missing, is a private key, or holds anything
        else before or after the line.
        """
        data = read_key_file(path)
        if b"PRIVATE KEY" in data:
            raise InputError(
                "this is a private key where a public one is meant",
                where=str(path),
                valid=f"{path}.pub; keep the private key to yourself",
            )
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise InputError("not a public key", where=str(path), valid="FILE.pub") from None
        return cls.parse(text.removesuffix("\n"), where=str(path))


def is_key_name(name: str) -> bool:
    """Whether ``name`` can name a key in a signed note: printable, no spaces, no plus."""
    return name != "" and "+" not in name and " " not in name and name.isprintable()


def read_key_file(path: str | Path) -> bytes:
    """Return the content of a key file; raises :class:`InputError` where it cannot be one."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(_LARGEST_KEY_FILE + 1)
    except OSError as error:
        raise InputError(
            f"the key cannot be read: {error.strerror}",
            where=str(path),
            valid="a file made by `auditor keys new FILE`",
        ) from None
    if len(data) > _LARGEST_KEY_FILE:
        raise InputError("too large to be a key", where=str(path))
    return data
