"""How far later data lie from the training data, column by column, with what chance alone makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Interval
from auditor.metrics.auc import auc_sample
from auditor.metrics.distances import ks_distance, wasserstein_distance
from auditor.metrics.estimates import Outcome, estimate
from auditor.metrics.intervals import newcombe, normal_quantile
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.noise import REPLICATES
from auditor.metrics.psi import population_stability
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Mean, Noisy, Projected, Proportion, Sample
from auditor.stats import ScoreGrid

__all__ = [
    "DOMAIN",
    "DRIFT",
    "DRIFT_COLUMNS",
    "DRIFT_GROUPS",
    "OF_CATEGORIES",
    "OF_EVERY_COLUMN",
    "OF_NUMBERS",
    "largest_deviation",
    "two_sample_variation",
    "with_family",
]

DRIFT = "drift-counts"
DOMAIN = "drift-domain-counts"
DRIFT_GROUPS = "drift-group-counts"
DRIFT_COLUMNS = "drift-columns"

Array = NDArray[np.float64]

_HEAD = 8
_LEAST_REPEATS = 2
_TAIL = 10
_START = 0.98
_FEW_LEVELS = 64


def _ranks(row: Row) -> tuple[Array, Array]:
    """Return the counts of training and later records at each position."""
    size = int(row.context["positions"])
    values = np.asarray(row.values[_HEAD:], np.float64)
    return values[:size], values[size : 2 * size]


def _as_pair(row: Row, counts: tuple[Array, Array], grid: ScoreGrid) -> tuple[Row, Row]:
    mine, other = (
        replace(row, values=np.stack([side, np.zeros_like(side)], axis=1), grid=grid)
        for side in counts
    )
    return mine, other


def _known(row: Row) -> Absent | None:
    train, later = (row.column(f"{s}:records") - row.column(f"{s}:missing") for s in "ab")
    if train < 2 or later < 2:
        who = "training" if train < 2 else "later"
        return Absent(f"fewer than two {who} records have a value")
    return None


def _repeats(row: Row) -> Absent | None:
    known = sum(row.column(f"{s}:records") - row.column(f"{s}:missing") for s in "ab")
    if known < _LEAST_REPEATS * row.column("levels"):
        return Absent("its values hardly repeat: an identifier or free text")
    return None


def _ks(row: Row) -> Sample:
    if reason := _known(row):
        return reason
    counts = _ranks(row)
    size = counts[0].size
    grid = (
        ScoreGrid(values=np.arange(float(size))) if row.context["exact"] else ScoreGrid(bins=size)
    )
    return _renamed(ks_distance(*_as_pair(row, counts, grid)))


def _wasserstein(row: Row) -> Sample:
    if reason := _known(row):
        return reason
    step = row.context["step"]
    if step is None:
        return Absent("the training values are all equal, so there is no unit of distance")
    cells = _cells(row)
    grid = ScoreGrid(values=np.arange(float(cells[0].size)) * step)
    found = wasserstein_distance(*_as_pair(row, cells, grid))
    return replace(_renamed(found), bound=step) if isinstance(found, Noisy) else found


def _renamed(sample: Sample) -> Sample:
    if isinstance(sample, Absent):
        return Absent(sample.reason.replace("this slice", "training").replace(
            "the reference", "later").replace("prediction", "value"))  # fmt: skip
    return sample


def _variation(row: Row) -> Sample:
    reason = _known(row) or _repeats(row)
    if reason:
        return reason
    train, later = _ranks(row)
    value, noise = two_sample_variation(train, later)
    return Noisy(value, noise, float(train.sum() + later.sum()), "multinomial-noise", 0.0, 1.0)


def two_sample_variation(one: Array, other: Array) -> tuple[float, Array]:
    """Return ½ Σ |p − q| and sorted replicates of the distance that chance alone makes.

    Parameters
    ----------
    one, other:
        The records of each sample by level, shape ``[levels]``, neither all 0.

    By the triangle inequality |TV(p̂, q̂) − TV(p, q)| is at most ½ Σ |(p̂ − p) − (q̂ − q)|, whose
    limit is that of independent multinomial errors √p z − p Σ √p z over √n of each sample. The
    replicates come from fixed tables. Against small samples half a record is added to each level
    for its noise, the variance is over n − 1, and (1/n + 1/m) / 4 is added, as counts are whole.

    >>> round(two_sample_variation(np.array([30.0, 70.0]), np.array([50.0, 50.0]))[0], 6)
    0.2
    """
    p, q = one / one.sum(), other / other.sum()
    used = one + other > 0
    parts: list[Array] = []
    for side, counts in enumerate((one, other)):
        smooth = counts[used] + 0.5
        smooth = smooth / smooth.sum()
        root = np.sqrt(smooth) * _normals(side, smooth.size)
        parts.append(
            (root - smooth * root.sum(axis=1, keepdims=True)) / math.sqrt(max(counts.sum() - 1, 1))
        )
    noise = np.abs(parts[0] - parts[1]).sum(axis=1) / 2 + (1 / one.sum() + 1 / other.sum()) / 4
    return min(float(np.abs(p - q).sum() / 2), 1.0), np.sort(noise)


@lru_cache(maxsize=8)
def _normals(side: int, size: int) -> Array:
    replicates = REPLICATES if size > _FEW_LEVELS else 4 * REPLICATES
    return np.random.default_rng([20260103, side]).standard_normal((replicates, size))


def _psi(row: Row) -> Sample:
    reason = _known(row) or (None if row.context["type"] == "numbers" else _repeats(row))
    if reason:
        return reason
    train, later = _ranks(row)
    return population_stability(train, later, ordered=row.context["type"] == "numbers")


def _missing(row: Row) -> Sample:
    return _change(*(row.column(f"{s}:{c}") for s in "ba" for c in ("missing", "records")))


def _group_share(row: Row) -> Sample:
    if reason := row.context["reason"]:
        return Absent(str(reason))
    (a, b), (all_a, all_b) = row.values.tolist(), row.everybody.tolist()
    return _change(b, all_b, a, all_a)


def _change(x: float, n: float, x0: float, n0: float) -> Sample:
    """Return x/n − x₀/n₀ with Newcombe's interval."""
    if not n or not n0:
        return Absent("no later records" if not n else "no training records")

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        low, high = newcombe(x * factor, n * factor, x0 * factor, n0 * factor,
                             confidence=confidence)  # fmt: skip
        return float(low), float(high)

    return Projected(x / n - x0 / n0, n + n0, "newcombe", bounds)


def _new_rate(row: Row) -> Sample:
    if row.context["levels"] == "many":
        return Absent("the training data have too many levels to tell a new one")
    known = row.column("b:records") - row.column("b:missing")
    return Proportion(row.column("new"), known) if known else Absent("no later record has a value")


def _new_levels(row: Row) -> Sample:
    if row.context["levels"] == "many":
        return Absent("the training data have too many levels to tell a new one")
    known = row.column("b:records") - row.column("b:missing")
    return (
        Census(row.column("new_levels"), known) if known else Absent("no later record has a value")
    )


def _absent_columns(row: Row) -> Sample:
    return Census(float(row.values[1]), float(row.values[0]))


def _domain(row: Row) -> Sample:
    """Return the mean of the folds' areas.

    Each fold is scored by a model of the others: without any drift the areas rise and fall
    together, and their mean has up to twice the variance of independent ones.
    """
    if not row.values[1:].sum():
        return Absent(str(row.context["reason"]) or "no records")
    folds = int(row.context["folds"])
    counts = np.asarray(row.values[1:], np.float64).reshape(folds, 2, -1)
    areas = [auc_sample(a, b, exact=False) for a, b in counts]
    found = [area for area in areas if isinstance(area, Mean)]
    if len(found) < folds:
        return Absent("a fold lacks one of the two sides")
    error = math.sqrt(2) * math.hypot(*(area.standard_error for area in found)) / folds
    return Mean(
        sum(area.value for area in found) / folds, error, float(counts.sum()),
        "delong-cross-fitted", 0.0, 1.0, bound=max(area.bound for area in found),
        floor=float(min(counts[:, 0].sum(), counts[:, 1].sum())),
    )  # fmt: skip


def largest_deviation(metric: str, row: Row) -> float:
    """Return a bound of the standard deviation of every functional that a distance is the most of.

    A distance of shares is the largest of means of functions between −½ and ½: at most
    ½ √(1/n + 1/m). The Wasserstein distance is the largest of means of functions that nowhere rise
    faster than their argument, whose variance is at most that of the values.
    """
    if _known(row):
        return 0.0
    n, m = (row.column(f"{s}:records") - row.column(f"{s}:missing") for s in "ab")
    if metric != "drift_wasserstein":
        return math.sqrt(1 / n + 1 / m) / 2
    if row.context["step"] is None:
        return 0.0
    variances = [_variance(side) * row.context["step"] ** 2 for side in _cells(row)]
    return math.sqrt(variances[0] / n + variances[1] / m)


def _cells(row: Row) -> tuple[Array, Array]:
    """Return the counts of training and later numbers at even steps."""
    size = (row.values.size - _HEAD) // 2 - int(row.context["positions"])
    cells = np.asarray(row.values[row.values.size - 2 * size :], np.float64)
    return cells[:size], cells[size:]


def _variance(counts: Array) -> float:
    places = np.arange(float(counts.size))
    shares = counts / counts.sum()
    return float(shares @ (places - shares @ places) ** 2)


def with_family(
    outcomes: Sequence[tuple[Sample, Outcome, float]], *, confidence: float
) -> list[Outcome]:
    """Put beside each interval the one that holds for all of them together.

    Parameters
    ----------
    outcomes:
        The sample, its estimate, and the standard deviation σ of the noisiest functional that a
        distance is the largest of (0 for samples that are no distances).

    By Bonferroni: 1 − α/m of m measured ones. So far out in the tail the replicates of a distance
    are few; from its quantile q at 0.98 on the bound is q + σ (z − z₀.₉₈), which a Gaussian norm
    exceeds with no more than the probability of a normal beyond z (Borell 1975, The Brunn–Minkowski
    inequality in Gauss space).
    """
    m = sum(isinstance(outcome, Estimate) for _, outcome, _ in outcomes)
    level = 1 - (1 - confidence) / max(m, 1)
    out: list[Outcome] = []
    for sample, outcome, sigma in outcomes:
        if isinstance(outcome, Estimate) and m > 1 and not isinstance(sample, Census):
            if isinstance(sample, Noisy) and (1 - level) * sample.noise.size < _TAIL:
                start = float(np.quantile(sample.noise, _START, method="higher"))
                steps = normal_quantile(2 * level - 1) - normal_quantile(2 * _START - 1)
                far = np.array([start + sigma * steps])
                sample = replace(sample, noise=far, method=f"{sample.method}-borell")
            found = estimate(sample, confidence=level)
            assert isinstance(found, Estimate)
            beside = Interval(low=found.low, high=found.high, confidence=confidence,
                              method=f"{found.method}-bonferroni-{m}")  # fmt: skip
            outcome = outcome.with_also(beside)
        out.append(outcome)
    return out


_BRIDGE = "the noise is that of two Brownian bridges, so that the interval holds without drift too"

for _metric in (
    Metric(
        "drift_ks", "Kolmogorov–Smirnov distance from the training data", ideal=0.0,
        better="lower", readers={DRIFT: _ks}, parameter="column, split",
        formula="sup over x of |F(x) − G(x)|, the shares of values up to x",
        source=f"Smirnov (1939); {_BRIDGE}",
    ),
    Metric(
        "drift_wasserstein", "Wasserstein distance from the training data", high=None, ideal=0.0,
        better="lower", readers={DRIFT: _wasserstein}, parameter="column, split",
        formula="∫ |F(x) − G(x)| dx in standard deviations of the training values; values beyond "
        "the outermost 0.1 % of both are cut there", source=f"Kantorovich (1942); {_BRIDGE}",
    ),
    Metric(
        "drift_total_variation", "Total variation distance from the training data", ideal=0.0,
        better="lower", readers={DRIFT: _variation}, parameter="column, split",
        formula="½ Σ over levels |share in the training data − share in the later data|",
        source="the noise is that of two multinomial samples, by the triangle inequality",
    ),
    Metric(
        "drift_psi", "Population stability index", high=None, ideal=0.0, better="lower",
        readers={DRIFT: _psi}, parameter="column, split",
        formula="Σ over bins (q − p) ln(q / p) − (bins − 1)(1/n + 1/m), at least 0: numbers in ten "
        "bins of equal size of the training data, rare levels taken together, half a record added "
        "to each bin",
        source="Lewis (1994), An introduction to credit scoring; Yurdakul and Naranjo (2020), "
        "Statistical properties of the population stability index",
    ),
    Metric(
        "missing_rate_change", "Change in the share of missing values", low=-1.0, ideal=0.0,
        readers={DRIFT: _missing}, parameter="column, split",
        formula="share missing in the later data − share missing in the training data",
        source="Newcombe (1998)",
    ),
    Metric(
        "new_level_rate", "Share of records with a level that training lacks", ideal=0.0,
        better="lower", readers={DRIFT: _new_rate}, parameter="column, split",
        formula="later records of levels without a training record / later records with a value",
        source="Wilson (1927)",
    ),
    Metric(
        "new_levels", "Levels that training lacks", high=None, ideal=0.0, better="lower",
        readers={DRIFT: _new_levels}, parameter="column, split",
        formula="levels among the drawn later records that have no training record",
        source="counted",
    ),
    Metric(
        "absent_columns", "Columns of the training data that later data lack",
        counts="columns", high=None,
        ideal=0.0, better="lower", readers={DRIFT_COLUMNS: _absent_columns}, parameter="split",
        formula="columns of the training data, the target apart, that the later table lacks",
        source="counted",
    ),
    Metric(
        "drift_auc", "Area under the curve of later against training records", ideal=0.5,
        better="lower", readers={DOMAIN: _domain}, parameter="split",
        formula="mean over folds of the area of out-of-fold scores of gradient-boosted trees",
        source="Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests; DeLong, DeLong "
        "and Clarke-Pearson (1988), the variance doubled",
    ),
    Metric(
        "group_share_change", "Change in the share of the group", low=-1.0, ideal=0.0,
        readers={DRIFT_GROUPS: _group_share}, parameter="split",
        formula="share in the later data − share in the training data",
        source="Newcombe (1998)",
    ),
):  # fmt: skip
    add_metric(_metric, compared=False)

OF_EVERY_COLUMN: tuple[str, ...] = ("missing_rate_change",)
OF_NUMBERS: tuple[str, ...] = ("drift_ks", "drift_wasserstein", "drift_psi")
OF_CATEGORIES: tuple[str, ...] = (
    "drift_total_variation", "drift_psi", "new_level_rate", "new_levels",
)  # fmt: skip
