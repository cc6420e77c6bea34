"""Worst cases of unknown groups: by hand, by enumeration, and the verdict that they flip."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate
from auditor.metrics import Absent, disaggregate
from auditor.metrics.unknown import WORST_CASES, with_extremes, worst_case
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts
from auditor.stats.unknown_counts import unknown_counts

SEX = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
SIDE = tuple[int, int]


def table(women: SIDE, men: SIDE, unknown: SIDE) -> SliceTable:
    """Selected and rejected records of each."""
    sex, selected = [], []
    for level, (yes, no) in (("F", women), ("M", men), (None, unknown)):
        sex += [level] * (yes + no)
        selected += [1] * yes + [0] * no
    counts = confusion_counts(SEX, SEX.encode({"sex": sex}), selected, selected)
    return unknown_counts(counts)


def found(counts: SliceTable, **options: Any) -> dict[Any, Any]:
    measured = disaggregate(WORST_CASES, counts, families=[("sex",)], **options)
    measured = with_extremes(measured, counts, ("sex",))
    return {(name, where["sex"]): outcome for name, where, *_, outcome in measured}


def extremes(outcome: Any) -> tuple[float, float]:
    (beside,) = [i for i in outcome.also if i.method == "worst-case-of-these-records"]
    return beside.low, beside.high


def test_a_case_worked_by_hand() -> None:
    numbers = found(table((3, 1), (8, 8), (1, 2)))
    rate = numbers["selection_rate_worst_case", "F"]
    assert (rate.value, rate.n, extremes(rate)) == (0.75, 4, (0.5, 0.8))
    ratio = numbers["selection_rate_ratio_worst_case", "F"]
    assert ratio.value == 1.5
    assert extremes(ratio) == pytest.approx((0.5 / (9 / 17), 0.8 / (8 / 18)))
    assert ratio.low < 0.5 / (9 / 17)
    assert ratio.high > 0.8 / (8 / 18)


sides = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(sides.filter(sum), st.tuples(st.integers(1, 3), st.integers(0, 3)), sides)
def test_the_extremes_are_those_of_every_way_to_place_the_unknown(
    women: SIDE, men: SIDE, unknown: SIDE
) -> None:
    records = [1] * unknown[0] + [0] * unknown[1]
    rates, ratios, gaps = [], [], []
    for joins in itertools.product("FM-", repeat=len(records)):
        f = [1] * women[0] + [0] * women[1]
        m = [1] * men[0] + [0] * men[1]
        f += [r for r, side in zip(records, joins, strict=True) if side == "F"]
        m += [r for r, side in zip(records, joins, strict=True) if side == "M"]
        rates.append(np.mean(f))
        ratios.append(np.mean(f) / np.mean(m))
        gaps.append(np.mean(f) - np.mean(m))
    assert worst_case(women, unknown) == pytest.approx((min(rates), max(rates)))
    numbers = found(table(women, men, unknown), reference={"sex": "M"})
    for name, values in (("", rates), ("_ratio", ratios), ("_difference", gaps)):
        outcome = numbers[f"selection_rate{name}_worst_case", "F"]
        assert extremes(outcome) == pytest.approx((min(values), max(values)))


def test_missing_demographics_flip_a_four_fifths_verdict() -> None:
    counts = table((450, 550), (500, 500), (60, 140))
    ratio = found(counts, reference={"sex": "M"})["selection_rate_ratio_worst_case", "F"]
    assert ratio.value == 0.9
    low, high = extremes(ratio)
    assert low < 0.8 < ratio.value < high
    assert low == pytest.approx(450 / 1140 / (560 / 1060))


def test_without_unknown_records_the_worst_case_is_the_ordinary_interval() -> None:
    counts = table((30, 70), (50, 50), (0, 0))
    rate = found(counts)["selection_rate_worst_case", "F"]
    confusion = confusion_counts(SEX, SEX.encode({"sex": ["F"] * 100}), None, [1] * 30 + [0] * 70)
    plain = disaggregate(["selection_rate"], confusion, families=[("sex",)])
    ordinary = next(o for n, w, *_, o in plain if n == "selection_rate" and w["sex"] == "F")
    assert isinstance(ordinary, Estimate)
    assert (rate.value, rate.low, rate.high) == (ordinary.value, ordinary.low, ordinary.high)
    assert extremes(rate) == (0.3, 0.3)


def test_everybody_else_has_the_same_unknown_records() -> None:
    counts = table((30, 70), (50, 50), (5, 9))
    named = found(counts, reference={"sex": "M"})["selection_rate_ratio_worst_case", "F"]
    rest = found(counts, reference="rest")["selection_rate_ratio_worst_case", "F"]
    assert (named.value, named.low, named.high) == (rest.value, rest.low, rest.high)


def test_empty_denominators_have_reasons() -> None:
    numbers = found(table((0, 5), (5, 0), (1, 1)), reference={"sex": "F"})
    assert numbers["true_positive_rate_worst_case", "F"] == Absent("no positives")
    assert numbers["selection_rate_ratio_worst_case", "M"] == Absent(
        "the reference rate is 0, so the ratio is undefined"
    )
