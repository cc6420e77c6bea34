"""Sums of predictions, targets and their errors by slice, and how they are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.groups import Groups
from auditor.stats.scores import ScoreCounts, ScoreGrid, score_counts
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_numbers

__all__ = [
    "REGRESSION",
    "REGRESSION_COLUMNS",
    "regression_sums",
    "regression_zero",
    "value_counts",
]

REGRESSION = "regression-sums"

REGRESSION_COLUMNS = (
    "records", "predicted", "sum:prediction", "squares:prediction", "judged", "sum:error",
    "squares:error", "sum:absolute", "squares:absolute", "sum:squared", "squares:squared",
    "sum:target", "squares:target", "cubes:target", "fourths:target", "squared·target",
    "squared·target²",
)  # fmt: skip
"""Records; predictions, over those that have one; errors and targets, over those with both.

Predictions and targets are summed less the ``origins`` of the context, so that their spread
survives where they are far from 0. ``squared·target`` is Σ (p − t)² (t − o).
"""


def regression_zero(
    groups: Groups,
    *,
    origins: tuple[float, float] = (0.0, 0.0),
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Return empty sums over the declared groups."""
    given = {**(context or {}), "origins": [float(origin) for origin in origins]}
    return SliceTable.zero(REGRESSION, groups, REGRESSION_COLUMNS, sums=True, context=given)


def regression_sums(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: ArrayLike | None,
    y_pred: ArrayLike,
    *,
    origins: tuple[float, float] = (0.0, 0.0),
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Add up one batch of predicted numbers.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    y_true, y_pred:
        Numbers, shape ``[rows]``, NaN where missing; ``y_true=None`` for no target. A record
        without a target counts for the predictions only, one without a prediction for neither.
    origins:
        A number near the middle of the predictions, and one of the targets; the same in all
        batches.

    Raises :class:`InputError` for an infinite number, and for sums that a double cannot hold.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M"]})
    >>> sums = regression_sums(groups, codes, [1.0, 5.0], [3.0, 4.0])
    >>> sums.values[:3, sums.column("sum:error")].tolist()  # everybody, F, M
    [1.0, 2.0, -1.0]
    """
    rows = codes.shape[0]
    predictions = _finite(y_pred, rows, "y_pred")
    targets = np.full(rows, np.nan) if y_true is None else _finite(y_true, rows, "y_true")
    table = regression_zero(groups, origins=origins, context=context)
    predicted = ~np.isnan(predictions)
    judged = predicted & ~np.isnan(targets)
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        p = np.where(predicted, predictions - origins[0], 0.0)
        t = np.where(judged, targets - origins[1], 0.0)
        e = np.where(judged, predictions - targets, 0.0)
        ee, tt = e * e, t * t
        block = (
            np.ones(rows), predicted, p, p * p, judged, e, ee, np.abs(e), ee, ee, ee * ee, t, tt,
            tt * t, tt * tt, ee * t, ee * tt,
        )  # fmt: skip
        flat = groups.flat(codes)
        for column, values in enumerate(block):
            for position in range(flat.shape[1]):
                table.values[:, column] += np.bincount(
                    flat[:, position], values, minlength=groups.total
                )
    if not np.isfinite(table.values).all():
        raise InputError(
            "the sums of the fourth powers are too large for a double",
            valid="numbers in a larger unit",
        )
    return table


def value_counts(
    groups: Groups,
    codes: NDArray[np.int32],
    values: ArrayLike,
    *,
    kind: str,
    grid: ScoreGrid | None = None,
    context: Mapping[str, Any] | None = None,
) -> ScoreCounts:
    """Count numbers by slice, without labels: ``prediction-counts`` or ``residual-counts``.

    ``values`` have shape ``[rows]``, NaN where missing; those are counted as ``unscored``. The
    grid is that of :func:`score_counts`.
    """
    labels = np.zeros(codes.shape[0], np.int8)
    counted = score_counts(groups, codes, labels, values, grid=grid, context=context)
    return replace(counted, kind=kind)


def _finite(values: ArrayLike, rows: int, name: str) -> NDArray[np.float64]:
    numbers = to_numbers(values, rows, name, valid="numbers, or missing")
    if np.isinf(numbers).any():
        raise InputError(f"a number of {name} is infinite", valid="finite numbers, or missing")
    return numbers
