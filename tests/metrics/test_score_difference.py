"""The score interval of a difference of two proportions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from statsmodels.stats.proportion import score_test_proportions_2indep

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile
from auditor.metrics.score_difference import miettinen_nurminen_difference
from auditor.metrics.score_ratio import miettinen_nurminen_ratio

confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.999])


@st.composite
def proportions(draw: Any, most: int = 2_000) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


def test_the_interval_by_the_table_of_newcombe() -> None:
    """Newcombe (1998), table II, method 6 (its a, b and d)."""
    for counts, printed in {
        (56, 70, 48, 80): [0.0528, 0.3382],
        (9, 10, 3, 10): [0.1700, 0.8406],
        (5, 56, 0, 29): [-0.0326, 0.1933],
    }.items():
        found = miettinen_nurminen_difference(*counts, confidence=0.95)
        assert np.round(found, 4).tolist() == printed


def test_none_of_n_in_both_groups_by_hand() -> None:
    """Under d > 0 the restricted rates are d and 0: d² = z² d(1 − d)/n · 2n/(2n − 1)."""
    z, n = normal_quantile(0.95), 10
    c = z * z / n * 2 * n / (2 * n - 1)
    low, high = miettinen_nurminen_difference(0, n, 0, n, confidence=0.95)
    assert (float(low), float(high)) == pytest.approx((-c / (1 + c), c / (1 + c)), abs=1e-12)


def restricted(d: float, x1: float, n1: float, x2: float, n2: float) -> float:
    """The likeliest p₂ with p₁ = p₂ + d: where the slope of the likelihood turns, by bisection."""

    def slope(q: float) -> float:
        parts = ((x1, q + d, 1), (n1 - x1, 1 - q - d, -1), (x2, q, 1), (n2 - x2, 1 - q, -1))
        return sum(sign * k / max(share, 1e-300) for k, share, sign in parts if k > 0)

    least, most = max(0.0, -d), min(1.0, 1 - d)
    if slope(least) <= 0:
        return least
    if slope(most) >= 0:
        return most
    return float(brentq(slope, least, most, xtol=1e-300, rtol=1e-15, maxiter=2_000))


def score(d: float, x1: float, n1: float, x2: float, n2: float) -> float:
    q2 = restricted(d, x1, n1, x2, n2)
    q1, n = min(max(q2 + d, 0.0), 1.0), n1 + n2
    variance = (q1 * (1 - q1) / n1 + q2 * (1 - q2) / n2) * n / (n - 1)
    return (x1 / n1 - x2 / n2 - d) / math.sqrt(variance) if variance > 0 else math.inf


@given(proportions(), proportions(), confidences)
def test_the_bounds_are_where_the_score_that_defines_them_is_z(
    one: tuple[int, int], other: tuple[int, int], confidence: float
) -> None:
    z, value = normal_quantile(confidence), one[0] / one[1] - other[0] / other[1]
    low, high = (
        float(b) for b in miettinen_nurminen_difference(*one, *other, confidence=confidence)
    )

    def excess(d: float) -> float:
        return -z if d == value else abs(score(d, *one, *other)) - z

    for found, end in ((low, -1.0), (high, 1.0)):
        expected = end if value == end else brentq(excess, value, end, xtol=1e-14)
        assert found == pytest.approx(expected, abs=1e-9)


@given(proportions(), proportions())
def test_the_interval_at_one_less_the_p_value_of_equal_rates_ends_at_0(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    """The test is that of statsmodels 0.15.

    Its interval is none to compare with: its cubic has x₂ d where the paper's appendix has n₂ d
    (for 56 of 70 and 48 of 80 it gives [.0526, .3440] and not the printed [.0528, .3382]).
    """
    if one[0] + other[0] in (0, one[1] + other[1]):
        return
    p_value = float(score_test_proportions_2indep(*one, *other, value=0).pvalue)
    if not 1e-9 < p_value < 0.999:
        return
    low, high = miettinen_nurminen_difference(*one, *other, confidence=1 - p_value)
    assert min(abs(float(low)), abs(float(high))) < 1e-7


@given(proportions(10**9), proportions(10**9), confidences)
def test_the_bounds_hold_the_difference_and_turn_when_the_groups_are_exchanged(
    one: tuple[int, int], other: tuple[int, int], confidence: float
) -> None:
    low, high = miettinen_nurminen_difference(*one, *other, confidence=confidence)
    assert -1 <= low <= one[0] / one[1] - other[0] / other[1] + 1e-14
    assert one[0] / one[1] - other[0] / other[1] - 1e-14 <= high <= 1
    back_low, back_high = miettinen_nurminen_difference(*other, *one, confidence=confidence)
    assert np.allclose((low, high), (-back_high, -back_low), rtol=0, atol=1e-9)


@given(proportions(10**6), proportions(10**6))
def test_the_failures_have_the_same_interval_turned(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    low, high = miettinen_nurminen_difference(*one, *other, confidence=0.95)
    failures = [(n - x, n) for x, n in (other, one)]
    again = miettinen_nurminen_difference(*failures[0], *failures[1], confidence=0.95)
    assert np.allclose((low, high), again, rtol=0, atol=1e-9)


@given(proportions(), proportions(), confidences)
def test_a_difference_of_0_and_a_ratio_of_1_are_excluded_together(
    one: tuple[int, int], other: tuple[int, int], confidence: float
) -> None:
    """Both are the test of equal rates."""
    if not one[0] or not other[0]:
        return
    low, high = miettinen_nurminen_difference(*one, *other, confidence=confidence)
    below, above = miettinen_nurminen_ratio(*one, *other, confidence=confidence)
    if min(abs(low), abs(high)) > 1e-7:
        assert (low > 0, high < 0) == (below > 1, above < 1)


@given(st.lists(st.tuples(proportions(), proportions()), min_size=1, max_size=6))
def test_arrays_give_what_each_element_gives(
    pairs: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    x1, n1, x2, n2 = np.array([(*a, *b) for a, b in pairs]).T
    low, high = miettinen_nurminen_difference(x1, n1, x2, n2, confidence=0.95)
    single = [miettinen_nurminen_difference(*a, *b, confidence=0.95) for a, b in pairs]
    assert np.allclose(low, [float(s[0]) for s in single], rtol=0, atol=1e-9)
    assert np.allclose(high, [float(s[1]) for s in single], rtol=0, atol=1e-9)


def test_fractions_of_counts_lie_between_the_whole_ones() -> None:
    low, high = miettinen_nurminen_difference([7, 7.5, 8], 20, 3, 30, confidence=0.95)
    assert low[0] < low[1] < low[2]
    assert high[0] < high[1] < high[2]


def test_of_one_record_in_all_nothing_is_known() -> None:
    found = miettinen_nurminen_difference(0.3, 0.4, 0.2, 0.6, confidence=0.95)
    assert [float(b) for b in found] == [-1, 1]
    assert [float(b) for b in miettinen_nurminen_ratio(0.3, 0.4, 0.2, 0.3, confidence=0.95)] == [
        0,
        math.inf,
    ]


def test_all_against_none_ends_at_the_end() -> None:
    low, high = miettinen_nurminen_difference([5, 0], [5, 9], [0, 9], 9, confidence=0.95)
    assert high[0] == 1
    assert low[1] == -1
    assert low[0] > 0
    assert high[1] < 0


def test_shapes_are_kept_and_empty_is_empty() -> None:
    x = np.array([[1, 2], [3, 4]])
    assert miettinen_nurminen_difference(x, 10, 5, 10, confidence=0.95)[1].shape == (2, 2)
    assert miettinen_nurminen_difference(1, 10, 5, 10, confidence=0.95)[0].shape == ()
    assert miettinen_nurminen_difference([], [], [], [], confidence=0.95)[0].shape == (0,)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ((0, 0, 1, 2), "a group without records"),
        ((1, 2, 3, 2), "no successes among trials"),
        ((math.nan, 2, 1, 2), "no successes among trials"),
        ((1, math.inf, 1, 2), "no successes among trials"),
    ],
)
def test_what_are_no_counts_is_refused(counts: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        miettinen_nurminen_difference(*counts, confidence=0.95)
