"""Confident learning: how many labels are wrong, from probabilities that no label has trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

__all__ = ["class_thresholds", "confident_classes"]


def class_thresholds(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return tⱼ, the mean probability of class j among the records labelled j, shape ``[classes]``.

    Infinite for a class without a record: nothing is confidently in it. Northcutt, Jiang and Chuang
    (2021), Confident learning: estimating uncertainty in dataset labels, JAIR 70, equation 2.

    Parameters
    ----------
    labels:
        The given class of each record, shape ``[rows]``.
    probabilities:
        Out-of-fold probabilities, shape ``[rows, classes]``.

    Raises :class:`InputError` for arrays that do not fit.

    >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    >>> class_thresholds(np.array([0, 0, 1]), p).round(6).tolist()
    [0.8, 0.8]
    """
    _check(labels, probabilities)
    n = np.bincount(labels, minlength=probabilities.shape[1])
    given = probabilities[np.arange(labels.size), labels]
    sums = np.bincount(labels, given, minlength=probabilities.shape[1])
    return np.where(n > 0, sums / np.maximum(n, 1), np.inf)


def confident_classes(
    probabilities: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the class that each record confidently is of, −1 where it is of none, ``[rows]``.

    The most probable of the classes whose probability reaches their threshold (equation 1 of the
    same paper); counted by given label these are the confident joint.

    >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    >>> confident_classes(p, np.array([0.8, 0.8])).tolist()
    [0, -1, 1]
    """
    reached = probabilities >= thresholds - 1e-12  # a mean of equal numbers is one of them
    masked = np.where(reached, probabilities, -1.0)
    return np.where(reached.any(axis=1), masked.argmax(axis=1), -1)


def _check(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise InputError(
            f"labels have shape {labels.shape}, probabilities {probabilities.shape}",
            valid="[rows] and [rows, classes]",
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise InputError("a label is no class", valid=f"0 to {probabilities.shape[1] - 1}")
    if not bool(np.all((probabilities >= 0) & (probabilities <= 1 + 1e-9))):
        raise InputError("a probability is none", valid="numbers in [0, 1]")
