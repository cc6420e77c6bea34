"""Texts that stand for bytes, read so strictly that one value has one spelling."""

from __future__ import annotations

import base64
import binascii
import re

from auditor.errors import InputError

__all__ = ["decode_base64", "encode_base64", "is_digest"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def encode_base64(data: bytes) -> str:
    """Return standard base64 (RFC 4648, section 4) with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, *, what: str, where: str | None = None) -> bytes:
    """Decode standard base64, and insist that ``text`` is the only spelling of its bytes.

    Common decoders ignore the unused bits before the padding, so that ``QQ==`` and ``QR==`` are
    the same byte; here the second is refused, because a changed file must not keep its meaning.

    >>> decode_base64("QQ==", what="the letter")
    b'A'
    >>> decode_base64("QR==", what="the letter")
    Traceback (most recent call last):
    ...
    auditor.errors.InputError: the letter is not canonical base64
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InputError(f"{what} is not base64", where=where) from None
    if encode_base64(data) != text:
        raise InputError(f"{what} is not canonical base64", where=where)
    return data


def is_digest(text: object) -> bool:
    """Whether ``text`` reads ``sha256:<64 lower-case hex digits>``."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
