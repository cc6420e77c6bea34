"""Axes: round ends that hold everything, and a scale on which half and double mirror each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.report.axes import Axis, linear_axis, ratio_axis

VALUES = st.lists(
    st.floats(min_value=-1e6, max_value=1e6, allow_subnormal=False), min_size=1, max_size=8
)


@given(VALUES)
def test_a_linear_axis_holds_every_value_between_few_ticks(values: list[float]) -> None:
    axis = linear_axis(values)
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)
    assert 3 <= len(axis.ticks) <= 5
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert (axis.ticks[0], axis.ticks[-1]) == (axis.low, axis.high)


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=8))
def test_a_rate_never_gets_an_axis_beyond_its_range(values: list[float]) -> None:
    axis = linear_axis(values, limits=(0.0, 1.0))
    assert -1e-9 <= axis.low < axis.high <= 1 + 1e-9


@given(
    st.lists(st.floats(min_value=2, max_value=7.3), max_size=8),
    st.sampled_from([(2.0, 7.3), (1.9, None), (None, 7.3), (-3.3, 7.31)]),
)
def test_an_axis_keeps_to_limits_that_need_not_be_round_or_hold_zero(
    values: list[float], limits: tuple[float | None, float | None]
) -> None:
    axis = linear_axis(values, limits=limits)
    assert limits[0] is None or axis.low >= limits[0]
    assert limits[1] is None or axis.high <= limits[1]
    assert all(axis.low - 1e-9 <= value <= axis.high + 1e-9 for value in values)
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert (axis.ticks[0], axis.ticks[-1]) == (axis.low, axis.high)


@pytest.mark.parametrize(
    "limits", [(1.0, None), (1.0, 1.0), (2.0, 3.0), (None, -1.0), (-5.0, -4.0)]
)
@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [1.0], [2.0], [5.0], [None]])
@pytest.mark.parametrize("reference", [None, 0.0])
def test_no_limits_make_an_axis_without_room(
    limits: tuple[float | None, float | None],
    values: list[float | None],
    reference: float | None,
) -> None:
    axis = linear_axis(values, limits=limits, reference=reference)
    assert axis.low < axis.high
    seen = [v for v in (*values, reference) if v is not None]
    assert all(axis.low <= value <= axis.high for value in seen)


@given(st.floats(min_value=1.01, max_value=9.9))
def test_half_and_double_lie_equally_far_from_one(factor: float) -> None:
    axis = ratio_axis([factor, 1 / factor])
    right, middle, left = axis.share(factor), axis.share(1.0), axis.share(1 / factor)
    assert right - middle == pytest.approx(middle - left)
    assert middle == pytest.approx(0.5)


def test_the_reference_and_the_limits_are_always_on_the_axis() -> None:
    assert linear_axis([0.2, 0.3], reference=0.0).low == 0.0
    axis = ratio_axis([0.95, 1.0], limits=[0.8])
    assert axis.low <= 0.8
    assert 1.0 in axis.ticks


def test_what_lies_beyond_is_known_to_lie_beyond() -> None:
    axis = Axis(0.1, 10.0, (0.1, 1.0, 10.0), scale="log")
    assert axis.outside(20.0)
    assert axis.share(20.0) == 1.0
    assert axis.share(0.0) == 0.0


def test_absurd_values_break_nothing() -> None:
    for values in ([1e308, -1e308], [5e-324, 0.0], [1e-300], [float("inf"), 1.0]):
        axis = linear_axis(values)
        assert axis.low < axis.high
        assert ratio_axis(values).low < 1


def test_no_value_at_all_gives_an_axis_all_the_same() -> None:
    assert linear_axis([]).low < linear_axis([]).high
    assert ratio_axis([]).low < 1 < ratio_axis([]).high
