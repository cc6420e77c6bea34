"""The head of a ledger as a signed note: who says that the ledger has this size and this root.

The text is a C2SP tlog-checkpoint in a C2SP signed note::

    auditor/run/credit-7
    42
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — me Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+…

The signature covers the three lines with their newlines. A head without a signature ends with the
blank line. Reading is strict: one head has one spelling, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import field_validator

from auditor.errors import InputError
from auditor.evidence import Value
from auditor.ledger.encoding import decode_base64, encode_base64
from auditor.ledger.keys import SigningKey
from auditor.ledger.verifying import VerifyingKey, is_key_name

__all__ = ["Head", "Signature", "format_head", "parse_head", "verify_head"]

_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_DASH = "\N{EM DASH}"
_MOST_SIGNATURES = 100


class Head(Value):
    """A tree head: the log's name, its number of entries, and the 32 bytes of its Merkle root."""

    origin: str
    size: int
    root: bytes

    @field_validator("origin")
    @classmethod
    def _one_printable_line(cls, origin: str) -> str:
        if not origin or not origin.isprintable():
            raise ValueError("an origin is one line of printable characters")
        return origin

    @field_validator("size")
    @classmethod
    def _not_negative(cls, size: int) -> int:
        if size < 0 or not _SIZE.fullmatch(str(size)):
            raise ValueError("a size is a number of entries")
        return size

    @field_validator("root")
    @classmethod
    def _sha256_long(cls, root: bytes) -> bytes:
        if len(root) != 32:
            raise ValueError("a root has 32 bytes")
        return root

    @property
    def text(self) -> bytes:
        """The bytes that a signature covers."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n".encode()


class Signature(Value):
    """A signature line, verified or not; ``key_id`` is 4 bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> bytes:
        """The line in a note, with its newline."""
        return f"{_DASH} {self.name} {encode_base64(self.key_id + self.signature)}\n".encode()

    def is_by(self, key: VerifyingKey) -> bool:
        """Whether the line names ``key``; says nothing about the signature itself."""
        return (self.name, self.key_id) == (key.name, key.key_id)


def format_head(head: Head, key: SigningKey | None) -> bytes:
    """Return the bytes of a head, signed by ``key``, or without a signature line.

    >>> format_head(Head(origin="auditor/run/x", size=0, root=bytes(32)), None).splitlines()[:2]
    [b'auditor/run/x', b'0']
    """
    if key is None:
        return _format(head, ())
    public = key.verifying_key
    signature = Signature(name=public.name, key_id=public.key_id, signature=key.sign(head.text))
    return _format(head, (signature,))


def parse_head(data: bytes, *, where: str = "head") -> tuple[Head, tuple[Signature, ...]]:
    """Read a head and its signature lines, none of which is verified by this.

    Raises :class:`InputError` for anything that :func:`format_head` would not have written: other
    base64 of the same bytes, spaces, carriage returns, leading zeros, further lines.
    """
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise InputError("the head is not UTF-8", where=where) from None
    if any(ord(character) < 32 and character != "\n" for character in note):
        raise InputError("the head holds a control character", where=where)
    text, blank, signed = note.rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3:
        raise InputError(
            "the head does not have three lines and a blank one",
            where=where,
            valid="origin, size, root",
        )
    origin, size, root = lines
    if not _SIZE.fullmatch(size):
        raise InputError(f"the size {size!r} is not a plain number", where=where)
    head = Head.from_json(
        {
            "origin": origin,
            "size": int(size),
            "root": decode_base64(root, what="the root", where=where),
        },
        where=where,
    )
    signatures = _parse_signatures(signed, where=where)
    if _format(head, signatures) != data:
        raise InputError("the head is not in canonical form", where=where)
    return head, signatures


def verify_head(data: bytes, key: VerifyingKey, *, where: str = "head") -> Head:
    """Return the head where ``key`` signed it; raises :class:`InputError` otherwise.

    As the specification asks, lines by other keys are ignored, and one wrong line by this key is
    enough to refuse.
    """
    head, signatures = parse_head(data, where=where)
    own = [signature for signature in signatures if signature.is_by(key)]
    if not own:
        raise InputError(f"the head is not signed by {key}", where=where)
    if not all(key.verify(signature.signature, head.text) for signature in own):
        raise InputError(f"the signature by {key.name} does not verify", where=where)
    return head


def _parse_signatures(text: str, *, where: str) -> tuple[Signature, ...]:
    if not text:
        return ()
    lines = text.split("\n")
    if lines.pop() != "":
        raise InputError("the last signature line has no newline", where=where)
    if len(lines) > _MOST_SIGNATURES:
        raise InputError(f"more than {_MOST_SIGNATURES} signature lines", where=where)
    return tuple(_parse_signature(line, where=where) for line in lines)


def _parse_signature(line: str, *, where: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or not is_key_name(parts[1]):
        raise InputError(
            f"not a signature line: {line[:40]!r}",
            where=where,
            valid=f"{_DASH} <name> <base64>",
        )
    data = decode_base64(parts[2], what="the signature", where=where)
    if len(data) < 5:
        raise InputError("the signature is too short", where=where)
    return Signature(name=parts[1], key_id=data[:4], signature=data[4:])


def _format(head: Head, signatures: Iterable[Signature]) -> bytes:
    return head.text + b"\n" + b"".join(signature.line for signature in signatures)
