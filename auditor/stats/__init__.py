"""Mergeable sufficient statistics: ``zero``, ``merge``, and a JSON form without people in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.errors import InputError
from auditor.stats.confusion import CELLS, CONFUSION, confusion_counts, confusion_zero
from auditor.stats.groups import Attribute, Family, Groups, as_label
from auditor.stats.scores import MOST_DISTINCT, SCORES, ScoreCounts, ScoreGrid, score_counts
from auditor.stats.table import SliceTable

__all__ = [
    "CELLS",
    "CONFUSION",
    "MOST_DISTINCT",
    "SCORES",
    "Attribute",
    "Family",
    "Groups",
    "ScoreCounts",
    "ScoreGrid",
    "SliceTable",
    "Statistic",
    "as_label",
    "confusion_counts",
    "confusion_zero",
    "read_statistic",
    "score_counts",
]

Statistic = SliceTable | ScoreCounts


def read_statistic(document: Any, *, where: str) -> Statistic:
    """Read any statistic from its JSON form; raises :class:`InputError`."""
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        raise InputError("not a statistic", where=where)
    kind = document["kind"]
    if kind == CONFUSION and document.get("columns") != list(CELLS):
        raise InputError("confusion counts with other cells", where=where, valid=", ".join(CELLS))
    reader = ScoreCounts if kind == SCORES else SliceTable
    try:
        return reader.from_json(document, where=where)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"a statistic that cannot be read ({error!r})", where=where) from None
