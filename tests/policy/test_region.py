from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.policy import Region, parse_region
from auditor.policy.decide import accepted, refused

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "low", "high", "low_open", "high_open"),
    [
        (">= 0.8", 0.8, None, False, False),
        (">0.8", 0.8, None, True, False),
        ("<= .1", None, 0.1, False, False),
        (" <  1e-3 ", None, 0.001, False, True),
        ("== 0", 0.0, 0.0, False, False),
        ("0.8 .. 1.25", 0.8, 1.25, False, False),
        ("-0.1..0.1", -0.1, 0.1, False, False),
    ],
)
def test_each_spelling_means_one_region(
    text: str, low: float | None, high: float | None, low_open: bool, high_open: bool
) -> None:
    region = Region(low=low, high=high, low_open=low_open, high_open=high_open)
    assert parse_region(text) == region
    assert parse_region(str(region)) == region


@pytest.mark.parametrize(
    "text", ["", "0.8", "=> 0.8", ">= ", ">= x", "[0.8, 1.25]", "0.8 - 1.25", ">= nan", "< inf",
             "1.25 .. 0.8", ">= 1e999", ">= 0.8 <= 1"],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"valid|inverted|too large"):
        parse_region(text)


def test_an_inverted_interval_is_told_the_right_way_round() -> None:
    with pytest.raises(ValueError, match=r"write '0\.8 \.\. 1\.25'"):
        parse_region("1.25 .. 0.8")


@given(numbers, numbers)
def test_writing_and_reading_give_the_same_region(a: float, b: float) -> None:
    for region in (Region(low=a), Region(high=b, high_open=True),
                   Region(low=min(a, b), high=max(a, b))):  # fmt: skip
        assert parse_region(str(region)) == region


def test_the_rounding_of_arithmetic_does_not_decide() -> None:
    assert parse_region(">= 0.8").holds(0.24 / 0.3)
    assert parse_region("<= 0.1").holds(0.4 - 0.3)
    assert not parse_region("> 0.8").holds(0.24 / 0.3)


@given(numbers, numbers, numbers)
def test_an_interval_is_inside_outside_or_neither(a: float, b: float, limit: float) -> None:
    low, high = min(a, b), max(a, b)
    for region in (Region(low=limit), Region(high=limit, high_open=True),
                   Region(low=limit - 1, high=limit)):  # fmt: skip
        inside = bool(accepted(region, low, high))
        outside = bool(refused(region, low, high))
        assert not (inside and outside)
        if inside:
            assert region.holds(low)
            assert region.holds(high)
        if outside:
            assert not region.holds((low + high) / 2)


def test_limits_that_nothing_can_cross_are_dropped() -> None:
    assert parse_region("0 .. 0.1").within(0.0, 1.0) == parse_region("<= 0.1")
    assert parse_region("0.8 .. 1.25").within(0.0, None) == parse_region("0.8 .. 1.25")
    assert parse_region("> 0").within(0.0, 1.0) == parse_region("> 0")
