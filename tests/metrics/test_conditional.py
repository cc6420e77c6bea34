from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, disaggregate
from auditor.metrics.conditional import CONDITIONAL, reversal
from auditor.metrics.samples import Projected, scaled
from auditor.metrics.slices import pair_sample
from auditor.stats import Attribute, Groups, SliceTable, strata_counts

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])

Stratum = tuple[int, int, int, int]
"""Selected and not selected of F, then of M."""


def counts(strata: list[Stratum]) -> SliceTable:
    cells = [
        (code, place, chosen, number)
        for place, numbers in enumerate(strata)
        for (code, chosen), number in zip([(0, 1), (0, 0), (1, 1), (1, 0)], numbers, strict=True)
    ]
    table = np.array(cells, np.int64).reshape(-1, 4)
    return strata_counts(
        GROUPS, table[:, :1].astype(np.int32), table[:, 1], table[:, 2],
        levels=[str(i) for i in range(len(strata))], frequency=table[:, 3],
    )  # fmt: skip


def measures(strata: list[Stratum]) -> dict[str, Estimate | Absent]:
    found = disaggregate(CONDITIONAL, counts(strata), reference={"sex": "M"})
    return {name: o for name, where, *_, o in found if where == Slice({"sex": "F"})}


def value(outcome: Estimate | Absent) -> float:
    assert isinstance(outcome, Estimate), outcome
    return outcome.value


# Of women, 20 of 100 and 10 of 20; of men, 40 of 100 and 14 of 20.
HAND: list[Stratum] = [(20, 80, 40, 60), (10, 10, 14, 6)]


def test_by_hand() -> None:
    found = measures(HAND)
    assert value(found["conditional_parity_difference"]) == pytest.approx(-0.2)
    assert value(found["conditional_parity_ratio"]) == pytest.approx((10 + 5) / (20 + 7))
    assert value(found["marginal_parity_difference"]) == pytest.approx(30 / 120 - 54 / 120)
    assert value(found["simpson_reversal"]) == 0
    assert {o.n for o in found.values() if isinstance(o, Estimate)} == {240}


strata = st.lists(st.tuples(*[st.integers(1, 50)] * 4), min_size=1, max_size=5)


@given(strata)
def test_against_statsmodels(rows: list[Stratum]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = StratifiedTable([np.array(row).reshape(2, 2) for row in rows])
        odds, p = table.oddsratio_pooled, table.test_null_odds(correction=False).pvalue
        low, high = table.oddsratio_pooled_confint(alpha=0.05)
        risk = table.riskratio_pooled
    found = measures(rows)
    ratio = found["conditional_odds_ratio"]
    assert isinstance(ratio, Estimate)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((odds, low, high))
    assert value(found["conditional_parity_ratio"]) == pytest.approx(risk)
    assert value(found["cmh_p_value"]) == pytest.approx(p, abs=1e-12)


@given(strata)
def test_a_group_against_itself_does_not_differ(rows: list[Stratum]) -> None:
    found = measures([(a, b, a, b) for a, b, _, _ in rows])
    assert value(found["conditional_parity_difference"]) == pytest.approx(0, abs=1e-12)
    assert value(found["conditional_odds_ratio"]) == pytest.approx(1)
    assert value(found["cmh_p_value"]) == pytest.approx(1)


@given(strata)
def test_the_other_way_round_differences_change_sign_and_ratios_invert(
    rows: list[Stratum],
) -> None:
    found, turned = measures(rows), measures([(c, d, a, b) for a, b, c, d in rows])
    name = "conditional_parity_difference"
    assert value(found[name]) == pytest.approx(-value(turned[name]), abs=1e-12)
    for name in ("conditional_parity_ratio", "conditional_odds_ratio"):
        assert value(found[name]) == pytest.approx(1 / value(turned[name]))
    assert value(found["simpson_reversal"]) == value(turned["simpson_reversal"])


def test_a_stratum_of_one_group_compares_nothing() -> None:
    alone = measures([*HAND, (0, 0, 30, 1)])
    for name in CONDITIONAL:
        if name != "marginal_parity_difference":
            assert value(alone[name]) == pytest.approx(value(measures(HAND)[name]))


def test_without_a_shared_stratum_nothing_is_compared() -> None:
    found = measures([(5, 5, 0, 0), (0, 0, 5, 5)])
    for name in CONDITIONAL:
        if name != "marginal_parity_difference":
            assert found[name] == Absent("no stratum holds records of both groups")


def test_a_slice_outside_all_strata_has_no_rate() -> None:
    table = strata_counts(
        GROUPS, np.array([[0], [1]], np.int32), np.array([1, 0]), np.array([1, 1]), levels=("a",)
    )
    found = disaggregate(CONDITIONAL, table, reference={"sex": "M"})
    outcomes = {name: outcome for name, *_, outcome in found}
    assert outcomes["marginal_parity_difference"] == Absent("no record in any stratum")


def test_that_nothing_varied_is_no_certainty() -> None:
    found = measures([(10, 0, 10, 0), (0, 10, 0, 10)])
    gap, ratio = found["conditional_parity_difference"], found["conditional_parity_ratio"]
    assert isinstance(gap, Estimate)
    assert isinstance(ratio, Estimate)
    assert gap.low is not None
    assert ratio.low is not None
    assert gap.low < -0.2 < 0 == gap.value
    assert ratio.low < 0.8 < 1 == ratio.value


def test_a_group_of_which_nobody_was_selected_has_no_upper_bound() -> None:
    ratio = measures([(0, 10, 5, 5)])["conditional_parity_ratio"]
    assert isinstance(ratio, Estimate)
    assert (ratio.value, ratio.low, ratio.high) == (0, 0, None)


@pytest.mark.parametrize("name", CONDITIONAL[:3])
def test_more_records_of_the_same_rates_narrow_the_interval_as_they_do(name: str) -> None:
    ten = [(a * 10, b * 10, c * 10, d * 10) for a, b, c, d in HAND]
    once, more = (
        pair_sample(name, counts(rows), ("sex",), Slice({"sex": "F"}), Slice({"sex": "M"}))
        for rows in (HAND, ten)
    )
    grown = scaled(once, 10)
    assert isinstance(grown, Projected)
    assert isinstance(more, Projected)
    ours, theirs = grown.bounds(0.95, grown.factor), more.bounds(0.95, more.factor)
    assert ours == pytest.approx(theirs)


PARADOX: list[Stratum] = [(90, 10, 800, 200), (200, 800, 10, 90)]


def test_strata_turn_a_comparison_round() -> None:
    found = measures(PARADOX)
    overall = value(found["marginal_parity_difference"])
    within = value(found["conditional_parity_difference"])
    assert overall < -0.4 < 0 < within
    assert value(found["simpson_reversal"]) == 1
    sentence = reversal(overall, within, group="women", reference="men", within="departments")
    assert sentence is not None
    assert sentence.startswith("Within departments, women are selected at a rate higher by 10.0 ")
    assert "lower by 47.3: the comparison reverses" in sentence


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_only_opposite_signs_are_a_reversal(marginal: float, conditional: float) -> None:
    opposite = math.copysign(1, marginal) != math.copysign(1, conditional)
    seen = abs(marginal) >= 1e-12 and abs(conditional) >= 1e-12
    assert (reversal(marginal, conditional) is not None) == (opposite and seen)
    assert (reversal(marginal, conditional) is None) == (reversal(conditional, marginal) is None)


def test_what_rounding_leaves_of_equal_rates_is_no_reversal() -> None:
    assert reversal(0.1 + 0.2 - 0.3, -0.2) is None


def test_the_sentence_needs_no_words_of_ours() -> None:
    said: Any = reversal(0.2, -0.1)
    assert said.startswith("Within the strata, the group are selected at a rate lower by 10.0")
