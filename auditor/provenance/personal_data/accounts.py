"""Numbers of bank accounts and payment cards."""

from __future__ import annotations

import re

from auditor.provenance.personal_data.checksums import luhn, mod_97
from auditor.provenance.personal_data.kind import BEFORE, Kind, bounded, plain

__all__ = ["ACCOUNTS", "IBAN_LENGTHS", "iban", "payment_card"]

IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK", "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL", "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE",
        "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""How long an IBAN is in each country: SWIFT, IBAN registry."""

_IBAN = (
    BEFORE
    + rb"([A-Za-z]{2}\d\d(?:[ -]?[0-9A-Za-z]{4}){2,7}(?:[ -]?[0-9A-Za-z]{1,3})?)(?![0-9A-Za-z_])"
)
_CARD = rb"\d(?:[ -]?\d){11,18}"


def iban(value: str) -> bool:
    """Whether it has the length of its country and is 1 modulo 97 (ISO 13616-1:2020, section 6).

    >>> iban("GB82 WEST 1234 5698 7654 32"), iban("GB82 WEST 1234 5698 7654 33")
    (True, False)
    """
    text = plain(value)
    return len(text) == IBAN_LENGTHS.get(text[:2]) and mod_97(text[4:] + text[:4]) == 1


def payment_card(value: str) -> bool:
    """Whether it has an issuer's prefix and length and satisfies Luhn's formula (ISO/IEC 7812-1).

    >>> payment_card("4111 1111 1111 1111"), payment_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = plain(value)
    return _issued(digits) and len(set(digits)) > 1 and luhn(digits) and _grouped(value)


def _issued(digits: str) -> bool:
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":  # Visa
        return length in {13, 16, 19}
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return length == 16
    if two in {34, 37}:  # American Express
        return length == 15
    if two in {36, 38, 39} or 3000 <= four <= 3059 or four // 10 == 309:  # Diners Club
        return 14 <= length <= 19
    if 3528 <= four <= 3589 or four == 6011 or two in {62, 65} or 6440 <= four <= 6499:
        return 16 <= length <= 19  # JCB, Discover, UnionPay
    if 2200 <= four <= 2204:  # Mir
        return 16 <= length <= 19
    maestro = {5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763}
    return four in maestro and 12 <= length <= 19


def _grouped(value: str) -> bool:
    """Whether the separators are those of a card, and not of a list of numbers."""
    groups = re.split(r"[ -]", value)
    mixed = " " in value and "-" in value
    return len(groups) == 1 or (not mixed and len(groups) <= 5 and min(map(len, groups)) >= 3)


ACCOUNTS = (
    Kind("iban", "IBAN", "bank-account", "number", _IBAN, iban,
         "ISO 13616-1:2020; SWIFT IBAN registry", None, plain),
    Kind("payment-card", "Payment card number", "payment-card", "number", bounded(_CARD),
         payment_card, "ISO/IEC 7812-1:2017", None, plain),
)  # fmt: skip
