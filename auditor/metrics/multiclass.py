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

        def function(m: NDArray[Any]) -> Any:
            share = m.sum(axis=1) / m.sum()
            columns = m.sum(axis=0)
            there = predicted > 0
            return (share[there] * np.diag(m)[there] / columns[there]).sum()

        return _delta(matrix, function)

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

        def function(m: NDArray[Any]) -> Any:
            true, predicted = m.sum(axis=1), m.sum(axis=0)
            f1 = 2 * np.diag(m)[there] / (true + predicted)[there]
            return (true[there] / true.sum() * f1).sum() if weighting == "weighted" else f1.mean()

        return _delta(matrix, function)

    return read


def _micro(row: Row) -> Sample:
    return _hits(confusion_matrix(row))


def _hits(matrix: NDArray[Any]) -> Sample:
    n = int(matrix.sum())
    return Proportion(int(np.trace(matrix)), n) if n else Absent(
        "no records with label and prediction"
    )  # fmt: skip


def _delta(matrix: NDArray[Any], function: Callable[[NDArray[Any]], Any]) -> Sample:
    """Return a scale-free function of the counts with its standard error by the delta method.

    With empty cells on the diagonal's rows or columns the gradient is taken with half a record
    more in every cell, so that a perfect table is not certain.
    """
    n = float(matrix.sum())
    value = float(np.real(function(matrix.astype(np.complex128))))
    off = n - float(np.trace(matrix))
    at = matrix + (0.5 if off == 0 or np.trace(matrix) == 0 else 0.0)
    step, variance = 1e-30, 0.0
    gradient = np.zeros(matrix.shape)
    for i, j in np.ndindex(*matrix.shape):
        moved = at.astype(np.complex128)
        moved[i, j] += 1j * step
        gradient[i, j] = float(np.imag(function(moved))) / step
    variance = float((gradient**2 * at).sum())
    return Mean(value, math.sqrt(variance), n, "delta", 0.0, 1.0)


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

