"""Numbers as they are shown: enough digits, and never a false one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.report.numbers import (
    MINUS,
    decimals_for,
    interval_text,
    number_text,
    percent_text,
    size_text,
)


@given(st.floats(min_value=-1e6, max_value=1e6), st.integers(min_value=0, max_value=6))
def test_a_shown_number_is_the_number_rounded(value: float, decimals: int) -> None:
    text = number_text(value, decimals).replace(MINUS, "-").replace(",", "")
    assert float(text) == pytest.approx(value, abs=0.5000001 * 10**-decimals)
    assert not text.startswith("-0.0") or float(text) != 0


@given(st.lists(st.floats(min_value=1e-9, max_value=10.0), min_size=1, max_size=30))
def test_the_narrow_intervals_stay_visible(widths: list[float]) -> None:
    decimals = decimals_for(widths)
    assert 2 <= decimals <= 6
    quartile = sorted(widths)[len(widths) // 4]
    assert quartile >= 10**-decimals or decimals == 6


def test_many_tiny_groups_do_not_blur_the_large_ones() -> None:
    assert decimals_for([0.02, 0.02, *[0.8] * 5]) == 3


def test_absurd_numbers_stay_short() -> None:
    assert number_text(1e300, 3) == "1.0e+300"
    assert number_text(-1e-12, 3) == f"{MINUS}1.0e{MINUS}12"


def test_open_sides_are_open() -> None:
    assert interval_text(None, 0.5, 1) == f"({MINUS}∞, 0.5]"
    assert interval_text(0.5, None, 1) == "[0.5, ∞)"


def test_the_units_of_shares_and_bytes() -> None:
    assert percent_text(0.4485).split() == ["44.9", "%"]
    assert size_text(1023) == "1023 B"
    assert size_text(5 * 2**40) == "5.0 TiB"
