"""Where personal data might be: places in a text found in bulk, before anything is looked at.

Almost all of a text is passed over by a few vector operations on its bytes; the patterns are then
tried on what is left, around an ``@``, digits that stand together, colons and dots that stand
together, and long words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.personal_data.kind import Place

__all__ = ["Windows", "candidates"]

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]

_LONG_WORD = 16
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"


def _members(characters: str) -> NDArray[np.uint8]:
    members = np.zeros(256, np.uint8)
    members[[ord(character) for character in characters]] = 1
    return members


_LOCAL, _WORD, _INSIDE, _CAPITAL = 1, 2, 4, 8
_CLASS = (
    _LOCAL * _members(_LETTERS + _DIGITS + "!#$%&'*+/=?^_`{|}~-")
    + _WORD * _members(_LETTERS + _DIGITS)
    + _INSIDE * _members(_LETTERS + _DIGITS + " .-/()+")
    + _CAPITAL * _members(_LETTERS[26:])
)
_NOT_TOKEN = bytes((1 - _members(_LETTERS + _DIGITS + "_-+/=.~")).tolist())
_DOMAIN = re.compile(rb"@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9.-]{0,254}")
_MARKER = b"-----BEGIN "


@dataclass(frozen=True, slots=True)
class Windows:
    """Parts of a text, joined by NUL, with the way back to their positions."""

    text: bytes
    starts: list[int]
    offsets: list[int]

    def position(self, place: int) -> int:
        """Return where in the whole text a place of the joined parts is."""
        part = bisect_right(self.offsets, place) - 1
        return self.starts[part] + place - self.offsets[part]


def candidates(text: bytes) -> Mapping[Place, Windows]:
    """Return the windows of each place at which kinds are looked for; empty ones are left out."""
    data = np.frombuffer(text, np.uint8)
    found: dict[Place, Windows] = {}
    for place, (starts, ends) in _places(text, data):
        if starts.size:
            found[place] = _windows(text, starts, ends)
    return found


def _places(text: bytes, data: Bytes) -> Iterator[tuple[Place, tuple[Positions, Positions]]]:
    at = np.flatnonzero(data == ord("@"))
    at = at[(at > 0) & (at < data.size - 1)]
    at = at[(_CLASS[data[at - 1]] & _LOCAL > 0) & (_CLASS[data[at + 1]] & _WORD > 0)]
    # The character after a domain belongs to the window, because it may spoil the match.
    domains = (_DOMAIN.match(text, place) for place in at.tolist())
    ends = np.array([0 if domain is None else domain.end() for domain in domains], np.int64)
    yield "at", (at[ends > 0] - 67, ends[ends > 0])
    starts, ends, many = _numbers(data)
    yield "number", (starts[many] - 12, ends[many] + 20)
    yield "short-number", (starts - 8, ends + 4)
    dots = np.flatnonzero(data == ord("."))
    colons = np.flatnonzero((data == ord(":")) | (data == ord("-")))
    dotted = _clusters(dots, least_apart=2, most_apart=4, at_least=3)
    others = _clusters(colons, most_apart=5, at_least=3)
    starts, ends = (np.concatenate(both) for both in zip(dotted, others, strict=True))
    order = np.argsort(starts, kind="stable")
    yield "network", (starts[order] - 9, ends[order] + 9)
    starts, ends = _long_words(text)
    yield "token", (starts - 8, ends + 8)
    yield "marker", _markers(text)


def _numbers(data: Bytes) -> tuple[Positions, Positions, NDArray[np.bool_]]:
    """Return first and last digit of what may be one number, and whether it has 9 digits and more.

    Digits stand together with up to two letters or separators between them. Six of them are of
    interest after a capital letter only, and no digits after a ``#``.
    """
    digits = np.flatnonzero((data - np.uint8(ord("0"))) < 10)
    if digits.size < 6:
        return digits[:0], digits[:0], np.zeros(0, bool)
    apart = np.diff(digits)
    near = apart <= 3
    wide = np.flatnonzero(near & (apart > 1))
    after, before = data[digits[wide] + 1], data[digits[wide + 1] - 1]
    near[wide] = (_CLASS[after] & _CLASS[before] & _INSIDE) > 0
    breaks = np.flatnonzero(~near)
    first = np.concatenate([[0], breaks + 1])
    last = np.concatenate([breaks, [digits.size - 1]])
    kept = last - first >= 5
    first, last = first[kept], last[kept]
    starts, ends = digits[first], digits[last]
    left, further = data[np.maximum(starts - 1, 0)], data[np.maximum(starts - 2, 0)]
    capital = ((_CLASS[left] | _CLASS[further]) & _CAPITAL) > 0
    kept = ((last - first >= 6) | capital) & (left != ord("#"))
    return starts[kept], ends[kept], (last - first >= 8)[kept]


def _clusters(
    positions: Positions, *, most_apart: int, at_least: int, least_apart: int = 1
) -> tuple[Positions, Positions]:
    """Return first and last of the runs of positions that lie so near to each other."""
    if not positions.size:
        return positions, positions
    apart = np.diff(positions)
    breaks = np.flatnonzero((apart > most_apart) | (apart < least_apart))
    first = np.concatenate([[0], breaks + 1])
    last = np.concatenate([breaks, [positions.size - 1]])
    many = last - first + 1 >= at_least
    return positions[first[many]], positions[last[many]]


def _long_words(text: bytes) -> tuple[Positions, Positions]:
    """Return first and last byte of the runs of 16 and more characters that tokens are made of."""
    none = np.empty(0, np.int64)
    if len(text) < _LONG_WORD:
        return none, none
    gap = np.frombuffer(text.translate(_NOT_TOKEN), np.uint8)
    width = 1
    while width < _LONG_WORD:  # whether there is a gap in the 2, 4, 8, 16 bytes from here on
        gap = gap[:-width] | gap[width:]
        width *= 2
    starts, ends = _clusters(np.flatnonzero(gap == 0), most_apart=1, at_least=1)
    return starts, ends + _LONG_WORD - 1


def _markers(text: bytes) -> tuple[Positions, Positions]:
    found: list[int] = []
    place = text.find(_MARKER)
    while place >= 0:
        found.append(place)
        place = text.find(_MARKER, place + 1)
    starts = np.array(found, np.int64)
    return starts, starts + 64


def _windows(text: bytes, starts: Positions, ends: Positions) -> Windows:
    starts, ends = np.maximum(starts, 0), np.minimum(ends + 1, len(text))
    # Windows that touch are one, so that no match is found in two of them.
    reached = np.maximum.accumulate(ends)
    new = np.flatnonzero(np.concatenate([[True], starts[1:] > reached[:-1]]))
    starts, ends = starts[new], reached[np.concatenate([new[1:] - 1, [ends.size - 1]])]
    parts: list[Any] = [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    lengths = ends - starts + 1
    return Windows(b"\0".join(parts), starts.tolist(), (np.cumsum(lengths) - lengths).tolist())
