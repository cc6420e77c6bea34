"""Reweighing and resampling: labels and groups made independent before the model learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.mitigation.fitting import fit, fresh, predict, rows
from auditor.mitigation.recipe import Decisions, Fitted, Recipe, Records, Task, add_recipe

__all__ = ["resample", "reweigh"]

_SOURCE = (
    "Kamiran and Calders (2012), Data preprocessing techniques for classification without "
    "discrimination, Knowledge and Information Systems 33"
)


def reweigh(y: ArrayLike, groups: ArrayLike) -> NDArray[np.float64]:
    """Return w = P(g) P(y) / P(g, y) for each record: under w, label and group are independent.

    ``y`` and ``groups`` are whole numbers from 0, shape ``[records]``. The weights add up to the
    number of records unless a group lacks a label (Kamiran and Calders 2012, section 3.2).

    >>> reweigh([1, 1, 1, 0], [0, 0, 1, 1]).tolist()
    [0.75, 0.75, 1.5, 0.5]
    """
    labels, codes = np.asarray(y, np.int64), np.asarray(groups, np.int64)
    if not labels.size:
        return np.zeros(0)
    table = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(table, (codes, labels), 1)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / labels.size
    return expected[codes, labels] / table[codes, labels]


def resample(y: ArrayLike, groups: ArrayLike, *, seed: int) -> NDArray[np.intp]:
    """Choose records so that every cell of group and label has its expected size (rounded).

    Cells that are too large lose records at random, the others repeat some: uniform sampling
    (Kamiran and Calders 2012, section 3.3). Gives positions, ascending.
    """
    weights = reweigh(y, groups)
    labels, codes = np.asarray(y, np.int64), np.asarray(groups, np.int64)
    random = np.random.default_rng(seed)
    taken: list[NDArray[np.intp]] = []
    for cell in np.unique(codes * 2 + labels):
        members = np.flatnonzero(codes * 2 + labels == cell)
        wanted = int(np.rint(weights[members[0]] * members.size))
        whole, rest = divmod(wanted, members.size)
        taken += [members] * whole + [random.permutation(members)[:rest]]
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.intp)


def _reweighing(task: Task) -> Fitted:
    weights = reweigh(task.y, task.groups)
    model = fit(fresh(task.estimator, seed=task.seed), task.features, task.y, weights)
    return _of_model(model)


def _resampling(task: Task) -> Fitted:
    taken = resample(task.y, task.groups, seed=task.seed)
    model = fit(fresh(task.estimator, seed=task.seed), rows(task.features, taken), task.y[taken])
    return _of_model(model)


def _of_model(model: object) -> Fitted:
    def decide(records: Records) -> Decisions:
        selected, scores, _ = predict(model, records.features)
        return Decisions(selected, scores)

    return Fitted(decide)


add_recipe(
    Recipe("reweighing", "Reweighing", "pre-processing", _reweighing, _SOURCE,
           needs=("estimator", "sample-weights"))
)  # fmt: skip
add_recipe(
    Recipe("resampling", "Uniform resampling", "pre-processing", _resampling, _SOURCE,
           needs=("estimator",))
)  # fmt: skip
