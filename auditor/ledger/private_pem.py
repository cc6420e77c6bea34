"""A private key as PEM (PKCS 8), encrypted by a passphrase or not.

The encryption is PBES2 with scrypt (RFC 7914, section 7) and AES-256-CBC, which OpenSSL reads too.
The library's own best encryption is not taken: it derives the key with 2,048 rounds of PBKDF2.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from auditor.errors import InputError
from auditor.ledger import der

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Asked", "decode_private", "encode_private"]

Asked = Callable[[], str]
"""Gives the passphrase when, and only when, one is needed."""

_PrivateKey = TypeVar("_PrivateKey")

_PBES2 = der.object_identifier("1.2.840.113549.1.5.13")
_PBKDF2 = der.object_identifier("1.2.840.113549.1.5.12")
_SCRYPT = der.object_identifier("1.3.6.1.4.1.11591.4.11")
_AES_256_CBC = der.object_identifier("2.16.840.1.101.3.4.1.42")

# 16 MiB and five passes: as much work as OWASP asks for, in memory that OpenSSL allows by default.
_N, _R, _P = 2**14, 8, 5
_MOST_SCRYPT = 2**24  # N · r · p: 1 GiB of blocks in one pass
_MOST_MEMORY = 2**21  # N · r: 256 MiB
_MOST_ROUNDS = 10_000_000

_ENCRYPTED = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]*)-----END ENCRYPTED PRIVATE KEY-"
)


def encode_private(
    private: Ed25519PrivateKey | EllipticCurvePrivateKey, *, passphrase: str | None
) -> bytes:
    """Return the PEM text of a private key, encrypted where there is a passphrase."""
    from cryptography.hazmat.primitives import serialization

    plain = private.private_bytes(
        serialization.Encoding.PEM if passphrase is None else serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return plain if passphrase is None else _encrypt(plain, passphrase.encode())


def decode_private(
    data: bytes, kind: type[_PrivateKey], *, valid: str, asked: Asked, where: str | None
) -> _PrivateKey:
    """Read the PEM text of a private key of this kind; raises :class:`InputError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if b"PRIVATE KEY" not in data:
        raise InputError("not a private key in PEM form", where=where, valid=valid)
    passphrase: str | None = None
    if b"ENCRYPTED" in data:
        _refuse_costly(data, where=where)
        passphrase = asked()
    try:
        private: object = serialization.load_pem_private_key(
            data, password=None if passphrase is None else passphrase.encode()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        what = (
            "the private key cannot be read"
            if passphrase is None
            else "the private key cannot be decrypted: a wrong passphrase, or a damaged file"
        )
        raise InputError(what, where=where, valid=valid) from None
    if not isinstance(private, kind):
        name = "an Ed25519 key" if "Ed25519" in kind.__name__ else "an elliptic curve key"
        raise InputError(f"the private key is not {name}", where=where, valid=valid)
    return private


def _encrypt(plain: bytes, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from cryptography.hazmat.primitives.padding import PKCS7

    salt, iv = os.urandom(16), os.urandom(16)
    key = Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase)
    padder = PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padded) + encryptor.finalize()
    costs = (der.integer(number) for number in (_N, _R, _P))
    derivation = der.sequence(_SCRYPT, der.sequence(der.octet_string(salt), *costs))
    cipher = der.sequence(_AES_256_CBC, der.octet_string(iv))
    info = der.sequence(
        der.sequence(_PBES2, der.sequence(derivation, cipher)), der.octet_string(encrypted)
    )
    text = base64.b64encode(info)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    name = b"ENCRYPTED PRIVATE KEY-----"
    return b"\n".join([b"-----BEGIN " + name, *lines, b"-----END " + name, b""])


def _refuse_costly(data: bytes, *, where: str | None) -> None:
    """Refuse a file whose own parameters would cost more memory or time than a key is worth."""
    try:
        if not _is_affordable(data):
            raise InputError("decrypting this key would cost too much", where=where)
    except (ValueError, binascii.Error):
        raise InputError(
            "the private key is encrypted in a way that is not supported",
            where=where,
            valid="PKCS 8 with PBES2, and scrypt or PBKDF2",
        ) from None


def _is_affordable(data: bytes) -> bool:
    blocks = _ENCRYPTED.findall(data)
    if len(blocks) != 1 or data.count(b"-----BEGIN ") != 1:
        raise ValueError("not one encrypted key")
    (info,) = der.read_elements(base64.b64decode(b"".join(blocks[0].split()), validate=True))
    algorithm, _ = info.parts(der.SEQUENCE)
    scheme, parameters = algorithm.parts(der.SEQUENCE)
    derivation, _ = parameters.parts(der.SEQUENCE)
    function, costs = derivation.parts(der.SEQUENCE)
    if scheme.encoded != _PBES2:
        raise ValueError("not PBES2")
    _, *numbers = costs.parts(der.SEQUENCE)
    if function.encoded == _SCRYPT:
        n, r, p = (number.number() for number in numbers[:3])
        return n * r <= _MOST_MEMORY and n * r * p <= _MOST_SCRYPT
    if function.encoded == _PBKDF2:
        return numbers[0].number() <= _MOST_ROUNDS
    raise ValueError("another derivation")
