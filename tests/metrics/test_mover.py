"""Intervals of differences and ratios out of the intervals of their parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from auditor.errors import InputError
from auditor.metrics.intervals import mover_difference, mover_ratio, newcombe, wilson

Part = tuple[float, float, float]


@st.composite
def parts(draw: Any) -> Part:
    value = draw(st.floats(0.01, 100))
    return value, value * draw(st.floats(0.01, 1)), value * draw(st.floats(1, 20))


def test_a_difference_by_hand() -> None:
    """5 in [2, 9] less 3 in [1, 7]: 2 − √(3² + 4²) to 2 + √(4² + 2²)."""
    low, high = mover_difference(5, 2, 9, 3, 1, 7)
    assert (float(low), float(high)) == pytest.approx((-3, 2 + math.sqrt(20)))


def test_a_ratio_by_hand() -> None:
    """4 in [3, 5] over 2 in [1, 3]: (8 − √(64 − 45))/3 to (8 + √(64 − 45))/3."""
    low, high = mover_ratio(4, 3, 5, 2, 1, 3)
    root = math.sqrt(19)
    assert (float(low), float(high)) == pytest.approx(((8 - root) / 3, (8 + root) / 3))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(50, 90)), min_size=2, max_size=2),
    st.sampled_from([0.8, 0.95, 0.999]),
)
def test_out_of_wilsons_intervals_it_is_newcombes(
    counts: list[tuple[int, int]], confidence: float
) -> None:
    one, other = ((x / n, *wilson(x, n, confidence=confidence)) for x, n in counts)
    found = mover_difference(*one, *other)
    assert np.allclose(found, newcombe(*counts[0], *counts[1], confidence=confidence), atol=1e-12)


@given(parts(), parts())
def test_a_bound_of_a_ratio_is_where_the_interval_of_the_difference_reaches_0(
    one: Part, other: Part
) -> None:
    """v₁ − r v₂ by MOVER, its bound searched for by scipy."""

    def bound(r: float, side: int) -> float:
        scaled = [r * v for v in other]
        return float(mover_difference(*one, *scaled)[side])

    low, high = (float(b) for b in mover_ratio(*one, *other))
    ratio = one[0] / other[0]
    assert low <= ratio * (1 + 1e-12)
    assert high >= ratio * (1 - 1e-12)
    if low < ratio * (1 - 1e-9):
        assert low == pytest.approx(brentq(bound, 0, ratio, args=(0,), xtol=1e-14), rel=1e-6)
    if high > ratio * (1 + 1e-9):
        most = 1e6 * ratio
        assert high == pytest.approx(brentq(bound, ratio, most, args=(1,), xtol=1e-14), rel=1e-6)


@given(parts(), parts())
def test_exchanging_the_parts_turns_the_difference_and_inverts_the_ratio(
    one: Part, other: Part
) -> None:
    low, high = mover_difference(*one, *other)
    back_low, back_high = mover_difference(*other, *one)
    assert (float(low), float(high)) == pytest.approx((-float(back_high), -float(back_low)))
    low, high = mover_ratio(*one, *other)
    back_low, back_high = mover_ratio(*other, *one)
    assert (float(low), float(high)) == pytest.approx((1 / float(back_high), 1 / float(back_low)))


@given(st.lists(st.tuples(parts(), parts()), max_size=4))
def test_arrays_give_what_each_element_gives(pairs: list[tuple[Part, Part]]) -> None:
    columns = np.array([(*a, *b) for a, b in pairs]).reshape(-1, 6).T
    for combine in (mover_difference, mover_ratio):
        low, high = combine(*columns)
        single = [combine(*a, *b) for a, b in pairs]
        assert low.tolist() == [float(s[0]) for s in single]
        assert high.tolist() == [float(s[1]) for s in single]


def test_a_part_that_is_known_exactly_only_shifts_or_scales() -> None:
    assert [float(b) for b in mover_difference(5, 2, 9, 1, 1, 1)] == [1, 8]
    assert [float(b) for b in mover_ratio(6, 2, 9, 2, 2, 2)] == pytest.approx([1, 4.5])


def test_a_denominator_that_may_be_0_leaves_the_ratio_without_an_upper_bound() -> None:
    low, high = mover_ratio(4, 3, 5, 2, 0, 3)
    assert high == math.inf
    assert low == pytest.approx((8 - math.sqrt(19)) / 3)
    assert mover_ratio(4, 3, 5, 2, -1, 3)[1] == math.inf


def test_a_numerator_that_may_be_0_leaves_the_ratio_the_lower_bound_0() -> None:
    assert float(mover_ratio(1, -0.5, 2, 2, 1, 3)[0]) == 0
    assert [float(b) for b in mover_ratio(0, 0, 0, 2, 1, 3)] == [0, 0]


def test_infinite_sides_stay_infinite_on_their_side_only() -> None:
    low, high = mover_difference(5, 2, math.inf, 3, 1, 7)
    assert (float(low), float(high)) == (-3, math.inf)
    assert mover_difference(5, 2, 9, 3, 1, math.inf)[0] == -math.inf
    assert [float(b) for b in mover_ratio(5, 2, math.inf, 3, 1, math.inf)] == [0, math.inf]
    assert [float(b) for b in mover_ratio(5, 2, math.inf, 3, 0, 7)][1] == math.inf


def test_a_bound_that_misses_by_rounding_is_put_on_the_value() -> None:
    assert [float(b) for b in mover_difference(1, 1 + 1e-15, 1 - 1e-15, 0, 0, 0)] == [1, 1]


@pytest.mark.parametrize(
    "part", [(math.nan, 0, 1), (0.5, math.nan, 1), (0.5, 0, math.nan), (2, 0, 1), (-1, 0, 1),
             (math.inf, 0, math.inf)]
)  # fmt: skip
def test_a_value_outside_its_own_interval_is_refused(part: Part) -> None:
    for combine in (mover_difference, mover_ratio):
        with pytest.raises(InputError, match="outside its own interval"):
            combine(*part, 1, 0, 2)
        with pytest.raises(InputError, match="outside its own interval"):
            combine(1, 0, 2, *part)


def test_a_ratio_of_negative_quantities_is_refused() -> None:
    with pytest.raises(InputError, match="negative"):
        mover_ratio(-1, -2, 0, 1, 0.5, 2)
