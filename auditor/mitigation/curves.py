"""What every threshold does to one group: its rate, and how many decisions are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError

__all__ = ["Curve", "curve", "curve_of_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The reachable points of one group, from nobody selected to everybody selected.

    Parameters
    ----------
    rate:
        Ascending from 0 to 1, shape ``[points]``.
    right:
        Right decisions at each point, shape ``[points]``.
    cut:
        Positions from here on are selected, shape ``[points]``; descending.
    """

    rate: NDArray[np.float64]
    right: NDArray[np.float64]
    cut: NDArray[np.intp]

    def at(self, cut: int) -> int:
        """Return the point whose selection is that of a cut which may lie between two points."""
        return int(np.searchsorted(-self.cut, -cut, side="right")) - 1


def curve(counts: ArrayLike, *, of_positives: bool = False) -> Curve:
    """Sweep the threshold of one group over counts by position and label.

    ``counts`` has shape ``[positions, 2]`` (negatives, positives), scores ascending. The rate is
    the selection rate, or with ``of_positives`` the true positive rate. Positions without a record
    give no point of their own. Raises :class:`InputError` where the rate has no denominator.

    >>> found = curve([[2, 0], [1, 1], [0, 1]])  # 5 records at three scores
    >>> found.rate.tolist(), found.right.tolist(), found.cut.tolist()
    ([0.0, 0.2, 0.6, 1.0], [3.0, 4.0, 4.0, 2.0], [3, 2, 1, 0])
    """
    table = np.asarray(counts, np.float64)
    used = np.flatnonzero(table.sum(axis=1))[::-1]
    negatives, positives = table[used, 0], table[used, 1]
    under = positives.sum() if of_positives else table.sum()
    if not under:
        raise InputError("no positives" if of_positives and used.size else "no records")
    chosen = positives if of_positives else positives + negatives
    return Curve(
        rate=_sums(chosen) / under,
        right=negatives.sum() + _sums(positives - negatives),
        cut=np.concatenate([[len(table)], used]).astype(np.intp),
    )


def curve_of_scores(
    scores: NDArray[np.float64], y: NDArray[np.int64], *, of_positives: bool = False
) -> tuple[Curve, NDArray[np.float64]]:
    """Sweep the threshold over raw scores; give the curve, and the threshold of each point.

    The threshold of a point is the lowest score that it selects; infinity where it selects nobody.
    """
    values, position = np.unique(scores, return_inverse=True)
    counts = np.zeros((values.size, 2))
    np.add.at(counts, (position, y), 1)
    found = curve(counts, of_positives=of_positives)
    return found, np.append(values, np.inf)[found.cut]


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
