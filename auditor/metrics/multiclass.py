"""Measures of several classes together: balanced accuracy, macro, micro and weighted averages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Average, Mean, Proportion, Sample
from auditor.stats import CLASSES

__all__ = ["AVERAGED_METRICS", "balanced_accuracy", "confusion_matrix"]

Array = NDArray[np.float64]
Weighting = Literal["macro", "micro", "weighted"]


def confusion_matrix(row: Row) -> NDArray[Any]:
    """Return the counts of records with both labels, shape ``[classes, classes]``, true first."""
    size = len(row.context["classes"])
    return np.asarray(row.values).reshape(size + 1, size + 1)[:size, :size]


def balanced_accuracy(row: Row) -> Sample:
    """Return the mean recall over the classes that occur in the slice."""
    matrix = confusion_matrix(row)
    parts = [Proportion(int(m), int(n)) for m, n in zip(np.diag(matrix), matrix.sum(axis=1),
                                                        strict=True) if n]  # fmt: skip
    return _averaged(parts, matrix, "balanced")


def _averaged(parts: list[Proportion], matrix: NDArray[Any], name: str) -> Sample:
    if not parts:
        return Absent("no records with label and prediction")
    weights = (1 / len(parts),) * len(parts)
    return Average(tuple(parts), weights, float(matrix.sum()), name)


def _precision(weighting: Weighting) -> SampleReader:
    def read(row: Row) -> Sample:
        matrix = confusion_matrix(row)
        if not matrix.sum():
            return Absent("no records with label and prediction")
        predicted = matrix.sum(axis=0)
        if weighting == "macro":
            parts = [Proportion(int(m), int(n)) for m, n in zip(np.diag(matrix), predicted,
                                                                strict=True) if n]  # fmt: skip
            return _averaged(parts, matrix, "macro")
        if (matrix.sum(axis=1)[predicted == 0] > 0).any():
            return Absent("a class that occurs is never predicted, so its precision is undefined")

        def value_and_gradient(m: Array) -> tuple[float, Array]:
            n, true, columns, hits = m.sum(), m.sum(axis=1), m.sum(axis=0), np.diag(m)
            used = np.where(predicted > 0, np.maximum(columns, 1e-300), np.inf)
            precision = hits / used
            value = float(true @ precision / n)
            slope = (precision[:, None] - (true * precision / used)[None, :]) / n
            return value, slope + np.diag(true / used / n) - value / n

        return _delta(matrix, value_and_gradient)

    return read


def _recall(weighting: Weighting) -> SampleReader:
    def read(row: Row) -> Sample:
        if weighting == "macro":
            return balanced_accuracy(row)
        return _hits(confusion_matrix(row))  # Σ n_k / n · TP_k / n_k is the accuracy

    return read


def _f1(weighting: Weighting) -> SampleReader:
    def read(row: Row) -> Sample:
        matrix = confusion_matrix(row)
        if not matrix.sum():
            return Absent("no records with label and prediction")
        there = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0

        def value_and_gradient(m: Array) -> tuple[float, Array]:
            n, true = m.sum(), m.sum(axis=1)
            both = np.where(there, np.maximum(true + m.sum(axis=0), 1e-300), np.inf)
            f1 = 2 * np.diag(m) / both
            weights = true / n if weighting == "weighted" else there / there.sum()
            value = float(weights @ f1)
            # F1 of class k falls with every record that is of k, or taken for k.
            fall = weights * f1 / both
            slope = np.diag(2 * weights / both) - fall[:, None] - fall[None, :]
            if weighting == "weighted":
                slope = slope + (f1[:, None] - value) / n
            return value, slope

        return _delta(matrix, value_and_gradient)

    return read


def _micro(row: Row) -> Sample:
    return _hits(confusion_matrix(row))


def _hits(matrix: NDArray[Any]) -> Sample:
    n = int(matrix.sum())
    return Proportion(int(np.trace(matrix)), n) if n else Absent(
        "no records with label and prediction"
    )  # fmt: skip


def _delta(
    matrix: NDArray[Any], value_and_gradient: Callable[[Array], tuple[float, Array]]
) -> Sample:
    """Return a scale-free function of the counts with its standard error by the delta method.

    Where all records are right, or all wrong, the gradient is taken with half a record more in
    every cell, so that a perfect table is not certain.
    """
    counts = matrix.astype(np.float64)
    n, right = float(counts.sum()), float(np.trace(counts))
    at = counts + (0.5 if right in (0.0, n) else 0.0)
    value, _ = value_and_gradient(counts)
    _, gradient = value_and_gradient(at)
    return Mean(value, math.sqrt(float((gradient**2 * at).sum())), n, "delta", 0.0, 1.0)


def _of(
    identifier: str, title: str, read: SampleReader, formula: str
) -> str:  # fmt: skip
    add_metric(
        Metric(
            identifier, title, ideal=1.0, better="higher", readers={CLASSES: read},
            formula=formula, source="sklearn.metrics.precision_recall_fscore_support, averages "
            "over the classes that have a value",
        )
    )  # fmt: skip
    return identifier


AVERAGED_METRICS: tuple[str, ...] = (
    _of("macro_precision", "Precision, mean over classes", _precision("macro"),
        "mean over the predicted classes of TP / (TP + FP)"),
    _of("macro_recall", "Recall, mean over classes", _recall("macro"),
        "mean over the classes that occur of TP / (TP + FN)"),
    _of("macro_f1_score", "F1 score, mean over classes", _f1("macro"),
        "mean over the classes that occur or are predicted of 2 TP / (2 TP + FP + FN)"),
    _of("micro_precision", "Precision over all decisions", _micro, "Σ TP / Σ (TP + FP)"),
    _of("micro_recall", "Recall over all decisions", _micro, "Σ TP / Σ (TP + FN)"),
    _of("micro_f1_score", "F1 score over all decisions", _micro,
        "2 Σ TP / Σ (2 TP + FP + FN), which is the accuracy"),
    _of("weighted_precision", "Precision, weighted by class", _precision("weighted"),
        "Σ over classes of (share of the class) · precision"),
    _of("weighted_recall", "Recall, weighted by class", _recall("weighted"),
        "Σ over classes of (share of the class) · recall, which is the accuracy"),
    _of("weighted_f1_score", "F1 score, weighted by class", _f1("weighted"),
        "Σ over classes of (share of the class) · F1"),
)  # fmt: skip
"""The averages over classes, in the order in which they are shown."""
