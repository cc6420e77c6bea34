from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.metrics import normal_quantile
from auditor.metrics.critical_values import (
    bonferroni,
    confidence_of,
    dunnett,
    normal_cdf,
    sidak,
    studentized_range,
    tukey,
)

confidences = st.floats(0.5, 0.9999)


def test_the_values_of_the_printed_tables() -> None:
    """Studentised range, infinite degrees of freedom; Dunnett (1964), two-sided, equal groups."""
    for k, q in {2: 2.772, 3: 3.314, 4: 3.633, 5: 3.858, 10: 4.474, 20: 5.012}.items():
        assert studentized_range(k, confidence=0.95) == pytest.approx(q, abs=6e-4)
    for compared, d in {1: 1.96, 2: 2.21, 3: 2.35, 4: 2.44, 9: 2.69}.items():
        assert dunnett([0.5**0.5] * compared, confidence=0.95) == pytest.approx(d, abs=6e-3)


@pytest.mark.parametrize("groups", [2, 3, 7, 40])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_the_studentised_range_is_that_of_scipy(groups: int, confidence: float) -> None:
    found = studentized_range(groups, confidence=confidence)
    assert stats.studentized_range.cdf(found, groups, 1e9) == pytest.approx(confidence, abs=1e-9)


def test_dunnetts_value_is_the_quantile_of_the_normal_vector() -> None:
    loads = np.array([0.2, 0.6, 0.9])
    c = dunnett(loads.tolist(), confidence=0.95)
    covariance = np.outer(loads, loads)
    np.fill_diagonal(covariance, 1.0)
    inside = stats.multivariate_normal(np.zeros(3), covariance).cdf(
        np.full(3, c), lower_limit=np.full(3, -c), rng=np.random.default_rng(0)
    )
    assert inside == pytest.approx(0.95, abs=2e-4)


@given(st.integers(2, 200), confidences)
def test_each_value_lies_between_one_comparison_and_bonferroni(
    groups: int, confidence: float
) -> None:
    one, pairs = normal_quantile(confidence), groups * (groups - 1) // 2
    t = tukey(groups, confidence=confidence)
    assert one - 1e-9 <= t <= sidak(pairs, confidence=confidence) + 1e-9
    d = dunnett([0.7] * (groups - 1), confidence=confidence)
    assert one - 1e-9 <= d <= sidak(groups - 1, confidence=confidence) + 1e-9
    assert d <= t + 1e-9
    assert sidak(pairs, confidence=confidence) <= bonferroni(pairs, confidence=confidence) + 1e-12


@given(st.integers(1, 30), confidences)
def test_comparisons_without_correlation_have_sidaks_value(n: int, confidence: float) -> None:
    assert dunnett([0.0] * n, confidence=confidence) == pytest.approx(
        sidak(n, confidence=confidence), abs=1e-8
    )


def test_two_groups_are_one_comparison() -> None:
    for confidence in (0.5, 0.95, 1 - 1e-9):
        assert tukey(2, confidence=confidence) == pytest.approx(normal_quantile(confidence))
        assert confidence_of(normal_quantile(confidence)) == pytest.approx(confidence, abs=1e-14)


def test_the_normal_distribution_function_is_precise_in_its_tail() -> None:
    z = np.linspace(-30, 8, 77)
    assert np.allclose(normal_cdf(z), stats.norm.cdf(z), rtol=1e-12, atol=0)


@given(st.integers(2, 60), confidences)
def test_more_groups_need_more(groups: int, confidence: float) -> None:
    assert tukey(groups, confidence=confidence) < tukey(groups + 1, confidence=confidence)


def test_a_value_takes_a_millisecond() -> None:
    studentized_range.cache_clear()
    start = time.perf_counter()
    for groups in range(2, 102):
        studentized_range(groups, confidence=0.97)
    assert (time.perf_counter() - start) / 100 < 0.01  # 0.3 ms here; scipy's takes 0.1 s and more


def test_families_that_are_too_small_and_levels_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="2 or more"):
        tukey(1, confidence=0.95)
    with pytest.raises(InputError, match="1 or more"):
        bonferroni(0, confidence=0.95)
    with pytest.raises(InputError, match="1 or more"):
        dunnett([], confidence=0.95)
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="between 0 and 1"):
            studentized_range(3, confidence=level)
