"""Reject option: whoever is close to the threshold is decided by group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.mitigation.curves import Curve
from auditor.mitigation.recipe import Decisions, Fitted, Recipe, Records, Task, add_recipe
from auditor.mitigation.thresholds import group_curves

__all__ = ["reject_option_margin"]

_MOST_MARGINS = 4_096


def reject_option_margin(
    curves: list[Curve],
    thresholds: list[NDArray[np.float64]],
    *,
    threshold: float,
    margins: NDArray[np.float64],
    ratio: float,
) -> tuple[float, NDArray[np.float64], float]:
    """Find the margin with the most right decisions whose ratio between the groups will do.

    The groups with a rate below that of all groups together are deprived, the others favoured.
    Within ``margin`` of the threshold, the deprived are selected and the favoured are not. Gives
    the margin, the sign of each group (−1: its threshold is lowered by the margin) and the ratio
    reached; where no margin reaches ``ratio``, the one that comes closest.
    """
    sizes = np.array([each.right[0] + each.right[-1] for each in curves])
    now = np.array(
        [
            each.rate[_point(edges, np.array([threshold]))[0]]
            for each, edges in zip(curves, thresholds, strict=True)
        ]
    )
    sign = np.where(now < now @ sizes / sizes.sum(), -1.0, 1.0)
    rates: list[NDArray[np.float64]] = []
    right = np.zeros(margins.size)
    for each, edges, direction in zip(curves, thresholds, sign, strict=True):
        point = _point(edges, threshold + direction * margins)
        rates.append(each.rate[point])
        right += each.right[point]
    lowest, highest = np.min(rates, axis=0), np.max(rates, axis=0)
    reached = np.divide(lowest, highest, out=np.zeros_like(lowest), where=highest > 0)
    enough = reached >= ratio * (1 - 1e-12)
    if enough.any():
        best = int(np.argmax(np.where(enough, right, -np.inf)))
    else:
        best = int(np.argmax(reached))
    return float(margins[best]), sign, float(reached[best])


def _point(edges: NDArray[np.float64], bars: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the point of a curve whose lowest selected score is the first of at least the bar."""
    return edges.size - 1 - np.searchsorted(edges[::-1], bars, side="left")


def _fit(task: Task) -> Fitted:
    assert task.scores is not None
    curves, thresholds = group_curves(task)
    margins = np.unique(np.append(np.abs(task.scores - task.threshold), 0.0))
    if margins.size > _MOST_MARGINS:
        margins = margins[np.linspace(0, margins.size - 1, _MOST_MARGINS).astype(int)]
    margin, sign, reached = reject_option_margin(
        curves, thresholds, threshold=task.threshold, margins=margins, ratio=task.ratio
    )
    bars = task.threshold + sign * margin

    def decide(records: Records) -> Decisions:
        assert records.scores is not None
        return Decisions(records.scores >= bars[records.groups])

    note = f"margin {margin:.3g}"
    if reached < task.ratio * (1 - 1e-12):
        note += f"; no margin reaches {task.ratio:g}, this one {reached:.2f} where it was fitted"
    return Fitted(decide, note)


add_recipe(
    Recipe(
        "reject-option", "Reject-option classification", "post-processing", _fit,
        "Kamiran, Karim and Zhang (2012), Decision theory for discrimination-aware classification",
        needs=("scores",), sensitive_at_prediction=True, aims=True,
        constraints=("demographic-parity", "equal-opportunity"),
    )
)  # fmt: skip
