"""What a kind of personal data is: how it is written, how it is checked, what it stands beside."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["BEFORE", "CONTEXT", "Kind", "Place", "bounded", "phrases", "plain", "words"]

Place = Literal["at", "number", "short-number", "network", "token", "marker"]
"""Around what it is looked for: ``@``, digits, colons and dots, long words, or a literal marker."""

CONTEXT = 48
"""How many bytes before a value are searched for words that say what it is."""

BEFORE = rb"(?<![0-9A-Za-z_.+/\\=#-])"
"""A value of digits does not begin inside a word, a number, a path or a sum."""

_AFTER = rb"(?![0-9A-Za-z_])(?![.,/-][0-9])"
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
# Words of any script; a capital after a small letter begins one (`taxId`).
_WORDS = re.compile(r"[^\W\d_a-z]*[^\W\d_A-Z]+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of personal data.

    Parameters
    ----------
    id, title:
        Its stable kebab-case name, and what people call it.
    category:
        What it counts as in the summary (``national-id``, ``secret``).
    place:
        Around which candidates it is looked for.
    written:
        How it is written: a regular expression over bytes. The part that is the value is group 1,
        or all of it. A match is of bounded length, so that a search is linear in the text.
    valid:
        Whether text written like it is one: check digits, dates, known prefixes.
    context:
        Phrases without their spaces, one of which must stand before the value or in the name of its
        column, or ``None``.
        Digits that only a check digit of 1 in 10 distinguishes from any other number need them.
    normal:
        How a value is written for its digest, so that one value written two ways is the same.
    fits:
        Whether a value fits the text before it in the same record, where that matters.
    source:
        Where its rules are published.
    """

    id: str
    title: str
    category: str
    place: Place
    written: bytes
    valid: Callable[[str], bool]
    source: str
    context: frozenset[str] | None = None
    normal: Callable[[str], str] = lambda value: value
    fits: Callable[[str, str], bool] | None = None

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """The compiled pattern; compiled when it is first asked for, since most runs never do."""
        return _compiled(self.written)


@cache
def _compiled(written: bytes) -> re.Pattern[bytes]:
    return re.compile(written)


def bounded(pattern: bytes) -> bytes:
    """Write a pattern for a value that is not part of a longer word or number."""
    return BEFORE + rb"(?:" + pattern + rb")" + _AFTER


def phrases(text: str | bytes) -> list[str]:
    """Return the words of a text, and two and three of them together, by where they end.

    >>> phrases("taxID of")
    ['tax', 'id', 'taxid', 'of', 'idof', 'taxidof']
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    said = [word.lower() for word in _WORDS.findall(text)]
    return [
        "".join(said[first : last + 1])
        for last in range(len(said))
        for first in range(last, max(last - 3, -1), -1)
    ]


def words(*said: str) -> frozenset[str]:
    """Write phrases as :func:`phrases` gives them.

    >>> sorted(words("tax id", "NIF"))
    ['nif', 'taxid']
    """
    return frozenset("".join(_WORDS.findall(one)).lower() for one in said)


def plain(value: str) -> str:
    """Return letters and digits alone, in capitals.

    >>> plain("de89 3704-0044")
    'DE8937040044'
    """
    return _SEPARATORS.sub("", value).upper()
