"""Mergeable sufficient statistics: ``zero``, ``merge``, and a JSON form without people in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.errors import InputError
from auditor.stats.classes import (
    CLASSES,
    MOST_CLASSES,
    class_columns,
    class_counts,
    class_zero,
)
from auditor.stats.compute import COMPUTE, COMPUTE_COLUMNS, ENERGY_COLUMNS, compute_zero
from auditor.stats.confusion import CELLS, CONFUSION, confusion_counts, confusion_zero
from auditor.stats.groups import Attribute, Family, Groups, as_label
from auditor.stats.ranks import RANKS, rank_sums, rank_zero
from auditor.stats.regression import (
    REGRESSION,
    REGRESSION_COLUMNS,
    regression_sums,
    regression_zero,
    value_counts,
)
from auditor.stats.score_sums import (
    SCORE_SUM_COLUMNS,
    SCORE_SUMS,
    score_sums,
    score_sums_zero,
)
from auditor.stats.scores import (
    HISTOGRAMS,
    MOST_DISTINCT,
    PREDICTIONS,
    RESIDUALS,
    SCORES,
    ScoreCounts,
    ScoreGrid,
    score_counts,
)
from auditor.stats.strata import STRATA, strata_counts, strata_zero
from auditor.stats.table import SliceTable
from auditor.stats.unknown import with_unknown
from auditor.stats.weighted import (
    PRODUCTS,
    WEIGHTED,
    WEIGHTED_COLUMNS,
    weighted_confusion,
    weighted_zero,
)

__all__ = [
    "CELLS",
    "CLASSES",
    "COMPUTE",
    "COMPUTE_COLUMNS",
    "CONFUSION",
    "ENERGY_COLUMNS",
    "HISTOGRAMS",
    "MOST_CLASSES",
    "MOST_DISTINCT",
    "PREDICTIONS",
    "PRODUCTS",
    "RANKS",
    "REGRESSION",
    "REGRESSION_COLUMNS",
    "RESIDUALS",
    "SCORES",
    "SCORE_SUMS",
    "SCORE_SUM_COLUMNS",
    "STRATA",
    "WEIGHTED",
    "WEIGHTED_COLUMNS",
    "Attribute",
    "Family",
    "Groups",
    "ScoreCounts",
    "ScoreGrid",
    "SliceTable",
    "Statistic",
    "as_label",
    "class_counts",
    "class_zero",
    "compute_zero",
    "confusion_counts",
    "confusion_zero",
    "rank_sums",
    "rank_zero",
    "read_statistic",
    "regression_sums",
    "regression_zero",
    "score_counts",
    "score_sums",
    "score_sums_zero",
    "strata_counts",
    "strata_zero",
    "value_counts",
    "weighted_confusion",
    "weighted_zero",
    "with_unknown",
]

Statistic = SliceTable | ScoreCounts


def read_statistic(document: Any, *, where: str) -> Statistic:
    """Read any statistic from its JSON form; raises :class:`InputError`."""
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        raise InputError("not a statistic", where=where)
    kind = document["kind"]
    expected = _expected(kind, document, where)
    if kind == CONFUSION and expected is not None and document.get("type") == "sums":
        expected = (*expected[:2], "sums")  # published counts may hold fractions of persons
    if expected is not None and (document.get("columns"), document.get("type")) != expected[1:]:
        raise InputError(
            expected[0], where=where, valid=", ".join(CELLS) if kind == CONFUSION else None
        )
    reader = ScoreCounts if kind in HISTOGRAMS else SliceTable
    try:
        statistic = reader.from_json(document, where=where)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"a statistic that cannot be read ({error!r})", where=where) from None
    if kind == CONFUSION and isinstance(statistic, SliceTable) and (statistic.values < 0).any():
        raise InputError("a count is negative", where=where)
    return statistic


def _expected(
    kind: str, document: Mapping[str, Any], where: str
) -> tuple[str, list[str], str] | None:
    """Return what is wrong with other columns, the columns, and the type; ``None`` if any do."""
    fixed: dict[str, tuple[str, Sequence[str], str]] = {
        CONFUSION: ("confusion counts with other cells", CELLS, "counts"),
        REGRESSION: ("regression sums with other columns", REGRESSION_COLUMNS, "sums"),
        WEIGHTED: ("weighted counts with other columns", WEIGHTED_COLUMNS, "sums"),
        SCORE_SUMS: ("score sums with other columns", SCORE_SUM_COLUMNS, "sums"),
        COMPUTE: ("compute sums with other columns", COMPUTE_COLUMNS, "sums"),
    }
    if kind == CLASSES:
        context: Any = document.get("context")
        classes: Any = context.get("classes") if isinstance(context, Mapping) else None
        known = isinstance(classes, list) and all(isinstance(c, str) for c in classes)
        if not known or not 1 < len(classes) <= MOST_CLASSES or len(set(classes)) < len(classes):
            raise InputError("class counts without the names of their classes", where=where)
        return "class counts with other columns", list(class_columns(len(classes))), "counts"
    if kind not in fixed:
        return None
    what, columns, kept = fixed[kind]
    return what, list(columns), kept
