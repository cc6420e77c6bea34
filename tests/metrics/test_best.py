from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate
from auditor.metrics import Absent, Census, Mean, Proportion, compare
from auditor.metrics.best import with_the_best

proportions = st.integers(1, 300).flatmap(
    lambda n: st.builds(Proportion, st.integers(0, n), st.just(n))
)
families = st.lists(proportions, min_size=2, max_size=5)
operations = st.sampled_from(["difference", "ratio"])
directions = st.sampled_from(["higher", "lower"])


def test_three_groups_by_hand() -> None:
    a, b, c = rates = [Proportion(30, 100), Proportion(50, 100), Proportion(60, 100)]
    first, second, third = with_the_best("difference", rates, better="higher", confidence=0.95)
    alone = compare("difference", [a, a], [b, c], confidence=0.95)
    joint = compare("difference", [a, a], [b, c], confidence=0.975)
    assert first.value == pytest.approx(-0.3)
    assert first.low == min(pair.low for pair in alone)
    assert first.high == min(pair.high for pair in joint)
    assert first.method == "newcombe-with-the-best"
    assert second.value == pytest.approx(-0.1)
    assert third.value == pytest.approx(0.1)  # the best, against the second best
    assert third.n == 200


def test_where_less_is_better_the_best_is_the_lowest() -> None:
    rates = [Proportion(30, 100), Proportion(50, 100), Proportion(60, 100)]
    found = with_the_best("ratio", rates, better="lower", confidence=0.95)
    assert [e.value for e in found] == pytest.approx([30 / 50, 50 / 30, 2.0])


@given(proportions, proportions, operations, directions)
def test_two_groups_have_the_interval_of_their_pair(
    a: Proportion, b: Proportion, operation: Any, better: Any
) -> None:
    found, _ = with_the_best(operation, [a, b], better=better, confidence=0.9)
    (pair,) = compare(operation, [a], [b], confidence=0.9)
    if isinstance(pair, Absent):
        assert found == pair
    else:
        assert isinstance(found, Estimate)
        # A root is found to its last bits, which depend on what is searched beside it.
        assert (found.value, found.low, found.high or 0) == pytest.approx(
            (pair.value, pair.low, pair.high or 0), rel=1e-12, abs=1e-15
        )
        assert (found.high is None) == (pair.high is None)


@given(families)
def test_less_is_more_of_the_opposite(rates: list[Proportion]) -> None:
    """θᵢ − min θⱼ of the rates is −((1 − θᵢ) − max (1 − θⱼ)) of their complements."""
    lower = with_the_best("difference", rates, better="lower", confidence=0.95)
    others = [Proportion(r.n - r.x, r.n) for r in rates]
    higher = with_the_best("difference", others, better="higher", confidence=0.95)
    for a, b in zip(lower, higher, strict=True):
        assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))


@given(families, operations, directions)
def test_the_interval_holds_the_value(rates: list[Proportion], operation: Any, better: Any) -> None:
    for place, found in enumerate(with_the_best(operation, rates, better=better, confidence=0.95)):
        others = [rate.value for other, rate in enumerate(rates) if other != place]
        best = max(others) if better == "higher" else min(others)
        if isinstance(found, Absent):
            assert operation == "ratio"
            assert best == 0
            continue
        value = rates[place].value
        expected = value - best if operation == "difference" else value / best
        assert found.value == pytest.approx(expected)
        assert found.low is None or found.low <= found.value + 1e-9
        assert found.high is None or found.value <= found.high + 1e-9


def test_a_group_that_shows_nothing_may_still_be_the_best() -> None:
    """0 of 2 is compatible with the highest rate: the lower bound of the ratio knows it."""
    rates = [Proportion(50, 100), Proportion(60, 100), Proportion(0, 2)]
    found, *_ = with_the_best("ratio", rates, better="higher", confidence=0.95)
    without, *_ = with_the_best("ratio", rates[:2], better="higher", confidence=0.95)
    (reverse,) = compare("ratio", [rates[2]], [rates[0]], confidence=0.95)
    assert isinstance(found, Estimate)
    assert found.low == pytest.approx(min(without.low, 1 / reverse.high), rel=1e-12)


def test_groups_without_a_value_have_their_own_reason() -> None:
    rates = [Proportion(1, 2), Absent("no positives"), Proportion(3, 4)]
    found = with_the_best("difference", rates, better="higher", confidence=0.95)
    assert found[1] == Absent("no positives")
    assert found[0] == with_the_best(
        "difference", [rates[0], rates[2]], better="higher", confidence=0.95
    )[0]  # fmt: skip


def test_one_group_and_none_are_compared_with_nobody() -> None:
    found = with_the_best("difference", [Proportion(1, 2)], better="higher", confidence=0.95)
    assert found == [Absent("fewer than two groups can be compared")]
    assert with_the_best("difference", [], better="higher", confidence=0.95) == []


def test_means_are_compared_too_and_what_cannot_be_compared_has_the_reason() -> None:
    means = [Mean(0.7, 0.01, 100, "delong"), Mean(0.8, 0.02, 90, "delong")]
    first, _ = with_the_best("difference", means, better="higher", confidence=0.95)
    assert isinstance(first, Estimate)
    assert first.value == pytest.approx(-0.1)
    mixed = with_the_best("difference", [means[0], Census(1, 2)], better="higher",
                          confidence=0.95)  # fmt: skip
    assert all(isinstance(outcome, Absent) for outcome in mixed)


def test_a_ratio_to_a_best_of_0_is_undefined() -> None:
    rates = [Proportion(3, 9), Proportion(0, 9), Proportion(0, 8)]
    found = with_the_best("ratio", rates, better="higher", confidence=0.95)
    assert isinstance(found[0], Absent)
    assert isinstance(found[1], Estimate)
