"""The largest gap of rates between any two groups: bounds, and estimates without its bias.

A maximum over groups is biased upward: groups that are all equal show a gap. Percentiles of
bootstrapped maxima double that bias instead of showing it, and cover a true gap of 0 never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.critical_values import confidence_of, normal_cdf, tukey
from auditor.metrics.resampling import stratified_replicates
from auditor.metrics.samples import Absent
from auditor.metrics.score_ratio import miettinen_nurminen_ratio
from auditor.metrics.simultaneous import difference_limits

__all__ = [
    "BetweenGroups",
    "between_group_variance",
    "bias_corrected_gap",
    "largest_gap_bounds",
]

Array = NDArray[np.float64]


def largest_gap_bounds(
    operation: Literal["difference", "ratio"], x: ArrayLike, n: ArrayLike, *,
    confidence: float, components: int = 1,
) -> tuple[float, float]:  # fmt: skip
    """Bound the largest difference, or the smallest ratio, between any two of disjoint groups.

    Parameters
    ----------
    x, n:
        Successes and trials of each group, shape ``[groups]``; two or more, every ``n`` > 0.
    components:
        Of how many rates the extreme is taken; each then answers for its share of the error.

    The two sides are different questions.

    - The gap is at least every pair's difference. Nobody knows beforehand which pair shows most, so
      the lower bound is the largest one of all pairs that hold *together*: at Tukey and Kramer's
      critical value (:func:`~auditor.metrics.critical_values.tukey`), from exact limits where
      counts are small.
    - The gap *is* the difference of one pair. That pair's own upper bound holds at its own level,
      and the largest upper bound of all pairs is no smaller: this side needs no correction
      (intersection and union; Berger 1982).

    With no true gap only the lower side can err, with probability 1 − ``confidence``. Once the gap
    is so large that the upper side can err, a pair can be mistaken in one direction only, which
    halves the error of the lower side. For the smallest ratio the sides are exchanged; where the
    differences are compatible with no gap at all, so is the ratio. Two groups have Newcombe's
    interval of their difference, or Miettinen and Nurminen's of their ratio.

    >>> low, high = largest_gap_bounds("difference", [805, 349, 87], [1795, 1488, 405],
    ...                                confidence=0.95)
    >>> round(low, 3), round(high, 3)
    (0.176, 0.277)
    """
    successes, trials = np.asarray(x, np.float64), np.asarray(n, np.float64)
    if successes.size < 2 or not (trials > 0).all():
        raise InputError("a gap needs two groups with records", valid="two or more groups, n > 0")
    return _bounds(
        operation, tuple(successes.tolist()), tuple(trials.tolist()), confidence, components
    )


@lru_cache(maxsize=256)  # a gap has several names, and its bias-corrected value the same bounds
def _bounds(
    operation: Literal["difference", "ratio"], x: tuple[float, ...], n: tuple[float, ...],
    confidence: float, components: int,
) -> tuple[float, float]:  # fmt: skip
    successes, trials = np.array(x), np.array(n)
    groups = successes.size
    i, j = np.triu_indices(groups, 1)
    pairs = successes[i], trials[i], successes[j], trials[j]
    together = 1 - (1 - confidence) / components
    if groups > 2:
        together = confidence_of(tukey(groups, confidence=together))
    joint = difference_limits(*pairs, confidence=together, guarded=groups > 2)
    least = max(0.0, float(joint[0].max()), float(-joint[1].min()))
    if operation == "difference":
        own = difference_limits(*pairs, confidence=confidence, guarded=False)
        return least, max(float(own[1].max()), float(-own[0].min()))
    own = miettinen_nurminen_ratio(*pairs, confidence=confidence)
    with np.errstate(divide="ignore"):
        low = min(float(own[0].min()), float((1 / own[1]).min()))
        if groups > 2 and least == 0:
            return low, 1.0
        joint = own
        if together != confidence:
            joint = miettinen_nurminen_ratio(*pairs, confidence=together)
        return low, min(1.0, float(joint[1].min()), float((1 / joint[0]).min()))


@dataclass(frozen=True, slots=True)
class BetweenGroups:
    """The variance of rates between groups.

    ``value`` is unbiased, so that it may lie below 0 where groups differ less than chance makes
    them differ; ``observed`` is the variance of the observed rates, ``noise`` what chance adds.
    """

    value: float
    observed: float
    noise: float
    low: float
    high: float
    confidence: float
    method: str


def between_group_variance(
    x: ArrayLike, n: ArrayLike, *, confidence: float, replicates: int = 2_000, seed: int = 0
) -> BetweenGroups | Absent:
    """Estimate how much the true rates of groups vary, without the noise of estimating them.

    Parameters
    ----------
    x, n:
        Successes and trials of each group, shape ``[groups]``.

    Lum, Zhang and Bower (2022), FAccT, arXiv 2205.05770: the sample variance of the rates minus
    their mean squared standard error. A bootstrap of it adds the noise a second time, so that its
    replicates are corrected twice ("double-corrected"), and the interval is their percentiles,
    cut at 0. Here the squared errors are p(1 − p)/(n − 1), which makes both corrections exactly
    unbiased (the paper's, p(1 − p)/n, are so up to a factor 1 − 1/n). Groups of a single record say
    nothing about their own noise and take no part. Absent with fewer than two other groups.

    >>> found = between_group_variance([10, 10], [20, 20], confidence=0.95)
    >>> round(found.value, 6), found.observed, round(found.noise, 6)  # 0.25 / 19
    (-0.013158, 0.0, 0.013158)
    """
    successes, trials = _sizable(x, n)
    if trials.size < 2:
        return Absent("fewer than two groups with two records")
    rates = successes / trials
    noise = float(np.mean(_squared_error(rates, trials)))
    observed = float(np.var(rates, ddof=1))
    table = np.stack([successes, trials - successes], axis=1)
    drawn = stratified_replicates(np.rint(table), replicates=replicates, seed=seed)[..., 0]
    again = drawn / np.rint(table).sum(axis=1)
    corrected = _corrected_twice(again, trials)
    tail = (1 - confidence) / 2
    low, high = np.maximum(np.quantile(corrected, [tail, 1 - tail]), 0.0)
    return BetweenGroups(observed - noise, observed, noise, float(low), float(high), confidence,
                         "double-corrected-bootstrap")  # fmt: skip


def bias_corrected_gap(x: ArrayLike, n: ArrayLike) -> float | Absent:
    """Estimate the largest difference between two groups without its upward bias; at least 0.

    Parameters
    ----------
    x, n:
        Successes and trials of each group, shape ``[groups]``.

    A parametric bootstrap (Efron and Tibshirani 1993, chapter 10): the bias is the mean of max −
    min over tables drawn from a model, minus the model's own gap. Its rates are the observed ones,
    drawn together so that they vary as much as :func:`between_group_variance` says the true rates
    do: the observed rates themselves are spread too far, and would show too small a bias. The mean
    over infinitely many tables is computed, not drawn: ∫ 1 − Π F(t) − Π (1 − F(t)) dt, with normal
    F.

    >>> bias_corrected_gap([30, 30, 30], [100, 100, 100])
    0.0
    >>> round(bias_corrected_gap([300, 500], [1000, 1000]), 3)  # far apart: nothing to correct
    0.2
    """
    successes, trials = _sizable(x, n)
    if trials.size < 2:
        return Absent("fewer than two groups with two records")
    rates = successes / trials
    gap = float(np.ptp(rates))
    observed = float(np.var(rates, ddof=1))
    if observed == 0:
        return 0.0
    between = max(0.0, observed - float(np.mean(_squared_error(rates, trials))))
    centre = float(successes.sum() / trials.sum())
    model = centre + (rates - centre) * math.sqrt(between / observed)
    errors = np.sqrt(model * (1 - model) / trials)
    bias = _mean_range(model, errors) - float(np.ptp(model))
    return min(gap, max(0.0, gap - bias))


def _corrected_twice(rates: Array, trials: Array) -> Array:
    """Take from the variance of replicates, over the last axis, the noise of both drawings.

    The bootstrap added p(1 − p)/n, and chance had added p(1 − p)/(n − 1), p being the observed
    rate; p*(1 − p*)/(n − 1) of the replicate is an unbiased estimate of the first.
    """
    noise = _squared_error(rates, trials) * (1 + trials / (trials - 1))
    return np.var(rates, axis=-1, ddof=1) - np.mean(noise, axis=-1)


def _mean_range(means: Array, errors: Array) -> float:
    """Return the mean of max − min of independent normals."""
    errors = np.maximum(errors, 1e-6)  # a jump is a steep slope
    steps = np.linspace(-7, 7, 57)
    places = np.unique(means[:, None] + errors[:, None] * steps)
    below = np.ones(places.shape)
    above = np.ones(places.shape)
    for mean, error in zip(means, errors, strict=True):
        f = _cdf((places - mean) / error)
        below *= f
        above *= 1 - f
    inside = 1 - below - above
    return float(np.sum(np.diff(places) * (inside[1:] + inside[:-1])) / 2)


@lru_cache(maxsize=1)
def _table() -> tuple[Array, Array]:
    at = np.arange(-8.0, 8.0 + 1e-9, 1 / 256)
    return at, normal_cdf(at)


def _cdf(z: Array) -> Array:
    """The normal distribution function to 5e-7, by a table: there are many places."""
    return np.interp(z, *_table())


def _squared_error(rates: Array, trials: Array) -> Array:
    return rates * (1 - rates) / (trials - 1)


def _sizable(x: ArrayLike, n: ArrayLike) -> tuple[Array, Array]:
    successes, trials = np.asarray(x, np.float64), np.asarray(n, np.float64)
    return successes[trials >= 2], trials[trials >= 2]
