"""Fit every recipe on some records, and measure all of them on the same others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError, nearest
from auditor.evidence import Slice
from auditor.mitigation.baseline import BASELINE
from auditor.mitigation.comparison import Comparison, on_the_front
from auditor.mitigation.fitting import fit, fresh, predict
from auditor.mitigation.people import Groupings, groupings, labels
from auditor.mitigation.recipe import (
    CONSTRAINTS,
    RECIPES,
    Chosen,
    Constraint,
    Records,
    Task,
    check_ratio,
    choose,
)
from auditor.mitigation.results import Result, evaluate, not_evaluated

__all__ = ["compare_mitigations", "compare_thresholds"]


def compare_mitigations(
    estimator: Any,
    X_train: Any,
    y_train: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    sensitive_train: Any,
    sensitive_test: Any,
    recipes: Sequence[str] | None = None,
    constraint: Constraint = "demographic-parity",
    confidence: float = 0.95,
    seed: int = 0,
    target_ratio: float = 0.8,
    folds: int | None = None,
) -> Comparison:
    """Compare mitigation recipes by their accuracy and disparity on test records.

    Parameters
    ----------
    estimator:
        A classifier of scikit-learn's kind. Every recipe trains a copy; the given one stays as it
        is, fitted or not. Random states that are not set get the seed.
    y_train, y_test:
        Labels: 0 and 1, or booleans; 1 is the favourable one.
    sensitive_train, sensitive_test:
        One value for each record, or a table whose columns together make the groups.
    recipes:
        Names, with parameters where wanted (``group-thresholds[0.9]``); unless given, all that can
        aim at the constraint, with thresholds by group at the target and half-way from it to 1.
    constraint:
        Whose difference and ratio are measured, and what recipes aim at unless their name says it.
    target_ratio:
        What recipes aim at that can aim at a ratio.
    folds:
        With a number, thresholds are fitted on scores by cross-validation instead of the scores of
        the very records that the model has learnt from: wanted for models that learn them by heart.

    A recipe that decides by lot is measured on the one draw of the seed. A recipe that cannot be
    fitted is a result with its reason. Raises :class:`InputError` for records that do not match,
    labels that are not 0 and 1, one group, a missing group, a test group without training records,
    and training records of one label.
    """
    _check(constraint, confidence, target_ratio)
    y, truth = labels(y_train, where="y_train"), labels(y_test, where="y_test")
    people = groupings(sensitive_train, sensitive_test)
    for what, table, size in (
        ("X_train", X_train, y.size), ("sensitive_train", people.train, y.size),
        ("X_test", X_test, truth.size), ("sensitive_test", people.test, truth.size),
    ):  # fmt: skip
        rows = table.shape[0] if hasattr(table, "shape") else len(table)
        if rows != size:
            raise InputError(f"{rows:,} rows", where=what, valid=f"{size:,}, as there are labels")
    _check_labels(y, truth)
    model = fit(fresh(estimator, seed=seed), X_train, y)
    selected, scores, threshold = predict(model, X_test)
    task = Task(
        y, people.train, _names(people), _training_scores(model, X_train, y, folds, seed),
        threshold, X_train, estimator, constraint, target_ratio, seed,
    )  # fmt: skip
    records = Records(people.test, selected, scores, X_test)
    return _compared(task, records, truth, people, recipes, confidence)


def compare_thresholds(
    scores: ArrayLike,
    y: ArrayLike,
    groups: Any,
    *,
    recipes: Sequence[str] | None = None,
    constraint: Constraint = "demographic-parity",
    threshold: float = 0.5,
    confidence: float = 0.95,
    seed: int = 0,
    target_ratio: float = 0.8,
) -> Comparison:
    """Compare post-processing recipes where there is no model, only its scores.

    ``scores``, ``y`` and ``groups`` have one entry for each record; scores of at least
    ``threshold`` are selected now. One half of the records, chosen by the seed within each group
    and label, fits the thresholds; the other half measures them. Otherwise as
    :func:`compare_mitigations`; scores that are missing or infinite raise :class:`InputError`.
    """
    _check(constraint, confidence, target_ratio)
    values, truth = np.asarray(scores, np.float64).reshape(-1), labels(y, where="y")
    people = groupings(groups, groups)
    for what, rows in (("scores", values.size), ("groups", people.train.size)):
        if rows != truth.size:
            raise InputError(
                f"{rows:,} rows", where=what, valid=f"{truth.size:,}, as there are labels"
            )
    if not np.isfinite(values).all():
        raise InputError("a score is missing or infinite", where="scores", valid="finite numbers")
    fitting = _half(people.train * 2 + truth, seed=seed)
    _check_labels(truth[fitting], truth[~fitting])
    task = Task(
        truth[fitting], people.train[fitting], _names(people), values[fitting], threshold,
        None, None, constraint, target_ratio, seed,
    )  # fmt: skip
    kept = values[~fitting]
    records = Records(people.train[~fitting], kept >= threshold, kept, None)
    return _compared(task, records, truth[~fitting], people, recipes, confidence)


def _compared(
    task: Task,
    records: Records,
    truth: NDArray[np.int64],
    people: Groupings,
    recipes: Sequence[str] | None,
    confidence: float,
) -> Comparison:
    chosen = _chosen(task, recipes)
    results = [_result(each, task, records, truth, people.slices, confidence) for each in chosen]
    return Comparison(
        constraint=task.constraint, target_ratio=task.ratio, confidence=confidence,
        seed=task.seed, fitted_on=task.y.size, evaluated_on=truth.size, groups=people.slices,
        results=on_the_front(results),
    )  # fmt: skip


def _chosen(task: Task, recipes: Sequence[str] | None) -> list[Chosen]:
    """Return the recipes by name, the baseline first, none twice."""
    names: list[str] = [] if recipes is None else list(recipes)
    if recipes is None:
        for name in RECIPES:
            recipe = RECIPES.get(name)
            if recipe.constraints and task.constraint not in recipe.constraints:
                continue
            if task.estimator is None and recipe.needs and "scores" not in recipe.needs:
                continue
            names.append(name)
            if name == "group-thresholds" and task.ratio < 1:
                names.append(f"{name}[{(1 + task.ratio) / 2:g}]")
    found = [
        choose(name, constraint=task.constraint, ratio=task.ratio) for name in [BASELINE, *names]
    ]
    return list({each.name: each for each in found}.values())


def _result(
    chosen: Chosen, task: Task, records: Records, truth: NDArray[np.int64],
    slices: Sequence[Slice], confidence: float,
) -> Result:  # fmt: skip
    try:
        fitted = chosen.fit(task)
        decisions = fitted.decide(records)
        if decisions.selected.shape != truth.shape:
            raise InputError(
                f"it decided about {decisions.selected.size:,} of {truth.size:,} records"
            )
    except InputError as error:
        return not_evaluated(chosen, str(error))
    except Exception as error:  # noqa: BLE001 -- a recipe that breaks must not hide the others
        return not_evaluated(chosen, f"{type(error).__name__}: {error}")
    return evaluate(
        chosen, decisions, truth, records.groups, slices, constraint=task.constraint,
        confidence=confidence, note=fitted.note,
        baseline=None if chosen.recipe.id == BASELINE else records.selected,
    )  # fmt: skip


def _training_scores(
    model: Any, features: Any, y: NDArray[np.int64], folds: int | None, seed: int
) -> NDArray[np.float64] | None:
    if folds is None:
        return predict(model, features)[1]
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    least = int(np.bincount(y, minlength=2).min())
    if not 2 <= folds <= least:
        raise InputError(f"{folds} folds", where="folds", valid=f"from 2 to {least}")
    method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    if not hasattr(model, method):
        return None
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    found = np.asarray(
        cross_val_predict(fresh(model, seed=seed), features, y, cv=splits, method=method),
        np.float64,
    )
    return found[:, 1] if found.ndim == 2 else found


def _half(cells: NDArray[np.intp], *, seed: int) -> NDArray[np.bool_]:
    """Choose half of the records of every cell, to within one, by lot."""
    order = np.random.default_rng(seed).permutation(cells.size)
    order = order[np.argsort(cells[order], kind="stable")]
    chosen = np.zeros(cells.size, bool)
    chosen[order[::2]] = True
    return chosen


def _names(people: Groupings) -> tuple[str, ...]:
    return tuple(str(where) for where in people.slices)


def _check(constraint: str, confidence: float, ratio: float) -> None:
    if constraint not in CONSTRAINTS:
        raise InputError(
            f"unknown constraint {constraint!r}", where="constraint",
            valid=nearest(constraint, CONSTRAINTS),
        )  # fmt: skip
    if not 0.5 < confidence < 1:
        raise InputError(f"confidence is {confidence}", valid="above 0.5 and below 1")
    check_ratio(ratio, where="target_ratio")


def _check_labels(y: NDArray[np.int64], truth: NDArray[np.int64]) -> None:
    if np.unique(y).size < 2:
        raise InputError(
            f"the {y.size:,} records to fit on have one label only", valid="both labels"
        )
    if not truth.size:
        raise InputError("there are no records to evaluate on")
