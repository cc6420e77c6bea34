"""The area under the ROC curve, with DeLong's variance, from counts of scores by label."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Sample
from auditor.stats import SCORES

__all__ = ["AUC", "auc_sample"]


def auc_sample(negatives: ArrayLike, positives: ArrayLike, *, exact: bool = True) -> Sample:
    """Return the AUC and its standard error.

    Parameters
    ----------
    negatives, positives:
        Records of each label at each score, in ascending order of the score, shape ``[scores]``.
    exact:
        Whether each position is one score. Otherwise a position is a bin of scores, the pairs
        within one bin could go either way, and half their share is the certified ``bound``.

    The AUC is P(score of a positive > score of a negative) + ½ P(equal), and its variance that of
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: S₁₀/m + S₀₁/n over the placements,
    which counts give exactly, ties by mid-ranks. A single record of a label shows no variance;
    then AUC · (1 − AUC) takes its place, the most that placements with this mean can have.

    >>> auc_sample([1, 1, 0], [0, 1, 1]).value  # two negatives, two positives, one tie
    0.875
    """
    neg, pos = np.asarray(negatives, np.float64), np.asarray(positives, np.float64)
    n, m = float(neg.sum()), float(pos.sum())
    if not m or not n:
        return Absent("no scored records" if not (m or n) else
                      "no positives" if not m else "no negatives")  # fmt: skip
    below = (np.cumsum(neg) - neg / 2) / n
    above = (m - np.cumsum(pos) + pos / 2) / m
    value = float(pos @ below / m)
    most = value * (1 - value)
    s10 = float(pos @ (below - value) ** 2 / (m - 1)) if m > 1 else most
    s01 = float(neg @ (above - value) ** 2 / (n - 1)) if n > 1 else most
    bound = 0.0 if exact else float(neg @ pos / (2 * n * m))
    return Mean(
        value, math.sqrt(s10 / m + s01 / n), n + m, "delong" if exact else "delong-binned",
        low=0.0, high=1.0, bound=bound, floor=min(n, m),
    )  # fmt: skip


def _exact(row: Row) -> bool:
    return row.grid is not None and row.grid.exact


def _read(row: Row) -> Sample:
    return auc_sample(row.values[:, 0], row.values[:, 1], exact=_exact(row))


def _background_positive(row: Row) -> Sample:
    """Negatives of the slice against positives of everybody else."""
    return auc_sample(row.values[:, 0], row.rest[:, 1], exact=_exact(row))


def _background_negative(row: Row) -> Sample:
    """Positives of the slice against negatives of everybody else."""
    return auc_sample(row.rest[:, 0], row.values[:, 1], exact=_exact(row))


AUC = add_metric(
    Metric(
        "auc", "Area under the ROC curve", ideal=1.0, better="higher", readers={SCORES: _read},
        formula="P(score⁺ > score⁻) + ½ P(score⁺ = score⁻)",
        source="DeLong, DeLong and Clarke-Pearson (1988)",
    )
)  # fmt: skip

_BORKAN = "Borkan et al. (2019), Nuanced metrics for measuring unintended bias"

BPSN_AUC = add_metric(
    Metric(
        "bpsn_auc", "AUC of background positives over subgroup negatives", ideal=1.0,
        better="higher", readers={SCORES: _background_positive},
        formula="P(score of a positive outside > score of a negative inside) + ½ P(equal): low "
        "where negatives of the group get high scores",
        source=_BORKAN,
    ),
    compared=False,
)  # fmt: skip

BNSP_AUC = add_metric(
    Metric(
        "bnsp_auc", "AUC of subgroup positives over background negatives", ideal=1.0,
        better="higher", readers={SCORES: _background_negative},
        formula="P(score of a positive inside > score of a negative outside) + ½ P(equal): low "
        "where positives of the group get low scores",
        source=_BORKAN,
    ),
    compared=False,
)  # fmt: skip
