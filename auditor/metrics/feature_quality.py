"""What the values of a column are like, and how well one column alone tells the target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate
from auditor.metrics.auc import auc_sample
from auditor.metrics.estimates import estimate
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.proxies import halves_auc
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Mean, Projected, Sample, scaled

__all__ = ["COLUMN_VALUES", "EQUAL_COLUMNS", "FEATURE_TARGET", "LEAKING", "feature_auc"]

COLUMN_VALUES = "column-values"
EQUAL_COLUMNS = "equal-columns"
FEATURE_TARGET = "feature-target-counts"
LEAKING = "leaking-features"

Array = NDArray[np.float64]

_COARSE = 32


def _distinct(row: Row) -> Sample:
    distinct, listed, squares = (row.column(name) for name in ("distinct", "listed", "squares"))
    if not listed:
        return Absent("all values are missing")
    share = distinct / listed
    if row.context["one_in"] == 1:
        return Census(share, listed)
    # Values were drawn, each with all its records: the ratio of two totals of the drawn values.
    error = math.sqrt(max(distinct - 2 * share * listed + share**2 * squares, 0.0)) / listed
    return Mean(share, error, listed, "drawn-values", 0.0, 1.0, floor=distinct)


def _modal(row: Row) -> Sample:
    known = row.column("known")
    return Census(row.column("modal") / known, known) if known else Absent("all values are missing")


def _equal(row: Row) -> Sample:
    columns = int(row.values[0])
    return Census(int(row.values[1]), columns) if columns else Absent("there are no columns")


def _agreement(row: Row) -> Sample:
    return Census(row.column(f"agree:{row.parameter}") / row.column("rows"), row.column("rows"))


def _leaking(row: Row) -> Sample:
    features = int(row.values[0])
    if not features:
        return Absent("no feature has an area under the curve")
    return Census(int(row.values[1]), features, "count-of-estimates")


def _read_auc(row: Row) -> Sample:
    classes = int(row.context["classes"])
    counts = np.asarray(row.values[2:], np.float64).reshape(classes, 2, -1)
    return feature_auc(
        counts, numbers=row.context["type"] == "numbers", exact=bool(row.context["exact"])
    )


def feature_auc(counts: Array, *, numbers: bool, exact: bool = True) -> Sample:
    """Return the area under the curve of one feature alone as a sign of the target.

    Parameters
    ----------
    counts:
        Records by class, half (drawn by lot) and position, shape ``[classes, 2, positions + 1]``;
        the last position is a missing value. The positions of numbers ascend.
    numbers:
        Whether the positions are ranks of numbers.
    exact:
        Whether a position is a single number, and not a bin.

    It is the largest over the classes (one against the rest; of two classes, one) of: the area by
    the share of the class among records of the *other* half with the same value, so that values
    that occur once say nothing (numbers in up to 32 bins; a missing value is a value); and, of
    numbers, by the number itself in either direction, missing values first or last. The interval
    runs from the largest lower to the largest upper bound, at a level that allows for choosing.
    """
    sizes = counts.sum(axis=(1, 2))
    if (sizes > 0).sum() < 2:
        return Absent("the labelled records have fewer than two classes")
    total = counts.sum(axis=0)
    areas: list[_Area] = []
    reason = ""
    for k in range(1 if len(counts) == 2 else 0, len(counts)):
        inside, outside = counts[k], total - counts[k]
        if not sizes[k] or not outside.sum():
            continue
        parts = (inside, outside)
        if numbers:
            areas += _by_rank(inside.sum(axis=0), outside.sum(axis=0), exact=exact)
            parts = _coarse(inside, outside)
        area = halves_auc(*parts)
        if isinstance(area, Mean):
            areas.append(_Area(area, folds=False))
        elif isinstance(area, Absent):
            reason = area.reason
    if not areas:
        return Absent(reason or "no record has a value")
    m = len(areas)

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        level = 1 - (1 - confidence) / m
        found = [area.bounds(level, factor) for area in areas]
        return max(low for low, _ in found), max(high for _, high in found)

    value = max(area.value for area in areas)
    return Projected(value, float(sizes.sum()), f"delong-best-of-{m}", bounds)


@dataclass(frozen=True, slots=True)
class _Area:
    """An area under the curve of which only the distance from ½ counts, or what lies above."""

    area: Mean
    folds: bool

    @property
    def value(self) -> float:
        """The area, turned or cut to lie at ½ or above."""
        a = self.area.value
        return max(a, 1 - a) if self.folds else max(a, 0.5)

    def bounds(self, confidence: float, factor: float) -> tuple[float, float]:
        """Return its interval, turned or cut in the same way."""
        found = estimate(scaled(self.area, factor), confidence=confidence)
        assert isinstance(found, Estimate)
        low, high = found.low or 0.0, 1.0 if found.high is None else found.high
        if self.folds:
            return max(low, 1 - high, 0.5), max(high, 1 - low)
        return max(low, 0.5), max(high, 0.5)


def _by_rank(inside: Array, outside: Array, *, exact: bool) -> list[_Area]:
    orders = [np.arange(inside.size)]
    if inside[-1] + outside[-1]:
        orders.append(np.roll(orders[0], 1))  # missing values first
    found = [auc_sample(outside[order], inside[order], exact=exact) for order in orders]
    return [_Area(area, folds=True) for area in found if isinstance(area, Mean)]


def _coarse(inside: Array, outside: Array) -> tuple[Array, Array]:
    """Take neighbouring ranks together, about equally many records each; missing ones apart."""
    total = (inside + outside).sum(axis=0)[:-1]
    middle = (np.cumsum(total) - total / 2) / max(float(total.sum()), 1.0)
    place = np.append(np.minimum((middle * _COARSE).astype(np.int64), _COARSE - 1), _COARSE)
    out = np.zeros((2, 2, _COARSE + 1))
    for side, counts in enumerate((inside, outside)):
        for half in range(2):
            out[side, half] = np.bincount(place, counts[half], minlength=_COARSE + 1)
    used = out.sum(axis=(0, 1)) > 0
    return out[0][:, used], out[1][:, used]


_WHOLE = "counted over the whole table"

for _metric in (
    Metric(
        "distinct_share", "Share of distinct values", readers={COLUMN_VALUES: _distinct},
        parameter="column", formula="distinct values / known values: 1 where every value is "
        "another, as in an identifier; of more than about 200,000 values, a sample of values",
        source=_WHOLE,
    ),
    Metric(
        "modal_share", "Share of the most frequent value", readers={COLUMN_VALUES: _modal},
        better="lower", parameter="column", source=_WHOLE,
        formula="records with the most frequent value / records with a value: 1 of a constant",
    ),
    Metric(
        "equal_columns", "Columns that equal an earlier column",
        counts="columns", high=None, ideal=0.0,
        better="lower", readers={EQUAL_COLUMNS: _equal}, source=_WHOLE,
        formula="columns whose every value equals that of an earlier column in the same row",
    ),
    Metric(
        "agreement_rate", "Share of rows where two columns are equal", better="lower",
        readers={EQUAL_COLUMNS: _agreement}, parameter="columns", source=_WHOLE,
        formula="rows where both are equal or both are missing / rows",
    ),
    Metric(
        "feature_auc", "Area under the curve of one feature as a sign of the target", ideal=None,
        low=0.5, better="lower", readers={FEATURE_TARGET: _read_auc}, parameter="column",
        formula="largest over the classes of the area by the number itself, in either direction, "
        "and by the share of the class among other records of the same value or bin",
        source="DeLong, DeLong and Clarke-Pearson (1988); Bonferroni over the areas that the "
        "largest is chosen from",
    ),
    Metric(
        "leaking_features", "Features that alone tell the target",
        counts="columns", high=None, ideal=0.0,
        better="lower", readers={LEAKING: _leaking},
        formula="features whose feature_auc is above the check's own bound",
        source="a count of point estimates",
    ),
):  # fmt: skip
    add_metric(_metric, compared=False)
