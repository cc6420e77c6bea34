"""A threshold for each group: the least costly ones that reach a ratio between the groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.mitigation.curves import Curve, curve_of_scores
from auditor.mitigation.recipe import Decisions, Fitted, Recipe, Records, Task, add_recipe
from auditor.mitigation.sweep import best_mixtures, best_points

__all__ = ["group_curves"]


def group_curves(task: Task) -> tuple[list[Curve], list[NDArray[np.float64]]]:
    """Sweep the thresholds of each group; raises :class:`InputError` naming a group without rate.

    The rate is the selection rate, or for equal opportunity the true positive rate.
    """
    assert task.scores is not None
    curves: list[Curve] = []
    thresholds: list[NDArray[np.float64]] = []
    for number, name in enumerate(task.names):
        mine = task.groups == number
        try:
            found, edges = curve_of_scores(
                task.scores[mine], task.y[mine],
                of_positives=task.constraint == "equal-opportunity",
            )  # fmt: skip
        except InputError as error:
            raise InputError(f"{name}: {error.what} to fit on") from None
        curves.append(found)
        thresholds.append(edges)
    return curves, thresholds


def _thresholds(task: Task) -> Fitted:
    curves, edges = group_curves(task)
    points = best_points(curves, [task.ratio])[0]
    chosen = np.array([each[point] for each, point in zip(edges, points, strict=True)])

    def decide(records: Records) -> Decisions:
        assert records.scores is not None
        return Decisions(records.scores >= chosen[records.groups])

    return Fitted(decide, _note(task, chosen))


def _lotteries(task: Task) -> Fitted:
    curves, edges = group_curves(task)
    mixtures = best_mixtures(curves, task.ratio)
    low = np.array([each[m.low] for each, m in zip(edges, mixtures, strict=True)])
    high = np.array([each[m.high] for each, m in zip(edges, mixtures, strict=True)])
    share = np.array([mixture.share for mixture in mixtures])

    def decide(records: Records) -> Decisions:
        assert records.scores is not None
        drawn = np.random.default_rng(task.seed).random(records.scores.size)
        groups = records.groups
        bar = np.where(drawn < share[groups], high[groups], low[groups])
        return Decisions(records.scores >= bar)

    return Fitted(decide)


def _note(task: Task, chosen: NDArray[np.float64]) -> str:
    shown = [f"{name} {bar:.3g}" for name, bar in zip(task.names, chosen, strict=True)]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return "thresholds: " + ", ".join(shown[:8]) + more


add_recipe(
    Recipe(
        "group-thresholds", "Thresholds by group", "post-processing", _thresholds,
        "exact search over all thresholds; the idea is that of Hardt, Price and Srebro (2016), "
        "Equality of opportunity in supervised learning",
        needs=("scores",), sensitive_at_prediction=True, aims=True,
        constraints=("demographic-parity", "equal-opportunity"),
    )
)  # fmt: skip
add_recipe(
    Recipe(
        "randomised-group-thresholds", "Lotteries between thresholds by group",
        "post-processing", _lotteries,
        "Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning",
        needs=("scores",), sensitive_at_prediction=True, randomised=True, aims=True,
        constraints=("demographic-parity", "equal-opportunity"),
    )
)  # fmt: skip
