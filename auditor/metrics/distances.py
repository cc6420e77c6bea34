"""How far apart the predictions of two groups are: Kolmogorov–Smirnov and Wasserstein distance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.noise import absolute_noise, bridge_noise
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Noisy, Sample
from auditor.metrics.score_quality import positions_of
from auditor.stats import PREDICTIONS

__all__ = ["DISTANCES"]

Array = NDArray[np.float64]

_MOST_POSITIONS = 128
_BETWEEN_STEPS = 0.5826
"""−ζ(½) / √(2π): how far the supremum of a Brownian path exceeds that of its steps, in steps."""


def _pair(mine: Row, other: Row) -> tuple[Array, Array] | Absent:
    """Return the counts of both by position, or why they cannot be compared."""
    counts = [row.values.sum(axis=1).astype(np.float64) for row in (mine, other)]
    for who, values in zip(("this slice", "the reference"), counts, strict=True):
        if not values.sum():
            return Absent(f"{who}: no records with a prediction")
        if values.sum() < 2:
            return Absent(f"{who}: one record has no distribution")
    return counts[0], counts[1]


def ks_distance(mine: Row, other: Row) -> Sample:
    """Return sup |F − G| of the predictions of two slices.

    Where predictions are binned, F and G are known at the edges of the bins only; ``bound`` is by
    how much more they can differ within one. A group whose predictions are all equal may hold
    others that were not seen: the noise is at least that of such a share, estimated as
    (x + 2) / (n + 4) (Agresti and Coull 1998).
    """
    found = _pair(mine, other)
    if isinstance(found, Absent):
        return found
    n, m = (float(counts.sum()) for counts in found)
    p, q = found[0] / n, found[1] / m
    gap = np.cumsum(p) - np.cumsum(q)
    value = min(float(np.abs(gap).max()), 1.0)
    bound = 0.0
    assert mine.grid is not None
    if not mine.grid.exact:
        before = np.concatenate([[0.0], gap[:-1]])
        # Within a bin F − G is at most F at its end less G at its start, and the other way round.
        above = np.minimum(np.minimum(gap + q, before + p), 1.0).max()
        below = np.minimum(np.minimum(p - gap, q - before), 1.0).max()
        bound = max(float(above), float(below), value) - value
    noise = bridge_noise((p, n), (q, m), np.ones(p.size), sup=True)
    if ((p + q) > 0).sum() > _MOST_POSITIONS:
        # Neighbours were taken together, and between them the path goes on (Siegmund 1985).
        noise = noise + _BETWEEN_STEPS * math.sqrt((1 / n + 1 / m) / _MOST_POSITIONS)
    noise = np.maximum(noise, absolute_noise(np.array([_unseen(n, m)])))
    return Noisy(value, noise, n + m, "gaussian-bridge", 0.0, 1.0, bound)


def wasserstein_distance(mine: Row, other: Row) -> Sample:
    """Return ∫ |F − G| of the predictions of two slices, in units of the prediction.

    Where predictions are binned, each of the two distributions is moved by at most half the width
    of a bin, so that ``bound`` is that width. The noise is at least that of an unseen share, as in
    :func:`ks_distance`, as far away as the predictions of the two slices lie apart.
    """
    found = _pair(mine, other)
    if isinstance(found, Absent):
        return found
    assert mine.grid is not None
    n, m = (float(counts.sum()) for counts in found)
    p, q = found[0] / n, found[1] / m
    positions = positions_of(mine.grid)
    widths = np.append(np.diff(positions), 0.0)
    value = float(np.abs(np.cumsum(p) - np.cumsum(q)) @ widths)
    used = positions[(p + q) > 0]
    exact = mine.grid.exact
    whole = float(positions[-1] - positions[0]) if exact else mine.grid.high - mine.grid.low
    span = float(used[-1] - used[0]) or whole
    if not span:
        return Absent("all predictions are equal, so there is no unit of distance")
    bound = 0.0 if exact else whole / mine.grid.bins
    noise = bridge_noise((p, n), (q, m), widths, sup=False)
    noise = np.maximum(noise, absolute_noise(np.array([span * _unseen(n, m)])))
    return Noisy(value, noise, n + m, "gaussian-bridge", 0.0, None, bound)


def _unseen(n: float, m: float) -> float:
    """Return the standard error of the difference of two shares of which nothing was seen."""
    return math.sqrt(sum(2 / (k + 4) * (1 - 2 / (k + 4)) / (k + 4) for k in (n, m)))


_NOISE = "the noise is that of two Brownian bridges"

for _metric in (
    Metric(
        "ks_distance", "Kolmogorov–Smirnov distance of the predictions", ideal=0.0,
        better="lower", pairs={PREDICTIONS: ks_distance},
        formula="sup over x of |F(x) − G(x)|, the shares of predictions up to x in the slice and "
        "in its reference", source=f"Smirnov (1939); {_NOISE}",
    ),
    Metric(
        "wasserstein_distance", "Wasserstein distance of the predictions", high=None, ideal=0.0,
        better="lower", pairs={PREDICTIONS: wasserstein_distance}, formula="∫ |F(x) − G(x)| dx",
        source="Kantorovich (1942); Jiang et al. (2020), Wasserstein fair classification; "
        f"{_NOISE}",
    ),
):  # fmt: skip
    add_metric(_metric)

DISTANCES: tuple[str, ...] = ("ks_distance", "wasserstein_distance")
"""The distances between the predictions of a slice and of its reference."""
