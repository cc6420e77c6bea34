"""Probabilities of classes for records that the model giving them has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import MissingExtraError

__all__ = ["assign_folds", "out_of_fold"]

Codes = NDArray[np.int64]


def assign_folds(y: Codes, *, folds: int, seed: int, entity: Codes | None = None) -> Codes:
    """Return the fold of each record, shape ``[rows]``.

    Without ``entity`` every fold has its share of every class. With it, all records of one entity
    lie in one fold, so that no model has seen a record's own patient or user; entities are dealt
    out by size, the largest first, to the fold that has fewest records.

    >>> assign_folds(np.array([0, 1, 0, 1]), folds=2, seed=0).reshape(2, 2).sum(axis=0).tolist()
    [1, 1]
    >>> entity = np.array([5, 5, 5, 7])
    >>> assign_folds(np.array([0, 1, 0, 1]), folds=2, seed=0, entity=entity).tolist()
    [0, 0, 0, 1]
    """
    random = np.random.default_rng([seed, 4])
    fold = np.empty(y.size, np.int64)
    if entity is None:
        for level in np.unique(y):
            members = np.flatnonzero(y == level)
            fold[random.permutation(members)] = np.arange(members.size) % folds
        return fold
    _, place, sizes = np.unique(entity, return_inverse=True, return_counts=True)
    of = np.empty(sizes.size, np.int64)
    order = random.permutation(sizes.size)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(folds, np.int64)
    for number in order.tolist():
        of[number] = np.argmin(filled)
        filled[of[number]] += sizes[number]
    return of[place]


def out_of_fold(
    x: NDArray[np.float64], y: Codes, fold: Codes, *, classes: int,
    categorical: NDArray[np.bool_], seed: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Return each record's probabilities by the model fitted to the other folds.

    Parameters
    ----------
    x:
        Features, NaN where missing, shape ``[rows, features]``.
    y, fold:
        The class and the fold of each record, shape ``[rows]``.
    classes:
        How many classes there are; one that a model has not seen has probability 0.
    categorical:
        Which features are categories, shape ``[features]``.

    The models are gradient-boosted trees (scikit-learn's ``HistGradientBoostingClassifier``). A
    fold whose complement holds a single class gets that class with certainty. Raises
    :class:`MissingExtraError` without scikit-learn.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError(
            "scikit-learn is needed to fit models out of fold",
            valid="pip install scikit-learn",
        ) from None
    made: Any = HistGradientBoostingClassifier  # its annotations are those of its defaults
    found = np.zeros((y.size, classes))
    for k in np.unique(fold):
        inside, others = fold == k, fold != k
        seen = np.unique(y[others])
        if seen.size < 2:
            found[np.ix_(inside, seen)] = 1.0
            continue
        model: Any = made(
            max_iter=40, learning_rate=0.15, max_leaf_nodes=15, early_stopping=False,
            min_samples_leaf=max(1, min(20, int(others.sum()) // 20)), random_state=seed,
            categorical_features=categorical if categorical.any() else None,
        )  # fmt: skip
        with threadpool_limits(1):  # small trees: threads wait for each other more than they work
            model.fit(x[others], y[others])
            found[np.ix_(inside, model.classes_)] = model.predict_proba(x[inside])
    return found
