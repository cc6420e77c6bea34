"""The reference population: shares, counts, percentages, marginals; and what it refuses."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from auditor.datasets import open_table
from auditor.datasets.population import Population, read_population
from auditor.errors import InputError


def read(rows: dict[str, Any], **options: Any) -> Population:
    return read_population(open_table(pd.DataFrame(rows), name="pop"), ["race", "sex"], **options)


@pytest.mark.parametrize(
    ("column", "values"),
    [("share", [0.25, 0.75]), ("count", [100, 300]), ("percent", [25.0, 75.0]), ("n", [1, 3])],
)
def test_shares_counts_and_percentages_are_the_same_population(
    column: str, values: list[float]
) -> None:
    found = read({"sex": ["F", "M"], column: values})
    assert found.of(("sex",)) == {("F",): 0.25, ("M",): 0.75}


def test_marginals_are_added_up_from_a_joint_table() -> None:
    found = read({"race": ["A", "A", "B"], "sex": ["F", "M", "F"], "share": [0.2, 0.3, 0.5]})
    assert found.of(("sex",)) == {("F",): 0.7, ("M",): 0.3}
    assert found.of(("race", "sex")) == {("A", "F"): 0.2, ("A", "M"): 0.3, ("B", "F"): 0.5}
    assert found.of(("age",)) is None
    assert found.of(()) is None


def test_rows_over_different_attributes_are_families_of_their_own() -> None:
    found = read({"race": ["A", "B", None, None], "sex": [None, None, "F", "M"],
                  "share": [0.9, 0.1, 0.5, 0.5]})  # fmt: skip
    assert found.of(("race",)) == {("A",): 0.9, ("B",): 0.1}
    assert found.of(("sex",)) == {("F",): 0.5, ("M",): 0.5}
    assert found.of(("race", "sex")) is None
    assert found.levels("race") == ("A", "B")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ({"sex": ["F", "M"], "share": [0.5, -0.5]}, "1 of 2 values are missing, negative"),
        ({"sex": ["F", "M"], "share": [0.5, None]}, "1 of 2 values are missing, negative"),
        ({"sex": ["F", "M"], "share": [0.5, 0.4]}, "the shares of sex add up to 0.9"),
        ({"sex": ["F", "M"], "share": [0, 0]}, "the shares of sex add up to 0;"),
        ({"sex": ["F", "F"], "share": [0.5, 0.5]}, "names F twice"),
        ({"sex": ["F", None], "share": [0.5, 0.5]}, "a row of the population is of no group"),
        ({"gender": ["F"], "share": [1.0]}, "names no sensitive attribute"),
        ({"sex": ["F"], "a": [1], "b": [1]}, "not clear which column"),
        ({"sex": ["F"]}, "not clear which column"),
        ({"sex": ["F", "M"], "share": ["half", "half"]}, "holds 'half'"),
    ],
)
def test_what_is_no_population_is_refused(rows: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        read(rows)


def test_the_column_can_be_named() -> None:
    rows = {"sex": ["F", "M"], "a": [1, 1], "b": [1, 3]}
    assert read(rows, column="b").of(("sex",)) == {("F",): 0.25, ("M",): 0.75}
    with pytest.raises(InputError, match="there is no column 'c'"):
        read(rows, column="c")
