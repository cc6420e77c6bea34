"""Intervals of many slices, or of many differences, that hold together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.critical_values import (
    bonferroni,
    confidence_of,
    dunnett,
    sidak,
    tukey,
)
from auditor.metrics.intervals import Bounds, normal_quantile, wilson
from auditor.metrics.resampling import cell_replicates

__all__ = [
    "Bands",
    "Differences",
    "difference_limits",
    "guarded_limits",
    "max_t_bands",
    "sidak_wilson",
    "simultaneous_differences",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bands:
    """Bounds of a family that hold together.

    ``critical`` is the number of standard errors of a Wilson interval in it. A slice without
    records has the bounds 0 and 1 and is no member of the family.
    """

    low: Array
    high: Array
    critical: float
    method: str


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences p[i] − p[j] of the ``pairs`` (i, j), shape ``[pairs, 2]``, held together."""

    pairs: NDArray[np.intp]
    low: Array
    high: Array
    critical: float
    method: str


def sidak_wilson(x: ArrayLike, n: ArrayLike, *, confidence: float, disjoint: bool = True) -> Bands:
    """Return simultaneous bounds of the rates of slices.

    Parameters
    ----------
    x, n:
        Successes and trials of each slice, shape ``[slices]``.
    disjoint:
        Whether no record is in two slices: each interval then has the level (1 − α)^(1/m) (Šidák
        1967); 1 − α/m (Bonferroni) otherwise.

    Wilson's interval at that level where it is accurate, the exact one elsewhere; see
    :func:`guarded_limits`. Coverage is at least as claimed, whatever the rates are.

    >>> bands = sidak_wilson([40, 60], [100, 100], confidence=0.95)
    >>> bands.low.round(3).tolist(), bands.high.round(3).tolist()
    ([0.291, 0.483], [0.517, 0.709])
    """
    successes, trials = _counts(x, n)
    occupied = trials > 0
    family = max(1, int(occupied.sum()))
    z = (sidak if disjoint else bonferroni)(family, confidence=confidence)
    low, high = np.zeros(trials.shape), np.ones(trials.shape)
    low[occupied], high[occupied] = guarded_limits(
        successes[occupied], trials[occupied], confidence=confidence_of(z)
    )
    return Bands(low, high, z, "sidak-wilson" if disjoint else "bonferroni-wilson")


def max_t_bands(
    x: ArrayLike,
    n: ArrayLike,
    *,
    confidence: float,
    joint: ArrayLike | None = None,
    membership: ArrayLike | None = None,
    replicates: int = 2_000,
    seed: int = 0,
) -> Bands:
    """Return simultaneous bounds of the rates of slices that may overlap.

    Parameters
    ----------
    x, n:
        Successes and trials of each slice, shape ``[slices]``.
    joint:
        Successes and failures in each joint cell, shape ``[joint cells, 2]``.
    membership:
        Which joint cells make up each slice, shape ``[slices, joint cells]``.

    All slices see the same replicates of the joint cells, so that their dependence is in the
    critical value: the quantile of max |p* − p| / √(p(1 − p)/n*) over the slices, which is
    put into Wilson's interval as its z (max-t: Westfall and Young 1993; Romano and Wolf 2005; here
    on the score scale, where no replicate has a standard error of 0). It is never above that of
    Bonferroni. Without ``joint`` the slices are disjoint, and the critical value is Šidák's, which
    is exact.

    Slices with few successes or failures (:func:`guarded_limits`) take no part in the maximum: t of
    m slices get exact limits at the level 1 − α/m each, and the others share α (m − t)/m. Raises
    :class:`InputError` where the joint cells do not add up to ``x`` and ``n``.
    """
    if (joint is None) != (membership is None):
        raise InputError("joint cells without membership, or the reverse", valid="both or none")
    if joint is None or membership is None:
        return sidak_wilson(x, n, confidence=confidence)
    successes, trials = _counts(x, n)
    cells, member = np.asarray(joint, np.int64), np.asarray(membership, np.float64)
    if (
        cells.ndim != 2
        or cells.shape[1] != 2
        or member.shape != (trials.size, len(cells))
        or not np.array_equal(member @ cells, np.stack([successes, trials - successes], axis=-1))
    ):
        raise InputError("the joint cells do not add up to the slices",
                         valid="joint [cells, 2] and membership [slices, cells]")  # fmt: skip
    alpha = 1 - confidence
    occupied = trials > 0
    family = max(1, int(occupied.sum()))
    most = bonferroni(family, confidence=confidence)
    rough = occupied & _few(successes, trials, most)
    smooth = occupied & ~rough
    low, high = np.zeros(trials.shape), np.ones(trials.shape)
    low[rough], high[rough] = guarded_limits(
        successes[rough], trials[rough], confidence=confidence_of(most)
    )
    critical = most
    if smooth.any() and family > 1:
        share = alpha * float(smooth.sum()) / family
        drawn = cell_replicates(cells.ravel(), replicates=replicates, seed=seed)
        table = drawn.reshape(replicates, -1, 2).astype(np.float64)
        hits, all_ = table[..., 0] @ member[smooth].T, table.sum(axis=-1) @ member[smooth].T
        rate = successes[smooth] / trials[smooth]
        t = np.abs(hits - all_ * rate) / np.sqrt(np.maximum(all_, 1) * rate * (1 - rate))
        place = math.ceil((replicates + 1) * (1 - share))
        if place <= replicates:
            found = float(np.partition(t.max(axis=1), place - 1)[place - 1])
            critical = min(most, max(found, normal_quantile(1 - share)))
    low[smooth], high[smooth] = wilson(
        successes[smooth], trials[smooth], confidence=confidence_of(critical)
    )
    return Bands(low, high, critical, "max-t-wilson")


def simultaneous_differences(
    x: ArrayLike, n: ArrayLike, *, confidence: float, reference: int | None = None
) -> Differences:
    """Return differences of the rates of disjoint groups that hold together.

    Parameters
    ----------
    x, n:
        Successes and trials of each group, shape ``[groups]``; every ``n`` > 0.
    reference:
        The group that all others are compared with; without it, all pairs.

    Newcombe's hybrid with the critical value of the largest of all the comparisons: Tukey and
    Kramer's for all pairs, Dunnett's for those with one reference, with the correlations that the
    standard errors of the groups imply. Both are smaller than Bonferroni's. Where counts are small
    the limits of the rates are exact (:func:`guarded_limits`); for a single comparison it is
    Newcombe's interval itself.

    >>> found = simultaneous_differences([805, 349, 87], [1795, 1488, 405], confidence=0.95)
    >>> found.pairs.tolist(), round(found.critical, 3)
    ([[0, 1], [0, 2], [1, 2]], 2.344)
    """
    successes, trials = _counts(x, n)
    groups = trials.size
    if groups < 2 or not (trials > 0).all():
        raise InputError("a difference needs two groups with records",
                         valid="two or more groups, n > 0")  # fmt: skip
    if reference is None:
        first, second = np.triu_indices(groups, 1)
        z, method = tukey(groups, confidence=confidence), "newcombe-tukey"
    else:
        if not 0 <= reference < groups:
            raise InputError(f"group {reference} is no reference", valid=f"0 to {groups - 1}")
        first = np.delete(np.arange(groups), reference)
        second = np.full(groups - 1, reference)
        # Agresti and Coull's rates: never 0 or 1, so that every group has a standard error.
        rate = (successes + 2) / (trials + 4)
        variance = rate * (1 - rate) / trials
        loads = np.sqrt(variance[reference] / (variance[first] + variance[reference]))
        z, method = dunnett(loads.tolist(), confidence=confidence), "newcombe-dunnett"
    low, high = difference_limits(
        successes[first], trials[first], successes[second], trials[second],
        confidence=confidence_of(z), guarded=len(first) > 1,
    )  # fmt: skip
    return Differences(np.stack([first, second], axis=1), low, high, z, method)


def difference_limits(
    x1: Array, n1: Array, x2: Array, n2: Array, *, confidence: float, guarded: bool = True
) -> Bounds:
    """Newcombe's hybrid of p₁ − p₂, from :func:`guarded_limits` unless told otherwise."""
    limits = guarded_limits if guarded else wilson
    l1, u1 = limits(x1, n1, confidence=confidence)
    l2, u2 = limits(x2, n2, confidence=confidence)
    p1, p2 = x1 / n1, x2 / n2
    d = p1 - p2
    low = d - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    high = d + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def guarded_limits(x: ArrayLike, n: ArrayLike, *, confidence: float) -> Bounds:
    """Return Wilson's limits where they hold so far out in the tails, exact ones elsewhere.

    At ±z standard errors the skewness of a binomial count shows: by its Edgeworth expansion (Hall
    1982, Biometrika 69) a tail is off by the factor exp(± s z³ / 6), with s about 1/√x for few
    successes x. For 60 slices of 30 records Wilson's intervals at Šidák's level hold together with
    probability 0.55, not 0.95, at the worst rate. So with fewer than z⁶/3 successes or failures (s
    z³/6 above 0.3: the two tails together off by 4 %) the limits are those of Clopper and Pearson
    (1934), whose coverage is guaranteed.

    >>> [float(v.round(4)) for v in guarded_limits(0, 10, confidence=0.95)]
    [0.0, 0.3085]
    """
    successes, trials = _counts(x, n)
    low, high = wilson(successes, trials, confidence=confidence)
    few = _few(successes, trials, normal_quantile(confidence))
    if few.any():
        from scipy.special import betaincinv

        tail = (1 - confidence) / 2
        s, f = successes[few], trials[few] - successes[few]
        low, high = np.array(low), np.array(high)
        low[few] = np.where(s > 0, betaincinv(np.maximum(s, 0.5), f + 1, tail), 0.0)
        high[few] = np.where(f > 0, betaincinv(s + 1, np.maximum(f, 0.5), 1 - tail), 1.0)
    return low, high


def _few(x: Array, n: Array, z: float) -> NDArray[np.bool_]:
    return np.minimum(x, n - x) < z**6 / 3


def _counts(x: ArrayLike, n: ArrayLike) -> tuple[Array, Array]:
    successes, trials = np.asarray(x, np.float64), np.asarray(n, np.float64)
    if successes.shape != trials.shape or not bool(
        np.all((successes >= 0) & (successes <= trials) & np.isfinite(trials))
    ):
        raise InputError("counts that are no successes among trials", valid="0 ≤ x ≤ n")
    return successes, trials
