"""The formats: canonical JSON, hex and base64 in one spelling, trees of RFC 6962."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

__all__ = [
    "BUCKETS",
    "CHUNK",
    "EMPTY",
    "ENTRY",
    "METHODS",
    "WIDTH",
    "Bad",
    "canonical",
    "climb",
    "digest_text",
    "ecmascript",
    "file_digest",
    "fold",
    "is_digest",
    "leaf_hash",
    "read_json",
    "sha",
    "shaped",
    "step_leaf",
    "unbase64",
    "unhex",
    "utf_16",
]

EMPTY = hashlib.sha256(b"").digest()
ENTRY: dict[str, type] = {"seq": int, "prev": str, "time": str, "type": str, "body": dict}
METHODS = {"records": "hmac-sha256-buckets-65536", "steps": "rfc6962-chunks-32"}
WIDTH, CHUNK, BUCKETS = 32, 32, 65_536


class Bad(Exception):  # noqa: N818 -- the verifier's word for what it cannot read
    """Something cannot be read."""


def sha(data: bytes) -> bytes:
    """Return the 32 bytes of SHA-256."""
    return hashlib.sha256(data).digest()


def digest_text(digest: bytes) -> str:
    """Return a digest as the record writes it."""
    return "sha256:" + digest.hex()


def is_digest(text: object) -> bool:
    """Whether a text reads ``sha256:`` and 64 lower-case hex digits."""
    return isinstance(text, str) and len(text) == 71 and text == digest_text(unhex(text[7:]))


def file_digest(path: Path) -> str:
    """Return the digest of a file, however large."""
    with path.open("rb") as file:
        return digest_text(hashlib.file_digest(file, "sha256").digest())


def unhex(text: str) -> bytes:
    """Decode lower-case hex; nothing for any other spelling."""
    try:
        data = bytes.fromhex(text)
    except (ValueError, TypeError):
        return b""
    return data if data.hex() == text else b""


def unbase64(text: str) -> bytes:
    """Decode standard base64 in its only spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Bad("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Bad("not canonical base64")
    return data


def read_json(data: bytes) -> Any:
    """Read JSON that is in canonical form (RFC 8785), and nothing else."""

    def number(digits: str) -> int | float:
        value = int(digits)
        return value if abs(value) < 2**53 else float(digits)

    try:
        document = json.loads(data, parse_int=number)
        text = canonical(document).encode()
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON ({str(error)[:80]})") from None
    if text != data:
        raise Bad("the JSON is not in canonical form (RFC 8785)")
    return document


def canonical(value: Any) -> str:
    """Write JSON in canonical form (RFC 8785)."""
    if isinstance(value, dict):
        fields = sorted(cast("dict[str, Any]", value).items(), key=utf_16)
        return "{" + ",".join(f"{canonical(name)}:{canonical(item)}" for name, item in fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, cast("list[Any]", value))) + "]"
    return ecmascript(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def utf_16(field: tuple[str, Any]) -> bytes:
    """Return what fields are sorted by: the UTF-16 code units of their names."""
    return field[0].encode("utf-16-be")


def ecmascript(value: float) -> str:
    """Write a double as ECMAScript does (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return ("-" if value < 0 else "") + text


def shaped(value: Any, shape: Mapping[str, type], optional: Sequence[str] = ()) -> bool:
    """Whether a document has exactly these fields, of exactly these types."""
    return (isinstance(value, dict) and set(shape) <= set(value) <= {*shape, *optional}
            and all(type(value[name]) is kind for name, kind in shape.items()))  # fmt: skip


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha(b"\x00" + data)


def fold(hashes: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes (RFC 6962, section 2.1), however many."""
    peaks: list[bytes] = []
    for size, hash_ in enumerate(hashes):
        top, full = hash_, size
        while full % 2:
            top, full = sha(b"\x01" + peaks.pop() + top), full // 2
        peaks.append(top)
    root = peaks.pop() if peaks else EMPTY
    while peaks:
        root = sha(b"\x01" + peaks.pop() + root)
    return root


def climb(hash_: bytes, index: int, size: Any, path: Sequence[str]) -> str | None:
    """Return the root to which a path leads, as text; ``None`` where it does not fit."""
    hashes = [unhex(part) for part in path]
    if type(size) is not int or not 0 <= index < size or any(len(part) != 32 for part in hashes):
        return None
    last = size - 1
    while last:
        if index % 2 or index < last:
            if not hashes:
                return None
            other = hashes.pop(0)
            hash_ = sha(b"\x01" + (other + hash_ if index % 2 else hash_ + other))
        index, last = index // 2, last // 2
    return None if hashes else digest_text(hash_)


def step_leaf(number: int, size: int, root: bytes) -> bytes:
    """Return the leaf of a step: its number, its size, the root of its chunks."""
    return number.to_bytes(8, "big") + size.to_bytes(8, "big") + root
