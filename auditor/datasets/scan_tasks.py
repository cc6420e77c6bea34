"""Scans whose counts are no plain confusion counts: weights, frequencies, classes, score sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles, label_sql, score_sql
from auditor.datasets.stream import stream
from auditor.datasets.table import Table, number_sql
from auditor.datasets.tasks import classes_of
from auditor.errors import InputError
from auditor.stats import (
    CELLS,
    Groups,
    ScoreCounts,
    SliceTable,
    class_zero,
    confusion_zero,
    score_counts,
    score_sums,
    score_sums_zero,
    weighted_zero,
)
from auditor.stats.weighted import add_clusters

__all__ = [
    "prediction_sql",
    "scan_classes",
    "scan_frequencies",
    "scan_score_sums",
    "scan_weighted",
    "scan_weighted_scores",
]


def prediction_sql(table: Table, roles: Roles) -> str:
    """Return SQL giving the prediction as 1, 0, or 2 for a missing one."""
    if roles.prediction is not None:
        return label_sql(table, roles.prediction, roles.positive)
    if roles.score is not None and roles.threshold is not None:
        score = score_sql(table, roles.score)
        return (
            f"case when ({score}) is null then 2 "
            f"when ({score}) >= {number_sql(roles.threshold)} then 1 else 0 end"
        )
    return "2"


def cell_sql(table: Table, roles: Roles) -> str:
    """Return SQL giving the cell of the confusion table, ``3 · true + predicted``."""
    true = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    return f"3 * ({true}) + ({prediction_sql(table, roles)})"


def scan_frequencies(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count labels by slice where each row stands for ``roles.frequency`` equal records.

    Raises :class:`InputError` for a frequency that is no whole number from 0.
    """
    column = str(roles.frequency)
    number = _weight_sql(table, column, "--frequency", whole=True)
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
        weight = _weight_sql(table, roles.weight, "--weight", whole=False)
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


def scan_classes(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count (true class, predicted class) by slice."""
    classes = classes_of([table], roles)
    counts = class_zero(groups, classes, {**roles.context(), **(context or {})})
    fields = {"true": table.text(str(roles.target)), "predicted": table.text(str(roles.prediction))}
    for batch in stream(table, groups, roles, fields):
        cells = (len(classes) + 1) * batch.codes_of("true", classes)
        cells = cells + batch.codes_of("predicted", classes)
        flat = groups.flat(batch.codes)
        for position in range(flat.shape[1]):
            np.add.at(counts.values, (flat[:, position], cells), 1)
    return counts


def scan_score_sums(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Add up the squared and logarithmic errors of scores that are probabilities."""
    true = label_sql(table, str(roles.target), roles.positive)
    sums = score_sums_zero(groups, {**roles.context(), **(context or {})})
    fields = {"y": f"({true})", "s": score_sql(table, str(roles.score))}
    for batch in stream(table, groups, roles, fields):
        labels = batch.numbers("y")
        part = score_sums(
            groups, batch.codes, np.where(labels == 2, np.nan, labels), batch.numbers("s"),
            context=sums.context,
        )  # fmt: skip
        sums.values[:] += part.values
    return sums


def scan_weighted_scores(table: Table, groups: Groups, roles: Roles) -> ScoreCounts:
    """Count scores where each row stands for ``roles.frequency`` equal records."""
    number = _weight_sql(table, str(roles.frequency), "--frequency", whole=True)
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


def _weight_sql(table: Table, column: str, option: str, *, whole: bool) -> str:
    """Return SQL giving a weight; raises :class:`InputError` for one that cannot be used."""
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
