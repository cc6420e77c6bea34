"""The measures of the confusion table, and the extremes over groups that fairlearn names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.cells import Cells, delta, from_cells, positions, share
from auditor.metrics.estimates import Comparison
from auditor.metrics.metric import METRICS, Metric, add_metric
from auditor.metrics.multiclass import balanced_accuracy
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Average, Census, Proportion, Sample, Transformed
from auditor.stats import CLASSES, CONFUSION, WEIGHTED
from auditor.stats.ranks import RANKS
from auditor.stats.regression import REGRESSION

__all__ = ["BINARY_METRICS", "EXTREMES"]

_SELECTED = ("fp", "tp", "unlabelled_predicted_positive")
_REJECTED = ("tn", "fn", "unlabelled_predicted_negative")
_PREDICTED = (*_SELECTED, *_REJECTED)
_POSITIVE = ("fn", "tp", "positive_unpredicted")
_NEGATIVE = ("tn", "fp", "negative_unpredicted")
_LABELLED = (*_POSITIVE, *_NEGATIVE)
_JUDGED = ("tn", "fp", "fn", "tp")
_SOURCE = "fairlearn.metrics; Fawcett (2006), An introduction to ROC analysis"
_PREDICTED_AT, _LABELLED_AT = positions(_PREDICTED), positions(_LABELLED)


def _why_empty(cells: Cells, under: Sequence[int], empty: str) -> Absent:
    """Say why a denominator is empty; a whole column that is absent is the better reason."""
    if not cells.records.any():
        return Absent("no records")
    if set(under) <= set(_PREDICTED_AT) and not cells.records[_PREDICTED_AT].any():
        return Absent("no predictions")
    if set(under) <= set(_LABELLED_AT) and not cells.records[_LABELLED_AT].any():
        return Absent("no labelled records")
    return Absent(empty)


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
    above, below = positions(over), positions(under)

    def read(cells: Cells) -> Sample:
        return share(cells, above, below) or _why_empty(cells, below, empty)

    add_metric(
        Metric(
            identifier, title, ideal=ideal, better=better, formula=formula,
            readers=from_cells(read), source=_SOURCE,
        )
    )  # fmt: skip
    return identifier


def _count(row: Row) -> Sample:
    records = int(np.ceil(row.column("records") if "records" in row.columns else row.values.sum()))
    return Census(records, records)


add_metric(
    Metric(
        "count", "Records", high=None,
        readers=dict.fromkeys((CONFUSION, WEIGHTED, CLASSES, REGRESSION, RANKS), _count),
        formula="number of records", source="counted",
    ),
    compared=False,
)  # fmt: skip

_RATES: tuple[str, ...] = (
    _rate("base_rate", "Base rate", _POSITIVE, _LABELLED, formula="(TP + FN) / labelled",
          empty="no labelled records"),
    _rate("selection_rate", "Selection rate", _SELECTED, _PREDICTED, better="higher",
          formula="(TP + FP) / predicted", empty="no predictions"),
    _rate("rejection_rate", "Rejection rate", _REJECTED, _PREDICTED, better="lower",
          formula="(TN + FN) / predicted = 1 − selection rate", empty="no predictions"),
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
    _rate("false_discovery_rate", "False discovery rate", ("fp",), ("tp", "fp"), ideal=0.0,
          better="lower", formula="FP / (TP + FP) = 1 − precision", empty="nobody was selected"),
    _rate("negative_predictive_value", "Negative predictive value", ("tn",), ("tn", "fn"),
          ideal=1.0, better="higher", formula="TN / (TN + FN)", empty="nobody was rejected"),
    _rate("false_omission_rate", "False omission rate", ("fn",), ("tn", "fn"), ideal=0.0,
          better="lower", formula="FN / (TN + FN)", empty="nobody was rejected"),
)  # fmt: skip


def _accuracy(right: bool) -> dict[str, Any]:
    over, under = positions(("tp", "tn") if right else ("fp", "fn")), positions(_JUDGED)
    empty = "no records with label and prediction"

    def read(cells: Cells) -> Sample:
        return share(cells, over, under) or _why_empty(cells, under, empty)

    def of_classes(row: Row) -> Sample:
        size = len(row.context["classes"])
        judged = np.asarray(row.values).reshape(size + 1, size + 1)[:size, :size]
        n, hits = int(judged.sum()), int(np.trace(judged))
        if not n:
            return Absent(empty if np.any(row.values) else "no records")
        return Proportion(hits if right else n - hits, n)

    return {**from_cells(read, classes=False), CLASSES: of_classes}


add_metric(
    Metric("accuracy", "Accuracy", ideal=1.0, better="higher", readers=_accuracy(True),
           formula="(TP + TN) / (TP + FP + TN + FN); of classes, the share predicted rightly",
           source=_SOURCE)
)  # fmt: skip
add_metric(
    Metric("error_rate", "Error rate", ideal=0.0, better="lower", readers=_accuracy(False),
           formula="1 − accuracy", source=_SOURCE)
)  # fmt: skip


def _balanced_accuracy(cells: Cells) -> Sample:
    parts = [share(cells, [tp], [tp, miss]) for tp, miss in (positions(("tp", "fn")),
                                                             positions(("tn", "fp")))]  # fmt: skip
    if parts[0] is None:
        return _why_empty(cells, positions(("tp", "fn")), "no positives")
    if parts[1] is None:
        return _why_empty(cells, positions(("tn", "fp")), "no negatives")
    n = cells.records[positions(_JUDGED)].sum()
    if cells.design == "clustered":  # the two rates share clusters, so that they vary together
        tn, fp, fn, tp = positions(_JUDGED)

        def function(m: NDArray[Any]) -> Any:
            return (m[tp] / (m[tp] + m[fn]) + m[tn] / (m[tn] + m[fp])) / 2

        return delta(cells, function, low=0.0, high=1.0, n=float(n))
    return Average((parts[0], parts[1]), (0.5, 0.5), float(n), "balanced")


add_metric(
    Metric(
        "balanced_accuracy", "Balanced accuracy", ideal=1.0, better="higher",
        readers={**from_cells(_balanced_accuracy, classes=False), CLASSES: balanced_accuracy},
        formula="(TPR + TNR) / 2; of classes, the mean recall of those that occur",
        source="Brodersen et al. (2010), The balanced accuracy and its posterior distribution",
    )
)  # fmt: skip


def _f1(cells: Cells) -> Sample:
    under = positions(("tp", "fp", "fn"))
    jaccard = share(cells, positions(("tp",)), under)
    if jaccard is None:
        return _why_empty(cells, positions(_JUDGED), "no positives, and nobody was selected")
    return Transformed(jaccard, _f1_of_jaccard, "f1")


def _f1_of_jaccard(j: float) -> float:
    return 2 * j / (1 + j)


add_metric(
    Metric(
        "f1_score", "F1 score", ideal=1.0, better="higher", readers=from_cells(_f1),
        formula="2 TP / (2 TP + FP + FN) = 2 J / (1 + J), J = TP / (TP + FP + FN)",
        source="van Rijsbergen (1979); the interval is Wilson's of J, carried over",
    )
)  # fmt: skip


def _mcc(cells: Cells) -> Sample:
    tn, fp, fn, tp = positions(_JUDGED)
    n = float(cells.records[[tn, fp, fn, tp]].sum())
    t = cells.totals
    if not n:
        return _why_empty(cells, positions(_JUDGED), "no records with label and prediction")
    for side, what in (
        ((tp, fn), "no positives"), ((tn, fp), "no negatives"),
        ((tp, fp), "nobody was selected"), ((tn, fn), "nobody was rejected"),
    ):  # fmt: skip
        if not t[list(side)].sum() > 0:
            return Absent(what)

    def function(m: NDArray[Any]) -> Any:
        root = np.sqrt(
            (m[tp] + m[fp]) * (m[tp] + m[fn]) * (m[tn] + m[fp]) * (m[tn] + m[fn])
        )  # fmt: skip
        return (m[tp] * m[tn] - m[fp] * m[fn]) / root

    return delta(cells, function, low=-1.0, high=1.0, n=n)


add_metric(
    Metric(
        "matthews_corrcoef", "Matthews correlation", low=-1.0, ideal=1.0, better="higher",
        readers=from_cells(_mcc),
        formula="(TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN))",
        source="Matthews (1975); variance by the delta method over the cells",
    )
)  # fmt: skip


def _treatment(cells: Cells) -> Sample:
    found = share(cells, positions(("fn",)), positions(("fn", "fp")))
    if found is None:
        return _why_empty(cells, positions(_JUDGED), "no errors of either kind")
    if found.value >= 1:
        return Absent("no false positives, so the ratio of the two errors is undefined")
    return Transformed(found, _odds, "odds")


def _odds(p: float) -> float:
    return p / (1 - p) if p < 1 else math.inf


add_metric(
    Metric(
        "treatment_ratio", "Ratio of false negatives to false positives", high=None,
        readers=from_cells(_treatment), formula="FN / FP",
        source="Berk et al. (2021), Fairness in criminal justice risk assessments: treatment "
        "equality",
    )
)  # fmt: skip

BINARY_METRICS: tuple[str, ...] = (
    "count", *_RATES, "accuracy", "error_rate", "balanced_accuracy", "f1_score",
    "matthews_corrcoef", "treatment_ratio",
)  # fmt: skip
"""The metrics of a binary prediction, in the order in which they are shown."""


def _extreme(
    identifier: str, title: str, components: tuple[str, ...], operation: Comparison,
    high: float | None = 1.0, source: str = "fairlearn.metrics",
) -> str:  # fmt: skip
    difference = operation == "difference"
    METRICS.add(
        identifier,
        Metric(
            identifier, title, low=0.0, high=high, ideal=0.0 if difference else 1.0,
            better="lower" if difference else "higher", components=components,
            operation=operation, extreme=True,
            formula=("largest difference" if difference else "smallest ratio")
            + " between any two groups"
            + (", over both rates" if len(components) > 1 else ""),
            source=source,
        ),
    )  # fmt: skip
    return identifier


_ODDS = ("true_positive_rate", "false_positive_rate")
_BERK = "Berk et al. (2021)"
_CHOULDECHOVA = "Chouldechova (2017), Fair prediction with disparate impact"

EXTREMES: tuple[str, ...] = (
    _extreme("demographic_parity_difference", "Demographic parity difference",
             ("selection_rate",), "difference"),
    _extreme("demographic_parity_ratio", "Demographic parity ratio", ("selection_rate",), "ratio"),
    _extreme("equalized_odds_difference", "Equalized odds difference", _ODDS, "difference"),
    _extreme("equalized_odds_ratio", "Equalized odds ratio", _ODDS, "ratio"),
    _extreme("equal_opportunity_difference", "Equal opportunity difference",
             ("true_positive_rate",), "difference"),
    _extreme("equal_opportunity_ratio", "Equal opportunity ratio", ("true_positive_rate",),
             "ratio"),
    _extreme("predictive_parity_difference", "Predictive parity difference", ("precision",),
             "difference", source=_CHOULDECHOVA),
    _extreme("predictive_parity_ratio", "Predictive parity ratio", ("precision",), "ratio",
             source=_CHOULDECHOVA),
    _extreme("treatment_equality_difference", "Treatment equality difference",
             ("treatment_ratio",), "difference", high=None, source=_BERK),
)  # fmt: skip
"""The extremes over all pairs of groups."""
