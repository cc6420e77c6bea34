"""How well a feature tells groups apart: by hand, against scikit-learn, and coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score, roc_auc_score

from auditor.evidence import Estimate
from auditor.metrics import Absent, disaggregate, estimate
from auditor.metrics.proxies import halves_auc, mutual_information
from auditor.stats import Attribute, Groups
from auditor.stats.proxies import proxy_counts

RACE = Groups.declare([Attribute(name="race", levels=("A", "B", "C"))])


def measured(race: Any, places: Any, positions: int, **context: Any) -> dict[Any, Any]:
    settings = {"feature": "x", "type": "numbers", "exact": True, **context}
    counts = proxy_counts(RACE, RACE.encode({"race": race}), np.asarray(places), positions,
                          context=settings)  # fmt: skip
    found = disaggregate(["proxy_auc[x]"], counts, families=[("race",)],
                         extremes=["proxy_mutual_information[x]"])  # fmt: skip
    return {(name, where.get("race", "all")): outcome for name, where, *_, outcome in found}


def sample(seed: int, rows: int = 400) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    race = rng.choice(["A", "B", "C"], rows)
    return race, np.clip(rng.integers(0, 40, rows) + 8 * (race == "B"), 0, 49)


@given(st.integers(0, 1_000))
def test_the_area_is_that_of_scikit_learn_folded_at_a_half(seed: int) -> None:
    race, places = sample(seed)
    numbers = measured(race, places, 50)
    for level in "ABC":
        area = roc_auc_score(race == level, places)
        assert numbers["proxy_auc[x]", level].value == pytest.approx(max(area, 1 - area))
        assert numbers["proxy_auc[x]", level].low >= 0.5


def test_records_of_unknown_groups_are_on_neither_side() -> None:
    race, places = sample(1)
    more = [*race, *([None] * 100)]
    with_unknown = measured(more, [*places, *([49] * 100)], 50)["proxy_auc[x]", "B"]
    assert with_unknown == measured(race, places, 50)["proxy_auc[x]", "B"]


def test_missing_values_take_no_part_in_the_area() -> None:
    race, places = sample(2)
    holes = np.where(np.arange(places.size) % 5 == 0, -1, places)
    kept = holes >= 0
    area = roc_auc_score(race[kept] == "B", holes[kept])
    found = measured(race, holes, 50)["proxy_auc[x]", "B"]
    assert (found.value, found.n) == (pytest.approx(area), kept.sum())


def test_categories_are_scored_by_the_other_half() -> None:
    # Half 0 says that category 0 is the group's, half 1 the contrary: each is wrong of the other.
    inside, outside = np.array([[8.0, 2.0], [2.0, 8.0]]), np.array([[2.0, 8.0], [8.0, 2.0]])
    assert halves_auc(inside, outside).value == pytest.approx(0.2)  # type: ignore[union-attr]
    assert isinstance(halves_auc(np.array([[1.0, 0.0], [0.0, 0.0]]), outside), Absent)


@pytest.mark.slow
def test_a_category_of_its_own_for_each_record_says_nothing() -> None:
    rng = np.random.default_rng(0)
    race = rng.choice(["A", "B", "C"], 900)
    half = rng.integers(0, 2, 900)
    numbers = measured(race, np.arange(900) + 900 * half, 1_800, type="categories")
    assert numbers["proxy_auc[x]", "A"].value == pytest.approx(0.5, abs=0.02)
    assert numbers["proxy_mutual_information[x]", "all"].value < 0.02


def test_the_information_is_that_of_scikit_learn_with_the_correction() -> None:
    race, _ = sample(3)
    rng = np.random.default_rng(3)
    value = np.where(rng.random(400) < 0.5, race, rng.choice(["A", "B", "C"], 400))
    table = np.array([[np.sum((race == g) & (value == v)) for v in "ABC"] for g in "ABC"], float)
    p = table.sum(axis=1) / 400
    plug_in = mutual_info_score(race, value)
    expected = (plug_in - (9 - 3 - 3 + 1) / 800) / (-(p * np.log(p)).sum() + 2 / 800)
    found = estimate(mutual_information(table), confidence=0.95)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value < found.high < 1


def test_independent_and_identical_values_are_the_two_ends() -> None:
    independent = estimate(mutual_information(np.full((2, 2), 250.0)), confidence=0.95)
    identical = estimate(mutual_information(np.diag([500.0, 500.0])), confidence=0.95)
    assert isinstance(independent, Estimate)
    assert isinstance(identical, Estimate)
    assert (independent.value, independent.low) == (0, 0)
    assert identical.value == pytest.approx(1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.0, 0.05, 0.2, 0.6])
def test_the_interval_of_the_information_covers(strength: float) -> None:
    rng = np.random.default_rng(0)
    joint = (1 - strength) * np.full((3, 4), 1 / 12) + strength * np.array(
        [[1 / 3, 0, 0, 0], [0, 1 / 3, 0, 0], [0, 0, 1 / 6, 1 / 6]]
    )
    p, q = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    true = float((joint * np.log(joint / (p * q))).sum() / -(p * np.log(p)).sum())
    hits = 0
    for _ in range(400):
        table = rng.multinomial(600, joint.ravel()).reshape(3, 4).astype(float)
        found = estimate(mutual_information(table), confidence=0.95)
        assert isinstance(found, Estimate)
        hits += (found.low or 0) <= true <= (found.high or 0)
    assert hits / 400 >= 0.93
