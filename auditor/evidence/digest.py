"""Digests and the canonical JSON (RFC 8785) over which they are taken.

The encoder of the standard library is several times faster than the reference implementation of
RFC 8785 in Python, and gives the same bytes but for a few values. Whole, very large and very small
floating point numbers are written anew; documents that may hold integers beyond 2^53, minus zero
or keys beyond the Basic Multilingual Plane go to the reference.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import rfc8785

from auditor.errors import InputError

__all__ = ["canonical_json", "canonical_parsed", "compact_json", "sha256"]

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)
_DECODER = json.JSONDecoder()

# What is not certain is looked for where numbers stand: after a bracket, a comma, a colon. Inside a
# string it may be found, too: that costs time, and nothing else. Patterns that start with one
# letter are several times faster than one with all of them.
_WHOLE = re.compile(r"(?<=[0-9])\.0(?=[,\]}])")
_MINUS_ZERO = re.compile(r"-0[,\]}]")
_SIGNED = re.compile(r"e[-+][0-9]")  # found faster than the whole number, which may then be there
_EXPONENT = re.compile(r"[0-9](?:\.[0-9]+)?e[-+][0-9]+")
_LONG = tuple(re.compile(f"{before}-?[0-9]{{16}}").search for before in (r"\":", ",", r"\["))
_UNCERTAIN_TEXT = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")


def canonical_json(document: Any) -> bytes:
    """Serialise to RFC 8785 JSON: one byte string for one value.

    Raises :class:`InputError` for NaN, infinity, integers beyond 2^53 and nesting without end.

    >>> canonical_json({"b": 1.0, "a": "é"})
    b'{"a":"\\xc3\\xa9","b":1}'
    """
    text = compact_json(document)
    if text is not None and _says(text, document):
        return text.encode()
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, ValueError) as error:
        raise InputError(f"this value has no canonical JSON form: {error}") from None
    except RecursionError:
        raise InputError("this value has no canonical JSON form: nested too deeply") from None


def canonical_parsed(document: Any) -> bytes:
    """Serialise what a JSON parser gave: :func:`canonical_json`, without reading it back.

    The keys of such a document are strings and its arrays lists, so that only a number written
    anew could be one inside a string. Raises :class:`InputError` as :func:`canonical_json` does.

    >>> canonical_parsed({"b": 1, "a": "é"})
    b'{"a":"\\xc3\\xa9","b":1}'
    """
    text = _encoded(document)
    if text is not None and _written_anew(text) == text:
        return text.encode()
    return canonical_json(document)


def compact_json(document: Any) -> str | None:
    """Return the RFC 8785 form of parsed JSON where it is certain, and ``None`` where it is not.

    ``document`` is an object or an array that a JSON parser gave: its keys are strings. The result
    is certain but for strings that hold a number like ``1.0`` or ``1e-07``, which may be written
    anew in them: whoever compares the result with what was read, or reads it back, sees that.

    >>> compact_json({"b": 1.0, "a": [0.5, 1e-7]}), compact_json([2**60])
    ('{"a":[0.5,1e-7],"b":1}', None)
    """
    text = _encoded(document)
    return None if text is None else _written_anew(text)


def sha256(data: bytes) -> str:
    """Return ``sha256:<64 hex digits>``.

    >>> sha256(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _encoded(document: Any) -> str | None:
    if not isinstance(document, (dict, list)):
        return None
    try:
        return _ENCODER.encode(document)
    except (TypeError, ValueError, RecursionError):
        return None


def _written_anew(text: str) -> str | None:
    """Return the text with its numbers as ECMAScript writes them: itself, where they are."""
    if ".0" in text:
        text = _WHOLE.sub("", text)
        if "-0" in text and _MINUS_ZERO.search(text):
            return None
    if ("e-" in text or "e+" in text) and _SIGNED.search(text):
        text = _EXPONENT.sub(_write_anew, text)
    if any(search(text) for search in _LONG):
        return None
    if not text.isascii() and _UNCERTAIN_TEXT.search(text):
        return None
    return text


def _write_anew(number: re.Match[str]) -> str:
    """Write as ECMAScript does what Python writes with an exponent: 1e-05, 1e-07, 1e+16, 1e+22."""
    mantissa, _, written = number[0].partition("e")
    exponent, digits = int(written), mantissa.replace(".", "")
    if -7 < exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    if 0 <= exponent < 21:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{mantissa}e{exponent:+d}"


def _says(text: str, document: Any) -> bool:
    """Whether the text reads as the document: no key became a string, no string was cut."""
    try:
        return bool(_DECODER.decode(text) == document)
    except (TypeError, ValueError, RecursionError):
        return False
