"""Indices of inequality against the formulas of AIF360, and gaps without what chance adds."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, aggregate_sample, disaggregate, estimate, slice_samples
from auditor.metrics.between_groups import BETWEEN_GROUPS
from auditor.metrics.inequality import (
    INEQUALITY_OF_SLICES,
    INEQUALITY_OVER_GROUPS,
    _over_box,
)
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts

GROUPS = Groups.declare([Attribute(name="race", levels=("A", "B", "C"))])
EVERYBODY = Slice()
RACE = ("race",)

bit = st.integers(0, 1)
row = st.tuples(st.sampled_from("ABC"), bit, bit)
rows = st.lists(row, max_size=57).map(lambda rows: [*rows, ("A", 1, 1), ("B", 0, 0), ("C", 0, 1)])


def counted(records: Any) -> SliceTable:
    codes = GROUPS.encode({"race": [r[0] for r in records]})
    return confusion_counts(GROUPS, codes, [r[1] for r in records], [r[2] for r in records])


def of_slice(name: str, table: SliceTable, where: Slice = EVERYBODY) -> Any:
    return slice_samples(name, table, tuple(where)).samples[where]


def over(name: str, table: SliceTable) -> Any:
    return aggregate_sample(name, table, RACE)


def entropy(benefits: Any, alpha: float) -> float:
    """AIF360's ``generalized_entropy_error`` of benefits b, as its documentation writes it."""
    b = np.asarray(benefits, float)
    share = b / b.mean()
    if alpha == 1:
        return float(np.mean([r * math.log(r) if r > 0 else 0.0 for r in share]))
    return float(((share**alpha - 1) / (b.size * alpha * (alpha - 1))).sum())


def test_the_toy_of_aif360() -> None:
    """Its own tests expect 0.2, 0.3 and 4 ln 2 / 10 of two or three errors of each kind in 10."""
    # benefits b: 2 records of 2, 2 of 0 and 6 of 1; their mean is 1
    fewer = [("A", 0, 1)] * 2 + [("A", 1, 0)] * 2 + [("A", 1, 1)] * 6
    found = of_slice("generalized_entropy_index", counted(fewer))
    assert found.value == pytest.approx(0.2, abs=1e-12)
    three = [("A", 0, 1)] * 3 + [("A", 1, 0)] * 3 + [("A", 0, 0)] * 4
    assert of_slice("generalized_entropy_index", counted(three)).value == pytest.approx(0.3)
    theil = of_slice("theil_index", counted(fewer))
    assert theil.value == pytest.approx(4 * math.log(2) / 10, abs=1e-12)


@given(rows)
def test_indices_are_the_formulas_of_aif360(records: list[Any]) -> None:
    table = counted(records)
    benefits = np.array([p - y + 1 for _, y, p in records], float)
    groups = np.array([g for g, _, _ in records])
    between = np.array([benefits[groups == g].mean() for g in groups])
    for name, alpha in (("generalized_entropy_index", 2), ("theil_index", 1)):
        found = of_slice(name, table)
        assert found.value == pytest.approx(entropy(benefits, alpha), abs=1e-9)
        found = over(f"between_group_{name}", table)
        assert found.value == pytest.approx(entropy(between, alpha), abs=1e-9)


@given(rows)
def test_differential_fairness_is_the_formula_of_aif360(records: list[Any]) -> None:
    """Smoothed by a Dirichlet prior of concentration 1: α = ½ of each of the two classes."""
    ratios = []
    chosen = {g: [p for r, _, p in records if r == g] for g in "ABC"}
    rates = {g: (sum(p) + 0.5) / (len(p) + 1) for g, p in chosen.items()}
    for one in rates.values():
        for other in rates.values():
            ratios += [abs(math.log(one / other)), abs(math.log((1 - one) / (1 - other)))]
    assert over("differential_fairness", counted(records)).value == pytest.approx(
        max(ratios), abs=1e-9
    )


@given(rows)
def test_differences_are_the_formulas_of_aif360(records: list[Any]) -> None:
    """Statistical parity difference, disparate impact, equal opportunity, average odds."""
    complete = [*records, *((g, y, y) for g in "ABC" for y in (0, 1))]
    table = counted(complete)
    names = ("selection_rate", "true_positive_rate", "false_positive_rate")
    found = {(m, w): o for m, w, *_, o in disaggregate(names, table, reference={"race": "A"})}

    def rate(group: str, label: int | None) -> float:
        chosen = [p for g, y, p in complete if g == group and label in (None, y)]
        return sum(chosen) / len(chosen)

    b = Slice({"race": "B"})
    parity = found["selection_rate_difference", b]
    assert parity.value == pytest.approx(rate("B", None) - rate("A", None), abs=1e-9)
    impact = found["selection_rate_ratio", b]
    assert impact.value == pytest.approx(rate("B", None) / rate("A", None), abs=1e-9)
    odds = [rate("B", y) - rate("A", y) for y in (1, 0)]
    ours = [found[f"{n}_difference", b].value for n in names[1:]]
    assert ours == pytest.approx(odds, abs=1e-9)
    assert sum(ours) / 2 == pytest.approx(sum(odds) / 2)  # average odds difference


@given(rows)
def test_intervals_hold_their_values(records: list[Any]) -> None:
    table = counted(records)
    for name in (*INEQUALITY_OVER_GROUPS, *BETWEEN_GROUPS):
        found = estimate(over(name, table), confidence=0.95)
        if isinstance(found, Absent):
            continue
        assert isinstance(found, Estimate)
        assert found.low is not None
        assert 0 <= found.low <= found.value + 1e-12, name
        assert found.value <= (math.inf if found.high is None else found.high) + 1e-12, name


def test_a_group_without_records_takes_no_part() -> None:
    two = [("A", 1, 1), ("A", 0, 1), ("A", 0, 0), ("B", 1, 0), ("B", 1, 1), ("B", 0, 0)]
    declared = Groups.declare([Attribute(name="race", levels=("A", "B"))])
    codes = declared.encode({"race": [r[0] for r in two]})
    alone = confusion_counts(declared, codes, [r[1] for r in two], [r[2] for r in two])
    for name in (*INEQUALITY_OVER_GROUPS, *BETWEEN_GROUPS):
        one, other = (estimate(over(name, t), confidence=0.95) for t in (counted(two), alone))
        assert one == other


@pytest.mark.parametrize(
    ("name", "records", "reason"),
    [
        ("between_group_theil_index", [("A", 1, 1)], "only one group holds records"),
        ("differential_fairness", [("A", 1, 1), ("B", 1, None)],
         "fewer than two groups have predictions"),
        ("between_group_theil_index", [("A", 1, 1), ("B", 1, None)],
         "fewer than two groups have records with label and prediction"),
        ("bias_corrected_gap[selection_rate]", [("A", 1, 1), ("B", 1, 1)],
         "fewer than two groups with two records"),
        ("bias_corrected_gap", [("A", 1, 1), ("B", 1, 1)],
         "no metric is no rate of the confusion table"),
        ("between_group_variance[auc]", [("A", 1, 1), ("B", 1, 1)],
         "auc is no rate of the confusion table"),
        ("differential_fairness", [], "no group holds records"),
    ],
)  # fmt: skip
def test_too_few_groups_are_a_reason(name: str, records: Any, reason: str) -> None:
    assert over(name, counted(records)) == Absent(reason)


def test_indices_of_a_slice_have_their_reasons() -> None:
    for name in INEQUALITY_OF_SLICES:
        assert of_slice(name, counted([("A", 1, None)])) == Absent(
            "no records with label and prediction"
        )
        assert of_slice(name, counted([("A", 1, 0)] * 3)).reason.startswith("nobody has a benefit")
        assert of_slice(name, counted([("A", 1, 1)] * 3)).value == 0


def test_equal_groups_have_no_inequality_between_them() -> None:
    records = [(g, y, p) for g in "ABC" for y in (0, 1) for p in (0, 1)] * 20
    table = counted(records)
    for name in INEQUALITY_OVER_GROUPS:
        found = estimate(over(name, table), confidence=0.95)
        assert isinstance(found, Estimate)
        assert found.value == pytest.approx(0, abs=1e-12)
        assert found.low == pytest.approx(0, abs=1e-12)
        assert found.high is None or found.high > 0
    for name in BETWEEN_GROUPS:
        found = estimate(over(name, table), confidence=0.95)
        assert isinstance(found, Estimate)
        assert found.value == 0


def test_of_many_groups_the_search_comes_close_to_the_best_corner() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        low = rng.uniform(0.5, 1, 10)
        high, weights = low + rng.uniform(0, 0.3, 10), rng.dirichlet(np.full(10, 5.0))

        def value(b: Any, weights: Any = weights) -> float:
            return float(weights @ ((b / (weights @ b)) ** 2 - 1) / 2)

        _, most = _over_box(value, low, high)
        corners = itertools.product([False, True], repeat=10)
        best = max(value(np.where(corner, high, low)) for corner in corners)
        assert 0.95 * best <= most <= best + 1e-12


@given(st.integers(0, 10_000))
def test_the_box_of_means_is_searched_to_its_corners(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0.1, 1, 5)
    high = low + rng.uniform(0, 0.6, 5)
    weights = rng.dirichlet(np.ones(5))

    def value(b: Any) -> float:
        mean = weights @ b
        return float(weights @ ((b / mean) ** 2 - 1) / 2)

    least, most = _over_box(value, low, high)
    corners = [value(np.where(c, high, low)) for c in itertools.product([False, True], repeat=5)]
    assert most == pytest.approx(max(corners), rel=1e-6)
    inside = [value(low + (high - low) * rng.random(5)) for _ in range(50)]
    assert least <= min(inside) + 1e-12
    assert max(inside) <= most + 1e-12


def test_more_records_of_the_same_make_the_interval_narrower() -> None:
    records = [("A", 1, 1)] * 30 + [("A", 0, 0)] * 30 + [("B", 1, 0)] * 20 + [("B", 0, 1)] * 40
    for name in (*INEQUALITY_OVER_GROUPS, *BETWEEN_GROUPS[:1]):
        few, many = (estimate(over(name, counted(records * k)), confidence=0.95) for k in (1, 16))
        assert isinstance(few, Estimate)
        assert isinstance(many, Estimate)
        assert None not in (few.low, few.high, many.low, many.high)
        assert many.high - many.low < (few.high - few.low) / 2  # type: ignore[operator]
