from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import (
    power_proportions_2indep,
    samplesize_proportions_2indep_onetail,
)

from auditor.errors import InputError
from auditor.metrics.contingency import two_sample_z
from auditor.metrics.intervals import normal_quantile
from auditor.metrics.power import minimal_detectable_difference, required_n

rates = st.floats(0.01, 0.99)
confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99])
powers = st.sampled_from([0.5, 0.8, 0.9, 0.99])


def test_the_records_by_hand() -> None:
    """.2 and .4: (1.96 √(2 · .3 · .7) + .8416 √(.2 · .8 + .4 · .6))² / .2² = 81.2."""
    by_hand = (1.959964 * math.sqrt(0.42) + 0.841621 * math.sqrt(0.4)) ** 2 / 0.04
    assert by_hand == pytest.approx(81.2, abs=0.05)
    assert float(required_n(0.2, 0.4, confidence=0.95, power=0.8)) == 82


@given(rates, rates, confidences, powers, st.sampled_from([0.1, 0.5, 1.0, 4.0]))
def test_the_records_are_those_of_statsmodels(
    rate1: float, rate2: float, confidence: float, power: float, ratio: float
) -> None:
    if abs(rate1 - rate2) < 1e-3:
        return
    expected = samplesize_proportions_2indep_onetail(
        rate1 - rate2, rate2, power, ratio=ratio, alpha=1 - confidence
    )
    found = float(required_n(rate1, rate2, confidence=confidence, power=power, ratio=ratio))
    assert found == pytest.approx(math.ceil(expected * (1 - 1e-9)), abs=1e-6 * expected)
    assert found >= expected * (1 - 1e-6)


@given(rates, st.integers(5, 10**6), st.integers(5, 10**6), confidences, powers)
def test_the_difference_has_the_power_that_statsmodels_finds(
    rate: float, n1: int, n2: int, confidence: float, power: float
) -> None:
    """On one side exactly the power, on the other as much or no rate that is far enough away."""
    d = float(minimal_detectable_difference(rate, n1, n2, confidence=confidence, power=power))
    found = [
        power_proportions_2indep(
            rate - other, other, n1, ratio=n2 / n1, alpha=(1 - confidence) / 2,
            alternative="larger" if other < rate else "smaller", return_results=False,
        )
        for other in (rate - d, rate + d)
        if 0 < other < 1
    ]  # fmt: skip
    assert not found or any(abs(one - power) < 1e-6 for one in found)


@given(rates, rates, confidences, powers)
def test_the_difference_of_the_required_records_is_shown(
    rate1: float, rate2: float, confidence: float, power: float
) -> None:
    if abs(rate1 - rate2) < 1e-3:
        return
    other = min(max(2 * rate1 - rate2, 0), 1)  # as far on the other side, if there is such a rate
    n = np.maximum(
        required_n(rate1, rate2, confidence=confidence, power=power),
        required_n(rate1, other, confidence=confidence, power=power),
    )
    d = float(minimal_detectable_difference(rate1, n, n, confidence=confidence, power=power))
    if math.isfinite(d):
        assert d <= abs(rate1 - rate2) * (1 + 1e-6)


@given(rates, st.integers(50, 10_000), confidences, powers)
def test_more_records_show_smaller_differences(
    rate: float, n: int, confidence: float, power: float
) -> None:
    few, many = (
        float(minimal_detectable_difference(rate, k, k, confidence=confidence, power=power))
        for k in (n, 100 * n)
    )
    assert many < few
    assert many == pytest.approx(few / 10, rel=1) or math.isinf(few)


@pytest.mark.slow
@pytest.mark.parametrize(("rate1", "rate2", "ratio"), [(0.2, 0.3, 1.0), (0.5, 0.6, 2.0)])
def test_the_test_finds_a_difference_as_often_as_the_power_says(
    rate1: float, rate2: float, ratio: float, figures: Any
) -> None:
    rng = np.random.default_rng(0)
    n1 = int(required_n(rate1, rate2, confidence=0.95, power=0.8, ratio=ratio))
    n2 = round(ratio * n1)
    x1, x2 = rng.binomial(n1, rate1, 20_000), rng.binomial(n2, rate2, 20_000)
    found = float(np.mean(np.abs(two_sample_z(x1, n1, x2, n2)) > normal_quantile(0.95)))
    figures(f"power of {rate1} against {rate2}", {"stated": 0.8, "found": found, "n1": n1})
    assert found == pytest.approx(0.8, abs=0.015)


def test_equal_rates_are_never_told_apart() -> None:
    assert required_n([0.3, 0.3], [0.3, 0.5], confidence=0.95, power=0.8).tolist() == [math.inf, 93]


def test_groups_that_are_too_small_show_nothing() -> None:
    assert math.isinf(float(minimal_detectable_difference(0.5, 2, 2, confidence=0.95, power=0.8)))


def test_a_rate_at_the_end_has_one_side() -> None:
    at_0, at_1 = minimal_detectable_difference([0, 1], 100, 100, confidence=0.95, power=0.8)
    assert 0.03 < at_0 < 0.12
    assert at_0 == pytest.approx(at_1)


def test_shapes_are_kept() -> None:
    assert required_n([[0.1, 0.2]], 0.4, confidence=0.95, power=0.8).shape == (1, 2)
    found = minimal_detectable_difference(0.2, [50, 500], [60, 600], confidence=0.95, power=0.8)
    assert found.shape == (2,)
    assert required_n([], [], confidence=0.95, power=0.8).shape == (0,)
    assert minimal_detectable_difference([], [], [], confidence=0.95, power=0.8).shape == (0,)


@pytest.mark.parametrize("power", [0.0, 0.49, 1.0, math.nan])
def test_what_is_no_power_is_refused(power: float) -> None:
    with pytest.raises(InputError, match="from 0.5 to below 1"):
        required_n(0.1, 0.2, confidence=0.95, power=power)
    with pytest.raises(InputError, match="from 0.5 to below 1"):
        minimal_detectable_difference(0.1, 9, 9, confidence=0.95, power=power)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="a rate that is none"):
        required_n(rate, 0.2, confidence=0.95, power=0.8)
    with pytest.raises(InputError, match="a rate that is none"):
        minimal_detectable_difference(rate, 9, 9, confidence=0.95, power=0.8)


def test_other_arguments_out_of_range_are_refused() -> None:
    for n in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="a group without records"):
            minimal_detectable_difference(0.2, n, 9, confidence=0.95, power=0.8)
    for ratio in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="the ratio of the records"):
            required_n(0.1, 0.2, confidence=0.95, power=0.8, ratio=ratio)
    with pytest.raises(InputError, match="a number between 0 and 1"):
        required_n(0.1, 0.2, confidence=95, power=0.8)
