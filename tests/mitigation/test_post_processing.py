"""Thresholds by group, reject option, and fairlearn's optimiser, on scores alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.errors import InputError
from auditor.mitigation.recipe import Constraint, Records, Task, choose
from auditor.mitigation.thresholds import group_curves

PARITY: dict[Constraint, str] = {
    "demographic-parity": "demographic_parity",
    "equalized-odds": "equalized_odds",
    "equal-opportunity": "true_positive_rate_parity",
}


def a_task(
    n: int = 400,
    *,
    seed: int = 0,
    constraint: Constraint = "demographic-parity",
    ratio: float = 0.8,
    names: tuple[str, ...] = ("g=a", "g=b"),
) -> Task:
    random = np.random.default_rng(seed)
    groups = random.integers(0, len(names), n)
    y = (random.random(n) < 0.6 - 0.15 * groups).astype(np.int64)
    scores = np.clip(0.3 + 0.3 * y - 0.1 * groups + random.normal(0, 0.15, n), 0, 1).round(2)
    return Task(y, groups, names, scores, 0.5, None, None, constraint, ratio, seed)


def records_of(task: Task) -> Records:
    assert task.scores is not None
    return Records(task.groups, task.scores >= task.threshold, task.scores, None)


def rates(task: Task, selected: np.ndarray) -> list[float]:
    of = task.y == 1 if task.constraint == "equal-opportunity" else np.ones(task.y.size, bool)
    return [
        float(selected[of & (task.groups == g)].mean()) for g in range(len(task.names))
    ]  # fmt: skip


def decide(name: str, task: Task) -> np.ndarray:
    chosen = choose(name, constraint=task.constraint, ratio=task.ratio)
    return chosen.fit(task).decide(records_of(task)).selected


@pytest.mark.parametrize("constraint", ["demographic-parity", "equal-opportunity"])
@pytest.mark.parametrize("name", ["group-thresholds", "reject-option"])
@pytest.mark.parametrize("ratio", [0.7, 0.8, 0.95])
def test_the_target_is_reached_where_it_was_fitted(
    constraint: Constraint, name: str, ratio: float
) -> None:
    task = a_task(constraint=constraint, ratio=ratio, names=("g=a", "g=b", "g=c"))
    if name == "reject-option":
        task = a_task(constraint=constraint, ratio=ratio)
    before = rates(task, records_of(task).selected)
    assert min(before) / max(before) < ratio  # there is something to do
    found = rates(task, decide(name, task))
    assert min(found) / max(found) >= ratio - 1e-9


def test_no_thresholds_are_better_than_those_of_the_sweep() -> None:
    task = a_task()
    best = decide("group-thresholds", task)
    other = decide("reject-option", task)
    assert (best == task.y).mean() >= (other == task.y).mean()


def test_lotteries_meet_the_target_on_average_and_repeat_with_their_seed() -> None:
    task = a_task(40_000, ratio=0.9)
    selected = decide("randomised-group-thresholds", task)
    assert np.array_equal(selected, decide("randomised-group-thresholds", task))
    found = rates(task, selected)
    assert min(found) / max(found) >= 0.9 - 0.02


def test_the_reject_option_worked_by_hand() -> None:
    # One threshold of 0.5 selects a's four and one of b's four. A margin of 0.1 takes b's 0.4 in;
    # and a's 0.5, which is right as far as b goes, and wrong in a.
    groups = np.repeat([0, 1], 4)
    scores = np.array([0.9, 0.8, 0.7, 0.5, 0.6, 0.4, 0.2, 0.1])
    y = np.array([1, 1, 1, 1, 1, 1, 0, 0])
    task = Task(y, groups, ("a", "b"), scores, 0.5, None, None, "demographic-parity", 0.6, 0)
    fitted = choose("reject-option", constraint="demographic-parity", ratio=0.6).fit(task)
    assert fitted.note == "margin 0.1"
    expected = [True, True, True, False, True, True, False, False]
    assert fitted.decide(records_of(task)).selected.tolist() == expected


def test_a_margin_that_cannot_reach_the_target_says_so() -> None:
    # a selects two of three, b none; the margin that takes b's one in leaves a's two.
    groups = np.array([0, 0, 0, 1])
    scores = np.array([0.9, 0.8, 0.1, 0.2])
    task = Task(np.array([1, 1, 0, 1]), groups, ("a", "b"), scores, 0.5, None, None,
                "demographic-parity", 0.8, 0)  # fmt: skip
    fitted = choose("reject-option", constraint="demographic-parity", ratio=0.8).fit(task)
    assert fitted.note == "margin 0.3; no margin reaches 0.8, this one 0.67 where it was fitted"


@pytest.mark.parametrize("constraint", list(PARITY))
def test_the_threshold_optimizer_is_fairlearns(constraint: Constraint) -> None:
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator

    class Scores(BaseEstimator):
        def fit(self, X: Any, y: Any) -> Scores:
            self.fitted_ = True
            return self

        def predict(self, X: Any) -> Any:
            return np.asarray(X)[:, 0]

    task = a_task(constraint=constraint, seed=4)
    assert task.scores is not None
    theirs: Any = ThresholdOptimizer(
        estimator=Scores(), constraints=PARITY[constraint], predict_method="predict",  # type: ignore[arg-type]
    )  # fmt: skip
    X = task.scores[:, None]
    theirs.fit(X, task.y, sensitive_features=task.groups)
    expected = theirs.predict(X, sensitive_features=task.groups, random_state=task.seed)
    assert np.array_equal(decide("threshold-optimizer", task), expected == 1)


def test_lotteries_at_parity_are_as_accurate_as_fairlearns_optimizer() -> None:
    """Both are the optimum of one problem; fairlearn looks for it on a grid of 1,000 rates."""
    from auditor.mitigation.sweep import best_mixtures

    task = a_task(2_000, ratio=1.0)
    curves, _ = group_curves(task)
    ours = sum(
        each.right[lots.low] * (1 - lots.share) + each.right[lots.high] * lots.share
        for each, lots in zip(curves, best_mixtures(curves, 1.0), strict=True)
    ) / task.y.size  # fmt: skip
    theirs = (decide("threshold-optimizer", task) == task.y).mean()
    assert ours == pytest.approx(theirs, abs=0.01)  # one draw of fairlearn's lots


def test_a_group_of_one_label_has_a_reason() -> None:
    task = a_task(constraint="equal-opportunity")
    task.y[task.groups == 1] = 0
    for name in ("group-thresholds", "reject-option"):
        with pytest.raises(InputError, match="g=b: no positives to fit on"):
            decide(name, task)
    with pytest.raises(InputError, match="g=b: the records to fit on have one label only"):
        decide("threshold-optimizer", task)


def test_what_a_recipe_needs_is_asked_for() -> None:
    task = a_task()
    with pytest.raises(InputError, match="no estimator"):
        decide("reweighing", task)
    with pytest.raises(InputError, match="cannot aim at equalized-odds"):
        decide("group-thresholds", a_task(constraint="equalized-odds"))
