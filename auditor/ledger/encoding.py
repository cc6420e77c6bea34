"""Texts that stand for bytes, read so strictly that one value has one spelling."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from auditor.errors import InputError
from auditor.evidence.digest import canonical_json, compact_json

__all__ = ["decode_base64", "encode_base64", "is_digest", "read_canonical", "read_json"]

_PLAIN = json.JSONDecoder()
# Before a number of a JSON text stand its beginning, a bracket, a comma, a colon or white space.
_LONG_INTEGER = (
    re.compile("-?[0-9]{16}").match,
    *(
        re.compile(f"{before}-?[0-9]{{16}}").search
        for before in (":", ",", r"\[", " ", "\n", "\r", "\t")
    ),
)
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


def read_json(data: bytes) -> Any:
    """Parse JSON so that canonical JSON can be written again; raises :class:`ValueError`.

    RFC 8785 writes the double 1e18 (a count of floating point operations, say) as an integer with
    19 digits. Integers beyond 2^53 are therefore read as the doubles that they were.

    >>> read_json(b"[1,1000000000000000000]")
    [1, 1e+18]
    """
    text = data.decode()
    # Without a long integer the parser of the standard library reads the same, in a third of the
    # time: it calls no function for each number.
    reader = _READER if any(search(text) for search in _LONG_INTEGER) else _PLAIN
    try:
        return reader.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_canonical(data: bytes) -> Any:
    """Parse JSON that is in canonical form (RFC 8785), and nothing else.

    Raises :class:`ValueError` for what is not JSON, and :class:`InputError` for another spelling
    of it (a second key of one name, ``1.0``, a space, an escape that is not needed) and for values
    without a canonical form (NaN).

    >>> read_canonical(b'{"a":1}')
    {'a': 1}
    >>> read_canonical(b'{"a":1.0}')
    Traceback (most recent call last):
    ...
    auditor.errors.InputError: the JSON is not in canonical form (RFC 8785)
    """
    try:
        text = data.decode()
        document = _PLAIN.decode(text)
        if compact_json(document) == text:  # no number in it needs care
            return document
    except (ValueError, RecursionError):
        pass
    document = read_json(data)
    if canonical_json(document) != data:
        raise InputError("the JSON is not in canonical form (RFC 8785)")
    return document


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) < 2**53 else float(digits)


_READER = json.JSONDecoder(parse_int=_number)
