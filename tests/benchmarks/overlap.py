"""Near duplicates among short documents, against rensa alone and against datasketch."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pyarrow as pa
from measuring import Row, not_installed, side_by_side

__all__ = ["documents_per_second", "near_against_datasketch", "near_against_rensa"]

_BANDS, _ROWS = 16, 4


def short_documents(count: int, seed: int = 0) -> list[str]:
    """8 to 24 words each; every twentieth is another one with one word changed."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(50_000)])
    drawn = [rng.integers(0, words.size, n) for n in rng.integers(8, 25, count)]
    for place in range(20, count, 20):
        drawn[place] = drawn[place - 7].copy()
        drawn[place][-1] = 7
    return [" ".join(words[document]) for document in drawn]


def ours(texts: pa.Array) -> Any:
    from auditor.provenance.near_duplicates import near_duplicates
    from auditor.provenance.tokens import text_tokens

    parts = (text_tokens(texts[start : start + 65_536]) for start in range(0, len(texts), 65_536))
    return near_duplicates({"train": parts}, similarity=0.8)["train"]


def near_against_rensa(count: int) -> Row:
    """Normalised, compared and verified, against rensa on the split texts, which verifies nothing.

    Both with 64 slots in 16 bands; rensa is given the words, we the texts.
    """
    from rensa import RMinHash, RMinHashLSH

    documents = short_documents(count)
    texts = pa.array(documents)

    def theirs() -> Any:
        matrix = RMinHash.digest_matrix_from_token_sets(
            [document.split() for document in documents], _BANDS * _ROWS, 42
        )
        index = RMinHashLSH(0.8, _BANDS * _ROWS, _BANDS)
        return index.query_duplicate_flags_matrix_one_shot(matrix)

    measured = side_by_side(lambda: ours(texts), theirs, runs=5)
    return {
        "what": f"near duplicates of {count:,} short documents, each pair verified",
        "against": "rensa alone, nothing normalised or verified",
        "bound": ">= 0.7",
        **measured,
    }


def documents_per_second(count: int) -> Row:
    """The same as documents a second of processor time: those of one core, however busy it is."""
    texts = pa.array(short_documents(count))
    ours(texts)
    seconds: list[float] = []
    for _ in range(5):
        start = time.process_time()
        ours(texts)
        seconds.append(time.process_time() - start)
    taken = statistics.median(seconds)
    return {
        "what": f"near duplicates of {count:,} short documents, each pair verified",
        "against": "documents a second of one core",
        "bound": ">= 200000 /s",
        "measured": count / taken,
        "ours_seconds": taken,
        "runs": 5,
    }


def near_against_datasketch(count: int) -> Row:
    """The same against datasketch's MinHash and LSH of as many slots."""
    row: Row = {
        "what": f"near duplicates of {count:,} short documents, each pair verified",
        "against": "datasketch MinHash and LSH",
        "bound": ">= 50",
    }
    if reason := not_installed("datasketch"):
        return {**row, "reason": reason}
    from datasketch import MinHash, MinHashLSH

    documents = short_documents(count)
    texts = pa.array(documents)

    def theirs() -> Any:
        index = MinHashLSH(params=(_BANDS, _ROWS), num_perm=_BANDS * _ROWS)
        found = 0
        for place, document in enumerate(documents):
            signed = MinHash(num_perm=_BANDS * _ROWS)
            signed.update_batch([word.encode() for word in document.split()])
            found += bool(index.query(signed))
            index.insert(place, signed)
        return found

    return {**row, **side_by_side(lambda: ours(texts), theirs, runs=3)}
