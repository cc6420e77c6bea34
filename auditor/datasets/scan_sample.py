"""Rows drawn from a table by a seed, with their groups: what no pass of counts can give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.options import DataOptions
from auditor.datasets.roles import Roles
from auditor.datasets.scan_proxies import Feature, features_of, read_feature
from auditor.datasets.stream import Batch, stream
from auditor.datasets.table import Table
from auditor.stats import Groups

__all__ = [
    "MOST_CATEGORIES",
    "draw_rows",
    "entity_codes",
    "feature_fields",
    "feature_matrix",
    "model_features",
]

MOST_CATEGORIES = 254
"""What the histograms of scikit-learn hold."""


def draw_rows(
    table: Table, groups: Groups, roles: Roles, fields: Mapping[str, str], *, most: int, seed: int
) -> Batch:
    """Return up to ``most`` rows, drawn without replacement and kept in the table's order.

    ``fields`` are names and the SQL that gives them. The table is read once, batch by batch.
    """
    import pyarrow as pa

    size = table.rows
    drawn = np.ones(size, bool)
    if size > most:
        drawn[:] = False
        drawn[np.random.default_rng([seed, 3]).choice(size, most, replace=False)] = True
    codes: list[NDArray[np.int32]] = []
    columns: dict[str, list[pa.Array]] = {name: [] for name in fields}
    start = 0
    for batch in stream(table, groups, roles, fields):
        keep = np.flatnonzero(drawn[start : start + batch.rows])
        start += batch.rows
        codes.append(batch.codes[keep])
        for name, parts in columns.items():
            parts.append(batch.columns[name].take(pa.array(keep)))
    whole = {name: pa.concat_arrays(parts) for name, parts in columns.items()}
    return Batch(np.concatenate(codes), whole)


def feature_fields(features: Sequence[Feature]) -> dict[str, str]:
    """Return the fields by which :func:`feature_matrix` finds the features again."""
    return {f"f{i}": feature.sql for i, feature in enumerate(features)}


def feature_matrix(
    rows: Batch, features: Sequence[Feature]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the features as numbers, shape ``[rows, features]``, and which are categories.

    A category is its rank by frequency, all beyond 254 together; missing values are NaN. Infinite
    numbers become very large ones.
    """
    parts: list[NDArray[np.float64]] = []
    for i, feature in enumerate(features):
        if feature.edges is not None:
            values = rows.numbers(f"f{i}")
            parts.append(np.where(np.isinf(values), np.sign(values) * 1e300, values))
        else:
            places = np.minimum(feature.places(rows, f"f{i}"), MOST_CATEGORIES - 1)
            parts.append(np.where(places < 0, np.nan, places.astype(np.float64)))
    x = np.stack(parts, axis=1) if parts else np.zeros((rows.rows, 0))
    return x, np.array([feature.edges is None for feature in features], bool)


def model_features(table: Table, roles: Roles, options: DataOptions) -> list[Feature]:
    """Return the features that a model is fitted to, looked at once.

    By default these are all columns without another role; the entity and free text have one.
    """
    names = features_of(table, roles, options)
    other = {options.entity, *options.text} - set(options.features)
    return [read_feature(table, name) for name in names if name not in other]


def entity_codes(rows: Batch, name: str) -> NDArray[np.int64]:
    """Return a number for each record's entity, shape ``[rows]``; without one it is its own."""
    encoded = rows.columns[name].dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    missing = np.isnan(codes.astype(np.float64))
    alone = len(encoded.dictionary) + np.arange(codes.size)
    return np.where(missing, alone, np.where(missing, 0, codes)).astype(np.int64)
