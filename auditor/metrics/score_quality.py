"""What scores are worth: ranking, separation, calibration and distribution, from their counts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.intervals import normal_quantile, wilson_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.noise import absolute_noise, bridge_noise
from auditor.metrics.quantiles import quantile_sample
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Noisy, Projected, Sample
from auditor.stats import SCORES, ScoreGrid

__all__ = ["CALIBRATION_BINS", "QUANTILES", "SCORE_METRICS", "is_probability", "positions_of"]

Array = NDArray[np.float64]

CALIBRATION_BINS = 10
QUANTILES = ("0.1", "0.25", "0.5", "0.75", "0.9")
_CLIP = 1e-6


def positions_of(grid: ScoreGrid) -> Array:
    """Return the score that each position stands for: itself, or the middle of its bin."""
    if grid.values is not None:
        return np.asarray(grid.values, np.float64)
    width = (grid.high - grid.low) / grid.bins
    return np.asarray(grid.low + width * (np.arange(grid.bins) + 0.5), np.float64)


def is_probability(grid: ScoreGrid) -> bool:
    """Whether all scores lie in 0 to 1, so that they can be probabilities."""
    if grid.values is not None:
        values = np.asarray(grid.values, np.float64)
        return not values.size or bool(values.min() >= 0 and values.max() <= 1)
    return grid.low >= 0 and grid.high <= 1


def _labels(row: Row) -> tuple[Array, Array] | Absent:
    """Return negatives and positives by position, or why there are not both."""
    negatives, positives = (row.values[:, k].astype(np.float64) for k in (0, 1))
    n, m = negatives.sum(), positives.sum()
    if not n and not m:
        return Absent("no scored records")
    if not m:
        return Absent("no positives")
    return Absent("no negatives") if not n else (negatives, positives)


def _average_precision(row: Row) -> Sample:
    found = _labels(row)
    if isinstance(found, Absent):
        return found
    negatives, positives = found[0][::-1], found[1][::-1]
    m = positives.sum()
    tp, fp = np.cumsum(positives), np.cumsum(negatives)
    chosen = tp + fp
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(chosen > 0, tp / chosen, 0.0)
    # Exactly one where no negative comes before a positive: the sum may stray by a rounding.
    perfect = not fp[positives > 0].any()
    value = 1.0 if perfect else float((positives / m * precision).sum())
    bound = 0.0
    if row.grid is not None and not row.grid.exact:
        # Within a bin the positives may come first, all at one score, or last, one by one.
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(positives > 0, tp / (tp + fp - negatives), 0.0)
        first = float((positives * best).sum())
        last = _one_by_one(positives, tp - positives, fp)
        bound = float(max(first - value * m, value * m - last, 0.0) / m)

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        if not 0 < value < 1:
            low, high = wilson_of(value * m * factor, m * factor, confidence=confidence)
            return max(low - bound, 0.0), min(high + bound, 1.0)
        centre = math.log(value / (1 - value))
        half = normal_quantile(confidence) / math.sqrt(m * factor * value * (1 - value))
        # The logistic function as a hyperbolic tangent, which no size overflows.
        low, high = ((1 + math.tanh((centre + side * half) / 2)) / 2 for side in (-1, 1))
        return max(low - bound, 0.0), min(high + bound, 1.0)

    return Projected(value, float(m + negatives.sum()), "boyd-logit", bounds, bound=bound)


def _one_by_one(positives: Array, before_tp: Array, before_fp: Array) -> float:
    """Return Σ precision over the positives of each bin, one by one, with these before them."""
    total = 0.0
    for k, tp, fp in zip(positives, before_tp, before_fp, strict=True):
        if k:
            rank = tp + np.arange(1, int(k) + 1)
            total += float((rank / (rank + fp)).sum())
    return total


def _ks(row: Row) -> Sample:
    found = _labels(row)
    if isinstance(found, Absent):
        return found
    negatives, positives = found
    n, m = negatives.sum(), positives.sum()
    value = float(np.abs(np.cumsum(positives) / m - np.cumsum(negatives) / n).max())
    bound = 0.0
    if row.grid is not None and not row.grid.exact:
        # Inside a bin the curves part by the smaller of their two steps at most.
        bound = float(np.minimum(positives / m, negatives / n).max())
    noise = bridge_noise((positives / m, m), (negatives / n, n), np.ones(len(positives)), sup=True)
    return Noisy(value, noise, float(n + m), "gaussian-bridge", 0.0, 1.0, bound)


def _calibration_error(row: Row) -> Sample:
    assert row.grid is not None
    if not is_probability(row.grid):
        return Absent("the scores are no probabilities: some lie outside 0 to 1")
    counts = row.values.astype(np.float64)
    n = float(counts.sum())
    if not n:
        return Absent("no scored records")
    place = positions_of(row.grid)
    bins = np.minimum((place * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    size = np.bincount(bins, counts.sum(axis=1), minlength=CALIBRATION_BINS)
    gap = np.bincount(bins, counts[:, 1] - counts.sum(axis=1) * place, minlength=CALIBRATION_BINS)
    squares = np.bincount(
        bins, counts[:, 1] * (1 - place) ** 2 + counts[:, 0] * place**2, minlength=CALIBRATION_BINS
    )
    # Not less the square of the gap: where calibration is perfect the true gap is 0.
    spread = np.where(size > 0, squares, 0.0)
    bound = 0.0
    if not row.grid.exact:
        width = (row.grid.high - row.grid.low) / row.grid.bins
        low, high = (place - width / 2) * CALIBRATION_BINS, (place + width / 2) * CALIBRATION_BINS
        straddling = np.floor(low + 1e-9) != np.ceil(high - 1e-9) - 1
        bound = width / 2 + 2 * float(counts.sum(axis=1)[straddling].sum()) / n
    noise = absolute_noise(np.sqrt(spread) / n)
    value = float(np.abs(gap).sum() / n)
    return Noisy(value, noise, n, "gaussian-noise", 0.0, 1.0, bound)


def _calibration(coefficient: int) -> SampleReader:
    def read(row: Row) -> Sample:
        assert row.grid is not None
        if not is_probability(row.grid):
            return Absent("the scores are no probabilities: some lie outside 0 to 1")
        found = _labels(row)
        if isinstance(found, Absent):
            return found
        counts = row.values.astype(np.float64)
        place = positions_of(row.grid)
        exact = row.grid.exact
        if not exact and counts[[0, -1]].any():
            return Absent(
                f"scores within {1 / row.grid.bins:.2g} of an end share a bin, where their logits "
                "differ without limit; counting every score (--exact) measures it"
            )
        fits = [
            _logistic(_logit(x), counts, slope=coefficient == 1) for x in _ends(place, row.grid)
        ]
        if any(fit is None for fit in fits):
            return Absent("the scores do not vary, or separate the labels perfectly")
        (value, error), *others = (fit for fit in fits if fit is not None)
        bound = max((abs(other - value) for other, _ in others), default=0.0)
        method = "logistic-exact" if exact else "logistic-binned"
        return Mean(value, error, float(counts.sum()), method, bound=bound)

    return read


def _logit(place: Array) -> Array:
    clipped = np.clip(place, _CLIP, 1 - _CLIP)
    return np.log(clipped / (1 - clipped))


def _ends(place: Array, grid: ScoreGrid) -> list[Array]:
    """Return the positions; of bins also all their lower, upper, inner and outer edges.

    The fits at these edges say how much the place of a score within its bin matters.
    """
    if grid.exact:
        return [place]
    half = (grid.high - grid.low) / grid.bins / 2
    outward = half * np.sign(place - 0.5)
    return [place, place - half, place + half, place - outward, place + outward]


def _logistic(x: Array, counts: Array, *, slope: bool) -> tuple[float, float] | None:
    """Fit y ~ a + b·x by Newton's method; with ``slope`` give b, else a with b fixed at 1."""
    n, y = counts.sum(axis=1), counts[:, 1]
    used = n > 0
    x, n, y = x[used], n[used], y[used]
    if slope and x.size < 2:
        return None
    rate = float(y.sum() / n.sum())
    start = math.log(rate / (1 - rate))
    a, b = (start, 0.0) if slope else (start - float((n * x).sum() / n.sum()), 1.0)
    likelihood = _likelihood(a, b, x, n, y)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(a + b * x, -500, 500)))
        w = n * p * (1 - p)
        g0, g1 = float((y - n * p).sum()), float(((y - n * p) * x).sum())
        h00, h01, h11 = float(w.sum()), float((w * x).sum()), float((w * x * x).sum())
        if not slope:
            h01, h11, g1 = 0.0, 1.0, 0.0
        det = h00 * h11 - h01 * h01
        if det <= 1e-12 * max(h00 * h11, 1e-12):
            return None
        step = ((h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det)
        if max(abs(step[0]), abs(step[1])) < 1e-9:
            return (b, math.sqrt(h00 / det)) if slope else (a, math.sqrt(1 / h00))
        moved = likelihood
        for _ in range(60):  # halve the step until it leads upward
            moved = _likelihood(a + step[0], b + step[1], x, n, y)
            if moved >= likelihood - 1e-12 * abs(likelihood):
                break
            step = (step[0] / 2, step[1] / 2)
        a, b, likelihood = a + step[0], b + step[1], moved
        if abs(b) > 1e3:
            return None  # the labels are separated: there is no maximum
    return None


def _likelihood(a: float, b: float, x: Array, n: Array, y: Array) -> float:
    eta = a + b * x
    return float((y * eta - n * np.logaddexp(0.0, eta)).sum())


def _score_quantile(row: Row) -> Sample:
    assert row.grid is not None
    return quantile_sample(positions_of(row.grid), row.values.sum(axis=1), row.grid, row.parameter)


def _add(identifier: str, title: str, read: SampleReader, **rest: object) -> str:
    add_metric(Metric(identifier, title, readers={SCORES: read}, **rest))  # type: ignore[arg-type]
    return identifier


SCORE_METRICS: tuple[str, ...] = (
    _add("average_precision", "Average precision", _average_precision, ideal=1.0, better="higher",
         formula="Σ (Rₖ − Rₖ₋₁) Pₖ over the distinct scores, downward",
         source="sklearn.metrics; interval of the logit: Boyd, Eng and Page (2013), Area under "
         "the precision-recall curve"),
    _add("ks_statistic", "Kolmogorov–Smirnov separation", _ks, ideal=1.0, better="higher",
         formula="max |F(score | positive) − F(score | negative)|",
         source="Kolmogorov (1933); the noise is that of two Brownian bridges"),
    _add("expected_calibration_error", "Expected calibration error", _calibration_error, ideal=0.0,
         better="lower", formula=f"Σ over {CALIBRATION_BINS} bins of equal width of n_b/n · "
         "|share of positives − mean score|",
         source="Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities"),
    _add("calibration_slope", "Calibration slope", _calibration(1), low=None, high=None, ideal=1.0,

         formula="b of logit P(y = 1) = a + b · logit(score), scores clipped to 1e-6 "
         "from 0 and 1",
         source="Cox (1958); Van Calster et al. (2019), Calibration: the Achilles heel"),
    _add("calibration_intercept", "Calibration in the large", _calibration(0), low=None, high=None,
         ideal=0.0,
         formula="a of logit P(y = 1) = a + logit(score), scores clipped to 1e-6 from 0 and 1",
         source="Cox (1958); Van Calster et al. (2019), Calibration: the Achilles heel"),
    _add("score_quantile", "Quantile of the scores", _score_quantile, low=None, high=None,
         parameter="share", formula="the smallest score that at least this share does not exceed",
         source="interval by inverting Wilson's bounds of the share"),
)  # fmt: skip
"""What is read off score counts beside the AUC, in the order in which it is shown."""
