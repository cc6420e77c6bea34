"""How records were compared, in words that stand in the statistic and in the finding's method."""

from __future__ import annotations

from typing import Any

__all__ = ["containment_method", "near_rows_method", "near_text_method"]


def near_text_method(similarity: float, shingle: int, uncompared: int) -> dict[str, Any]:
    """Describe near duplicates of text; ``missed`` is the probability to miss a pair so similar.

    >>> near_text_method(0.8, 2, 0)["method"]
    'jaccard-0.8-of-2-grams-minhash-16x4-missing-2.2e-04'
    """
    from auditor.provenance.tokens import TOKEN_METHOD

    return _minhash(similarity, shingle, uncompared) | {"normalisation": TOKEN_METHOD}


def near_rows_method(columns: int, similarity: float, uncompared: int) -> dict[str, Any]:
    """Describe near duplicates of rows.

    >>> near_rows_method(15, 0.8, 0)["method"]
    'jaccard-0.8-of-15-columns-1-differing'
    """
    from auditor.provenance.near_rows import differing_columns, rows_are_enumerated

    if not rows_are_enumerated(columns, similarity):
        return _minhash(similarity, 1, uncompared) | {"columns": columns}
    differing = differing_columns(columns, similarity)
    return {
        "method": f"jaccard-{similarity:g}-of-{columns}-columns-{differing}-differing",
        "similarity": similarity, "columns": columns, "differing": differing, "missed": 0.0,
        "uncompared": 0,
    }  # fmt: skip


def containment_method(ngram: int, contained: float) -> dict[str, Any]:
    """Describe contained texts.

    >>> containment_method(13, 0.5)["method"]
    'share-0.5-of-13-grams'
    """
    from auditor.provenance.containment import SHORTEST
    from auditor.provenance.tokens import TOKEN_METHOD

    return {
        "method": f"share-{contained:g}-of-{ngram}-grams",
        "ngram": ngram, "contained": contained, "shortest": min(SHORTEST, ngram),
        "normalisation": TOKEN_METHOD, "collision": 2.0**-64,
    }  # fmt: skip


def _minhash(similarity: float, shingle: int, uncompared: int) -> dict[str, Any]:
    from auditor.provenance.banding import Bands

    bands = Bands.of(similarity)
    missed = bands.missed(similarity)
    method = (
        f"jaccard-{similarity:g}-of-{shingle}-grams-minhash-{bands.bands}x{bands.rows}"
        f"-missing-{missed:.1e}"
    )
    return {
        "method": method + (f"-uncompared-{uncompared}" if uncompared else ""),
        "similarity": similarity, "shingle": shingle, "bands": bands.bands, "rows": bands.rows,
        "missed": missed, "uncompared": uncompared,
    }  # fmt: skip
