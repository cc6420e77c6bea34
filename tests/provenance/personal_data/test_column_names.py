from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from auditor.provenance.personal_data import HINTS, SPECIAL_CATEGORIES, column_hints


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("name", "name"), ("FirstName", "name"), ("last_name", "name"), ("dob", "birth-date"),
        ("DateOfBirth", "birth-date"), ("home address", "address"), ("zip-code", "address"),
        ("e-mail", "contact"), ("PhoneNumber", "contact"), ("passport_no", "identifier"),
        ("ip_address", "online-identifier"), ("diagnosis", "special:health"),
        ("hiv_status", "special:health"), ("race", "special:ethnic-origin"),
        ("religion", "special:religion"), ("union_member", "special:trade-union"),
        ("party-affiliation", "special:politics"), ("SexualOrientation", "special:sex-life"),
        ("fingerprint", "special:biometric"), ("genotype", "special:genetic"),
        ("two_year_recid", "criminal-record"),
    ],
)  # fmt: skip
def test_a_name_hints_at_one_thing(name: str, hint: str) -> None:
    assert column_hints([name, "x"]) == {hint: (name,)}


@pytest.mark.parametrize(
    "name",
    ["filename", "column_name", "product name", "embrace", "trace", "target", "age", "score"],
)
def test_other_names_hint_at_nothing(name: str) -> None:
    assert column_hints([name]) == {}


def test_the_special_categories_are_those_of_article_9() -> None:
    assert set(SPECIAL_CATEGORIES) < set(HINTS)
    assert len(SPECIAL_CATEGORIES) == 8


def test_the_special_categories_of_real_tables(shared_data: Path) -> None:
    compas = pd.read_csv(shared_data / "tabular/compas_two_years.csv.gz", nrows=1)
    hints = column_hints(list(compas))
    assert hints["special:ethnic-origin"] == ("race",)
    assert "two_year_recid" in hints["criminal-record"]
    adult = pd.read_csv(shared_data / "tabular/adult.csv.gz", nrows=1)
    assert column_hints(list(adult)) == {"special:ethnic-origin": ("race",)}
