"""The private half of a signing key: made, kept in a file, and used.

``FILE`` is the private key as PEM (PKCS 8, mode 0600), ``FILE.pub`` the public one as a line (see
:mod:`auditor.ledger.verifying`). A PEM has no place for a name, so the name comes from ``FILE.pub``
where that lies beside it, and else from the stem of the file's name. There is no default key.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from auditor.errors import InputError
from auditor.ledger.storage import write_all
from auditor.ledger.verifying import VerifyingKey, read_key_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["KEY_VARIABLE", "SigningKey", "VerifyingKey", "generate_key", "signing_key_from"]

KEY_VARIABLE = "AUDITOR_KEY"
"""The environment variable that names a key file, or holds the PEM text itself."""

_PEM = "-----BEGIN "


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
    def generate(cls, path: str | Path) -> Self:
        """Make a key, write ``FILE`` and ``FILE.pub``, and return it.

        Raises :class:`InputError` where one of the two is there already: nothing is overwritten.
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        file = Path(path).expanduser()
        for there in (file, _public_file(file)):
            if os.path.lexists(there):
                raise _not_written(there, FileExistsError())
        key = cls._of(Ed25519PrivateKey.generate(), name=_name_from(file))
        pem = key._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the key's folder cannot be made: {error.strerror}", where=str(file.parent)
            ) from None
        _write_new(_public_file(file), f"{key.verifying_key}\n".encode(), mode=0o644)
        try:
            _write_new(file, pem, mode=0o600)
        except BaseException:
            _public_file(file).unlink()
            raise
        return key

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``FILE``; raises :class:`InputError` that says what the file is instead."""
        file = Path(path).expanduser()
        private = _private_from(read_key_file(file), where=str(path))
        beside = _public_file(file)
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
    def from_pem(cls, text: str, *, name: str = "auditor", where: str | None = None) -> Self:
        """Read a PEM text that did not come from a file, as a secret store hands it out."""
        return cls._of(_private_from(text.encode(), where=where), name=name)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey, *, name: str) -> Self:
        public = private.public_key().public_bytes_raw()
        return cls(VerifyingKey(name=name, public=public), private)


def generate_key(path: str | Path) -> VerifyingKey:
    """Write a new key to ``FILE`` and ``FILE.pub``, and return the public half."""
    return SigningKey.generate(path).verifying_key


def signing_key_from(
    path: str | Path | None, *, environ: Mapping[str, str] = os.environ
) -> SigningKey | None:
    """Return the key of ``path``, else that of ``AUDITOR_KEY``, else ``None``.

    The variable holds the path of a key file, or the PEM text itself (whose key is then named
    ``auditor``). An unset or empty variable means no key.
    """
    if path is not None:
        return SigningKey.load(path)
    value = environ.get(KEY_VARIABLE, "")
    if not value.strip():
        return None
    if _PEM in value:
        return SigningKey.from_pem(value, where=KEY_VARIABLE)
    return SigningKey.load(value)


def _private_from(data: bytes, *, where: str | None) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    valid = "an Ed25519 private key made by `auditor keys new FILE`"
    if b"PRIVATE KEY" not in data:
        public = b"PUBLIC KEY" in data or _is_public_line(data)
        what = (
            "this is a public key where a private one is meant"
            if public
            else "not a private key in PEM form"
        )
        raise InputError(what, where=where, valid=valid)
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except TypeError:  # the library's way of asking for a passphrase
        raise InputError(
            "the private key is encrypted, and passphrases are not supported",
            where=where,
            valid=valid,
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("the private key cannot be read", where=where, valid=valid) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError("the private key is not an Ed25519 key", where=where, valid=valid)
    return private


def _is_public_line(data: bytes) -> bool:
    try:
        VerifyingKey.parse(data.decode().strip())
    except (InputError, UnicodeDecodeError):
        return False
    return True


def _public_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.pub")


def _name_from(file: Path) -> str:
    """Return the stem of the file's name without what a key's name cannot hold."""
    safe = "".join(c if c.isprintable() and c not in "+ " else "-" for c in file.stem)
    return safe.strip("-.") or "auditor"


def _write_new(file: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet; a failure leaves none behind."""
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise _not_written(file, error) from None
    try:
        try:
            if hasattr(os, "fchmod"):  # whatever the umask: neither more open nor unreadable
                os.fchmod(fd, mode)
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException as error:
        with contextlib.suppress(OSError):
            file.unlink()
        if isinstance(error, OSError):
            raise _not_written(file, error) from None
        raise


def _not_written(file: Path, error: OSError) -> InputError:
    if isinstance(error, FileExistsError):
        return InputError(
            "this file exists, and a key is never overwritten",
            where=str(file),
            valid="the name of a new file",
        )
    return InputError(f"the key cannot be written: {error.strerror}", where=str(file))
