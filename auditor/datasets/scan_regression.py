"""Scans of predicted numbers: their sums, and the distributions of predictions and residuals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import (
    MOST_DISTINCT,
    PREDICTIONS,
    RESIDUALS,
    Groups,
    ScoreCounts,
    ScoreGrid,
    SliceTable,
)
from auditor.stats.regression import regression_sums, regression_zero, value_counts

__all__ = ["scan_predictions", "scan_regression", "scan_residuals"]


def scan_regression(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Add up predictions, targets and errors by slice, around their medians."""
    prediction = table.number(str(roles.prediction))
    target = "cast(null as double)" if roles.target is None else table.number(roles.target)
    # A median is the same in whatever order the rows come; a mean is not, to the last bit.
    middle = table.query(
        f"select quantile_disc({prediction}, 0.5) as p, quantile_disc({target}, 0.5) as t from data"
    ).to_pylist()[0]
    origins = float(middle["p"] or 0.0), float(middle["t"] or 0.0)
    sums = regression_zero(groups, origins=origins, context={**roles.context(), **(context or {})})
    for batch in stream(table, groups, roles, {"p": prediction, "t": target}):
        part = regression_sums(
            groups, batch.codes, batch.numbers("t"), batch.numbers("p"), origins=origins
        )
        sums.values[:] += part.values
    return sums


def scan_predictions(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> ScoreCounts:
    """Count predictions by slice; exact up to 1,024 distinct values, binned beyond."""
    prediction = table.number(str(roles.prediction))
    return _counts(table, groups, roles, prediction, PREDICTIONS, context)


def scan_residuals(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> ScoreCounts:
    """Count prediction − target by slice; exact up to 1,024 distinct values, binned beyond."""
    residual = f"({table.number(str(roles.prediction))}) - ({table.number(str(roles.target))})"
    return _counts(table, groups, roles, residual, RESIDUALS, context)


def _counts(
    table: Table,
    groups: Groups,
    roles: Roles,
    value: str,
    kind: str,
    context: Mapping[str, Any] | None,
) -> ScoreCounts:
    grid = _grid(table, value)
    given = {**roles.context(), **(context or {})}
    counts = ScoreCounts.zero(groups, grid, given, kind=kind)
    for batch in stream(table, groups, roles, {"v": value}):
        counts = counts.merge(
            value_counts(
                groups, batch.codes, batch.numbers("v"), kind=kind, grid=grid, context=given
            )
        )
    return counts


def _grid(table: Table, value: str) -> ScoreGrid:
    """Choose the positions: the distinct values, or bins of equal width over their range."""
    found = table.query(
        f"select distinct {value} as v from data where ({value}) is not null "
        f"limit {MOST_DISTINCT + 1}"
    )
    values = found.column("v").to_pylist()
    if len(values) <= MOST_DISTINCT:
        return ScoreGrid(values=np.unique(np.array(values, np.float64)))
    bounds = table.query(f"select min({value}) as low, max({value}) as high from data")
    low, high = (float(bounds.column(name)[0].as_py()) for name in ("low", "high"))
    if not math.isfinite(high - low):
        raise InputError(f"the numbers span {low:g} to {high:g}", where=table.name,
                         valid="a narrower range")  # fmt: skip
    return ScoreGrid(low=low, high=high)
