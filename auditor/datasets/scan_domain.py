"""Can a model tell later records from training records? Scores that no record has trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.out_of_fold import assign_folds, out_of_fold
from auditor.datasets.scan_drift import Pair
from auditor.datasets.scan_sample import MOST_CATEGORIES
from auditor.metrics.drift import DOMAIN
from auditor.stats import Groups, SliceTable

__all__ = ["domain_counts"]

_EVERYBODY = Groups.declare(())
_FOLDS = 3
_POSITIONS = 512


def domain_counts(pairs: Sequence[Pair], *, split: str, most: int, seed: int) -> SliceTable:
    """Count the ranks of out-of-fold scores of later against training records, fold by fold.

    Up to ``most`` records of each side are used, as many as the smaller side has. Columns of
    categories whose values hardly repeat take no part: an identifier is always new.
    """
    used = [pair for pair in pairs if pair.numeric or _repeats(pair)]
    names = [f"{f}:{s}:{p}" for f in range(_FOLDS) for s in range(2) for p in range(_POSITIONS)]
    context = {"split": split, "folds": _FOLDS, "reason": "", "columns": len(used)}
    size = min(most, *(min(p.train.size, p.later.size) for p in used)) if used else 0
    if size < 2 * _FOLDS:
        context["reason"] = "too few records" if used else "no column in common repeats its values"
    counts = SliceTable.zero(DOMAIN, _EVERYBODY, ("records", *names), context=context)
    if context["reason"]:
        counts.values[0, 0] = sum(p.train.size + p.later.size for p in pairs[:1])
        return counts
    random = np.random.default_rng([seed, 6])
    x = np.concatenate(
        [
            np.stack([_values(p, side) for p in used], axis=1)[_drawn(random, total, size)]
            for side, total in (("train", used[0].train.size), ("later", used[0].later.size))
        ]
    )
    y = np.repeat(np.arange(2), size)
    fold = assign_folds(y, folds=_FOLDS, seed=seed)
    categorical = np.array([not pair.numeric for pair in used], bool)
    scores = out_of_fold(x, y, fold, classes=2, categorical=categorical, seed=seed)[:, 1]
    counts.values[0, 0] = y.size
    for f in range(_FOLDS):
        mine = fold == f
        cells = (f * 2 + y[mine]) * _POSITIONS + _ranks(scores[mine])
        counts.values[0, 1:] += np.bincount(cells, minlength=len(names))
    return counts


def _repeats(pair: Pair) -> bool:
    known = np.concatenate([side[side >= 0] for side in (pair.train, pair.later)])
    return known.size >= 2 * np.unique(known).size and known.size > 0


def _values(pair: Pair, side: str) -> NDArray[np.float64]:
    values = np.asarray(getattr(pair, side), np.float64)
    if pair.numeric:
        return np.where(np.isinf(values), np.sign(values) * 1e300, values)
    return np.where(values < 0, np.nan, np.minimum(values, MOST_CATEGORIES - 1))


def _drawn(random: np.random.Generator, total: int, size: int) -> NDArray[np.int64]:
    return np.sort(random.choice(total, size, replace=False))


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(scores, np.arange(1, _POSITIONS + 1) / _POSITIONS))
    return np.minimum(np.searchsorted(edges, scores), edges.size - 1).astype(np.int64)
