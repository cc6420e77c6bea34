"""What a mitigation recipe is: what it needs, what it learns, how it then decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest
from auditor.registry import Registry

__all__ = [
    "CONSTRAINTS",
    "RATES",
    "RECIPES",
    "Chosen",
    "Constraint",
    "Decisions",
    "Family",
    "Fitted",
    "Need",
    "Recipe",
    "Records",
    "Task",
    "add_recipe",
    "choose",
]

Constraint = Literal["demographic-parity", "equalized-odds", "equal-opportunity"]
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)

RATES: dict[Constraint, tuple[str, ...]] = {
    "demographic-parity": ("selection_rate",),
    "equalized-odds": ("true_positive_rate", "false_positive_rate"),
    "equal-opportunity": ("true_positive_rate",),
}
"""The rates that each constraint wants to be alike in all groups."""

Family = Literal["baseline", "pre-processing", "in-processing", "post-processing"]
Need = Literal["estimator", "sample-weights", "numeric-features", "scores"]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The records that a recipe learns from, and what it is to reach.

    Parameters
    ----------
    y:
        Labels, 0 or 1, shape ``[records]``.
    groups:
        The number of each record's group, shape ``[records]``.
    names:
        The groups, in the order of their numbers.
    scores:
        The scores of the baseline, shape ``[records]``; higher means more positive.
    threshold:
        The baseline selects scores of at least this.
    features, estimator:
        What a model learns from, and an unfitted estimator; ``None`` where only scores are there.
    constraint, ratio:
        The rates that are to be alike, and the smallest ratio between two groups that will do.
    seed:
        Decides everything that is random.
    """

    y: NDArray[np.int64]
    groups: NDArray[np.intp]
    names: tuple[str, ...]
    scores: NDArray[np.float64] | None
    threshold: float
    features: Any
    estimator: Any
    constraint: Constraint
    ratio: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records that a fitted recipe decides about; no labels among them."""

    groups: NDArray[np.intp]
    selected: NDArray[np.bool_]
    scores: NDArray[np.float64] | None
    features: Any


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Who is selected, and the one score that the decisions follow, if they do."""

    selected: NDArray[np.bool_]
    scores: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recipe that has learnt; ``note`` says what a reader has to know (a target not reached)."""

    decide: Callable[[Records], Decisions]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to make decisions more alike between groups.

    Parameters
    ----------
    id:
        Stable, kebab-case; parameters follow in brackets: ``threshold-optimizer[equalized-odds]``.
    needs:
        What has to be there; without it the recipe is not evaluated.
    sensitive_at_prediction:
        Whether each decision reads the person's group. Training may then be lawful where deciding
        is not: disparate treatment in United States law, direct discrimination in European law.
    randomised:
        Whether two people with equal records may be decided differently, by lot.
    constraints:
        What it can aim at; empty where it knows no constraint.
    aims:
        Whether it can aim at a ratio other than 1: ``group-thresholds[0.9]``.
    source:
        Where it was published.
    """

    id: str
    title: str
    family: Family
    fit: Callable[[Task], Fitted]
    source: str
    needs: tuple[Need, ...] = ()
    sensitive_at_prediction: bool = False
    randomised: bool = False
    constraints: tuple[Constraint, ...] = ()
    aims: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A recipe with its parameters; ``name`` carries them."""

    name: str
    recipe: Recipe
    constraint: Constraint
    ratio: float

    def fit(self, task: Task) -> Fitted:
        """Learn from the records of a task; raises :class:`InputError` where that is impossible."""
        needs = self.recipe.needs
        if task.estimator is None and ("estimator" in needs or "sample-weights" in needs):
            raise InputError("there is no estimator that could be trained again")
        if task.scores is None and "scores" in needs:
            raise InputError("there are no scores")
        if self.recipe.constraints and self.constraint not in self.recipe.constraints:
            raise InputError(f"it cannot aim at {self.constraint}")
        return self.recipe.fit(replace(task, constraint=self.constraint, ratio=self.ratio))


RECIPES: Registry[Recipe] = Registry("mitigation recipe", group="auditor.mitigations")
"""All recipes by id."""


def add_recipe(recipe: Recipe) -> Recipe:
    """Register a recipe under its id."""
    return RECIPES.add(recipe.id, recipe)


def choose(name: str, *, constraint: Constraint, ratio: float) -> Chosen:
    """Read a recipe's name with its parameters; what it does not say is as given.

    Raises :class:`InputError` for an unknown recipe, or a parameter that it does not take.

    >>> choose("threshold-optimizer", constraint="equalized-odds", ratio=0.8).name
    'threshold-optimizer[equalized-odds]'
    >>> choose("group-thresholds[0.9]", constraint="demographic-parity", ratio=0.8).name
    'group-thresholds[demographic-parity,0.9]'
    """
    base, bracket, rest = name.strip().partition("[")
    recipe = RECIPES.get(base, where="recipes")
    if bracket and not rest.endswith("]"):
        raise InputError(f"the brackets of {name!r} are not closed", where="recipes")
    parameters = [part.strip() for part in rest[:-1].split(",") if part.strip()]
    for parameter in parameters:
        if (aim := _number(parameter)) is not None and recipe.aims:
            ratio = check_ratio(aim, where="recipes")
        elif parameter in CONSTRAINTS and recipe.constraints:
            constraint = parameter
        else:
            valid = [*recipe.constraints, *(["a ratio, as in 0.9"] if recipe.aims else [])]
            raise InputError(
                f"{recipe.id} takes no parameter {parameter!r}", where="recipes",
                valid=nearest(parameter, valid) if valid else "no parameter",
            )  # fmt: skip
    shown = [constraint] if recipe.constraints else []
    shown += [f"{ratio:g}"] if recipe.aims else []
    full = f"{recipe.id}[{','.join(shown)}]" if shown else recipe.id
    return Chosen(full, recipe, constraint, ratio)


def check_ratio(ratio: float, *, where: str) -> float:
    """Return the ratio; raises :class:`InputError` where none could be reached by it."""
    if not 0 < ratio <= 1:
        raise InputError(f"the target is {ratio}", where=where, valid="above 0, at most 1")
    return ratio


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
