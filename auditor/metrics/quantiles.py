"""Quantiles of a counted distribution, with intervals by inverting the bounds of their share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.metrics.samples import Absent, Quantile, Sample
from auditor.stats import ScoreGrid

__all__ = ["quantile_sample"]

Array = NDArray[np.float64]


def quantile_sample(
    positions: ArrayLike, counts: ArrayLike, grid: ScoreGrid, share: str | None
) -> Sample:
    """Return the quantile of a distribution that is counted at ascending positions.

    The quantile is the smallest position that at least the given share of the records does not
    exceed. Its interval runs between the quantiles of Wilson's bounds of that share: no shape of
    the distribution is assumed.
    """
    try:
        q = float(share or "")
    except ValueError:
        q = np.nan
    if not 0 < q < 1:
        return Absent("a share between 0 and 1 has to be named, as in score_quantile[0.5]")
    counts = np.asarray(counts, np.float64)
    total = float(counts.sum())
    if not total:
        return Absent("no records with a value")
    bound = 0.0 if grid.exact else (grid.high - grid.low) / grid.bins / 2
    used = counts > 0
    return Quantile(
        np.asarray(positions, np.float64)[used], np.cumsum(counts[used]) / total, q, total, bound
    )
