"""Weighted joint confusion counts, with the products that a design-based variance needs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.confusion import CELLS
from auditor.stats.groups import Groups, as_label
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_numbers, to_ternary

__all__ = [
    "PRODUCTS",
    "WEIGHTED",
    "WEIGHTED_COLUMNS",
    "add_clusters",
    "weighted_confusion",
    "weighted_zero",
]

WEIGHTED = "weighted-confusion"

PRODUCTS = tuple(combinations_with_replacement(range(len(CELLS)), 2))
"""The pairs of cells (i ≤ j) whose products are summed over the clusters."""

WEIGHTED_COLUMNS = (
    "records",
    "clusters",
    *(f"records:{cell}" for cell in CELLS),
    *(f"weight:{cell}" for cell in CELLS),
    *(f"product:{CELLS[i]}:{CELLS[j]}" for i, j in PRODUCTS),
)
"""Records and clusters, records and weight by cell, and Σ over clusters of mᵢ·mⱼ, where mᵢ is the
weight that a cluster has in cell i. A record without a cluster is a cluster of its own."""


def weighted_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty weighted counts over the declared groups."""
    return SliceTable.zero(WEIGHTED, groups, WEIGHTED_COLUMNS, sums=True, context=context)


def weighted_confusion(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: ArrayLike | None,
    y_pred: ArrayLike | None,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count one batch of weighted, and maybe clustered, records.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    y_true, y_pred:
        Labels, shape ``[rows]``, as in :func:`confusion_counts`.
    weights:
        Weights from 0, shape ``[rows]``; a record without a weight is refused.
    clusters:
        What the records share (a person, a prompt, a template), shape ``[rows]``; a record whose
        cluster is missing is a cluster of its own.

    Batches merge by addition as long as no cluster is split over two of them.

    Raises :class:`InputError` for a weight that is missing, negative or infinite.
    """
    rows = codes.shape[0]
    cells = 3 * to_ternary(y_true, rows, "y_true") + to_ternary(y_pred, rows, "y_pred")
    weight = np.ones(rows) if weights is None else to_numbers(weights, rows, "weights",
                                                              valid="numbers from 0")  # fmt: skip
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        raise InputError(
            f"{int(bad.sum()):,} of {rows:,} weights are missing, negative or infinite",
            valid="numbers from 0",
        )
    cluster = np.arange(rows) if clusters is None else _numbered(clusters, rows)
    table = weighted_zero(groups, context)
    flat = groups.flat(codes)
    for position in range(flat.shape[1]):
        _add(table.values, flat[:, position], cells, weight, cluster)
    return table


def _numbered(clusters: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Number the clusters, each missing one by itself."""
    array = np.asarray(clusters)
    if array.shape != (rows,):
        raise InputError(f"clusters has shape {array.shape}", valid=f"shape ({rows},)")
    if array.dtype.kind == "O":
        labels = [as_label(value) for value in array.tolist()]
        missing = np.array([label is None for label in labels], bool)
        array = np.array([label or "" for label in labels], str)
    else:
        missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(rows, bool)
    numbers = np.unique(array, return_inverse=True)[1].ravel().astype(np.int64)
    numbers[missing] = rows + np.arange(int(missing.sum()))
    return numbers


def _add(
    values: NDArray[np.float64],
    slices: NDArray[np.int64],
    cells: NDArray[np.int64],
    weight: NDArray[np.float64],
    cluster: NDArray[Any],
) -> None:
    """Add the records of one family to the table."""
    if not slices.size:
        return
    width = len(CELLS)
    key = np.stack([slices, np.unique(cluster, return_inverse=True)[1].ravel()], axis=1)
    pairs, inverse = np.unique(key, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    size = pairs.shape[0] * width
    records = np.bincount(inverse * width + cells, minlength=size).reshape(-1, width)
    totals = np.bincount(inverse * width + cells, weight, minlength=size).reshape(-1, width)
    add_clusters(values, pairs[:, 0], records.astype(np.float64), totals.astype(np.float64))


def add_clusters(
    values: NDArray[np.float64],
    slices: NDArray[np.int64],
    records: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> None:
    """Add clusters to the values of a table.

    Parameters
    ----------
    slices:
        The flat slice number of each (cluster, slice), shape ``[clusters]``.
    records, totals:
        Records and weight by cell, shape ``[clusters, 9]``.
    """
    products = np.stack([totals[:, i] * totals[:, j] for i, j in PRODUCTS], axis=1)
    block = np.concatenate(
        [
            records.sum(axis=1, keepdims=True), np.ones((slices.size, 1)), records, totals,
            products,
        ],
        axis=1,
    )  # fmt: skip
    np.add.at(values, slices, block)
