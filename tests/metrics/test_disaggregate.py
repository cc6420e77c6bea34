from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import AuditorError, InputError
from auditor.evidence import Estimate, Slice
from auditor.metrics import (
    Absent,
    disaggregate,
    reference_slice,
    rest_sample,
    slice_samples,
    split_parameter,
)
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts, score_counts

RACE = Attribute(name="race", levels=("A", "B", "C"))
SEX = Attribute(name="sex", levels=("F", "M"))
GROUPS = Groups.declare([RACE])

# race → (selected, records); everybody is a positive
RATES = {"A": (6, 10), "B": (4, 20), "C": (5, 5)}


def counts(rates: dict[str | None, tuple[int, int]], groups: Groups = GROUPS) -> SliceTable:
    races = [race for race, (_, n) in rates.items() for _ in range(n)]
    chosen = [int(i < x) for x, n in rates.values() for i in range(n)]
    return confusion_counts(groups, groups.encode({"race": races}), [1] * len(races), chosen)


def found(table: SliceTable, metric: str = "selection_rate", **options: Any) -> dict[Any, Any]:
    """Return the outcomes by (metric, race or over)."""
    measured = disaggregate([metric], table, families=[("race",)], **options)
    return {
        (name, where.get("race", over)): (reference, outcome)
        for name, where, reference, over, outcome in measured
    }


def test_the_largest_group_is_the_reference_unless_told_otherwise() -> None:
    outcomes = found(counts(RATES))
    assert ("selection_rate_difference", "B") not in outcomes
    reference, outcome = outcomes["selection_rate_difference", "A"]
    assert reference == {"race": "B"}
    assert outcome.value == pytest.approx(0.4)
    assert outcomes["selection_rate_ratio", "C"][1].value == 5.0


@pytest.mark.parametrize(
    ("reference", "chosen", "ratio_of_a"),
    [
        ({"race": "C"}, {"race": "C"}, 0.6),
        ("best", {"race": "C"}, 0.6),
        ("rest", "rest", 0.6 / 0.36),
    ],
)
def test_other_references_by_hand(reference: Any, chosen: Any, ratio_of_a: float) -> None:
    against, outcome = found(counts(RATES), reference=reference)["selection_rate_ratio", "A"]
    assert against == chosen
    assert outcome.value == pytest.approx(ratio_of_a)


def test_the_best_group_of_an_error_rate_is_the_lowest() -> None:
    outcomes = found(counts(RATES), "false_negative_rate", reference="best")
    assert outcomes["false_negative_rate_difference", "A"][0] == {"race": "C"}


def test_a_reference_fixes_its_own_attribute_and_leaves_the_others_to_the_largest() -> None:
    groups = Groups.declare([RACE, SEX])
    codes = groups.encode({"race": "AABBBB", "sex": "FMMMFF"})
    table = confusion_counts(groups, codes, None, [1, 0, 1, 0, 1, 1])
    measured = disaggregate(["selection_rate"], table, reference={"sex": "M"})
    references = {
        (tuple(where), name): reference
        for name, where, reference, _, _ in measured
        if name.endswith("_ratio")
    }
    assert references[("sex",), "selection_rate_ratio"] == {"sex": "M"}
    assert references[("race",), "selection_rate_ratio"] == {"race": "B"}
    assert references[("race", "sex"), "selection_rate_ratio"] == {"race": "B", "sex": "M"}


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ({"race": "D"}, "reference race=D does not occur; one of A, B, C"),
        ({"rcae": "A"}, "reference rcae=A is of no sensitive attribute; did you mean 'race'"),
    ],
)
def test_a_reference_that_is_not_there_is_refused(reference: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        found(counts(RATES), reference=reference)


def test_a_declared_reference_without_records_is_a_reason() -> None:
    outcomes = found(counts({"A": (1, 2), "B": (1, 2)}), reference={"race": "C"})
    assert outcomes["selection_rate_ratio", "A"] == (
        None, Absent("the reference group holds no records"),
    )  # fmt: skip


def test_an_empty_group_is_listed_with_the_count_0_and_no_rate() -> None:
    table = counts({"A": (1, 2), "B": (1, 2)})
    count = found(table, "count")["count", "C"][1]
    assert (count.value, count.n, count.method) == (0, 0, "census")
    outcomes = found(table)
    assert outcomes["selection_rate", "C"][1] == Absent("no records")
    assert outcomes["selection_rate_ratio", "C"][1] == Absent("this slice: no records")


def test_an_unknown_group_has_its_rates_and_is_in_no_comparison() -> None:
    table = counts({**RATES, None: (0, 50)})
    count = found(table, "count")["count", None][1]
    assert count.value == 50
    outcomes = found(table, extremes=EXTREMES)
    assert outcomes["selection_rate", None][1].value == 0.0
    for operation in ("difference", "ratio"):
        reference, outcome = outcomes[f"selection_rate_{operation}", None]
        assert outcome == Absent("the group is unknown")
        assert reference == {"race": "B"}, "the unknown are most, and yet no reference"
    without = found(counts(RATES), extremes=EXTREMES)
    for name in EXTREMES:
        assert outcomes[name, ("race",)] == without[name, ("race",)]


def test_a_single_group_has_its_disparities_not_evaluated() -> None:
    outcomes = found(counts({"A": (1, 2)}), extremes=EXTREMES)
    reason = Absent("only one group holds records")
    assert outcomes["selection_rate", "A"][1].value == 0.5
    for race in "ABC":
        assert outcomes["selection_rate_ratio", race] == (None, reason)
    for name in EXTREMES:
        assert outcomes[name, ("race",)][1] == reason


def test_where_everybody_is_unknown_the_comparisons_are_listed_with_their_reasons() -> None:
    outcomes = found(counts({None: (1, 2)}), extremes=EXTREMES)
    assert outcomes["selection_rate_ratio", None][1] == Absent("the group is unknown")
    assert outcomes["selection_rate_ratio", "A"][1] == Absent("only one group holds records")


def test_the_rest_is_the_total_less_the_slice() -> None:
    table = counts(RATES)
    rest = rest_sample("selection_rate", table, ("race",), Slice({"race": "A"}))
    assert (rest.x, rest.n) == (9, 25)


def test_the_rest_of_an_area_is_that_of_the_others_scores() -> None:
    codes = GROUPS.encode({"race": "AABBB"})
    table = score_counts(GROUPS, codes, [0, 1, 0, 1, 1], [1, 2, 1, 1, 3])
    alone = score_counts(GROUPS, codes[2:], [0, 1, 1], [1, 1, 3], grid=table.grid)
    rest = rest_sample("auc", table, ("race",), Slice({"race": "A"}))
    assert rest == slice_samples("auc", alone, ()).samples[Slice()]


def test_a_metric_is_read_off_its_own_kind_of_statistic() -> None:
    with pytest.raises(AuditorError, match="auc cannot be read off confusion-counts"):
        slice_samples("auc", counts(RATES), ())
    with pytest.raises(AuditorError, match="cannot be read"):
        slice_samples("selection_rate_ratio", counts(RATES), ())
    with pytest.raises(InputError, match="did you mean 'selection_rate'"):
        slice_samples("selection_rat", counts(RATES), ())


def test_a_column_named_like_the_records_is_still_a_column() -> None:
    groups = Groups.declare([])
    table = SliceTable.zero("missing-counts", groups, ("records", "records", "a]b[c"))
    table.values[0] = (10, 4, 5)
    names = ["missing_rate[records]", "missing_rate[a]b[c]"]
    measured = disaggregate(names, table)
    assert [(m[0], m[-1].value) for m in measured] == list(zip(names, (0.4, 0.5), strict=True))
    with pytest.raises(AuditorError, match="'age' was not counted; there are records, a"):
        disaggregate(["missing_rate[age]"], table)


def test_a_parameter_is_what_stands_in_the_outer_brackets() -> None:
    assert split_parameter("missing_rate[a[b]]") == ("missing_rate", "a[b]")
    for name in ("missing_rate[a", "[a]"):
        with pytest.raises(InputError, match=r"metric or metric\[parameter\]"):
            split_parameter(name)


def test_comparisons_of_a_parameter_keep_it() -> None:
    table = SliceTable.zero("missing-counts", GROUPS, ("records", "age"))
    table.values[1:4] = [(10, 5), (10, 1), (10, 0)]
    names = [m[0] for m in disaggregate(["missing_rate[age]"], table, families=[("race",)])]
    assert set(names) == {
        "missing_rate[age]", "missing_rate_difference[age]", "missing_rate_ratio[age]",
    }  # fmt: skip


tables = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C", None]),
        st.sampled_from(["F", "M", None]),
        st.sampled_from([0, 1, None]),
        st.sampled_from([0, 1, None]),
    ),
    min_size=1,
    max_size=30,
)


@given(tables, st.sampled_from(["largest", "best", "rest"]))
def test_every_place_has_one_outcome_and_every_number_its_interval(
    rows: list[Any], reference: Any
) -> None:
    groups = Groups.declare([RACE, SEX])
    races, sexes, true, predicted = zip(*rows, strict=True)
    codes = groups.encode({"race": races, "sex": sexes})
    table = confusion_counts(groups, codes, true, predicted)
    measured = disaggregate(BINARY_METRICS, table, extremes=EXTREMES, reference=reference)
    places = [m[:4] for m in measured]
    assert len(set(places)) == len(places)
    for *_, outcome in measured:
        if isinstance(outcome, Absent):
            assert outcome.reason
            continue
        assert isinstance(outcome, Estimate)
        assert outcome.low is not None
        assert outcome.low <= outcome.value + 1e-12
        assert outcome.high is None or outcome.high >= outcome.value - 1e-12


def test_the_best_reference_is_absent_where_no_group_has_a_value() -> None:
    samples = slice_samples("precision", counts({"A": (0, 2), "B": (0, 2)}), ("race",))
    assert reference_slice(samples, "best") == Absent("no group has a value")
