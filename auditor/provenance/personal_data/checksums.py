"""Check digits: the arithmetic by which a number shows that it was not typed at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

__all__ = [
    "is_date",
    "luhn",
    "mod_11_2",
    "mod_11_10",
    "mod_97",
    "two_digit_year",
    "verhoeff",
    "weighted_sum",
]

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# The dihedral group of order 10, and the permutation that Verhoeff applies once more each place.
_PRODUCT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_PERMUTED = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Whether the digits satisfy Luhn's formula (ISO/IEC 7812-1, annex B).

    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    backwards = digits[::-1]
    doubled = sum(_DOUBLED[int(digit)] for digit in backwards[1::2])
    return (sum(map(int, backwards[::2])) + doubled) % 10 == 0


def verhoeff(digits: str) -> bool:
    """Whether the last digit is Verhoeff's check digit.

    Verhoeff (1969), Error detecting decimal codes, Mathematical Centre Tract 29.


    >>> verhoeff("2363"), verhoeff("2364")
    (True, False)
    """
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _PRODUCT[check][_PERMUTED[place % 8][int(digit)]]
    return check == 0


def mod_11_10(digits: str) -> bool:
    """Whether the last digit is that of ISO/IEC 7064 MOD 11,10.

    >>> mod_11_10("86095742719"), mod_11_10("86095742718")
    (True, False)
    """
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def mod_11_2(text: str) -> bool:
    """Whether the last character, a digit or X, is that of ISO/IEC 7064 MOD 11-2.

    >>> mod_11_2("11010519491231002X"), mod_11_2("110105194912310020")
    (True, False)
    """
    total = 0
    for character in text:
        total = (2 * total + (10 if character == "X" else int(character))) % 11
    return total == 1


def mod_97(text: str) -> int:
    """Return letters and digits as a number modulo 97 (ISO/IEC 7064 MOD 97-10; A is 10, Z is 35).

    >>> mod_97("3214282912345698765432161182")
    1
    """
    return int("".join(str(int(character, 36)) for character in text)) % 97


def weighted_sum(digits: str, weights: Sequence[int]) -> int:
    """Return Σ digit · weight over the digits that have a weight.

    >>> weighted_sum("123", (3, 2))
    7
    """
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day in the calendar.

    >>> is_date(2000, 2, 29), is_date(1900, 2, 29)
    (True, False)
    """
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def two_digit_year(year: int, month: int, day: int) -> bool:
    """Whether there is such a day in some century: a year of two digits names none.

    >>> two_digit_year(0, 2, 29), two_digit_year(85, 13, 1)
    (True, False)
    """
    return is_date(1900 + year, month, day) or is_date(2000 + year, month, day)
