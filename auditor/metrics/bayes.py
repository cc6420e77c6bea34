"""Credible intervals for small groups, which borrow strength from the others of their family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile

__all__ = ["Posterior", "dirichlet_multinomial"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """Credible intervals of the rates of a family of groups, each of shape ``[groups]``.

    ``rate`` is the prior's mean, ``concentration`` the number of records that the prior is worth.
    """

    low: Array
    high: Array
    mean: Array
    rate: Array
    concentration: Array


def dirichlet_multinomial(x: ArrayLike, n: ArrayLike, *, confidence: float) -> Posterior:
    """Return credible intervals of the rates of the groups of one family.

    Parameters
    ----------
    x, n:
        Successes and trials of each group, shape ``[groups]``; ``n`` may be 0.

    The cells of a group have a Dirichlet prior, concentration times the cell rates of the family
    (Ferrara et al. 2025, arXiv 2506.10586); a rate, the share of one cell in two, then has a Beta
    posterior, whose equal-tailed quantiles are the interval. The prior of a group is that of the
    *other* groups: its mean is their pooled rate, with half a success and half a failure added. The
    concentration κ is the one for which the beta-binomial distribution makes the counts of the
    family likeliest (empirical Bayes), with the prior (1 + κ)⁻² that makes every degree of
    shrinking, κ/(1 + κ), equally likely beforehand.

    The likeliest concentration of groups that do not vary at all is infinite; that prior keeps it
    finite, and it is at most the number of records of the others, all that they can be worth. A
    single group has nobody to borrow
    from: Jeffreys' interval, κ = 1 around ½. A group without records has the bounds 0 and 1, as a
    prior is no evidence. Where the groups are no sample of anything alike, a credible interval
    leans to their mean: the frequentist intervals stand beside it, and decide.

    >>> alone = dirichlet_multinomial([3], [10], confidence=0.95)  # Jeffreys: Beta(3.5, 7.5)
    >>> alone.low.round(3).tolist(), alone.high.round(3).tolist()
    ([0.093], [0.606])
    """
    from scipy.special import betaincinv

    normal_quantile(confidence)
    successes, trials = np.asarray(x, np.float64), np.asarray(n, np.float64)
    if successes.shape != trials.shape or successes.ndim != 1 or not bool(
        np.all((successes >= 0) & (successes <= trials) & np.isfinite(trials))
    ):  # fmt: skip
        raise InputError("counts that are no successes among trials", valid="0 ≤ x ≤ n")
    others_x, others_n = successes.sum() - successes, trials.sum() - trials
    rate = (others_x + 0.5) / (others_n + 1)
    shared = _concentration(successes, trials)
    concentration = np.clip(shared, 1.0, np.maximum(others_n, 1.0))
    a = concentration * rate + successes
    b = concentration * (1 - rate) + trials - successes
    tail = (1 - confidence) / 2
    low, high = betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)
    empty = trials == 0
    return Posterior(
        low=np.where(empty, 0.0, low), high=np.where(empty, 1.0, high), mean=a / (a + b),
        rate=rate, concentration=concentration,
    )  # fmt: skip


def _concentration(x: Array, n: Array) -> float:
    """Return the likeliest concentration of a beta-binomial, by a grid that is refined twice."""
    occupied = n > 0
    x, n = x[occupied], n[occupied]
    if x.size < 2:
        return 1.0
    rate = (x.sum() + 0.5) / (n.sum() + 1)
    low, high = 0.0, float(np.log(max(n.sum(), 2.0)))
    best = low
    for _ in range(3):
        grid = np.linspace(low, high, 41)
        best = float(grid[int(np.argmax(_log_posterior(np.exp(grid), rate, x, n)))])
        step = float(grid[1] - grid[0])
        low, high = max(low, best - step), min(high, best + step)
    return float(np.exp(best))


def _log_posterior(concentration: Array, rate: float, x: Array, n: Array) -> Array:
    from scipy.special import betaln

    a = concentration[:, None] * rate
    b = concentration[:, None] * (1 - rate)
    likelihood = (betaln(a + x, b + n - x) - betaln(a, b)).sum(axis=1)
    return likelihood - 2 * np.log1p(concentration)
