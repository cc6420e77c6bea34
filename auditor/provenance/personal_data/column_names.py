"""What the name of a column suggests where its values have no pattern: a hint, and no more."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.provenance.personal_data.kind import phrases, words

__all__ = ["HINTS", "SPECIAL_CATEGORIES", "column_hints"]

_WORDS = {
    "name": words(
        "first name", "last name", "middle name", "full name", "given name", "family name",
        "maiden name", "surname", "forename", "person name", "patient name", "customer name",
        "client name", "employee name", "applicant name", "student name", "author name", "fname",
        "lname", "vorname", "nachname", "prénom", "prenom", "apellido", "apellidos", "cognome",
    ),
    "birth-date": words(
        "dob", "birth date", "birthdate", "date of birth", "birthday", "birth day", "born on",
        "year of birth", "birth year", "geburtsdatum", "date naissance", "fecha nacimiento",
    ),
    "address": words(
        "address", "street", "postcode", "post code", "postal code", "zip code", "zip", "adresse",
        "anschrift", "plz", "direccion", "indirizzo", "latitude", "longitude", "lat", "lon", "gps",
    ),
    "contact": words(
        "email", "e mail", "mail", "phone", "telephone", "mobile", "cellphone", "fax", "telefon",
        "correo",
    ),
    "identifier": words(
        "ssn", "social security", "passport", "national id", "tax id", "driver license",
        "drivers license", "driving licence", "identity card", "id card", "nino", "bsn", "pesel",
        "cpf", "dni", "personnummer", "aadhaar", "mrn", "medical record", "case number",
        "account number", "iban", "license plate", "licence plate",
    ),
    "online-identifier": words(
        "ip", "ip address", "mac address", "cookie", "cookie id", "device id", "user name",
        "username", "user agent", "imei", "advertising id", "idfa", "gaid", "handle",
        "screen name", "twitter", "login",
    ),
    "special:health": words(
        "health", "diagnosis", "diagnoses", "disease", "illness", "disability", "disabled",
        "medication", "prescription", "icd", "symptom", "symptoms", "blood pressure", "bmi", "hiv",
        "pregnant", "pregnancy", "allergy", "allergies", "comorbidity", "treatment", "patient",
        "hospital", "cancer", "tumor", "tumour", "lesion", "diabetes", "smoker",
    ),
    "special:genetic": words("dna", "genome", "genotype", "genetic", "genetics", "snp"),
    "special:biometric": words(
        "biometric", "biometrics", "fingerprint", "face embedding", "face id", "iris scan",
        "retina", "voiceprint", "voice print", "fitzpatrick", "skin tone", "skin type",
    ),
    "special:ethnic-origin": words(
        "race", "ethnicity", "ethnic", "ethnic group", "caste", "tribe", "skin color",
        "skin colour", "afam",
    ),
    "special:politics": words(
        "political", "politics", "political party", "party affiliation", "vote", "voted", "voter",
        "ideology",
    ),
    "special:religion": words(
        "religion", "religious", "faith", "church", "denomination", "belief", "beliefs",
        "konfession",
    ),
    "special:trade-union": words("trade union", "union member", "union membership", "labor union"),
    "special:sex-life": words(
        "sexual orientation", "sexuality", "sex life", "lgbt", "lgbtq", "gay", "sexual",
    ),
    "criminal-record": words(
        "criminal", "conviction", "convictions", "arrest", "arrests", "felony", "fel", "misd",
        "offense", "offence", "recid", "recidivism", "jail", "prison", "prior", "priors", "charge",
        "crime",
    ),
}  # fmt: skip

HINTS: tuple[str, ...] = tuple(_WORDS)
"""What names may hint at; ``special:`` are the categories of Article 9(1) GDPR."""

SPECIAL_CATEGORIES: tuple[str, ...] = tuple(hint for hint in HINTS if hint.startswith("special:"))

# An address of these is no place where somebody lives.
_NO_PLACE = words("ip address", "mac address", "email address", "mail address", "web address")


def column_hints(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns whose names suggest personal data, by what they suggest.

    A hint says that somebody should look; it is neither evidence that the column holds such data,
    nor that the others do not.

    >>> column_hints(["FirstName", "race", "file_name"])
    {'name': ('FirstName',), 'special:ethnic-origin': ('race',)}
    """
    said = {name: frozenset(phrases(name)) for name in names}
    found: dict[str, tuple[str, ...]] = {}
    for hint, meant in _WORDS.items():
        columns = tuple(name for name in names if _hints(said[name], hint, meant))
        if columns:
            found[hint] = columns
    return found


def _hints(said: frozenset[str], hint: str, meant: frozenset[str]) -> bool:
    if hint == "name" and said == frozenset({"name"}):
        return True
    if hint == "address" and not said.isdisjoint(_NO_PLACE):
        return False
    return not said.isdisjoint(meant)
