"""How well all features together predict an attribute, on records that no model has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles
from auditor.datasets.scan_proxies import TOGETHER, Feature
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import MissingExtraError
from auditor.stats import MOST_DISTINCT, Groups, SliceTable
from auditor.stats.proxies import proxy_add, proxy_zero

__all__ = ["scan_together"]

_MOST_ROWS = 20_000
_FOLDS = 3
_MOST_CATEGORIES = 254  # what the histograms of scikit-learn hold


def scan_together(
    table: Table,
    groups: Groups,
    roles: Roles,
    features: Sequence[Feature],
    *,
    seed: int,
    least: int,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count the ranks of out-of-fold scores for every group of every attribute.

    Gradient-boosted trees (scikit-learn's ``HistGradientBoostingClassifier``) are fitted to all
    features, three folds, on up to 20,000 rows drawn by ``seed``; each record is scored by the
    model that has not seen it. Groups of fewer than ``least`` drawn records take no part.

    Raises :class:`MissingExtraError` without scikit-learn.
    """
    alone = Groups.declare(groups.attributes, intersections=1)
    random = np.random.default_rng([seed, 2])
    codes, x = _sample(table, alone, roles, features, random)
    counts = proxy_zero(
        alone, MOST_DISTINCT,
        context={"feature": TOGETHER, "type": "together", "exact": False, **(context or {})},
    )  # fmt: skip
    categorical = np.array([feature.edges is None for feature in features])
    for position, attribute in enumerate(alone.attributes):
        y = codes[:, position]
        sizes = np.bincount(y, minlength=attribute.size)[:-1]
        levels = np.flatnonzero(sizes >= least)
        rows = np.flatnonzero(np.isin(y, levels))
        family = (attribute.name,)
        counts.family(family)[:, 0] = np.bincount(y, minlength=attribute.size)
        if levels.size < 2:
            continue
        scores = _out_of_fold(x[rows], y[rows], levels, categorical, random, seed)
        for k, level in enumerate(levels.tolist()):
            mine = proxy_zero(alone, MOST_DISTINCT)
            proxy_add(mine, family, y[rows].astype(np.int64), _ranks(scores[:, k]))
            counts.family(family)[level, 1:] += mine.family(family)[level, 1:]
    counts.values[0, 0] = len(codes)
    return counts


def _sample(
    table: Table, groups: Groups, roles: Roles, features: Sequence[Feature],
    random: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:  # fmt: skip
    """Return the group codes and features of rows drawn without replacement."""
    size = min(table.rows, _MOST_ROWS)
    drawn = np.zeros(table.rows, bool)
    drawn[random.choice(table.rows, size, replace=False)] = True
    fields = {f"f{i}": feature.sql for i, feature in enumerate(features)}
    codes: list[NDArray[np.int32]] = []
    columns: list[NDArray[np.float64]] = []
    start = 0
    for batch in stream(table, groups, roles, fields):
        keep = drawn[start : start + batch.rows]
        start += batch.rows
        parts: list[NDArray[np.float64]] = []
        for i, feature in enumerate(features):
            if feature.edges is not None:
                values = batch.numbers(f"f{i}")
                parts.append(np.where(np.isinf(values), np.sign(values) * 1e300, values))
            else:
                places = np.minimum(feature.places(batch, f"f{i}"), _MOST_CATEGORIES).astype(float)
                parts.append(np.where(places < 0, np.nan, places))
        codes.append(batch.codes[keep])
        columns.append(np.stack(parts, axis=1)[keep])
    return np.concatenate(codes), np.concatenate(columns)


def _out_of_fold(
    x: NDArray[np.float64], y: NDArray[np.int32], levels: NDArray[np.intp],
    categorical: NDArray[np.bool_], random: np.random.Generator, seed: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the scores of each record for each level, shape ``[rows, levels]``."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError(
            "scikit-learn is needed to predict from all features",
            where="--proxies",
            valid="pip install scikit-learn",
        ) from None
    made: Any = HistGradientBoostingClassifier  # its annotations are those of its defaults
    fold = np.empty(y.size, np.int64)
    for level in levels:  # every fold has its share of every group
        members = np.flatnonzero(y == level)
        fold[random.permutation(members)] = np.arange(members.size) % _FOLDS
    scores = np.zeros((y.size, levels.size))
    for k in range(_FOLDS):
        model: Any = made(
            max_iter=30, learning_rate=0.2, max_leaf_nodes=15, early_stopping=False,
            random_state=seed, categorical_features=categorical,
        )  # fmt: skip
        with threadpool_limits(1):  # small trees: threads wait for each other more than they work
            model.fit(x[fold != k], y[fold != k])
            found = np.asarray(model.predict_proba(x[fold == k]), np.float64)
        scores[fold == k] = found[:, np.searchsorted(model.classes_, levels)]
    return scores


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(scores, np.arange(1, MOST_DISTINCT + 1) / MOST_DISTINCT))
    return np.minimum(np.searchsorted(edges, scores), edges.size - 1).astype(np.int64)
