from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.stats import Attribute, Groups, as_label

SEX = Attribute(name="sex", levels=("F", "M"))
RACE = Attribute(name="race", levels=("A", "B", "C"))
AGE = Attribute(name="age", levels=("<30", ">=30"))

declared = st.integers(1, 3).flatmap(
    lambda n: st.builds(
        Groups.declare, st.just([SEX, RACE, AGE][:n]), intersections=st.integers(1, 3)
    )
)


def test_the_families_are_everybody_each_attribute_and_the_declared_intersections() -> None:
    groups = Groups.declare([SEX, RACE, AGE], intersections=2)
    assert groups.families == (
        (), ("sex",), ("race",), ("age",), ("sex", "race"), ("sex", "age"), ("race", "age"),
    )  # fmt: skip
    assert [groups.size(family) for family in groups.families] == [1, 3, 4, 3, 12, 9, 12]
    assert groups.total == 44
    assert groups.offset(("sex", "race")) == 11


@given(declared)
def test_every_slice_has_one_number_and_every_number_one_slice(groups: Groups) -> None:
    for family in groups.families:
        slices = [groups.slice_of(family, number) for number in range(groups.size(family))]
        assert len(set(slices)) == groups.size(family)
        assert [groups.number_of(family, where) for where in slices] == list(range(len(slices)))


@given(declared, st.data())
def test_flat_numbers_agree_with_the_slices_of_the_values(groups: Groups, data: Any) -> None:
    values = {
        a.name: data.draw(st.lists(st.sampled_from([*a.levels, None]), min_size=5, max_size=5))
        for a in groups.attributes
    }
    flat = groups.flat(groups.encode(values))
    assert flat.shape == (5, len(groups.families))
    for row, (position, family) in itertools.product(range(5), enumerate(groups.families)):
        number = int(flat[row, position]) - groups.offset(family)
        assert groups.slice_of(family, number) == {name: values[name][row] for name in family}


def test_without_attributes_there_is_everybody() -> None:
    groups = Groups.declare([])
    assert groups.families == ((),)
    assert groups.flat(np.zeros((3, 0), np.int32)).tolist() == [[0], [0], [0]]


@given(declared)
def test_declared_groups_come_back_from_json(groups: Groups) -> None:
    assert Groups.from_json(groups.model_dump(mode="json")) == groups


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("F", "F"),
        ("", ""),
        ("nan", "nan"),
        (3, "3"),
        (np.int64(3), "3"),
        (3.0, "3.0"),
        (np.float32(0.1), "0.1"),
        (True, "true"),
        (np.False_, "false"),
        (None, None),
        (math.nan, None),
        (np.float32("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2020-01-01"), "2020-01-01 00:00:00"),
    ],
)
def test_a_value_is_labelled_as_a_table_writes_it(value: object, label: str | None) -> None:
    assert as_label(value) == label


def test_a_missing_value_has_the_last_code_of_its_own() -> None:
    assert SEX.encode(["M", None, "F", math.nan, pd.NA]).tolist() == [1, 2, 0, 2, 2]
    assert [SEX.label(code) for code in range(SEX.size)] == ["F", "M", None]


def test_an_undeclared_value_is_refused_with_the_nearest_level() -> None:
    attribute = Attribute(name="sex", levels=("Female", "Male"))
    with pytest.raises(InputError) as caught:
        attribute.encode(["Male", "Femal"])
    assert str(caught.value) == (
        "value 'Femal' of attribute 'sex' was not declared; did you mean 'Female'?"
    )
    groups = Groups.declare([attribute])
    with pytest.raises(InputError, match="attribute 'sex' has no value 'X'; valid: Female, Male"):
        groups.number_of(("sex",), {"sex": "X"})


def test_columns_of_unequal_length_are_refused() -> None:
    groups = Groups.declare([SEX, RACE])
    with pytest.raises(InputError, match="'race' has 1 values; 2 as 'sex' has"):
        groups.encode({"sex": ["F", "M"], "race": ["A"]})


def test_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    groups = Groups.declare([RACE])
    with pytest.raises(InputError, match="'race' is missing; did you mean 'races'"):
        groups.encode({"races": ["A"]})


@pytest.mark.parametrize(
    "codes", [np.array([[3]]), np.array([[-1]]), np.array([0, 1]), np.zeros((2, 2), np.int32)]
)
def test_codes_that_nobody_encoded_are_refused(codes: Any) -> None:
    # A code out of range would be counted in a slice of another attribute.
    with pytest.raises(InputError, match="group code"):
        Groups.declare([SEX]).flat(codes)


@pytest.mark.parametrize(
    ("attributes", "options", "what"),
    [
        ([SEX, SEX], {}, "named twice"),
        ([SEX], {"intersections": 0}, "intersections is 0"),
        (
            [Attribute(name=n, levels=tuple(map(str, range(3_000)))) for n in "ab"],
            {},
            "a × b has 9,006,001 possible slices; fewer intersections",
        ),
    ],
)
def test_groups_that_cannot_be_declared_are_refused(
    attributes: list[Attribute], options: dict[str, int], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        Groups.declare(attributes, **options)


def test_an_attribute_names_a_level_once() -> None:
    with pytest.raises(InputError, match="names a level twice"):
        Attribute.from_json({"name": "sex", "levels": ["F", "F"]})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"families": [[], ["height"]]}, "does not follow"),
        ({"families": [[], ["race", "sex"]]}, "does not follow"),
        ({"families": [[], []]}, "named twice"),
        ({"attributes": [{"name": "sex", "levels": ["F"]}] * 2}, "named twice"),
        ({"attributes": [{"name": name, "levels": list(map(str, range(3_000)))} for name in "ab"],
          "families": [[], ["a", "b"]]}, "too many"),
    ],
)  # fmt: skip
def test_incoherent_groups_of_a_stored_statistic_are_refused(
    change: dict[str, Any], what: str
) -> None:
    document = Groups.declare([SEX, RACE]).model_dump(mode="json") | change
    with pytest.raises(InputError, match=what):
        Groups.from_json(document, where="evidence")


def test_undeclared_attributes_and_families_are_refused_by_name() -> None:
    groups = Groups.declare([SEX, RACE], intersections=1)
    with pytest.raises(InputError, match="'sx' is not a declared .*did you mean 'sex'"):
        groups.attribute("sx")
    with pytest.raises(InputError, match="race × sex was not declared; declared: sex, race"):
        groups.family(["sex", "race"])
    assert groups.family(["race"]) == ("race",)


def test_declared_groups_are_listed_when_empty_and_unknown_ones_only_when_occupied() -> None:
    groups = Groups.declare([SEX])
    occupied = np.array([True, False, False])
    assert [where for _, where in groups.slices(("sex",), occupied)] == [
        Slice({"sex": "F"}), Slice({"sex": "M"}),
    ]  # fmt: skip
    occupied[2] = True
    assert (2, Slice({"sex": None})) in list(groups.slices(("sex",), occupied))


def test_a_family_of_many_slices_lists_the_occupied_ones() -> None:
    many = Attribute(name="zip", levels=tuple(map(str, range(2_000))))
    groups = Groups.declare([many])
    occupied = np.zeros(2_001, bool)
    occupied[[7, 2_000]] = True
    assert [number for number, _ in groups.slices(("zip",), occupied)] == [7, 2_000]
