"""The elliptic-curve key that a model is signed with, as OpenSSF model-signing wants it.

``FILE.p256`` is the private key as PEM (PKCS 8, mode 0600), ``FILE.p256.pub`` the public one as PEM
(SubjectPublicKeyInfo). New keys lie on the curve P-256; keys on P-384 and P-521 are read too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from auditor.errors import InputError
from auditor.ledger.key_files import (
    PRIVATE,
    PUBLIC,
    public_file,
    warn_if_others_read,
    write_key_files,
)
from auditor.ledger.keys import KEY_VARIABLE
from auditor.ledger.passphrase import ask_passphrase
from auditor.ledger.private_pem import decode_private, encode_private
from auditor.ledger.verifying import read_key_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

__all__ = [
    "ModelKey",
    "ModelVerifyingKey",
    "generate_model_key",
    "model_key_beside",
    "model_key_file",
]

_VALID = "an elliptic curve key made by `auditor keys new FILE --model-signing`"
_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


@dataclass(frozen=True)
class ModelVerifyingKey:
    """The public half; ``pem`` is its one PEM text."""

    pem: bytes
    _public: EllipticCurvePublicKey = field(repr=False, compare=False)

    @property
    def hint(self) -> str:
        """The SHA-256 of the PEM text as hex, by which a signature names its key."""
        return hashlib.sha256(self.pem).hexdigest()

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` (ECDSA, DER) over ``data`` was made with the private half."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._public.verify(signature, data, _algorithm(self._public.curve.name))
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a public key in PEM form; raises :class:`InputError` for anything else."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

        data, where = read_key_file(path), str(path)
        if b"PRIVATE KEY" in data:
            raise InputError(
                "this is a private key where a public one is meant",
                where=where,
                valid=f"{path}.pub; keep the private key to yourself",
            )
        try:
            public = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm):
            raise InputError("not a public key in PEM form", where=where, valid=_VALID) from None
        if not isinstance(public, EllipticCurvePublicKey):
            raise InputError("not an elliptic curve key", where=where, valid=_VALID)
        return cls.of(public, where=where)

    @classmethod
    def of(cls, public: EllipticCurvePublicKey, *, where: str | None = None) -> Self:
        """Return the key of the cryptography library as one; raises :class:`InputError`."""
        from cryptography.hazmat.primitives import serialization

        if public.curve.name not in _HASHES:
            raise InputError(
                f"a key on the curve {public.curve.name} signs no models",
                where=where,
                valid=", ".join(_HASHES),
            )
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(pem, public)


@dataclass(frozen=True)
class ModelKey:
    """The private half; its secret is neither printed nor compared."""

    verifying_key: ModelVerifyingKey
    _private: EllipticCurvePrivateKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA signature over ``data`` in DER, with the hash of the curve's size."""
        return self._private.sign(data, _algorithm(self._private.curve.name))

    @classmethod
    def make(cls) -> Self:
        """Make a key on P-256 that lies in no file yet."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls._of(ec.generate_private_key(ec.SECP256R1()))

    def files(self, path: str | Path, *, passphrase: str | None) -> list[tuple[Path, bytes, int]]:
        """Return what is to be written beside the signing key ``FILE``."""
        file = model_key_file(path)
        pem = encode_private(self._private, passphrase=passphrase)
        return [(public_file(file), self.verifying_key.pem, PUBLIC), (file, pem, PRIVATE)]

    @classmethod
    def load(cls, path: str | Path, *, environ: Mapping[str, str] | None = None) -> Self:
        """Read a private key; the passphrase comes as for a signing key.

        Raises :class:`InputError` that says what the file is instead.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

        where = str(path)
        private = decode_private(
            read_key_file(path),
            EllipticCurvePrivateKey,
            valid=_VALID,
            asked=lambda: ask_passphrase(where, environ=environ),
            where=where,
        )
        warn_if_others_read(Path(path).expanduser(), "the private key")
        return cls._of(private, where=where)

    @classmethod
    def _of(cls, private: EllipticCurvePrivateKey, *, where: str | None = None) -> Self:
        return cls(ModelVerifyingKey.of(private.public_key(), where=where), private)


def generate_model_key(path: str | Path, *, passphrase: str | None = None) -> ModelVerifyingKey:
    """Write a new key to ``FILE.p256`` and ``FILE.p256.pub``, and return the public half."""
    key = ModelKey.make()
    write_key_files(key.files(path, passphrase=passphrase))
    return key.verifying_key


def model_key_beside(
    path: str | Path | None, *, environ: Mapping[str, str] = os.environ
) -> ModelKey | None:
    """Return the model key beside a signing key, ``None`` where there is none.

    Without ``path`` the signing key is the file that ``AUDITOR_KEY`` names, if it names one.
    """
    named = str(path) if path is not None else environ.get(KEY_VARIABLE, "").strip()
    if not named or named.startswith("-----BEGIN "):
        return None
    file = model_key_file(named)
    return ModelKey.load(file, environ=environ) if file.is_file() else None


def model_key_file(path: str | Path) -> Path:
    """Return ``FILE.p256``, where the model key of the signing key ``FILE`` lies."""
    file = Path(path).expanduser()
    return file.with_name(f"{file.name}.p256")


def _algorithm(curve: str) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(getattr(hashes, _HASHES[curve])())
