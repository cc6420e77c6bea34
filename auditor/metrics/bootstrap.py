"""Bootstrap intervals of any metric that is a function of the counts of joint cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile
from auditor.metrics.resampling import cell_replicates
from auditor.metrics.samples import Absent

__all__ = [
    "Bootstrapped",
    "bca_interval",
    "bootstrap_interval",
    "jackknife",
    "percentile_interval",
    "studentized_interval",
]

Array = NDArray[np.float64]

Function = Callable[[NDArray[Any]], NDArray[Any]]
"""Counts of shape ``[..., cells]`` → values of shape ``[...]``; NaN where it is undefined."""

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """A bootstrap interval.

    ``undefined`` of the ``replicates`` gave no value and took no part.
    """

    value: float
    low: float
    high: float
    method: str
    replicates: int
    undefined: int


def bootstrap_interval(
    function: Function,
    counts: ArrayLike,
    *,
    confidence: float,
    replicates: int = 2_000,
    seed: int = 0,
    kind: Literal["bca", "studentized"] = "bca",
) -> Bootstrapped | Absent:
    """Put a bootstrap interval around ``function(counts)``.

    Parameters
    ----------
    function:
        The metric, on counts of shape ``[..., cells]``.
    counts:
        Records in each joint cell, shape ``[cells]``.
    kind:
        ``bca``: bias-corrected and accelerated percentiles, which respect a transformation of the
        metric (Efron 1987). ``studentized``: quantiles of (θ* − θ) / s*, with jackknife errors s*
        of every replicate (Efron and Tibshirani 1993, chapter 12); costs ``cells`` times more.

    Absent, with the reason, where the metric is undefined for the counts or for most replicates,
    and where all replicates agree: a bootstrap of 0 of n shows no spread, and that is no
    evidence of certainty. Percentiles of a maximum over groups cover nothing; see
    :mod:`auditor.metrics.largest_gap` for these.

    >>> rate = lambda c: c[..., 1] / c.sum(axis=-1)
    >>> found = bootstrap_interval(rate, [70, 30], confidence=0.95)
    >>> found.value, bool(0.2 < found.low < 0.23 < 0.37 < found.high < 0.41)
    (0.3, True)
    """
    if kind not in ("bca", "studentized"):
        raise InputError(f"no bootstrap of kind {kind!r}", valid="bca, studentized")
    cells = np.asarray(counts, np.int64)
    if not cells.sum():
        return Absent("no records")
    value = float(_apply(function, cells))
    if math.isnan(value):
        return Absent("undefined for these counts")
    drawn = cell_replicates(cells, replicates=replicates, seed=seed)
    values = _apply(function, drawn)
    defined = ~np.isnan(values)
    undefined = int(replicates - defined.sum())
    if 2 * undefined > replicates:
        return Absent(f"undefined in {undefined} of {replicates} bootstrap replicates")
    if np.all(values[defined] == value):
        return Absent("all bootstrap replicates agree, so that they show no spread")
    left, weights = jackknife(function, cells)
    if kind == "bca":
        low, high = bca_interval(
            values[defined], value, left, weights=weights, confidence=confidence
        )
    else:
        error = float(_jackknife_error(left, weights))
        errors = _errors(function, drawn[defined])
        t = np.divide(values[defined] - value, errors, where=errors > 0,
                      out=np.full(errors.shape, np.nan))  # fmt: skip
        usable = ~np.isnan(t)
        undefined += int((~usable).sum())
        if 2 * undefined > replicates or not error > 0:
            return Absent("the bootstrap replicates have no standard errors")
        low, high = studentized_interval(t[usable], value, error=error, confidence=confidence)
    return Bootstrapped(value, low, high, f"bootstrap-{kind}", replicates, undefined)


def percentile_interval(values: ArrayLike, *, confidence: float) -> tuple[float, float]:
    """Return the percentiles of the replicates, each rounded outward to an order statistic.

    >>> percentile_interval(range(1, 100), confidence=0.9)
    (5.0, 95.0)
    """
    normal_quantile(confidence)
    tail = (1 - confidence) / 2
    return _between(np.sort(np.asarray(values, np.float64)), tail, 1 - tail)


def bca_interval(
    values: ArrayLike,
    value: float,
    left: ArrayLike,
    *,
    weights: ArrayLike,
    confidence: float,
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated percentiles of the replicates.

    Parameters
    ----------
    values, value:
        The replicates, without NaN, and the estimate.
    left, weights:
        The estimate with one record left out, and how many records give each (see
        :func:`jackknife`).

    The percentiles are Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z))), z₀ from the share of replicates below
    the estimate (ties count half), a = Σ d³ / 6 (Σ d²)^1.5 with d = mean − left-out value; Efron
    (1987), JASA 82, equation 2.3 and section 7.
    """
    drawn = np.sort(np.asarray(values, np.float64))
    d = np.asarray(left, np.float64)
    n = np.asarray(weights, np.float64)
    known = ~np.isnan(d) & (n > 0)
    d, n = d[known], n[known]
    acceleration = 0.0
    if d.size:
        d = np.average(d, weights=n) - d
        spread = float(n @ d**2)
        acceleration = float(n @ d**3) / (6 * spread**1.5) if spread > 0 else 0.0
    below = (np.sum(drawn < value) + np.sum(drawn <= value)) / (2 * drawn.size)
    edge = 0.5 / drawn.size
    normal = NormalDist()
    z0 = normal.inv_cdf(min(max(float(below), edge), 1 - edge))
    z = normal_quantile(confidence)

    def share(quantile: float) -> float:
        shifted = z0 + quantile
        scale = 1 - acceleration * shifted
        return normal.cdf(z0 + shifted / scale) if scale > 0 else float(shifted > 0)

    return _between(drawn, share(-z), share(z))


def studentized_interval(
    t: ArrayLike, value: float, *, error: float, confidence: float
) -> tuple[float, float]:
    """Return θ − t s at the quantiles of the studentised replicates ``t`` = (θ* − θ) / s*.

    >>> studentized_interval([-1.0, 0.0, 3.0], 10.0, error=2.0, confidence=0.5)
    (4.0, 12.0)
    """
    low, high = percentile_interval(t, confidence=confidence)
    return value - high * error, value - low * error


def jackknife(function: Function, counts: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
    """Return the values with one record left out, for each occupied cell, and the cells' counts.

    All records of a cell give the same value, so that there are as many values as cells.

    >>> left, weights = jackknife(lambda c: c[..., 1] / c.sum(axis=-1), [2, 1, 0])
    >>> left.tolist(), weights.tolist()
    ([0.5, 0.0], [2, 1])
    """
    cells = np.asarray(counts, np.int64)
    occupied = np.flatnonzero(cells)
    one_less = np.repeat(cells[None, :], occupied.size, axis=0)
    one_less[np.arange(occupied.size), occupied] -= 1
    return _apply(function, one_less), cells[occupied]


def _jackknife_error(left: Array, weights: NDArray[Any]) -> Array:
    """√((n − 1)/n Σ (left − mean)²) over the last axis; values that are NaN take no part."""
    n = np.where(np.isnan(left), 0, weights).astype(np.float64)
    total = np.maximum(n.sum(axis=-1), 1)
    known = np.where(np.isnan(left), 0.0, left)
    mean = (n * known).sum(axis=-1) / total
    squares = (n * (known - mean[..., None]) ** 2).sum(axis=-1)
    return np.sqrt((total - 1) / total * squares)


def _errors(function: Function, drawn: NDArray[np.int64]) -> Array:
    """Return the jackknife error of each replicate, in blocks that fit into memory."""
    cells = drawn.shape[1]
    out = np.empty(len(drawn))
    less = np.eye(cells, dtype=np.int64)
    rows = max(1, _BLOCK // (cells * cells))
    for start in range(0, len(drawn), rows):
        block = drawn[start : start + rows]
        one_less = np.maximum(block[:, None, :] - less, 0)  # of an empty cell: with weight 0
        out[start : start + rows] = _jackknife_error(_apply(function, one_less), block)
    return out


def _apply(function: Function, counts: NDArray[np.int64]) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.asarray(function(counts), np.float64)
    if values.shape != counts.shape[:-1]:
        raise InputError(
            f"the metric turns counts of shape {counts.shape} into values of shape {values.shape}",
            valid="one value for each row of counts",
        )
    return values


def _between(ordered: Array, low: float, high: float) -> tuple[float, float]:
    size = ordered.size
    first = min(max(math.floor((size + 1) * low + 1e-9), 1), size)
    last = min(max(math.ceil((size + 1) * high - 1e-9), 1), size)
    return float(ordered[first - 1]), float(ordered[last - 1])
