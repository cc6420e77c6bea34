"""Every number is made by a second implementation, the other way round: from its parts to its
check digits. Whether it is accepted, and its misspellings are not, is asked of ours."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pytest

from auditor.provenance.personal_data import national_ids as ids

Make = Callable[[random.Random], str]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def day(rng: random.Random) -> date:
    return date(1930, 1, 1) + timedelta(days=rng.randrange(69 * 365))


def dot(text: str, weights: Sequence[int]) -> int:
    return sum(int(c) * w for c, w in zip(text, weights, strict=True))


def by_trial(prefix: str, test: Callable[[str], bool], characters: str = "0123456789") -> str:
    (last,) = [c for c in characters if test(prefix + c)]
    return prefix + last


def luhn_total(text: str) -> int:
    return sum(sum(divmod(int(c) * (2 if i % 2 else 1), 10)) for i, c in enumerate(text[::-1]))


def swedish(rng: random.Random) -> str:
    body = f"{day(rng):%y%m%d}{digits(rng, 3)}"
    whole = by_trial(body, lambda t: luhn_total(t) % 10 == 0)
    return f"{whole[:6]}-{whole[6:]}"


def south_african(rng: random.Random) -> str:
    body = f"{day(rng):%y%m%d}{digits(rng, 4)}{rng.choice('012')}{rng.choice('89')}"
    return by_trial(body, lambda t: luhn_total(t) % 10 == 0)


def canadian(rng: random.Random) -> str:
    body = rng.choice("1234567") + digits(rng, 7)
    return by_trial(body, lambda t: luhn_total(t) % 10 == 0)


def polish(rng: random.Random) -> str:
    body = f"{day(rng):%y%m%d}{digits(rng, 4)}"
    total = sum(int(c) * (1, 3, 7, 9)[i % 4] for i, c in enumerate(body))
    return body + str((10 - total % 10) % 10)


def dutch(rng: random.Random) -> str:
    while True:
        body = rng.choice("123456789") + digits(rng, 7)
        check = sum(int(c) * (9 - i) for i, c in enumerate(body)) % 11
        if check < 10:
            return body + str(check)


def norwegian(rng: random.Random) -> str:
    while True:
        body = f"{day(rng):%d%m%y}{digits(rng, 3)}"
        first = -dot(body, [3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11
        if first == 10:
            continue
        second = -sum(
            int(c) * w
            for c, w in zip(body + str(first), [5, 4, 3, 2, 7, 6, 5, 4, 3, 2], strict=False)
        )
        if second % 11 < 10:
            return f"{body}{first}{second % 11}"


def belgian(rng: random.Random) -> str:
    born = day(rng)
    body = f"{born:%y%m%d}{digits(rng, 3)}"
    check = 97 - int(body) % 97
    text = f"{body}{check:02d}"
    return f"{text[:2]}.{text[2:4]}.{text[4:6]}-{text[6:9]}.{text[9:]}"


def french(rng: random.Random) -> str:
    body = (
        f"{rng.choice('12')}{day(rng):%y%m}{rng.choice(['75', '13', '2A', '2B'])}{digits(rng, 6)}"
    )
    # Corsica: a million for A, two for B, taken off the number with a 0 in the letter's place.
    number = int(body.replace("A", "0").replace("B", "0"))
    number -= 1_000_000 if "A" in body else 2_000_000 if "B" in body else 0
    return f"{body}{97 - number % 97:02d}"


def german(rng: random.Random) -> str:
    ten = rng.sample("0123456789", 9)
    ten.insert(rng.randrange(10), rng.choice(ten))
    if ten[0] == "0":
        return german(rng)

    def valid(text: str) -> bool:
        carried, remainder = 10, 0
        for c in text:
            remainder = (carried + int(c)) % 10
            carried = 2 * (remainder or 10) % 11
        return remainder == 1

    return by_trial("".join(ten), valid)


def spanish(rng: random.Random) -> str:
    number = rng.randrange(10**8)
    return f"{number:08d}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def spanish_foreigner(rng: random.Random) -> str:
    first, number = rng.randrange(3), rng.randrange(10**7)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[(first * 10**7 + number) % 23]
    return f"{'XYZ'[first]}{number:07d}{letter}"


def italian(rng: random.Random) -> str:
    born = day(rng)
    name = "".join(rng.choice(LETTERS) for _ in range(6))
    place = rng.choice(LETTERS) + digits(rng, 3)
    month = dict(zip(range(1, 13), "ABCDEHLMPRST", strict=False))[born.month]
    body = f"{name}{born:%y}{month}{born.day + 40 * rng.randrange(2):02d}{place}"
    odd = dict(zip("0123456789", [1, 0, 5, 7, 9, 13, 15, 17, 19, 21], strict=False))
    odd |= dict(zip(LETTERS, [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14,
                              16, 10, 22, 25, 24, 23], strict=False))  # fmt: skip
    even = dict(zip("0123456789", range(10), strict=True))
    even |= dict(zip(LETTERS, range(26), strict=False))
    total = sum((even if i % 2 else odd)[c] for i, c in enumerate(body))
    return body + LETTERS[total % 26]


def finnish(rng: random.Random) -> str:
    body, number = f"{day(rng):%d%m%y}", f"{rng.randrange(2, 900):03d}"
    return f"{body}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(body + number) % 31]}"


def brazilian(rng: random.Random) -> str:
    body = digits(rng, 9)
    for _ in range(2):
        rest = dot(body[::-1], range(2, 2 + len(body))) % 11
        body += str(0 if rest < 2 else 11 - rest)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def portuguese(rng: random.Random) -> str:
    body = rng.choice("123") + digits(rng, 7)
    rest = dot(body, range(9, 1, -1)) % 11
    return body + str(0 if rest < 2 else 11 - rest)


def chinese(rng: random.Random) -> str:
    body = f"{rng.choice(['11', '31', '44'])}{digits(rng, 4)}{day(rng):%Y%m%d}{digits(rng, 3)}"
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    return body + "10X98765432"[dot(body, weights) % 11]


def indian(rng: random.Random) -> str:
    def product(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 + 5 * (b >= 5)
        return (a - b) % 5 + 5 * (b < 5)

    def valid(text: str) -> bool:
        check = 0
        for place, c in enumerate(text[::-1]):
            value = int(c)
            for _ in range(place):
                value = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[value]
            check = product(check, value)
        return check == 0

    return by_trial(rng.choice("23456789") + digits(rng, 10), valid)


def swiss(rng: random.Random) -> str:
    body = "756" + digits(rng, 9)
    total = sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(body))
    whole = body + str(-total % 10)
    return f"{whole[:3]}.{whole[3:7]}.{whole[7:11]}.{whole[11:]}"


# Of these every change of one digit is found; the others map two remainders to one digit.
EXACT: dict[str, tuple[Callable[[str], bool], Make]] = {
    "se": (ids.se_personnummer, swedish),
    "za": (ids.za_id, south_african),
    "ca": (ids.ca_sin, canadian),
    "pl": (ids.pl_pesel, polish),
    "nl": (ids.nl_bsn, dutch),
    "no": (ids.no_fodselsnummer, norwegian),
    "fr": (ids.fr_nir, french),
    "de": (ids.de_steuer_id, german),
    "es": (ids.es_dni, spanish),
    "es-foreigner": (ids.es_dni, spanish_foreigner),
    "it": (ids.it_codice_fiscale, italian),
    "fi": (ids.fi_hetu, finnish),
    "cn": (ids.cn_resident_id, chinese),
    "in": (ids.in_aadhaar, indian),
    "ch": (ids.ch_ahv, swiss),
}
ALL = EXACT | {
    "be": (ids.be_national_number, belgian),
    "br": (ids.br_cpf, brazilian),
    "pt": (ids.pt_nif, portuguese),
}


@pytest.mark.parametrize("country", ALL)
def test_numbers_made_elsewhere_are_accepted(country: str) -> None:
    valid, make = ALL[country]
    rng = random.Random(0)
    for _ in range(200):
        number = make(rng)
        assert valid(number), number


@pytest.mark.parametrize("country", EXACT)
def test_one_wrong_digit_is_found(country: str) -> None:
    valid, make = EXACT[country]
    rng = random.Random(1)
    for _ in range(30):
        number = make(rng)
        for place, character in enumerate(number):
            if character.isdigit():
                for other in "0123456789".replace(character, ""):
                    wrong = number[:place] + other + number[place + 1 :]
                    assert not valid(wrong), (number, wrong)


@pytest.mark.parametrize("country", ["be", "br", "pt"])
def test_another_last_digit_is_found(country: str) -> None:
    valid, make = ALL[country]
    rng = random.Random(2)
    for _ in range(100):
        number = make(rng)
        for other in "0123456789".replace(number[-1], ""):
            assert not valid(number[:-1] + other)


@pytest.mark.parametrize(
    ("valid", "number"),
    [
        (ids.us_ssn, "000-12-3456"),
        (ids.us_ssn, "666-12-3456"),
        (ids.us_ssn, "900-12-3456"),
        (ids.us_ssn, "123-00-4567"),
        (ids.us_ssn, "123-45-0000"),
        (ids.us_ssn, "078-05-1120"),
        (ids.uk_nino, "GB 12 34 56 A"),
        (ids.de_steuer_id, "11111111111"),
        (ids.br_cpf, "111.111.111-11"),
        (ids.nl_bsn, "000000000"),
        (ids.dk_cpr, "310299-1234"),
        (ids.se_personnummer, "811318-9876"),
        (ids.be_national_number, "85.13.30-033.28"),
        (ids.cn_resident_id, "99010519491231002X"),
    ],
)
def test_numbers_that_were_never_given_are_none(valid: Callable[[str], bool], number: str) -> None:
    assert not valid(number)


def test_after_2000_the_belgian_number_has_a_two_before_it() -> None:
    body = "040229001"
    check = 97 - int("2" + body) % 97
    assert ids.be_national_number(f"{body}{check:02d}")
    # Born on 29 February 1904 it would be as well, with the other check.
    assert ids.be_national_number(f"{body}{97 - int(body) % 97:02d}")
