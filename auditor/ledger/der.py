"""As much of ASN.1's DER (X.690) as keys and time stamps need: written, and read within limits.

A reader sees every element with its tag and content, and refuses what DER does not allow: lengths
with more bytes than needed, indefinite lengths, and content that ends before its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "BIT_STRING",
    "INTEGER",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "Element",
    "boolean",
    "element",
    "integer",
    "null",
    "object_identifier",
    "octet_string",
    "read_elements",
    "sequence",
]

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30


def element(tag: int, content: bytes) -> bytes:
    """Return tag, length and content.

    >>> element(0x04, b"hi").hex()
    '04026869'
    """
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of elements."""
    return element(SEQUENCE, b"".join(parts))


def octet_string(data: bytes) -> bytes:
    """Return an OCTET STRING."""
    return element(OCTET_STRING, data)


def integer(number: int) -> bytes:
    """Return a non-negative INTEGER in as few bytes as it takes.

    >>> integer(128).hex()
    '02020080'
    """
    return element(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def boolean(*, true: bool) -> bytes:
    """Return a BOOLEAN."""
    return element(0x01, b"\xff" if true else b"\x00")


def null() -> bytes:
    """Return NULL."""
    return element(0x05, b"")


def object_identifier(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER from its dotted numbers.

    >>> object_identifier("1.2.840.113549").hex()
    '06062a864886f70d'
    """
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray()
    for number in (first * 40 + second, *rest):
        sevens = [number & 0x7F]
        while number := number >> 7:
            sevens.append(0x80 | number & 0x7F)
        content += bytes(reversed(sevens))
    return element(OBJECT_IDENTIFIER, bytes(content))


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and all its bytes."""

    tag: int
    content: bytes
    encoded: bytes

    def parts(self, tag: int | None = None) -> tuple[Element, ...]:
        """Return the elements inside; raises :class:`ValueError`, also for another ``tag``."""
        if tag is not None and self.tag != tag:
            raise ValueError(f"tag {self.tag:#x} where {tag:#x} is meant")
        return tuple(read_elements(self.content))

    def number(self) -> int:
        """Return a non-negative INTEGER of at most 64 bytes; raises :class:`ValueError`."""
        size = len(self.content)
        if self.tag != INTEGER or not 0 < size <= 64 or self.content[0] & 0x80:
            raise ValueError("not a number")
        if size > 1 and self.content[0] == 0 and not self.content[1] & 0x80:
            raise ValueError("a number with a leading zero")
        return int.from_bytes(self.content, "big")


def read_elements(data: bytes) -> Iterator[Element]:
    """Read elements that follow one another; raises :class:`ValueError` for anything else."""
    at = 0
    while at < len(data):
        if len(data) - at < 2:
            raise ValueError("cut after a tag")
        tag, size = data[at], data[at + 1]
        start = at + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of more than one byte")
        if size & 0x80:
            width = size & 0x7F
            size = int.from_bytes(data[start : start + width], "big")
            start += width
            if not 0 < width <= 8 or size < 128 or size.bit_length() <= 8 * (width - 1):
                raise ValueError("a length that is not as short as it can be")
        if size > len(data) - start:
            raise ValueError("cut inside an element")
        yield Element(tag, data[start : start + size], data[at : start + size])
        at = start + size
