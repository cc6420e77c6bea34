"""The rates of the confusion table, and the extremes over groups that fairlearn names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from auditor.metrics.estimates import Comparison
from auditor.metrics.metric import METRICS, Metric, SampleReader, add_metric
from auditor.metrics.samples import Absent, Census, Proportion, Sample
from auditor.stats import CELLS, CONFUSION

__all__ = ["BINARY_METRICS", "EXTREMES"]

_SELECTED = ("fp", "tp", "unlabelled_predicted_positive")
_PREDICTED = (*_SELECTED, "tn", "fn", "unlabelled_predicted_negative")
_POSITIVE = ("fn", "tp", "positive_unpredicted")
_LABELLED = (*_POSITIVE, "tn", "fp", "negative_unpredicted")
_JUDGED = ("tn", "fp", "fn", "tp")


def _proportion(over: Sequence[str], under: Sequence[str], empty: str) -> SampleReader:
    numerator = [CELLS.index(cell) for cell in over]
    denominator = [CELLS.index(cell) for cell in under]
    # A whole column that is absent is a better reason than an empty denominator.
    needed = [
        ([CELLS.index(cell) for cell in cells], reason)
        for cells, reason in ((_PREDICTED, "no predictions"), (_LABELLED, "no labelled records"))
        if set(under) <= set(cells)
    ]

    def read(row: NDArray[Any], _columns: Sequence[str], _parameter: str | None) -> Sample:
        n = int(row[denominator].sum())
        if n:
            return Proportion(int(row[numerator].sum()), n)
        reasons = [reason for cells, reason in needed if not row[cells].any()]
        return Absent((reasons or [empty])[0] if row.any() else "no records")

    return read


def _count(row: NDArray[Any], _columns: Sequence[str], _parameter: str | None) -> Sample:
    return Census(int(row.sum()), int(row.sum()))


def _rate(
    identifier: str,
    title: str,
    over: Sequence[str],
    under: Sequence[str],
    *,
    formula: str,
    empty: str,
    ideal: float | None = None,
    better: Literal["higher", "lower"] | None = None,
) -> str:
    add_metric(
        Metric(
            identifier, title, CONFUSION, ideal=ideal, better=better, formula=formula,
            read=_proportion(over, under, empty),
            source="fairlearn.metrics; Fawcett (2006), An introduction to ROC analysis",
        )
    )  # fmt: skip
    return identifier


add_metric(
    Metric(
        "count", "Records", CONFUSION, high=None, read=_count, formula="number of records",
        source="counted",
    ),
    compared=False,
)  # fmt: skip

BINARY_METRICS: tuple[str, ...] = (
    "count",
    _rate("base_rate", "Base rate", _POSITIVE, _LABELLED, formula="(TP + FN) / labelled",
          empty="no labelled records"),
    _rate("selection_rate", "Selection rate", _SELECTED, _PREDICTED, better="higher",
          formula="(TP + FP) / predicted", empty="no predictions"),
    _rate("true_positive_rate", "True positive rate", ("tp",), ("tp", "fn"), ideal=1.0,
          better="higher", formula="TP / (TP + FN)", empty="no positives"),
    _rate("false_positive_rate", "False positive rate", ("fp",), ("fp", "tn"), ideal=0.0,
          better="lower", formula="FP / (FP + TN)", empty="no negatives"),
    _rate("true_negative_rate", "True negative rate", ("tn",), ("fp", "tn"), ideal=1.0,
          better="higher", formula="TN / (TN + FP)", empty="no negatives"),
    _rate("false_negative_rate", "False negative rate", ("fn",), ("tp", "fn"), ideal=0.0,
          better="lower", formula="FN / (FN + TP)", empty="no positives"),
    _rate("precision", "Precision", ("tp",), ("tp", "fp"), ideal=1.0, better="higher",
          formula="TP / (TP + FP)", empty="nobody was selected"),
    _rate("accuracy", "Accuracy", ("tp", "tn"), _JUDGED, ideal=1.0, better="higher",
          formula="(TP + TN) / (TP + FP + TN + FN)", empty="no records with label and prediction"),
)  # fmt: skip
"""The metrics of a binary prediction, in the order in which they are shown."""


def _extreme(
    identifier: str, title: str, components: tuple[str, ...], operation: Comparison
) -> str:
    difference = operation == "difference"
    METRICS.add(
        identifier,
        Metric(
            identifier, title, CONFUSION, low=0.0, high=1.0, ideal=0.0 if difference else 1.0,
            better="lower" if difference else "higher", components=components,
            operation=operation, extreme=True,
            formula=("largest difference" if difference else "smallest ratio")
            + " between any two groups"
            + (", over both rates" if len(components) > 1 else ""),
            source="fairlearn.metrics",
        ),
    )  # fmt: skip
    return identifier


_ODDS = ("true_positive_rate", "false_positive_rate")

EXTREMES: tuple[str, ...] = (
    _extreme("demographic_parity_difference", "Demographic parity difference",
             ("selection_rate",), "difference"),
    _extreme("demographic_parity_ratio", "Demographic parity ratio", ("selection_rate",), "ratio"),
    _extreme("equalized_odds_difference", "Equalized odds difference", _ODDS, "difference"),
    _extreme("equalized_odds_ratio", "Equalized odds ratio", _ODDS, "ratio"),
)  # fmt: skip
"""The extremes over all pairs of groups."""
