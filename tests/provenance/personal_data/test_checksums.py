from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from auditor.provenance.personal_data.checksums import (
    is_date,
    luhn,
    mod_11_2,
    mod_11_10,
    mod_97,
    verhoeff,
)

DIGITS = st.text("0123456789", min_size=2, max_size=24)


@given(DIGITS)
def test_luhn_is_the_sum_of_the_digits_of_the_doubled(digits: str) -> None:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        tens, ones = divmod(int(digit) * (1 + place % 2), 10)
        total += tens + ones
    assert luhn(digits) == (total % 10 == 0)


def dihedral(a: int, b: int) -> int:
    """The product in the dihedral group of order 10: rotations 0–4, reflections 5–9."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b) % 5 + 5
    return (a - b) % 5 + 5 if b < 5 else (a - b) % 5


@given(DIGITS)
def test_verhoeff_is_the_product_in_the_dihedral_group(digits: str) -> None:
    sigma = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    product = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place):
            value = sigma[value]
        product = dihedral(product, value)
    assert verhoeff(digits) == (product == 0)


@given(DIGITS)
def test_mod_11_10_by_the_congruence_of_the_standard(digits: str) -> None:
    carried = 10
    remainder = 0
    for digit in digits:
        remainder = (carried + int(digit)) % 10
        carried = 2 * (remainder if remainder else 10) % 11
    assert mod_11_10(digits) == (remainder == 1)


@given(DIGITS, st.sampled_from("0123456789X"))
def test_mod_11_2_by_powers_of_two(digits: str, last: str) -> None:
    values = [*map(int, digits), 10 if last == "X" else int(last)]
    total = sum(value * 2**place for place, value in enumerate(reversed(values)))
    assert mod_11_2(digits + last) == (total % 11 == 1)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=34))
def test_mod_97_digit_by_digit(text: str) -> None:
    remainder = 0
    for character in text:
        value = ord(character) - ord("0") if character.isdigit() else ord(character) - ord("A") + 10
        remainder = (remainder * (100 if value > 9 else 10) + value) % 97
    assert mod_97(text) == remainder


@given(st.integers(-1, 10_000), st.integers(-1, 14), st.integers(-1, 33))
def test_dates_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    try:
        datetime.date(year, month, day)
    except ValueError:
        assert not is_date(year, month, day)
    else:
        assert is_date(year, month, day)
