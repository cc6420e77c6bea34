"""Scans of rows that do not stand for one record each: weights, frequencies, clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles, cell_sql, label_sql, score_sql
from auditor.datasets.scan import scan_confusion
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import (
    CELLS,
    Groups,
    ScoreCounts,
    SliceTable,
    confusion_zero,
    score_counts,
    weighted_zero,
)
from auditor.stats.weighted import add_clusters

__all__ = [
    "scan_frequencies",
    "scan_frequency_scores",
    "scan_labels",
    "scan_weighted",
    "weight_sql",
]


def scan_labels(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count true and predicted labels by slice, each row by its weight or frequency if it has one.

    Raises as :func:`scan_weighted` and :func:`scan_frequencies` do.
    """
    if roles.weighting in {"weight", "cluster"}:
        return scan_weighted(table, groups, roles, context=context)
    if roles.frequency is not None:
        return scan_frequencies(table, groups, roles, context=context)
    return scan_confusion(table, groups, roles, context=context)


def scan_frequencies(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count labels by slice where each row stands for ``roles.frequency`` equal records.

    Raises :class:`InputError` for a frequency that is no whole number from 0.
    """
    column = str(roles.frequency)
    number = weight_sql(table, column, "--frequency", whole=True)
    counts = confusion_zero(
        groups, {**roles.context(), "frequency": column, **(context or {})}
    )  # fmt: skip
    fields = {"cell": cell_sql(table, roles), "f": number}
    for batch in stream(table, groups, roles, fields):
        flat = groups.flat(batch.codes)
        cells = batch.numbers("cell").astype(np.int64)
        frequency = batch.numbers("f").astype(np.int64)
        for position in range(flat.shape[1]):
            np.add.at(counts.values, (flat[:, position], cells), frequency)
    return counts


def scan_weighted(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count weighted, and maybe clustered, labels by slice.

    Raises :class:`InputError` for a weight that is missing or negative, and for a frequency beside
    weights or clusters.
    """
    if roles.frequency is not None:
        raise InputError(
            f"a frequency ({roles.frequency}) beside weights or clusters", where="--frequency",
            valid="one row for each record, or no weights and clusters",
        )  # fmt: skip
    if roles.cluster is not None:
        table.require([roles.cluster], option="--cluster")
    weight = "1.0"
    if roles.weight is not None:
        weight = weight_sql(table, roles.weight, "--weight", whole=False)
    settings = {**roles.context(), "weight": roles.weight, "cluster": roles.cluster}
    counts = weighted_zero(groups, {**settings, **(context or {})})
    fields = {"cell": cell_sql(table, roles), "w": weight}
    if roles.cluster is not None:
        _scan_clusters(table, groups, roles, counts, fields)
        return counts
    width = len(CELLS)
    for batch in stream(table, groups, roles, fields):
        flat = groups.flat(batch.codes)
        cells, weights = batch.numbers("cell").astype(np.int64), batch.numbers("w")
        for position in range(flat.shape[1]):
            # A record is a cluster of its own, so that only products of a cell with itself occur.
            place = flat[:, position] * width + cells
            size = groups.total * width
            n, w, ww = (
                np.bincount(place, by, minlength=size).reshape(-1, width)
                for by in (None, weights, weights**2)
            )
            counts.values[:, 0] += n.sum(axis=1)
            counts.values[:, 1] += n.sum(axis=1)
            counts.values[:, 2 : 2 + width] += n
            counts.values[:, 2 + width : 2 + 2 * width] += w
            counts.values[:, 2 + 2 * width + _DIAGONAL] += ww
    return counts


_DIAGONAL = np.array([i * len(CELLS) - i * (i - 1) // 2 for i in range(len(CELLS))])


def _scan_clusters(
    table: Table, groups: Groups, roles: Roles, counts: SliceTable, fields: Mapping[str, str]
) -> None:
    """Add up each cluster's cells in every slice, and their products."""
    cluster = table.text(str(roles.cluster))
    inner: dict[str, str] = {**fields}
    # A record without a cluster is a cluster of its own.
    inner["cluster"] = f"coalesce('c' || {cluster}, 'r' || cast(row_number() over () as varchar))"
    numbering: dict[str, int] = {}
    rows = {k: [] for k in ("codes", "cell", "w", "cluster")}
    for batch in stream(table, groups, roles, inner):
        rows["codes"].append(batch.codes)
        rows["cell"].append(batch.numbers("cell").astype(np.int64))
        rows["w"].append(batch.numbers("w"))
        names = batch.texts("cluster")
        rows["cluster"].append(
            np.fromiter((numbering.setdefault(str(n), len(numbering)) for n in names), np.int64)
        )
    codes, cells, weights, clusters = (np.concatenate(rows[k]) for k in rows)
    flat, width = groups.flat(codes), len(CELLS)
    for position in range(flat.shape[1]):
        pairs, inverse = np.unique(
            flat[:, position] * len(numbering) + clusters, return_inverse=True
        )
        place = inverse.ravel() * width + cells
        size = pairs.size * width
        n = np.bincount(place, minlength=size).reshape(-1, width).astype(np.float64)
        w = np.bincount(place, weights, minlength=size).reshape(-1, width)
        for start in range(0, pairs.size, 1 << 16):
            part = slice(start, start + (1 << 16))
            add_clusters(
                counts.values, pairs[part] // len(numbering), n[part], w[part].astype(np.float64)
            )


def scan_frequency_scores(table: Table, groups: Groups, roles: Roles) -> ScoreCounts:
    """Count scores where each row stands for ``roles.frequency`` equal records."""
    number = weight_sql(table, str(roles.frequency), "--frequency", whole=True)
    true = label_sql(table, str(roles.target), roles.positive)
    fields = {"y": f"({true})", "s": score_sql(table, str(roles.score)), "f": number}
    codes, labels, scores = [], [], []
    for batch in stream(table, groups, roles, fields):
        repeat = batch.numbers("f").astype(np.int64)
        y = batch.numbers("y")
        codes.append(np.repeat(batch.codes, repeat, axis=0))
        labels.append(np.repeat(np.where(y == 2, np.nan, y), repeat))
        scores.append(np.repeat(batch.numbers("s"), repeat))
    return score_counts(
        groups, np.concatenate(codes), np.concatenate(labels), np.concatenate(scores),
        context={**roles.context(), "frequency": roles.frequency},
    )  # fmt: skip


def weight_sql(table: Table, column: str, option: str, *, whole: bool) -> str:
    """Return SQL giving the weights of rows, or with ``whole`` their frequencies.

    Raises :class:`InputError`, naming ``option``, for values that cannot be used.
    """
    table.require([column], option=option)
    table.require_numbers(column, option=option)
    number = table.number(column)
    odd = f" or ({number}) <> floor({number})" if whole else ""
    row = table.query(
        f"select count(*) filter (({number}) is null or ({number}) < 0 or ({number}) > 1e100{odd}) "
        f"as bad, sum({number}) as total from data"
    ).to_pylist()[0]
    where = f"{table.name}, column {column!r}"
    valid = "whole numbers from 0" if whole else "numbers from 0 to 1e100"
    if row["bad"]:
        what = f"{row['bad']:,} of {table.rows:,} values cannot be used"
        raise InputError(what, where=where, valid=valid)
    if not row["total"]:
        raise InputError(f"all {table.rows:,} values are 0", where=where, valid="some above 0")
    return number
