from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate
from auditor.metrics import Absent, Mean, Proportion, compare, extreme, miettinen_nurminen_ratio
from auditor.metrics.critical_values import confidence_of, tukey

proportions = st.integers(1, 300).flatmap(
    lambda n: st.builds(Proportion, st.integers(0, n), st.just(n))
)
groups = st.lists(proportions, min_size=2, max_size=5)


def test_two_groups_have_the_gap_of_their_one_pair() -> None:
    a, b = Proportion(30, 100), Proportion(50, 100)
    found = extreme("difference", [[a, b]], confidence=0.95)
    (pair,) = compare("difference", [b], [a], confidence=0.95)
    assert found == pair.model_copy(update={"method": "newcombe-all-pairs-tukey"})


def test_the_smallest_ratio_by_hand() -> None:
    rates = [Proportion(30, 100), Proportion(60, 100), Proportion(45, 100)]
    found = extreme("ratio", [rates], confidence=0.95)
    assert found.value == 0.5
    assert found.n == 300
    # From below by the pairs one by one, from above by all pairs together.
    low, high = (
        miettinen_nurminen_ratio([30, 30, 45], 100, [60, 45, 60], 100, confidence=confidence)[side]
        for side, confidence in ((0, 0.95), (1, confidence_of(tukey(3, confidence=0.95))))
    )
    assert found.low == pytest.approx(min(low))
    assert found.high == pytest.approx(min(high))
    assert found.method == "miettinen-nurminen-all-pairs-tukey"


@pytest.mark.parametrize("operation", ["difference", "ratio"])
def test_means_have_all_pairs_together_by_bonferroni(operation: Any) -> None:
    means = [Mean(v, 0.02, 100, "delong", low=0.0, high=1.0) for v in (0.7, 0.8, 0.75)]
    found = extreme(operation, [means], confidence=0.95)
    pairs = list(itertools.permutations(means, 2))
    every = compare(
        operation, [a for a, _ in pairs], [b for _, b in pairs], confidence=1 - 0.05 / 3
    )
    assert found.method == "delong-all-pairs-bonferroni"
    if operation == "difference":
        assert found.value == pytest.approx(0.1)
        assert found.low == max(0.0, *(pair.low for pair in every))
        assert found.high == max(pair.high for pair in every)
    else:
        assert found.value == pytest.approx(7 / 8)
        assert found.low == min(pair.low for pair in every)
        assert found.high == min(1.0, *(pair.high for pair in every))


def test_the_gap_of_an_unlimited_quantity_is_not_cut_at_1() -> None:
    means = [Mean(v, 0.5, 100, "mean") for v in (10.0, 20.0)]
    found = extreme("difference", [means], confidence=0.95)
    assert found.value == 10.0
    assert found.high == pytest.approx(10 + 1.96 * 0.5 * 2**0.5, abs=1e-3)


def test_equalized_odds_takes_the_worse_of_two_rates() -> None:
    positives = [Proportion(8, 10), Proportion(7, 10)]
    negatives = [Proportion(1, 10), Proportion(4, 10)]
    found = extreme("difference", [positives, negatives], confidence=0.95)
    assert found.value == pytest.approx(0.3)
    assert extreme("ratio", [positives, negatives], confidence=0.95).value == 0.25


@given(groups, st.sampled_from(["difference", "ratio"]))
def test_the_value_is_that_of_max_and_min_and_the_interval_holds_it(
    rates: list[Proportion], operation: Any
) -> None:
    found = extreme(operation, [rates], confidence=0.95)
    low, high = min(r.value for r in rates), max(r.value for r in rates)
    if operation == "ratio" and high == 0:
        assert isinstance(found, Absent)
        return
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(high - low if operation == "difference" else low / high)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(groups, st.randoms(), st.sampled_from(["difference", "ratio"]))
def test_the_order_of_the_groups_does_not_matter(
    rates: list[Proportion], random: Any, operation: Any
) -> None:
    shuffled = random.sample(rates, len(rates))
    one, other = (extreme(operation, [r], confidence=0.95) for r in (rates, shuffled))
    if isinstance(one, Absent):
        assert one == other
    else:
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        ([[Proportion(1, 2)]], "fewer than two groups can be compared"),
        ([[Proportion(1, 2), Absent("no records")]], "fewer than two groups"),
        ([[Proportion(1, 2)] * 2, [Proportion(1, 2)]], "fewer than two groups"),
        ([[]], "fewer than two groups"),
    ],
)
def test_a_gap_needs_two_groups(components: Any, reason: str) -> None:
    found = extreme("difference", components, confidence=0.95)
    assert isinstance(found, Absent)
    assert reason in found.reason


def test_a_ratio_of_rates_that_are_all_0_is_undefined() -> None:
    found = extreme("ratio", [[Proportion(0, 9), Proportion(0, 9)]], confidence=0.95)
    assert found == Absent("the reference rate is 0, so the ratio is undefined")


def test_rates_that_carry_weights_name_their_variance() -> None:
    rates = [Proportion(30, 90, records=100, design="kish"), Proportion(50, 80, records=110,
                                                                        design="kish")]  # fmt: skip
    found = extreme("difference", [rates], confidence=0.95)
    assert isinstance(found, Estimate)
    assert found.method == "newcombe-kish-all-pairs-tukey"
    assert (found.n, found.effective_n) == (210, 170)


def test_a_group_without_a_rate_takes_no_part() -> None:
    rates = [Proportion(1, 2), Proportion(3, 4)]
    with_empty = extreme("difference", [[*rates, Absent("no positives")]], confidence=0.95)
    assert with_empty == extreme("difference", [rates], confidence=0.95)
