"""How often the annotators of a record differ: by record, and by pair of annotators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable

__all__ = ["DISAGREEMENT", "DISAGREEMENT_COLUMNS", "disagreement_zero"]

DISAGREEMENT = "disagreement-sums"

DISAGREEMENT_COLUMNS = ("records", "judged", "split", "sum:pairs", "squares:pairs")
"""Records; those with two or more labels; those of them whose labels are not all equal; and the
sum and the sum of squares over them of the share of pairs of labels that differ."""


def disagreement_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty sums over the declared groups."""
    return SliceTable.zero(DISAGREEMENT, groups, DISAGREEMENT_COLUMNS, sums=True, context=context)
