from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.metrics import miettinen_nurminen_ratio, newcombe
from auditor.metrics.largest_gap import (
    BetweenGroups,
    _corrected_twice,
    _mean_range,
    between_group_variance,
    bias_corrected_gap,
    largest_gap_bounds,
)
from auditor.metrics.samples import Absent
from auditor.metrics.simultaneous import simultaneous_differences

proportions = st.integers(2, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
families = st.lists(proportions, min_size=2, max_size=6)


def split(family: list[tuple[int, int]]) -> tuple[Any, Any]:
    x, n = zip(*family, strict=True)
    return np.array(x, float), np.array(n, float)


# -- bounds -------------------------------------------------------------------------------------


def test_two_groups_have_the_interval_of_their_difference_and_of_their_ratio() -> None:
    found = largest_gap_bounds("difference", [50, 30], [100, 90], confidence=0.95)
    expected = newcombe(50, 100, 30, 90, confidence=0.95)
    assert found == pytest.approx(tuple(map(float, expected)))
    found = largest_gap_bounds("ratio", [50, 30], [100, 90], confidence=0.95)
    expected = miettinen_nurminen_ratio(30, 90, 50, 100, confidence=0.95)
    assert found == pytest.approx(tuple(map(float, expected)))


def test_each_side_by_its_own_argument() -> None:
    """Three large groups: from below the best of simultaneous bounds, from above the worst of
    single ones."""
    x, n = np.array([3_000.0, 4_000.0, 4_800.0]), np.full(3, 10_000.0)
    low, high = largest_gap_bounds("difference", x, n, confidence=0.95)
    pairs = simultaneous_differences(x, n, confidence=0.95)
    assert low == pytest.approx(max(abs(v) for v in pairs.high if v < 0))
    assert high == pytest.approx(float(newcombe(4_800, 10_000, 3_000, 10_000, confidence=0.95)[1]))


@given(families, st.sampled_from(["difference", "ratio"]), st.randoms())
def test_bounds_hold_the_observed_gap_in_any_order(
    family: list[tuple[int, int]], operation: Any, random: Any
) -> None:
    x, n = split(family)
    p = x / n
    if operation == "ratio" and not x.any():
        return
    low, high = largest_gap_bounds(operation, x, n, confidence=0.95)
    gap = np.ptp(p) if operation == "difference" else p.min() / p.max()
    assert 0 <= low <= gap + 1e-9
    assert gap - 1e-9 <= high <= 1
    again = largest_gap_bounds(
        operation, *split(random.sample(family, len(family))), confidence=0.95
    )
    assert again == pytest.approx((low, high))


@given(families)
def test_a_ratio_is_compatible_with_one_where_the_difference_is_with_none(
    family: list[tuple[int, int]],
) -> None:
    x, n = split(family)
    if len(family) > 2 and largest_gap_bounds("difference", x, n, confidence=0.95)[0] == 0:
        assert largest_gap_bounds("ratio", x, n, confidence=0.95)[1] == 1


def test_more_rates_share_the_error() -> None:
    x, n = [300, 400, 480], [1_000] * 3
    one, two = (
        largest_gap_bounds("difference", x, n, confidence=0.95, components=c) for c in (1, 2)
    )
    assert two[0] < one[0]
    assert two[1] == one[1]


def test_bounds_need_two_groups_with_records() -> None:
    for x, n in (([1], [2]), ([1, 0], [2, 0])):
        with pytest.raises(InputError, match="two or more groups"):
            largest_gap_bounds("difference", x, n, confidence=0.95)


# -- variance between groups --------------------------------------------------------------------


def test_the_variance_between_groups_by_hand() -> None:
    """Rates 0.2 and 0.6 of 10: variance 0.08; errors (0.16 + 0.24)/2/9 = 0.022222."""
    found = between_group_variance([2, 6], [10, 10], confidence=0.95)
    assert isinstance(found, BetweenGroups)
    assert found.observed == pytest.approx(0.08)
    assert found.noise == pytest.approx(0.2 / 9)
    assert found.value == pytest.approx(0.08 - 0.2 / 9)
    assert 0 <= found.low <= found.high


def test_the_corrected_variance_is_unbiased() -> None:
    """Over all outcomes of three groups, exactly: the mean is the variance of the true rates."""
    sizes, rates = (3, 5, 4), (0.2, 0.5, 0.7)
    mean = 0.0
    for x in itertools.product(*(range(n + 1) for n in sizes)):
        found = between_group_variance(x, sizes, confidence=0.9, replicates=1)
        assert isinstance(found, BetweenGroups)
        mean += found.value * float(np.prod(stats.binom.pmf(x, sizes, rates)))
    assert mean == pytest.approx(np.var(rates, ddof=1))


def test_replicates_are_corrected_twice() -> None:
    """Over all replicates of three groups, exactly: their mean is the corrected variance.

    Corrected once it is the uncorrected one, as the bootstrap adds the noise again.
    """
    x, n = np.array([1, 3, 3]), np.array([3, 5, 4])
    found = between_group_variance(x, n, confidence=0.9, replicates=10)
    assert isinstance(found, BetweenGroups)
    once = twice = 0.0
    for again in itertools.product(*(range(size + 1) for size in n)):
        mass = float(np.prod(stats.binom.pmf(again, n, x / n)))
        rates = np.array(again) / n
        once += mass * float(np.var(rates, ddof=1) - np.mean(rates * (1 - rates) / (n - 1)))
        twice += mass * float(_corrected_twice(rates, n))
    assert once == pytest.approx(found.observed)
    assert twice == pytest.approx(found.value)


def test_groups_of_one_record_take_no_part() -> None:
    with_one = between_group_variance([2, 6, 1], [10, 10, 1], confidence=0.9)
    assert with_one == between_group_variance([2, 6], [10, 10], confidence=0.9)
    for found in (
        between_group_variance([2, 1], [10, 1], confidence=0.9),
        bias_corrected_gap([2, 1], [10, 1]),
    ):
        assert found == Absent("fewer than two groups with two records")


# -- the gap without its bias -------------------------------------------------------------------


@given(families)
def test_the_correction_takes_away_and_never_below_0(family: list[tuple[int, int]]) -> None:
    x, n = split(family)
    found = bias_corrected_gap(x, n)
    assert isinstance(found, float)
    assert 0 <= found <= np.ptp(x / n) + 1e-6


def test_the_mean_range_of_the_model_is_that_of_many_tables() -> None:
    """The correction, against 200,000 tables drawn from the same model."""
    x, n = np.array([22, 30, 41, 180]), np.array([100, 100, 100, 600])
    p = x / n
    between = np.var(p, ddof=1) - np.mean(p * (1 - p) / (n - 1))
    centre = x.sum() / n.sum()
    model = centre + (p - centre) * np.sqrt(between / np.var(p, ddof=1))
    drawn = np.random.default_rng(0).binomial(n, model, (200_000, 4)) / n
    bias = np.ptp(drawn, axis=1).mean() - np.ptp(model)
    assert bias_corrected_gap(x, n) == pytest.approx(np.ptp(p) - bias, abs=1e-3)


def test_the_mean_range_of_equal_normals_is_that_of_the_tables() -> None:
    """1.128, 2.059, 3.258 standard errors for 2, 4, 12 groups: the d₂ of control charts."""
    for groups, d2 in {2: 1.128, 4: 2.059, 12: 3.258}.items():
        assert _mean_range(np.full(groups, 0.3), np.full(groups, 0.01)) == pytest.approx(
            0.01 * d2, rel=2e-3
        )


def test_rates_of_0_and_1_have_no_error_to_correct() -> None:
    assert bias_corrected_gap([0, 10], [10, 10]) == pytest.approx(1.0, abs=0.05)
    assert bias_corrected_gap([0, 0, 0], [5, 9, 7]) == 0.0
