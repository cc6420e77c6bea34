"""Confusion counts by the probability of belonging to a group, where nobody knows the group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.confusion import CELLS
from auditor.stats.groups import Attribute, Groups
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_ternary

__all__ = [
    "MEMBERSHIP",
    "MEMBERSHIP_BINS",
    "ROUNDING",
    "membership_columns",
    "membership_groups",
    "membership_sums",
    "membership_zero",
]

MEMBERSHIP = "membership-sums"

MEMBERSHIP_BINS = 20
"""The probability of a group is cut into so many bins, within which outcomes are counted."""

ROUNDING = 0.005
"""By how much the probabilities of a record may exceed 1 in sum."""

_WIDTH = len(CELLS)

Array = NDArray[np.float64]


def membership_groups(attribute: str, levels: tuple[str, ...]) -> Groups:
    """Return everybody and the groups of one attribute."""
    return Groups.declare([Attribute(name=attribute, levels=levels)])


def membership_columns(sides: int) -> tuple[str, ...]:
    """Return the columns for ``sides`` groups, the unknown one included.

    ``records`` is the sum of the probabilities, ``unplaced`` the records without any. By cell:
    the records whose probability is above 0, their probabilities, and the records that a threshold
    gives to the group. ``own:k`` is the sum of the probabilities in the row of group k, and 0 in
    all others. ``product:k:cell`` is Σ of this group's probability times group k's: what the
    variance and the covariance of rates need. ``bin:b:cell`` counts all records with probabilities
    whose one for this group lies in bin b, and ``sum:b`` adds these up.
    """
    return (
        "records", "unplaced",
        *(f"{what}:{cell}" for what in ("records", "weight", "hard") for cell in CELLS),
        *(f"own:{k}" for k in range(sides)),
        *(f"product:{k}:{cell}" for k in range(sides) for cell in CELLS),
        *(f"bin:{b}:{cell}" for b in range(MEMBERSHIP_BINS) for cell in CELLS),
        *(f"sum:{b}" for b in range(MEMBERSHIP_BINS)),
    )  # fmt: skip


def membership_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty sums over the groups of one attribute."""
    columns = membership_columns(groups.attributes[0].size)
    return SliceTable.zero(MEMBERSHIP, groups, columns, sums=True, context=context)


def membership_sums(
    groups: Groups,
    probabilities: ArrayLike,
    y_true: ArrayLike | None,
    y_pred: ArrayLike | None,
    *,
    threshold: float = 0.5,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Add up one batch of records.

    Parameters
    ----------
    groups:
        From :func:`membership_groups`.
    probabilities:
        The probability of each level, shape ``[rows, levels]``. What a record's lack to 1 is the
        probability that the group is unknown; a record with a missing one is unknown altogether.
    y_true, y_pred:
        Labels, shape ``[rows]``, as in :func:`~auditor.stats.confusion_counts`.
    threshold:
        A record is given to its most probable level, where that one's probability reaches this.

    Raises :class:`InputError` for probabilities outside 0 to 1, or above 1 in sum.

    >>> groups = membership_groups("race", ("A", "B"))
    >>> sums = membership_sums(groups, [[0.75, 0.25], [0.5, 0.0]], [1, 0], [1, 1])
    >>> sums.values[:, 0].tolist()  # everybody, A, B, unknown
    [2.0, 1.25, 0.25, 0.5]
    """
    table = membership_zero(groups, {"threshold": threshold, **(context or {})})
    levels = len(groups.attributes[0].levels)
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] != levels:
        raise InputError(f"probabilities have shape {p.shape}", valid=f"[rows, {levels}]")
    rows = p.shape[0]
    cells = 3 * to_ternary(y_true, rows, "y_true") + to_ternary(y_pred, rows, "y_pred")
    placed: NDArray[np.bool_] = np.isfinite(p.sum(axis=1))
    p = np.where(placed[:, None], p, 0.0)
    if (p < 0).any() or (p > 1).any() or (p.sum(axis=1) > 1 + ROUNDING).any():
        raise InputError("probabilities of membership lie outside 0 to 1, or exceed 1 in sum")
    best = np.argmax(p, axis=1)
    assigned = placed & (p[np.arange(rows), best] >= threshold)
    w = np.concatenate([p, _remainder(p)], axis=1)
    hard = np.zeros_like(w)
    hard[np.arange(rows), np.where(assigned, best, levels)] = 1
    sides = levels + 1
    for k in range(-1, sides):  # −1 is everybody, with weight 1
        mine = np.ones(rows) if k < 0 else w[:, k]
        row = table.values[k + 1]
        row[0] = mine.sum()
        row[1] = (~placed).sum() if k in (-1, levels) else 0
        row[2 : 2 + 3 * _WIDTH] = np.concatenate(
            [_by(cells, mine > 0), _by(cells, mine), _by(cells, 1 if k < 0 else hard[:, k])]
        )
        start = 2 + 3 * _WIDTH
        if k >= 0:
            row[start + k] = mine.sum()
        start += sides
        products = [_by(cells, mine * w[:, other]) for other in range(sides)]
        row[start : start + sides * _WIDTH] = np.concatenate(products)
        start += sides * _WIDTH
        if 0 <= k < levels:
            bins = np.minimum((mine[placed] * MEMBERSHIP_BINS).astype(np.int64),
                              MEMBERSHIP_BINS - 1)  # fmt: skip
            size = MEMBERSHIP_BINS * _WIDTH
            row[start : start + size] = np.bincount(bins * _WIDTH + cells[placed], minlength=size)
            row[start + size :] = np.bincount(bins, mine[placed], minlength=MEMBERSHIP_BINS)
    return table


def _by(cells: NDArray[np.int64], weight: Any) -> Array:
    """Add up a weight by cell."""
    weights = np.broadcast_to(np.asarray(weight, np.float64), cells.shape)
    return np.asarray(np.bincount(cells, weights, minlength=_WIDTH), np.float64)


def _remainder(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the levels leave of each record, without what rounding leaves."""
    rest = 1 - p.sum(axis=1, keepdims=True)
    return np.where(rest < 1e-9, 0.0, rest)
