"""The private half of a signing key: made, kept in a file, and used.

``FILE`` is the private key as PEM (PKCS 8, mode 0600), ``FILE.pub`` the public one as a line (see
:mod:`auditor.ledger.verifying`). A PEM has no place for a name, so the name comes from ``FILE.pub``
where that lies beside it, and else from the stem of the file's name. There is no default key.
A passphrase encrypts it (see :mod:`auditor.ledger.private_pem`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from auditor.errors import InputError
from auditor.ledger.key_files import (
    PRIVATE,
    PUBLIC,
    public_file,
    warn_if_others_read,
    write_key_files,
)
from auditor.ledger.passphrase import ask_passphrase
from auditor.ledger.private_pem import decode_private, encode_private
from auditor.ledger.verifying import VerifyingKey, read_key_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["KEY_VARIABLE", "SigningKey", "VerifyingKey", "generate_key", "signing_key_from"]

KEY_VARIABLE = "AUDITOR_KEY"
"""The environment variable that names a key file, or holds the PEM text itself."""

_PEM = "-----BEGIN "
_VALID = "an Ed25519 private key made by `auditor keys new FILE`"


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key; its secret is neither printed nor compared."""

    verifying_key: VerifyingKey
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """The owner's name for the key."""
        return self.verifying_key.name

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the Ed25519 signature (RFC 8032) over ``data``."""
        return self._private.sign(data)

    @classmethod
    def generate(cls, path: str | Path, *, passphrase: str | None = None) -> Self:
        """Make a key, write ``FILE`` and ``FILE.pub``, and return it.

        ``FILE`` is encrypted where a passphrase is given. Raises :class:`InputError` where one of
        the two is there already: nothing is overwritten.
        """
        key = cls.make(path)
        write_key_files(key.files(path, passphrase=passphrase))
        return key

    @classmethod
    def make(cls, path: str | Path) -> Self:
        """Make a key that is named after ``FILE`` and lies nowhere yet."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls._of(Ed25519PrivateKey.generate(), name=_name_from(Path(path).expanduser()))

    def files(self, path: str | Path, *, passphrase: str | None) -> list[tuple[Path, bytes, int]]:
        """Return what is to be written to ``FILE.pub`` and ``FILE``: path, content and mode."""
        file = Path(path).expanduser()
        public = f"{self.verifying_key}\n".encode()
        pem = encode_private(self._private, passphrase=passphrase)
        return [(public_file(file), public, PUBLIC), (file, pem, PRIVATE)]

    @classmethod
    def load(cls, path: str | Path, *, environ: Mapping[str, str] | None = None) -> Self:
        """Read ``FILE``; raises :class:`InputError` that says what the file is instead.

        The passphrase of an encrypted one comes from ``AUDITOR_PASSPHRASE``, or is asked for where
        there is a terminal. A file that others can read gives a :class:`KeyFileWarning`.
        """
        file = Path(path).expanduser()
        private = _private_from(read_key_file(file), where=str(path), environ=environ)
        warn_if_others_read(file, "the private key")
        beside = public_file(file)
        if not beside.exists():
            return cls._of(private, name=_name_from(file))
        public = VerifyingKey.load(beside)
        key = cls._of(private, name=public.name)
        if key.verifying_key != public:
            raise InputError(
                f"the private key does not belong to {beside.name} beside it", where=str(path)
            )
        return key

    @classmethod
    def from_pem(
        cls,
        text: str,
        *,
        name: str = "auditor",
        where: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a PEM text that did not come from a file, as a secret store hands it out."""
        return cls._of(_private_from(text.encode(), where=where, environ=environ), name=name)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey, *, name: str) -> Self:
        public = private.public_key().public_bytes_raw()
        return cls(VerifyingKey(name=name, public=public), private)


def generate_key(path: str | Path, *, passphrase: str | None = None) -> VerifyingKey:
    """Write a new key to ``FILE`` and ``FILE.pub``, and return the public half."""
    return SigningKey.generate(path, passphrase=passphrase).verifying_key


def signing_key_from(
    path: str | Path | None, *, environ: Mapping[str, str] = os.environ
) -> SigningKey | None:
    """Return the key of ``path``, else that of ``AUDITOR_KEY``, else ``None``.

    The variable holds the path of a key file, or the PEM text itself (whose key is then named
    ``auditor``). An unset or empty variable means no key.
    """
    if path is not None:
        return SigningKey.load(path, environ=environ)
    value = environ.get(KEY_VARIABLE, "")
    if not value.strip():
        return None
    if _PEM in value:
        return SigningKey.from_pem(value, where=KEY_VARIABLE, environ=environ)
    return SigningKey.load(value, environ=environ)


def _private_from(
    data: bytes, *, where: str | None, environ: Mapping[str, str] | None
) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if b"PRIVATE KEY" not in data and (b"PUBLIC KEY" in data or _is_public_line(data)):
        raise InputError(
            "this is a public key where a private one is meant", where=where, valid=_VALID
        )
    return decode_private(
        data,
        Ed25519PrivateKey,
        valid=_VALID,
        asked=lambda: ask_passphrase(where, environ=environ),
        where=where,
    )


def _is_public_line(data: bytes) -> bool:
    try:
        VerifyingKey.parse(data.decode().strip())
    except (InputError, UnicodeDecodeError):
        return False
    return True


def _name_from(file: Path) -> str:
    """Return the stem of the file's name without what a key's name cannot hold."""
    safe = "".join(c if c.isprintable() and c not in "+ " else "-" for c in file.stem)
    return safe.strip("-.") or "auditor"
