"""Numbers by which states know people, each with its own check."""

from __future__ import annotations

from collections.abc import Callable

from auditor.provenance.personal_data.checksums import (
    is_date,
    luhn,
    mod_11_2,
    mod_11_10,
    two_digit_year,
    verhoeff,
    weighted_sum,
)
from auditor.provenance.personal_data.kind import Kind, Place, bounded, plain, words

__all__ = ["NATIONAL_IDS"]

Check = Callable[[str], bool]

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_OMOCODIA = str.maketrans("LMNPQRSTUV", "0123456789")
_MONTHS = "ABCDEHLMPRST"
# The value of a character at an odd place (counted from 1): Decreto Ministeriale 23/12/1976.
_ODD = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11,
    3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
# Provinces of GB/T 2260.
_PROVINCES = frozenset(
    map(str, (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55),
              *range(61, 66), 71, *range(81, 84)))
)  # fmt: skip


def us_ssn(value: str) -> bool:
    """Social security number: no check digit, but areas, groups and serials that were never given.

    >>> us_ssn("536-90-4399"), us_ssn("666-90-4399")
    (True, False)
    """
    digits = plain(value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    # Numbers printed in advertisements are nobody's.
    printed = digits in {"078051120", "219099999", "457555462"}
    return not (
        area in {"000", "666"} or area[0] == "9" or group == "00" or serial == "0000" or printed
    )


def uk_nino(value: str) -> bool:
    """National insurance number: prefixes that are not given out are none."""
    return plain(value)[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def de_steuer_id(value: str) -> bool:
    """Steuer-Identifikationsnummer: MOD 11,10, and one of ten digits occurs twice or thrice.

    >>> de_steuer_id("86095742719"), de_steuer_id("86095742718")
    (True, False)
    """
    digits = plain(value)
    often = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    repeats = often[-1] in {2, 3} and (len(often) < 2 or often[-2] == 1)
    return digits[0] != "0" and repeats and mod_11_10(digits)


def fr_nir(value: str) -> bool:
    """Numéro d'inscription au répertoire: 97 minus the first 13 digits modulo 97; 2A is 19, 2B 18.

    >>> fr_nir("2 55 08 14 168 025 38"), fr_nir("2 55 08 14 168 025 39")
    (True, False)
    """
    text = plain(value)
    month = int(text[3:5])
    number = text[:13].replace("2A", "19").replace("2B", "18")
    born = 1 <= month <= 12 or 20 <= month <= 42 or 50 <= month <= 99
    return born and number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def es_dni(value: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23; X, Y, Z at the start are 0, 1, 2.

    >>> es_dni("12345678Z"), es_dni("X1234567L"), es_dni("12345678A")
    (True, True, False)
    """
    text = plain(value)
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == text[-1]


def it_codice_fiscale(value: str) -> bool:
    """Codice fiscale: a check letter modulo 26 over the values of the places, and a day of birth.

    >>> it_codice_fiscale("RSSMRA85T10A562S"), it_codice_fiscale("RSSMRA85T10A562T")
    (True, False)
    """
    text = value.upper()
    day = int(text[9:11].translate(_OMOCODIA))
    places = [int(c) if c.isdigit() else ord(c) - ord("A") for c in text[:15]]
    total = sum(_ODD[place] for place in places[::2]) + sum(places[1::2])
    born = two_digit_year(int(text[6:8].translate(_OMOCODIA)), _month(text[8]), (day - 1) % 40 + 1)
    return born and chr(ord("A") + total % 26) == text[15]


def _month(letter: str) -> int:
    return _MONTHS.index(letter) + 1


def nl_bsn(value: str) -> bool:
    """Burgerservicenummer: the eleven-test, 9a + 8b + … + 2h − i divisible by 11.

    >>> nl_bsn("111222333"), nl_bsn("111222334")
    (True, False)
    """
    digits = plain(value).zfill(9)
    total = weighted_sum(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1))
    return int(digits) > 0 and total % 11 == 0


def pl_pesel(value: str) -> bool:
    """PESEL: weights 1, 3, 7, 9 modulo 10; the month says the century.

    >>> pl_pesel("44051401359"), pl_pesel("44051401358")
    (True, False)
    """
    shift, month = divmod(int(value[2:4]), 20)
    year = (1900, 2000, 2100, 2200, 1800)[shift] + int(value[:2])
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return is_date(year, month, int(value[4:6])) and weighted_sum(value, weights) % 10 == 0


def be_national_number(value: str) -> bool:
    """Rijksregisternummer: 97 minus the first nine digits modulo 97, a 2 before them from 2000 on.

    >>> be_national_number("85.07.30-033.28"), be_national_number("85.07.30-033.29")
    (True, False)
    """
    digits = plain(value)
    body, check, year = digits[:9], int(digits[9:]), int(digits[:2])
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    # Month 0 or day 0 stand for a birthday that nobody knows; 20 and 40 more for bis numbers.
    unknown = month == 0 or day == 0
    for century, number in ((1900, int(body)), (2000, int("2" + body))):
        if 97 - number % 97 == check and (unknown or is_date(century + year, month, day)):
            return True
    return False


def pt_nif(value: str) -> bool:
    """NIF of a person: first digit 1, 2, 3 or 45; weights 9 to 2 modulo 11.

    >>> pt_nif("123456789"), pt_nif("123456788")
    (True, False)
    """
    digits = plain(value)
    check = 11 - weighted_sum(digits, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    person = digits[0] in "123" or digits[:2] == "45"
    return person and (0 if check > 9 else check) == int(digits[8])


def se_personnummer(value: str) -> bool:
    """Personnummer: Luhn over the last ten digits; 60 more at the day is a samordningsnummer.

    >>> se_personnummer("811218-9876"), se_personnummer("811218-9875")
    (True, False)
    """
    digits = plain(value)
    last = digits[-10:]
    month, day = int(last[2:4]), int(last[4:6]) % 60
    year = int(digits[:-6]) if len(digits) == 12 else None
    born = (
        two_digit_year(int(last[:2]), month, day)
        if year is None
        else is_date(int(digits[:4]), month, day)
    )
    return born and luhn(last)


def fi_hetu(value: str) -> bool:
    """Henkilötunnus: a character by the nine digits modulo 31.

    >>> fi_hetu("131052-308T"), fi_hetu("131052-308U")
    (True, False)
    """
    text = value.upper()
    century = 1800 if text[6] == "+" else 1900 if text[6] in "-YXWVU" else 2000
    born = is_date(century + int(text[4:6]), int(text[2:4]), int(text[:2]))
    given = int(text[7:10]) >= 2
    return born and given and _HETU[int(text[:6] + text[7:10]) % 31] == text[10]


def no_fodselsnummer(value: str) -> bool:
    """Fødselsnummer: two check digits modulo 11; 40 more at the day is a D-number.

    >>> no_fodselsnummer("15076500565"), no_fodselsnummer("15076500566")
    (True, False)
    """
    digits = plain(value)
    day, month = int(digits[:2]) % 40, int(digits[2:4]) % 40
    first = weighted_sum(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))
    second = weighted_sum(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
    return two_digit_year(int(digits[4:6]), month, day) and first % 11 == second % 11 == 0


def dk_cpr(value: str) -> bool:
    """CPR number: a date and four digits; the check digit was given up in 2007."""
    digits = plain(value)
    return two_digit_year(int(digits[4:6]), int(digits[2:4]), int(digits[:2]) % 60)


def br_cpf(value: str) -> bool:
    """CPF: two check digits modulo 11; eleven equal digits pass the sums and are none.

    >>> br_cpf("529.982.247-25"), br_cpf("529.982.247-26"), br_cpf("111.111.111-11")
    (True, False, False)
    """
    digits = plain(value)
    first = weighted_sum(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted_sum(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def in_aadhaar(value: str) -> bool:
    """Aadhaar: Verhoeff's check digit; never begins with 0 or 1, and is no palindrome.

    >>> in_aadhaar("2341 2341 2346"), in_aadhaar("2341 2341 2347")
    (True, False)
    """
    digits = plain(value)
    return digits[0] not in "01" and digits != digits[::-1] and verhoeff(digits)


def cn_resident_id(value: str) -> bool:
    """Resident identity number: MOD 11-2, a province and a day of birth.

    >>> cn_resident_id("11010519491231002X"), cn_resident_id("110105194912310021")
    (True, False)
    """
    text = value.upper()
    year = int(text[6:10])
    born = 1800 <= year <= 2100 and is_date(year, int(text[10:12]), int(text[12:14]))
    return text[:2] in _PROVINCES and born and mod_11_2(text)


def za_id(value: str) -> bool:
    """South African identity number: a date, a citizenship of 0, 1 or 2, and Luhn.

    >>> za_id("8001015009087"), za_id("8001015009088")
    (True, False)
    """
    digits = plain(value)
    born = two_digit_year(int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    return born and digits[10] in "012" and luhn(digits)


def ch_ahv(value: str) -> bool:
    """AHV number: EAN-13 over digits that begin with 756.

    >>> ch_ahv("756.9217.0769.85"), ch_ahv("756.9217.0769.84")
    (True, False)
    """
    return weighted_sum(plain(value), (1, 3) * 6 + (1,)) % 10 == 0


def ca_sin(value: str) -> bool:
    """Social insurance number: Luhn; none begins with 0 or 8.

    >>> ca_sin("130 692 544"), ca_sin("130 692 545")
    (True, False)
    """
    digits = plain(value)
    return digits[0] not in "08" and luhn(digits)


_PLACES: dict[str, Place] = {
    "it-codice-fiscale": "short-number", "uk-nino": "short-number", "es-dni": "short-number",
    "es-nie": "short-number",
}  # fmt: skip


def _kind(name: str, title: str, pattern: bytes, check: Check, source: str, *said: str) -> Kind:
    return Kind(
        name, title, "national-id", _PLACES.get(name, "number"),
        bounded(pattern), check, source,
        words(*said) if said else None, plain,
    )  # fmt: skip


_PERSONAL = ("personal number", "national id", "id number", "identity number")

NATIONAL_IDS = (
    _kind("cn-resident-id", "Chinese resident identity number", rb"[1-8]\d{16}[\dXx]",
          cn_resident_id, "GB 11643-1999"),
    _kind("it-codice-fiscale", "Italian codice fiscale",
          rb"[A-Za-z]{6}[\dLMNPQRSTUVlmnp-v]{2}[ABCDEHLMPRSTabcdehlmprst][\dLMNPQRSTUVlmnp-v]{2}"
          rb"[A-Za-z][\dLMNPQRSTUVlmnp-v]{3}[A-Za-z]",
          it_codice_fiscale, "Decreto Ministeriale 23/12/1976"),
    _kind("fr-nir", "French NIR", rb"[12][ .]?\d\d[ .]?\d\d[ .]?(?:\d\d|2[AB])[ .]?\d{3}[ .]?\d{3}"
          rb"[ .]?\d\d", fr_nir, "INSEE, répertoire national d'identification"),
    _kind("be-national-number", "Belgian national number", rb"\d\d\.\d\d\.\d\d-\d{3}\.\d\d",
          be_national_number, "Arrêté royal du 3 avril 1984"),
    _kind("be-national-number", "Belgian national number", rb"\d{11}",
          be_national_number, "Arrêté royal du 3 avril 1984", "rijksregisternummer",
          "rijksregister", "registre national", "national register", "nrn", "insz", "niss",
          "national number", *_PERSONAL),
    _kind("br-cpf", "Brazilian CPF", rb"\d{3}\.\d{3}\.\d{3}-\d\d", br_cpf,
          "Receita Federal do Brasil"),
    _kind("br-cpf", "Brazilian CPF", rb"\d{11}", br_cpf, "Receita Federal do Brasil", "cpf"),
    _kind("ch-ahv", "Swiss AHV number", rb"756\.?\d{4}\.?\d{4}\.?\d\d", ch_ahv,
          "eCH-0084, GS1 General Specifications (EAN-13)"),
    _kind("fi-hetu", "Finnish henkilötunnus", rb"[0-3]\d[01]\d\d\d[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]",
          fi_hetu, "Digital and Population Data Services Agency (DVV)"),
    _kind("se-personnummer", "Swedish personnummer", rb"(?:\d\d)?\d{6}[-+]\d{4}", se_personnummer,
          "Skatteverket, SKV 704"),
    _kind("se-personnummer", "Swedish personnummer", rb"(?:19|20)?\d{10}", se_personnummer,
          "Skatteverket, SKV 704", "personnummer", "person nr", "pnr", "samordningsnummer",
          *_PERSONAL),
    _kind("no-fodselsnummer", "Norwegian fødselsnummer", rb"[0-7]\d{5} ?\d{5}", no_fodselsnummer,
          "Skatteetaten, forskrift til folkeregisterloven § 2-2-1"),
    _kind("us-ssn", "US social security number", rb"\d{3}-\d\d-\d{4}", us_ssn,
          "SSA POMS RM 10201.030"),
    _kind("us-ssn", "US social security number", rb"\d{3} ?\d\d ?\d{4}", us_ssn,
          "SSA POMS RM 10201.030", "ssn", "social security", "social security number",
          "social security no"),
    _kind("uk-nino", "UK national insurance number",
          rb"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", uk_nino,
          "HMRC NIM39110"),
    _kind("es-dni", "Spanish DNI", rb"\d{8}[ -]?[A-HJ-NP-TV-Z]", es_dni, "Real Decreto 1553/2005"),
    _kind("es-nie", "Spanish NIE", rb"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]", es_dni,
          "Orden INT/2058/2008"),
    _kind("de-steuer-id", "German tax identification number", rb"[1-9]\d ?\d{3} ?\d{3} ?\d{3}",
          de_steuer_id, "BZSt, § 139b AO", "steuer id", "steueridentifikationsnummer", "idnr",
          "identifikationsnummer", "steuer identifikationsnummer", "steuernummer", "steuer idnr",
          "tax id", "tin"),
    _kind("nl-bsn", "Dutch burgerservicenummer", rb"\d{4}[. ]?\d\d[. ]?\d{2,3}", nl_bsn,
          "Logisch Ontwerp BSN, RvIG", "bsn", "burgerservicenummer", "burger service nummer",
          "sofinummer", "sofi nummer"),
    _kind("pl-pesel", "Polish PESEL", rb"\d{11}", pl_pesel, "Ustawa o ewidencji ludności, art. 15",
          "pesel"),
    _kind("pt-nif", "Portuguese NIF", rb"\d{3} ?\d{3} ?\d{3}", pt_nif, "Decreto-Lei 14/2013", "nif",
          "contribuinte", "número de identificação fiscal"),
    _kind("dk-cpr", "Danish CPR number", rb"[0-7]\d[01]\d{3}[- ]?\d{4}", dk_cpr,
          "CPR-kontoret, Personnummeret i CPR", "cpr", "cpr nummer", "cpr nr", "personnummer"),
    _kind("in-aadhaar", "Indian Aadhaar number", rb"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", in_aadhaar,
          "UIDAI, Aadhaar numbering scheme (2010)", "aadhaar", "aadhar", "adhaar", "uidai",
          "aadhaar no", "aadhaar number"),
    _kind("za-id", "South African identity number", rb"\d{6} ?\d{4} ?\d{3}", za_id,
          "Identification Act 68 of 1997", "rsa id", "sa id", "south african id", "id no",
          *_PERSONAL),
    _kind("ca-sin", "Canadian social insurance number", rb"\d{3}[ -]?\d{3}[ -]?\d{3}", ca_sin,
          "Service Canada, SIN code of practice", "social insurance",
          "social insurance number", "sin number"),
)  # fmt: skip
"""Written in the order in which they are preferred where one text could be two of them."""
