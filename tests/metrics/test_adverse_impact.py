from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.evidence import Estimate, Slice
from auditor.metrics import METRICS, Absent, miettinen_nurminen_ratio, newcombe, scaled
from auditor.metrics.adverse_impact import AGAINST_THE_MOST_SELECTED, MOST_COMPARED, adverse_impact
from auditor.metrics.slices import pair_sample
from auditor.policy.bounds import Contrasts, bounds
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, SliceTable, weighted_confusion

SELECTED = CELLS.index("unlabelled_predicted_positive")
REJECTED = CELLS.index("unlabelled_predicted_negative")

Measures = dict[tuple[str, str | None], Estimate | Absent]


def counts(rates: dict[str | None, tuple[float, float]], **context: Any) -> SliceTable:
    """Selected of all, by level of one attribute; ``None`` is unknown."""
    groups = Groups.declare([Attribute(name="g", levels=tuple(k for k in rates if k is not None))])
    table = SliceTable.zero(CONFUSION, groups, CELLS, sums=True, context=context)
    for level, (x, n) in rates.items():
        place = groups.offset(("g",)) + groups.number_of(("g",), {"g": level})
        table.values[place, [SELECTED, REJECTED]] = x, n - x
    table.values[0] = table.family(("g",)).sum(axis=0)
    whole = bool((table.values == np.floor(table.values)).all())
    return SliceTable(
        CONFUSION, groups, CELLS, table.values.astype(np.int64) if whole else table.values, context
    )


def measures(table: SliceTable, **options: Any) -> Measures:
    found = adverse_impact(table, ("g",), **options)
    assert len({(name, where) for name, where, *_ in found}) == len(found)
    return {(name, where["g"] if where else None): outcome for name, where, _, _, outcome in found}


def number(outcome: Estimate | Absent) -> Estimate:
    assert isinstance(outcome, Estimate), outcome
    return outcome


def test_by_hand() -> None:
    found = measures(counts({"a": (40, 100), "b": (20, 100)}))
    assert number(found["impact_ratio", "b"]).value == 0.5
    assert number(found["impact_ratio", "a"]).value == 1.0
    assert number(found["standard_deviations", "b"]).value == pytest.approx(-3.0861, abs=5e-5)
    assert number(found["one_person_flip_ratio", "b"]).value == pytest.approx(0.21 / 0.39)
    assert number(found["selection_shortfall", "b"]).value == pytest.approx(10)
    assert ("selection_shortfall", "a") not in found


def test_two_categories_have_the_plain_interval_of_a_ratio_below_one() -> None:
    ratio = number(measures(counts({"a": (40, 100), "b": (20, 100)}))["impact_ratio", "b"])
    low, high = miettinen_nurminen_ratio(20, 100, 40, 100, confidence=0.95)
    assert (ratio.low, ratio.high) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert ratio.method == "miettinen-nurminen-with-the-best"


def test_tests_agree_with_scipy() -> None:
    found = measures(counts({"a": (40, 100), "b": (20, 103)}))
    table = [[20, 83], [40, 60]]
    exact = stats.fisher_exact(table).pvalue
    assert number(found["fisher_exact_p_value", "b"]).value == pytest.approx(exact, rel=1e-9)
    chi = stats.chi2_contingency(table, correction=False).statistic
    z = number(found["standard_deviations", "b"])
    assert z.value**2 == pytest.approx(chi)
    assert (z.low, z.high) == (pytest.approx(z.value - 1.959964), pytest.approx(z.value + 1.959964))


def test_the_shortfall_is_the_difference_in_persons() -> None:
    short = number(measures(counts({"a": (40, 100), "b": (30, 50)}))["selection_shortfall", "a"])
    low, high = newcombe(30, 50, 40, 100, confidence=0.95)
    assert (short.low, short.high) == (
        pytest.approx(float(low) * 100 * 50 / 150), pytest.approx(float(high) * 100 * 50 / 150),
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda t: sum(t) > 0),
        min_size=2, max_size=5,
    )
)  # fmt: skip
def test_no_ratio_to_the_most_selected_is_above_one(cells: list[tuple[int, int]]) -> None:
    rates = {f"g{i}": (x, x + y) for i, (x, y) in enumerate(cells)}
    table = counts({**rates})
    most = max(x / n for x, n in rates.values())
    found = measures(table)
    for level, (x, n) in rates.items():
        outcome = found["impact_ratio", level]
        if most == 0:
            assert isinstance(outcome, Absent)
            continue
        ratio = number(outcome)
        assert ratio.value == pytest.approx(x / n / most)
        assert ratio.low is not None
        assert ratio.high is not None
        assert 0 <= ratio.low <= ratio.value + 1e-9
        assert ratio.value <= ratio.high + 1e-9 <= 1 + 2e-9
    if most > 0:
        worst = min(number(found["impact_ratio", level]).value for level in rates)
        assert worst == pytest.approx(min(x / n for x, n in rates.values()) / most)


def test_the_most_selected_category_is_less_than_certain_to_be_that() -> None:
    close = number(measures(counts({"a": (41, 100), "b": (40, 100)}))["impact_ratio", "a"])
    clear = number(measures(counts({"a": (90, 100), "b": (40, 100)}))["impact_ratio", "a"])
    assert close.low is not None
    assert close.low < 1 == close.high == close.value
    assert (clear.low, clear.high, clear.value) == (1, 1, 1)


def test_the_only_category_with_anybody_selected_has_the_ratio_one() -> None:
    few = number(measures(counts({"a": (1, 2), "b": (0, 3)}))["impact_ratio", "a"])
    many = number(measures(counts({"a": (100, 200), "b": (0, 300)}))["impact_ratio", "a"])
    assert few.low is not None
    assert few.low < 1 == few.value == few.high
    assert (many.low, many.value) == (1, 1)


def test_a_named_comparator_is_compared_with_as_it_is() -> None:
    table = counts({"a": (40, 100), "b": (20, 100), "c": (30, 100)})
    found = measures(table, reference={"g": "c"})
    assert number(found["impact_ratio", "a"]).value == pytest.approx(4 / 3)
    assert number(found["impact_ratio", "b"]).method == "miettinen-nurminen"
    own = number(found["impact_ratio", "c"])
    assert (own.value, own.low, own.high, own.method) == (1, 1, 1, "reference")
    assert measures(table, reference={"other": "x"}) == measures(table)


def test_a_comparator_that_does_not_occur_is_refused() -> None:
    with pytest.raises(InputError, match="g=d does not occur"):
        measures(counts({"a": (40, 100), "b": (20, 100)}), reference={"g": "d"})


def test_a_small_category_is_left_out_with_the_stated_reason() -> None:
    context = {"exclude_under": 0.02, "exclusion_reason": "too few to tell"}
    found = measures(counts({"a": (40, 99), "b": (20, 99), "c": (2, 2)}, **context))
    for name in ("impact_ratio", *AGAINST_THE_MOST_SELECTED):
        outcome = found[name, "c"]
        assert isinstance(outcome, Absent)
        assert outcome.reason == (
            "left out of the ratios: 1.00% of the records, under 2.00%: too few to tell"
        )
    # The category that is left out is the most selected one, and no reference.
    assert number(found["impact_ratio", "a"]).value == 1
    assert number(found["impact_ratio", "b"]).value == 0.5


def test_a_category_of_exactly_the_share_is_compared() -> None:
    context = {"exclude_under": 0.02, "exclusion_reason": "too few"}
    found = measures(counts({"a": (40, 98), "b": (1, 2)}, **context))
    assert number(found["impact_ratio", "a"]).value == pytest.approx(40 / 98 / 0.5)


def test_the_unknown_count_in_totals_and_are_compared_with_nobody() -> None:
    context = {"exclude_under": 0.1, "exclusion_reason": "too few"}
    found = measures(counts({"a": (4, 10), "b": (2, 10), None: (100, 100)}, **context))
    assert found["impact_ratio", None] == Absent("the group is unknown")
    assert isinstance(found["impact_ratio", "a"], Absent)  # 10 of 120
    found = measures(counts({"a": (4, 10), "b": (2, 10), None: (100, 100)}))
    assert number(found["impact_ratio", "b"]).value == 0.5


def test_where_selection_is_a_bad_outcome_the_rates_are_of_not_being_selected() -> None:
    found = measures(counts({"a": (40, 100), "b": (20, 100)}, unfavourable=True))
    assert number(found["impact_ratio", "a"]).value == pytest.approx(0.6 / 0.8)
    assert number(found["impact_ratio", "b"]).value == 1


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ({"a": (4, 10)}, "only one group can be compared"),
        ({"a": (4, 10), "b": (0, 0)}, "only one group can be compared"),
        ({"a": (0, 10), "b": (0, 5)}, "ratio is undefined"),
    ],
)
def test_no_ratio_without_a_reference(
    rates: dict[str | None, tuple[float, float]], reason: str
) -> None:
    outcome = measures(counts(rates))["impact_ratio", "a"]
    assert isinstance(outcome, Absent)
    assert reason in outcome.reason


def test_fractional_counts_have_a_ratio_and_no_exact_test() -> None:
    found = measures(counts({"a": (40.5, 100), "b": (18, 100)}))
    assert number(found["impact_ratio", "b"]).value == pytest.approx(18 / 40.5)
    assert found["fisher_exact_p_value", "b"] == Absent(
        "Fisher's test needs whole numbers of persons"
    )


def test_the_last_person_of_the_reference_is_not_taken_away() -> None:
    found = measures(counts({"a": (1, 2), "b": (0, 5)}))
    assert isinstance(found["one_person_flip_ratio", "b"], Absent)


def test_weighted_records_have_a_ratio_and_no_counts_of_persons() -> None:
    groups = Groups.declare([Attribute(name="g", levels=("a", "b"))])
    codes = np.repeat([[0], [1]], 20, axis=0).astype(np.int32)
    chosen = np.tile([1, 0, 1, 0, 0, 1, 0, 0, 0, 1], 4)
    weights = np.linspace(1, 2, 40)
    table = weighted_confusion(groups, codes, None, chosen, weights=weights)
    found = measures(table)
    a, b = (
        (weights[part] * chosen[part]).sum() / weights[part].sum()
        for part in (slice(0, 20), slice(20, 40))
    )
    level, value = ("a", a / b) if a < b else ("b", b / a)
    assert number(found["impact_ratio", level]).value == pytest.approx(value)
    for name in AGAINST_THE_MOST_SELECTED:
        assert found[name, level] == Absent("not defined for weighted records")


def test_very_many_categories_are_not_compared() -> None:
    table = counts({f"g{i}": (1, 2) for i in range(MOST_COMPARED + 1)})
    found = adverse_impact(table, ("g",))
    assert [(name, over) for name, _, _, over, _ in found] == [
        (name, ("g",)) for name in ("impact_ratio", *AGAINST_THE_MOST_SELECTED)
    ]
    assert all(isinstance(outcome, Absent) for *_, outcome in found)


def test_more_records_of_the_same_rates_move_deviations_and_persons_as_they_do() -> None:
    once, more = ({"a": (40, 100), "b": (20, 100)}, {"a": (400, 1000), "b": (200, 1000)})
    for name in ("standard_deviations", "selection_shortfall"):
        grown = scaled(_sample(name, counts({**once})), 10)
        large = _sample(name, counts({**more}))
        ends = [
            bounds(Contrasts(name, None, (Slice(),), (s,), np.array([0])), confidence=0.95)
            for s in (grown, large)
        ]
        assert ends[0].low == pytest.approx(ends[1].low)
        assert ends[0].high == pytest.approx(ends[1].high)


def _sample(name: str, table: SliceTable) -> Any:
    return pair_sample(name, table, ("g",), Slice({"g": "b"}), Slice({"g": "a"}))


def test_the_ratio_is_a_metric_that_rules_can_speak_of() -> None:
    metric = METRICS.get("impact_ratio")
    assert (metric.low, metric.high, metric.ideal, metric.compares) == (0, None, 1, True)
    assert metric.kinds == METRICS.get("impact").kinds
    assert not math.isnan(metric.ideal or math.nan)
