"""Texts that are contained in others: the share of their n-grams that occur there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.ngrams import windows
from auditor.provenance.tokens import Tokens, concatenated, distinct

__all__ = ["SHORTEST", "containment"]

SHORTEST = 8
"""A text of fewer tokens is not looked for: by chance alone it is found anywhere."""

_LEAST_TABLE = 1 << 16


def containment(
    parts: Mapping[str, Iterable[Tokens]],
    source: Iterable[Tokens],
    *,
    ngram: int = 13,
    shortest: int = SHORTEST,
) -> dict[str, NDArray[np.float64]]:
    """Return the share of each document's n-grams that occur anywhere in the source.

    Shape ``[documents]`` for each part; NaN for a document of fewer than ``shortest`` tokens. One
    of fewer than ``ngram`` tokens is looked for as the one n-gram that it is. As the tokens know no
    line breaks, white space or punctuation, re-wrapped text is found. N-grams of 13 tokens and the
    8 below which nothing is looked for are those of GPT-3 (Brown et al. 2020, appendix C). What
    has other words, a paraphrase or a translation, is not found.

    Only the n-grams of the parts are held, about 40 bytes each, and a table of bits; the source
    streams. An n-gram is taken for another one with probability 2⁻⁶⁴: with m n-grams looked for
    among n, at most m · n · 2⁻⁶⁴ are expected to be found by chance.
    """
    shortest = min(shortest, ngram)
    held = {
        name: concatenated([Tokens(np.zeros(0, np.uint64), np.zeros(1, np.int64)), *part])
        for name, part in parts.items()
    }
    sizes = {
        name: np.where(t.lengths >= shortest, np.minimum(t.lengths, ngram), 0)
        for name, t in held.items()
    }
    used = sorted({int(s) for own in sizes.values() for s in np.flatnonzero(np.bincount(own)) if s})
    looked_for: dict[str, tuple[NDArray[np.int64], NDArray[np.uint64]]] = {
        name: _looked_for(held[name], sizes[name], used) for name in held
    }
    wanted = distinct(
        np.concatenate([np.zeros(0, np.uint64), *(hashes for _, hashes in looked_for.values())])
    )
    found = _found(wanted, source, used)
    out: dict[str, NDArray[np.float64]] = {}
    for name, (owners, hashes) in looked_for.items():
        hits = found[np.searchsorted(wanted, hashes)] if wanted.size else np.zeros(0, bool)
        count = np.bincount(owners, minlength=held[name].documents)
        hit = np.bincount(owners[hits], minlength=held[name].documents)
        out[name] = np.where(count > 0, hit / np.maximum(count, 1), np.nan)
    return out


def _looked_for(
    tokens: Tokens, sizes: NDArray[np.int64], used: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the n-grams of all documents, each document by its own size, and whose they are."""
    of_token = np.repeat(np.arange(tokens.documents), tokens.lengths)
    owners: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    hashes: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for size, begin, made in windows(tokens, used):
        own = sizes[of_token[begin]] == size
        owners.append(of_token[begin[own]])
        hashes.append(made[own])
    return np.concatenate(owners), np.concatenate(hashes)


def _found(
    wanted: NDArray[np.uint64], source: Iterable[Tokens], used: list[int]
) -> NDArray[np.bool_]:
    """Mark those that occur; a table of bits tells almost all others from them at once."""
    found = np.zeros(wanted.size, bool)
    if not wanted.size:
        return found
    size = max(_LEAST_TABLE, 1 << (8 * wanted.size - 1).bit_length())
    low = np.uint64(size - 1)
    table = np.zeros(size, bool)
    table[wanted & low] = True
    for tokens in source:
        for _, _, hashes in windows(tokens, used):
            likely = hashes[table[hashes & low]]
            place = np.minimum(np.searchsorted(wanted, likely), wanted.size - 1)
            found[place[wanted[place] == likely]] = True
    return found
