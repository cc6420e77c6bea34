from __future__ import annotations

import pytest

from auditor.errors import InputError
from auditor.mitigation import RECIPES
from auditor.mitigation.recipe import choose


def test_every_recipe_says_what_it_is_and_where_it_is_from() -> None:
    for name in RECIPES:
        recipe = RECIPES.get(name)
        assert recipe.id == name == name.lower()
        assert recipe.title
        assert recipe.source


def test_the_recipes_that_read_the_group_at_prediction_time_are_these() -> None:
    assert {name for name in RECIPES if RECIPES.get(name).sensitive_at_prediction} == {
        "correlation-remover", "group-thresholds", "randomised-group-thresholds", "reject-option",
        "threshold-optimizer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("none", "none"),
        ("exponentiated-gradient", "exponentiated-gradient[demographic-parity]"),
        ("exponentiated-gradient[equalized-odds]", "exponentiated-gradient[equalized-odds]"),
        ("reject-option[0.95, equal-opportunity]", "reject-option[equal-opportunity,0.95]"),
    ],
)
def test_a_name_carries_its_parameters(name: str, full: str) -> None:
    chosen = choose(name, constraint="demographic-parity", ratio=0.8)
    assert chosen.name == full
    assert choose(full, constraint="demographic-parity", ratio=0.5).name == full


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("group-threshold", "did you mean 'group-thresholds'"),
        ("group-thresholds[0.9", "brackets"),
        ("group-thresholds[1.5]", "above 0, at most 1"),
        ("threshold-optimizer[0.9]", "takes no parameter"),
        ("threshold-optimizer[equalised-odds]", "did you mean 'equalized-odds'"),
        ("none[0.9]", "no parameter"),
    ],
)
def test_a_name_that_cannot_be_read_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(name, constraint="demographic-parity", ratio=0.8)
