"""Errors and levels of predicted numbers: bias, absolute and squared error, R², quantiles."""

from __future__ import annotations

import math

from auditor.metrics.means import columns_of, mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.quantiles import quantile_sample
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Projected, Sample
from auditor.metrics.score_quality import positions_of
from auditor.stats import RESIDUALS
from auditor.stats.regression import REGRESSION

__all__ = ["REGRESSION_METRICS", "RESIDUAL_SHARES"]

RESIDUAL_SHARES = ("0.05", "0.25", "0.5", "0.75", "0.95")

_NO_SPREAD = 1e-12
"""Below this share of the sum of squares a spread is nothing but rounding."""


def _mean(quantity: str, over: str, *, low: float | None) -> SampleReader:
    """Return the reader of a mean; predictions are summed about an origin."""
    total, squares = columns_of(quantity)

    def read(row: Row) -> Sample:
        n = row.column(over)
        origin = float(row.context["origins"][0]) if quantity == "prediction" else 0.0
        sample = _spread_mean(row.column(total), row.column(squares), n, low=low, origin=origin)
        return sample if n else Absent(_nothing(row, over))

    return read


def _spread_mean(
    total: float, squares: float, n: float, *, low: float | None, origin: float = 0.0
) -> Sample:
    sample = mean_of(total, squares, n, low=low)
    if not isinstance(sample, Mean):
        return sample
    value = origin + sample.value
    if squares - total * total / n <= _NO_SPREAD * squares:
        return _unbounded(value, n, low=low)
    return Mean(value, sample.standard_error, n, "normal", low)


def _unbounded(
    value: float, n: float, *, low: float | None = None, high: float | None = None
) -> Projected:
    """Return a number of records that do not vary: nothing says how far another would be off."""

    def bounds(_confidence: float, _factor: float) -> tuple[float, float]:
        return -math.inf if low is None else low, math.inf if high is None else high

    return Projected(value, n, "no-spread", bounds)


def _root(row: Row) -> Sample:
    mean = _mean("squared", "judged", low=0.0)(row)
    if isinstance(mean, Projected):
        return _unbounded(math.sqrt(mean.value), mean.n, low=0.0)
    if not isinstance(mean, Mean):
        return mean
    value = math.sqrt(mean.value)
    return Mean(value, mean.standard_error / (2 * value), mean.n, "delta", 0.0)


def _r2(row: Row) -> Sample:
    n = row.column("judged")
    if not n:
        return Absent(_nothing(row, "judged"))
    if n < 2:
        return Absent("one record has no variance")
    names = ("squared·target", "squared·target²", "sum:squared", "squares:squared", "sum:target",
             "squares:target", "cubes:target", "fourths:target")  # fmt: skip
    et, ett, ee, eeee, t, tt, ttt, tttt = (row.column(name) / n for name in names)
    variance = tt - t * t
    if variance <= _NO_SPREAD * tt:
        return Absent("the target does not vary, so there is nothing to explain")
    ratio = ee / variance
    # Moments about the mean of the slice, from those about the origin.
    cross = ett - 2 * t * et + t * t * ee
    fourth = tttt - 4 * t * ttt + 6 * t * t * tt - 3 * t**4
    squares = eeee - 2 * ratio * cross + ratio * ratio * fourth
    if squares <= _NO_SPREAD * (eeee + ratio * ratio * fourth):
        return _unbounded(1 - ratio, n, high=1.0)
    error = math.sqrt(squares / n) / variance
    return Mean(1 - ratio, error, n, "delta", None, 1.0)


def _nothing(row: Row, over: str) -> str:
    if not row.column("records"):
        return "no records"
    if not row.column("predicted"):
        return "no records with a prediction"
    return "no records with target and prediction" if over == "judged" else "no records"


def _residual_quantile(row: Row) -> Sample:
    assert row.grid is not None
    return quantile_sample(positions_of(row.grid), row.values.sum(axis=1), row.grid, row.parameter)


def _add(
    identifier: str, title: str, read: SampleReader, *, kind: str = REGRESSION, **rest: object
) -> str:
    fields = {"high": None, "source": "counted", **rest}
    add_metric(Metric(identifier, title, readers={kind: read}, **fields))  # type: ignore[arg-type]
    return identifier


REGRESSION_METRICS: tuple[str, ...] = (
    _add("mean_prediction", "Mean prediction", _mean("prediction", "predicted", low=None),
         low=None, formula="Σ prediction / records with a prediction"),
    _add("mean_error", "Mean error (bias)", _mean("error", "judged", low=None), low=None,
         ideal=0.0, formula="mean of prediction − target"),
    _add("mean_absolute_error", "Mean absolute error", _mean("absolute", "judged", low=0.0),
         ideal=0.0, better="lower", formula="mean of |prediction − target|",
         source="sklearn.metrics.mean_absolute_error"),
    _add("mean_squared_error", "Mean squared error", _mean("squared", "judged", low=0.0),
         ideal=0.0, better="lower", formula="mean of (prediction − target)²",
         source="sklearn.metrics.mean_squared_error"),
    _add("root_mean_squared_error", "Root mean squared error", _root, ideal=0.0, better="lower",
         formula="√ mean of (prediction − target)²; its standard error is that of the mean over "
         "twice the root", source="sklearn.metrics.root_mean_squared_error; delta method"),
    _add("r2_score", "R²", _r2, low=None, high=1.0, ideal=1.0, better="higher",
         formula="1 − Σ (prediction − target)² / Σ (target − mean target)²; standard error "
         "√(mean of (e² − (1 − R²) c²)² / n) / variance of the target, c = target − mean",
         source="sklearn.metrics.r2_score; delta method"),
    _add("residual_quantile", "Quantile of the residuals", _residual_quantile, kind=RESIDUALS,
         low=None, parameter="share",
         formula="the smallest prediction − target that at least this share does not exceed",
         source="interval by inverting Wilson's bounds of the share"),
)  # fmt: skip
"""What is read off regression sums and counts of residuals, in the order in which it is shown."""
