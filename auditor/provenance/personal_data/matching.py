"""The exact half of the search: patterns tried on candidates, and check digits computed."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.provenance.personal_data.candidates import Windows, candidates
from auditor.provenance.personal_data.kind import CONTEXT, Kind, phrases
from auditor.provenance.personal_data.kinds import KIND_IDS, KINDS

__all__ = ["Match", "Search", "matches"]

# Anything that a kind which needs context may be; what it is, is asked only where words say so.
_DIGITS = re.compile(rb"(?<![0-9A-Za-z_.+#])\(?[0-9](?:[ ().\-/]{0,2}[0-9]){6,13}")
_KIND = [KIND_IDS.index(kind.id) for kind in KINDS]
_CARD = next(rank for rank, kind in enumerate(KINDS) if kind.id == "payment-card")

# (order of preference, rank of the kind, start, end, value); and how near its word of context is.
_Candidate = tuple[int, int, int, int, str]
_Near = tuple[int, int, int, int, int, str]

_LETTER = re.compile(rb"[A-Za-z\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Match:
    """Something found: where in the text, which kind, and the value written plainly."""

    start: int
    end: int
    kind: int
    value: str


@dataclass(frozen=True, slots=True)
class Search:
    """Which kinds are looked for, and what the name of the column says.

    ``alone`` are the kinds that need no context, ``beside`` those that do, each with its rank.
    """

    alone: tuple[tuple[int, Kind], ...]
    beside: tuple[tuple[int, Kind], ...]
    vocabulary: frozenset[str]
    column: frozenset[str]

    @classmethod
    def of(cls, kinds: Sequence[str], *, column: str = "") -> Search:
        """Prepare the search for some kinds in a column."""
        chosen = [(rank, kind) for rank, kind in enumerate(KINDS) if kind.id in kinds]
        beside = tuple(pair for pair in chosen if pair[1].context is not None)
        said = [kind.context or frozenset[str]() for _, kind in beside]
        return cls(
            tuple(pair for pair in chosen if pair[1].context is None),
            beside,
            frozenset[str]().union(*said),
            frozenset(phrases(column)),
        )

    @property
    def named(self) -> bool:
        """Whether the name of the column is a word of context."""
        return not self.column.isdisjoint(self.vocabulary)


def matches(text: bytes, search: Search) -> list[Match]:
    """Return what is found, in order; where two overlap, the preferred kind remains.

    Records are separated by NUL, which no match spans.
    """
    found: list[_Candidate] = []
    for place, windows in candidates(text).items():
        for rank, kind in search.alone:
            if kind.place == place:
                found += _alone(text, windows, rank, kind)
        if place == "short-number" and search.beside:
            found += _beside(text, windows, search)
    return _preferred(found)


def _alone(text: bytes, windows: Windows, rank: int, kind: Kind) -> Iterator[_Candidate]:
    group = kind.pattern.groups
    for match in kind.pattern.finditer(windows.text):
        value = match.group(group).decode("ascii", "replace")
        if not kind.valid(value):
            continue
        at = windows.position(match.start(group))
        if kind.fits and not kind.fits(value, _before(text, at).decode("utf-8", "replace")):
            continue
        yield rank, rank, at, at + len(value), kind.normal(value)


def _beside(text: bytes, windows: Windows, search: Search) -> Iterator[_Candidate]:
    named = search.named
    if not named and not _LETTER.search(text):
        return
    for match in _DIGITS.finditer(windows.text):
        at = windows.position(match.start())
        before = _before(text, at)
        if not named and not _LETTER.search(before):
            continue
        said = {phrase: place for place, phrase in enumerate(phrases(before))}
        if search.vocabulary.isdisjoint(said) and not named:
            continue
        found = list(_said(text, at, search, said))
        if found:
            # Of two words the nearer one says what it is; the column's name speaks from afar.
            nearest = max(near for near, *_ in found)
            yield from (match[1:] for match in found if match[0] == nearest)


def _said(text: bytes, at: int, search: Search, said: Mapping[str, int]) -> Iterator[_Near]:
    for rank, kind in search.beside:
        words = kind.context or frozenset[str]()
        near = max((said[word] for word in words if word in said), default=-1)
        if near < 0 and words.isdisjoint(search.column):
            continue
        inside = kind.pattern.match(text, at)
        if inside is not None:
            value = inside.group().decode("ascii", "replace")
            if kind.valid(value):
                # A word beside a number says more than its shape; but a card remains a card.
                order = _CARD if kind.category == "national-id" else rank
                yield near, order, rank, at, at + len(value), kind.normal(value)


def _before(text: bytes, at: int) -> bytes:
    """Return what stands before a place in the same record."""
    return text[max(0, at - CONTEXT) : at].rpartition(b"\0")[2]


def _preferred(found: list[_Candidate]) -> list[Match]:
    """Keep of matches that overlap the one of the preferred kind, and of that the longest."""
    kept: list[Match] = []
    together: list[_Candidate] = []
    reached = 0
    for match in sorted(found, key=lambda m: m[2]):
        if together and match[2] >= reached:
            kept += _without_overlap(together)
            together = []
        together.append(match)
        reached = max(reached, match[3])
    return kept + _without_overlap(together)


def _without_overlap(together: list[_Candidate]) -> list[Match]:
    starts: list[int] = []
    kept: list[Match] = []
    for _, rank, start, end, value in sorted(together, key=lambda m: (m[0], m[2] - m[3], m[2])):
        place = bisect_left(starts, start)
        if place and kept[place - 1].end > start:
            continue
        if place < len(starts) and starts[place] < end:
            continue
        starts.insert(place, start)
        kept.insert(place, Match(start, end, _KIND[rank], value))
    return kept
