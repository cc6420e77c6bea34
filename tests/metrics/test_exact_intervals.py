"""The interval of Clopper and Pearson, and that of Jeffreys' prior."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from auditor.errors import InputError
from auditor.metrics.intervals import clopper_pearson, jeffreys, wilson

confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.999])
both = pytest.mark.parametrize("bounds", [clopper_pearson, jeffreys])


@st.composite
def proportions(draw: Any, most: int = 10_000) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@st.composite
def weighted(draw: Any) -> tuple[float, float]:
    n = draw(st.floats(0.5, 1e5))
    return n * draw(st.floats(1e-6, 1 - 1e-6)), n


def close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), tolerance, tolerance))


def test_clopper_and_pearson_by_hand() -> None:
    """Of 0 of n the upper bound has (1 − u)ⁿ = α/2; of 1 of 1 the lower one is α/2 itself."""
    assert close(clopper_pearson(0, 10, confidence=0.95), (0, 1 - 0.025**0.1))
    assert close(clopper_pearson(1, 1, confidence=0.95), (0.025, 1))


def test_one_of_one_under_jeffreys_prior_has_the_closed_form_of_its_beta() -> None:
    """Beta(3/2, 1/2) has the distribution function (2/π)(asin √u − √(u(1 − u)))."""
    low, high = jeffreys(1, 1, confidence=0.95)
    u = float(low)
    assert 2 / math.pi * (math.asin(math.sqrt(u)) - math.sqrt(u * (1 - u))) == pytest.approx(0.025)
    assert high == 1


@given(proportions(), confidences)
def test_clopper_and_pearson_is_that_of_statsmodels(
    sample: tuple[int, int], confidence: float
) -> None:
    expected = proportion_confint(*sample, alpha=1 - confidence, method="beta")
    assert close(clopper_pearson(*sample, confidence=confidence), expected)


@given(proportions(), confidences)
def test_jeffreys_is_that_of_statsmodels_but_for_its_end_corrections(
    sample: tuple[int, int], confidence: float
) -> None:
    x, n = sample
    low, high = proportion_confint(x, n, alpha=1 - confidence, method="jeffreys")
    expected = (0.0 if x == 0 else low, 1.0 if x == n else high)
    assert close(jeffreys(x, n, confidence=confidence), expected)


@given(proportions(1_000), confidences)
def test_each_bound_of_clopper_and_pearson_leaves_half_of_the_error(
    sample: tuple[int, int], confidence: float
) -> None:
    x, n = sample
    low, high = (float(bound) for bound in clopper_pearson(x, n, confidence=confidence))
    if x:
        assert stats.binom.sf(x - 1, n, low) == pytest.approx((1 - confidence) / 2)
    if x < n:
        assert stats.binom.cdf(x, n, high) == pytest.approx((1 - confidence) / 2)


@both
@given(sample=st.one_of(proportions(), weighted()), confidence=confidences)
def test_the_complement_has_the_complement(
    bounds: Callable[..., Any], sample: tuple[float, float], confidence: float
) -> None:
    x, n = sample
    low, high = bounds(x, n, confidence=confidence)
    other_low, other_high = bounds(n - x, n, confidence=confidence)
    assert close((low, high), (1 - other_high, 1 - other_low), 1e-8)


@given(st.one_of(proportions(), weighted()), confidences)
def test_the_exact_interval_holds_the_rate_and_that_of_jeffreys(
    sample: tuple[float, float], confidence: float
) -> None:
    x, n = sample
    low, high = clopper_pearson(x, n, confidence=confidence)
    inner_low, inner_high = jeffreys(x, n, confidence=confidence)
    assert 0 <= low <= x / n <= high <= 1
    assert low - 1e-12 <= inner_low <= x / n <= inner_high <= high + 1e-12


@given(st.floats(0, 50), st.floats(0.01, 3), st.floats(0, 50), confidences)
def test_bounds_rise_with_fractions_of_a_count(
    x: float, more: float, rest: float, confidence: float
) -> None:
    n = x + more + rest
    for bounds in (clopper_pearson, jeffreys):
        low, high = bounds([x, x + more], n, confidence=confidence)
        assert low[0] <= low[1]
        assert high[0] <= high[1]


@both
def test_of_no_records_nothing_is_known(bounds: Callable[..., Any]) -> None:
    assert [float(b) for b in bounds(0, 0, confidence=0.95)] == [0, 1]


@both
def test_shapes_are_kept_and_broadcast(bounds: Callable[..., Any]) -> None:
    low, high = bounds([[0, 3], [7, 10]], 10, confidence=0.95)
    assert low.shape == high.shape == (2, 2)
    assert low[0, 0] == 0
    assert high[1, 1] == 1
    assert [b.shape for b in bounds([], [], confidence=0.95)] == [(0,), (0,)]


@both
@pytest.mark.parametrize(
    ("x", "n"), [(-1, 5), (6, 5), (math.nan, 5), (1, math.nan), (1, math.inf), ([1, 9], 5)]
)
def test_what_is_no_count_is_refused(bounds: Callable[..., Any], x: Any, n: Any) -> None:
    with pytest.raises(InputError, match="no successes among trials; 0 ≤ x ≤ n"):
        bounds(x, n, confidence=0.95)


@both
def test_what_is_no_confidence_is_refused(bounds: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="a number between 0 and 1"):
        bounds(1, 2, confidence=95)


def test_of_many_records_all_three_agree() -> None:
    found = [f(3e8, 1e9, confidence=0.95) for f in (wilson, clopper_pearson, jeffreys)]
    assert close(found[0], found[1], 1e-7)
    assert close(found[0], found[2], 1e-7)
