"""Near duplicates: documents whose sets of tokens or shingles are almost the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.provenance.banding import Bands
from auditor.provenance.jaccard import as_sets, jaccard
from auditor.provenance.ngrams import shingles
from auditor.provenance.signatures import candidate_pairs, sharing_a_band
from auditor.provenance.tokens import Tokens, concatenated

__all__ = ["NearDuplicates", "mark", "near_duplicates"]

_NOBODY = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """What near duplicates were found in one part (a split, a benchmark).

    Parameters
    ----------
    repeated:
        Whether a document is near an earlier one of its part, shape ``[documents]``.
    in_source:
        Whether it is near one of the source; for the source itself, the same as ``repeated``.
    empty:
        Whether it has no token at all; such a document is near nothing.
    uncompared:
        How many candidate pairs, of all parts together, were too many to be compared.
    """

    repeated: NDArray[np.bool_]
    in_source: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    uncompared: int = 0


def near_duplicates(
    parts: Mapping[str, Iterable[Tokens]],
    *,
    similarity: float,
    shingle: int = 2,
    source: str = "train",
) -> dict[str, NearDuplicates]:
    """Find the documents whose Jaccard similarity to another is at least ``similarity``.

    Documents with the same tokens in the same order are one; the distinct ones are signed by
    MinHash (Broder 1997) and compared where they share a band, by the Jaccard similarity of their
    sets of runs of ``shingle`` tokens itself: none is reported that is not as similar. What is
    missed is said by :meth:`Bands.missed`. Meaning is not looked at: a paraphrase or a translation
    with other words is no near duplicate.

    Memory: 8 bytes a shingle of the distinct documents, and about 300 bytes a document.
    """
    names = list(parts)
    keys: dict[str, NDArray[np.uint64]] = {}
    empty: dict[str, NDArray[np.bool_]] = {}
    distinct: list[Tokens] = []
    order: list[NDArray[np.uint64]] = []
    seen = np.zeros(0, np.uint64)
    for name in names:
        of_part: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        empties: list[NDArray[np.bool_]] = [np.zeros(0, bool)]
        for tokens in parts[name]:
            found = tokens.keys()
            of_part.append(found)
            empties.append(tokens.lengths == 0)
            first = np.zeros(found.size, bool)
            first[np.unique(found, return_index=True)[1]] = True
            first &= ~empties[-1] & ~_within(found, seen)
            seen = np.sort(np.concatenate([seen, found[first]]))
            order.append(found[first])
            distinct.append(shingles(tokens.chosen(first), shingle))
        keys[name], empty[name] = np.concatenate(of_part), np.concatenate(empties)
    classes = np.concatenate([np.zeros(0, np.uint64), *order])
    number = np.argsort(classes)
    first, second, uncompared = _similar(concatenated(distinct), similarity)
    ranked = {
        name: np.where(empty[name], -1, number[np.searchsorted(seen, keys[name])])
        if seen.size else np.full(keys[name].size, -1)
        for name in names
    }  # fmt: skip
    return mark(ranked, empty, (first, second), classes.size, source, uncompared)


def mark(
    ranked: Mapping[str, NDArray[np.int64]],
    empty: Mapping[str, NDArray[np.bool_]],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    classes: int,
    source: str,
    uncompared: int,
) -> dict[str, NearDuplicates]:
    """Mark documents by the pairs of their classes, so that no pair of documents is ever listed.

    ``ranked`` has the class of each document, -1 for none.
    """
    first, second = pairs
    earliest: dict[str, NDArray[np.int64]] = {}
    for name, own in ranked.items():
        alone = np.full(classes, _NOBODY)
        known = np.flatnonzero(own >= 0)
        alone[own[known[::-1]]] = known[::-1]
        near = alone.copy()
        np.minimum.at(near, first, alone[second])
        np.minimum.at(near, second, alone[first])
        earliest[name] = near
    out: dict[str, NearDuplicates] = {}
    for name, own in ranked.items():
        known = own >= 0
        repeated, shared = np.zeros(own.size, bool), np.zeros(own.size, bool)
        repeated[known] = earliest[name][own[known]] < np.flatnonzero(known)
        if name == source:
            shared = repeated
        elif source in earliest:
            shared[known] = earliest[source][own[known]] < _NOBODY
        out[name] = NearDuplicates(repeated, shared, empty[name], uncompared)
    return out


def _similar(
    documents: Tokens, similarity: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the pairs of documents that are as similar, and how many could not be compared."""
    bands = Bands.of(similarity)
    flagged = sharing_a_band(documents, bands)
    place = np.flatnonzero(flagged)
    some = documents.chosen(flagged)
    first, second, left_out = candidate_pairs(some, bands)
    near = jaccard(as_sets(some), first, second, least=similarity) >= similarity
    return place[first[near]], place[second[near]], left_out


def _within(values: NDArray[np.uint64], ordered: NDArray[np.uint64]) -> NDArray[np.bool_]:
    if not ordered.size:
        return np.zeros(values.size, bool)
    places = np.minimum(np.searchsorted(ordered, values), ordered.size - 1)
    return ordered[places] == values
