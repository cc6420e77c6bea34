"""Values far from the median of their column, and records that few cuts set apart, by slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.grouping import grouped
from auditor.datasets.options import DataOptions
from auditor.datasets.roles import Roles
from auditor.datasets.scan_features import numbers_of
from auditor.datasets.scan_sample import (
    draw_rows,
    feature_fields,
    feature_matrix,
    model_features,
)
from auditor.datasets.table import Table, number_sql
from auditor.errors import MissingExtraError
from auditor.metrics.outliers import ISOLATION, OUTLIERS
from auditor.stats import Groups, SliceTable

__all__ = ["median_and_mad", "scan_isolation", "scan_outliers"]

_EVERYBODY = Groups.declare(())
_SCALE = 0.6745
"""The MAD of a standard normal: with it the robust z is in standard deviations of a normal."""

_BLOCK = 30


def scan_outliers(
    table: Table, groups: Groups, roles: Roles, columns: Sequence[str], *,
    deviations: float, most: int, seed: int,
) -> SliceTable:  # fmt: skip
    """Count finite, infinite and outlying values of the columns of numbers by slice.

    Median and MAD come from up to ``most`` drawn rows, the counts from all. A column of text is one
    of numbers where all drawn values are. The context names the ``columns`` that are, and those
    that have no scale as ``unscaled``.
    """
    fields = {
        f"f{i}": table.number(c) if table.is_numeric(c) else table.text(c)
        for i, c in enumerate(columns)
    }
    rows = draw_rows(table, _EVERYBODY, roles, fields, most=most, seed=seed)
    limits: dict[str, tuple[float, float] | None] = {}
    for i, column in enumerate(columns):
        numeric = table.is_numeric(column)
        values = rows.numbers(f"f{i}") if numeric else numbers_of(rows.columns[f"f{i}"])
        if table.types[column] == "BOOLEAN" or values is None or np.isnan(values).all():
            continue
        limits[column] = _limits(values, deviations)
    unscaled = [column for column, found in limits.items() if found is None]
    names = [f"{what}:{c}" for c in limits for what in ("finite", "infinite", "outside")]
    counts = SliceTable.zero(
        OUTLIERS, groups, ("records", *names),
        context={"columns": list(limits), "unscaled": unscaled, "deviations": deviations},
    )  # fmt: skip
    listed = list(limits)
    for start in range(0, len(listed), _BLOCK):  # DuckDB plans few aggregates faster than many
        part = listed[start : start + _BLOCK]
        aggregates = {
            f"a{i}": sql for i, sql in enumerate(
                sql for c in part for sql in _aggregates(table.number(c), limits[c])
            )
        }  # fmt: skip
        found = grouped(table, groups, roles, {}, aggregates=aggregates)
        block = np.zeros((groups.total, len(aggregates)), np.int64)
        sums = np.stack([found.sums[name] for name in aggregates], axis=1).astype(np.int64)
        np.add.at(block, found.slices, sums)
        counts.values[:, 1 + 3 * start : 1 + 3 * (start + len(part))] = block
        counts.values[:, 0] = 0
        np.add.at(counts.values[:, 0], found.slices, found.counts)
    return counts


def median_and_mad(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and the median absolute deviation from it, of finite values.

    >>> median_and_mad(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    (3.0, 1.0)
    """
    median = float(np.median(values))
    return median, float(np.median(np.abs(values - median)))


def scan_isolation(
    table: Table, groups: Groups, roles: Roles, options: DataOptions, *, bound: float, most: int
) -> SliceTable:
    """Count, by slice, drawn records and those whose isolation score is above a bound.

    The score of Liu, Ting and Zhou (2008) is near 1 where few random cuts set a record apart, and
    about ½ where it lies among the others. Categories are ranked by frequency; a missing value is
    the median of its column. Raises :class:`MissingExtraError` without scikit-learn.
    """
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError:
        raise MissingExtraError(
            "scikit-learn is needed for isolation forests", valid="pip install scikit-learn"
        ) from None
    features = model_features(table, roles, options)
    rows = draw_rows(table, groups, roles, feature_fields(features), most=most, seed=options.seed)
    x, _ = feature_matrix(rows, features)
    x = np.clip(x, -1e30, 1e30)  # the trees hold single precision
    counts = SliceTable.zero(ISOLATION, groups, ("records", "isolated"), context={"bound": bound})
    known = ~np.isnan(x).all(axis=0)
    x = x[:, known]
    if not x.shape[1]:
        return counts
    x = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    made: Any = IsolationForest
    forest: Any = made(n_estimators=100, max_samples=min(256, len(x)), random_state=options.seed)
    isolated = -np.asarray(forest.fit(x).score_samples(x)) > bound
    for family in groups.families:
        flat = groups.family_codes(rows.codes, family)
        counts.values[:, 0] += np.bincount(flat, minlength=groups.total)
        counts.values[:, 1] += np.bincount(flat[isolated], minlength=groups.total)
    return counts


def _limits(values: NDArray[np.float64], deviations: float) -> tuple[float, float] | None:
    """Return the ends of the range in which a value is none too far; ``None`` without a scale."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    median, mad = median_and_mad(finite)
    half = deviations * mad / _SCALE
    return (median - half, median + half) if mad > 0 and np.isfinite(half) else None


def _aggregates(number: str, limits: tuple[float, float] | None) -> tuple[str, str, str]:
    finite = f"count(*) filter (isfinite({number}))"
    infinite = f"count(*) filter (isinf({number}))"
    if limits is None:
        return finite, infinite, "0::bigint * count(*)"
    low, high = (number_sql(limit) for limit in limits)
    outside = f"isfinite({number}) and (({number}) < {low} or ({number}) > {high})"
    return finite, infinite, f"count(*) filter ({outside})"
