from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate
from auditor.metrics import (
    Absent,
    Census,
    Mean,
    Proportion,
    compare,
    estimate,
    katz,
    miettinen_nurminen_ratio,
    newcombe,
    normal_quantile,
    scaled,
    wilson,
)
from auditor.metrics.means import mean_of

Z = normal_quantile(0.95)

proportions = st.integers(1, 500).flatmap(
    lambda n: st.builds(Proportion, st.integers(0, n), st.just(n))
)
areas = st.builds(
    Mean,
    value=st.floats(0, 1),
    standard_error=st.floats(0, 0.5),
    n=st.just(50),
    method=st.just("delong"),
    low=st.just(0.0),
    high=st.just(1.0),
    bound=st.floats(0, 0.01),
    floor=st.integers(1, 20),
)


def one(operation: Any, a: Any, b: Any) -> Any:
    (outcome,) = compare(operation, [a], [b], confidence=0.95)
    return outcome


def test_a_difference_of_proportions_is_newcombes() -> None:
    found = one("difference", Proportion(7, 10), Proportion(3, 12))
    low, high = newcombe(7, 10, 3, 12, confidence=0.95)
    assert found == Estimate(
        value=0.7 - 0.25, low=float(low), high=float(high), confidence=0.95, n=22,
        method="newcombe",
    )  # fmt: skip


def test_a_ratio_of_proportions_is_the_score_interval_with_katz_beside_it() -> None:
    found = one("ratio", Proportion(7, 10), Proportion(3, 12))
    low, high = miettinen_nurminen_ratio(7, 10, 3, 12, confidence=0.95)
    assert (found.value, found.low, found.high) == (0.7 / 0.25, float(low), float(high))
    assert found.method == "miettinen-nurminen"
    (beside,) = found.also
    assert (beside.low, beside.high) == tuple(map(float, katz(7, 10, 3, 12, confidence=0.95)))
    assert beside.method == "katz"


def test_a_ratio_of_nothing_has_a_lower_bound_of_0_and_no_katz() -> None:
    found = one("ratio", Proportion(0, 10), Proportion(3, 12))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high > 0
    assert found.also == ()


def test_a_ratio_to_nothing_is_absent_with_its_reason() -> None:
    reason = "the reference rate is 0, so the ratio is undefined"
    assert one("ratio", Proportion(3, 10), Proportion(0, 12)) == Absent(reason)


def test_an_absent_side_says_which() -> None:
    absent = Absent("no positives")
    assert one("difference", absent, Proportion(1, 2)) == Absent("this slice: no positives")
    assert one("ratio", Proportion(1, 2), absent) == Absent("the reference: no positives")


def test_counts_of_everything_differ_exactly() -> None:
    found = one("difference", Census(0.25, 8), Census(0.5, 4))
    assert (found.value, found.low, found.high, found.n) == (-0.25, -0.25, -0.25, 12)
    assert one("ratio", Census(0.25, 8), Census(0.5, 4)).value == 0.5
    assert isinstance(one("ratio", Census(0.25, 8), Census(0.0, 4)), Absent)


def test_unlike_things_are_not_compared() -> None:
    assert isinstance(one("difference", Census(1, 1), Proportion(1, 2)), Absent)
    assert isinstance(one("ratio", Mean(1.0, 0.1, 9, "normal"), Census(1, 2)), Absent)


def test_a_mean_and_a_proportion_are_compared_by_their_two_intervals() -> None:
    found = one("difference", Mean(0.7, 0.1, 9, "normal"), Proportion(30, 100))
    low, high = wilson(30, 100, confidence=0.95)
    assert found.low == pytest.approx(0.4 - math.hypot(Z * 0.1, float(high) - 0.3))
    assert found.high == pytest.approx(0.4 + math.hypot(Z * 0.1, 0.3 - float(low)))
    assert (found.method, found.n) == ("mover-normal", 109)


def test_means_by_hand() -> None:
    a, b = Mean(6.0, 0.3, 10, "normal"), Mean(4.0, 0.4, 20, "normal")
    difference = one("difference", a, b)
    assert (difference.value, difference.n) == (2.0, 30)
    assert difference.low == pytest.approx(2 - Z * 0.5)
    assert difference.high == pytest.approx(2 + Z * 0.5)
    ratio = one("ratio", a, b)
    assert ratio.value == 1.5
    assert ratio.high - 1.5 == pytest.approx(Z * math.sqrt(0.3**2 + 1.5**2 * 0.4**2) / 4)


def test_a_mean_of_0_still_has_an_uncertain_ratio() -> None:
    found = one("ratio", Mean(0.0, 0.3, 10, "normal", low=0.0), Mean(4.0, 0.4, 20, "normal", low=0))
    assert found.value == 0.0
    assert found.low == 0.0
    assert found.high == pytest.approx(Z * 0.3 / 4)


def test_a_numerical_bound_widens_both_sides() -> None:
    found = estimate(Mean(0.5, 0.1, 9, "delong-binned", bound=0.01), confidence=0.95)
    assert found.bound == 0.01
    assert found.low == pytest.approx(0.5 - Z * 0.1 - 0.01)
    assert found.high == pytest.approx(0.5 + Z * 0.1 + 0.01)


@given(areas)
def test_the_interval_of_an_area_stays_in_range_and_holds_it(area: Mean) -> None:
    found = estimate(area, confidence=0.95)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(areas, areas)
def test_comparisons_of_areas_stay_in_range_and_hold_the_estimate(a: Mean, b: Mean) -> None:
    difference = one("difference", a, b)
    assert -1 <= difference.low <= difference.value <= difference.high <= 1
    back = one("difference", b, a)
    assert (back.low, back.high) == pytest.approx((-difference.high, -difference.low))
    ratio = one("ratio", a, b)
    if isinstance(ratio, Estimate):
        assert 0 <= ratio.low <= ratio.value <= ratio.high
    else:
        assert b.value == 0


@given(st.lists(st.tuples(proportions, proportions), max_size=5), st.booleans())
def test_many_pairs_give_what_each_gives_alone(pairs: list[Any], gap: bool) -> None:
    operation = "difference" if gap else "ratio"
    mixed = [*pairs, (Census(1, 1), Census(2, 2)), (Absent("x"), Census(1, 1))]
    together = compare(operation, [a for a, _ in mixed], [b for _, b in mixed], confidence=0.95)
    for outcome, (a, b) in zip(together, mixed, strict=True):
        alone = one(operation, a, b)
        if isinstance(alone, Absent):
            assert outcome == alone
            continue
        assert (outcome.value, outcome.n, outcome.method) == (alone.value, alone.n, alone.method)
        assert outcome.low == pytest.approx(alone.low, abs=1e-9)
        assert (outcome.high is None) == (alone.high is None)
        if alone.high is not None:
            assert outcome.high == pytest.approx(alone.high, rel=1e-8)


@given(proportions, st.sampled_from([2, 10, 100]))
def test_more_records_of_the_same_kind_narrow_the_interval(sample: Proportion, factor: int) -> None:
    more = scaled(sample, factor)
    assert more.value == sample.value
    now, then = (estimate(s, confidence=0.95) for s in (sample, more))
    assert then.high - then.low < now.high - now.low
    assert then.n == now.n * factor


def test_scaling_leaves_what_has_no_sampling_error() -> None:
    assert scaled(Census(1, 2), 3) == Census(1, 2)
    assert scaled(Absent("x"), 3) == Absent("x")
    mean = scaled(Mean(1.0, 0.4, 9, "normal", floor=3), 4)
    assert (mean.standard_error, mean.n, mean.floor) == (0.2, 36, 12)


def test_a_mean_is_that_of_its_sums() -> None:
    """1, 2, 3, 6: mean 3, variance 14/3."""
    found = mean_of(12.0, 50.0, 4)
    assert isinstance(found, Mean)
    assert found.value == 3.0
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3 / 4))


@pytest.mark.parametrize(
    ("sums", "reason"),
    [
        ((0.0, 0.0, 0), "no records"),
        ((1.0, 1.0, 1), "one record has no standard error"),
        ((math.nan, 1.0, 2), "a value is not finite"),
        ((1.0, math.inf, 2), "a value is not finite"),
    ],
)
def test_a_mean_that_cannot_be_taken_has_its_reason(sums: Any, reason: str) -> None:
    assert mean_of(*sums) == Absent(reason)
