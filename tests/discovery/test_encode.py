from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.discovery.encode import encode, quantile_edges
from auditor.errors import InputError
from auditor.evidence import Slice


def labels(values: Any, *, bins: int = 10) -> list[str | None]:
    """What each row is called."""
    found = encode({"x": values}, bins=bins)
    return [found.levels[0][code] for code in found.codes[:, 0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", None, "b"], ["b", "a", None, "b"]),
        ([True, None, False], ["true", None, "false"]),
        ([3, 1, 3], ["3", "1", "3"]),
        ([0.5, float("nan"), 2.0], ["0.5", None, "2.0"]),
        ([None, None], [None, None]),
        ([date(2026, 1, 2), None], ["2026-01-02", None]),
        (pd.Categorical(["x", None, "y"]), ["x", None, "y"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.chunked_array([["x"], ["y", None]]), ["x", "y", None]),
        (["007", "7"], ["007", "7"]),
    ],
)
def test_few_values_are_levels_as_the_table_writes_them(values: Any, expected: Any) -> None:
    assert labels(values) == expected


def test_many_numbers_are_cut_and_their_extremes_are_not_told() -> None:
    assert labels([20, 25, 31, 37, 44, 60], bins=3) == [
        "<31", "<31", "[31, 44)", "[31, 44)", ">=44", ">=44",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([10, 20, 30, None]),
        ["10", "20", "30", None],
        np.array([10.0, 20.0, 30.0, np.nan]),
        [Decimal("10"), Decimal("20"), Decimal("30"), None],
    ],
)
def test_numbers_are_numbers_in_every_type(values: Any) -> None:
    assert labels(values, bins=2) == ["<20", ">=20", ">=20", None]


def test_text_that_is_not_all_numbers_stays_text() -> None:
    assert labels(["1", "2", "x"], bins=2) == ["1", "2", "x"]


def test_what_is_no_number_is_never_cut() -> None:
    days = [date(2026, 1, day) for day in range(1, 4)]
    assert labels(days, bins=2) == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_infinite_numbers_fall_into_the_outer_bins() -> None:
    values = [-np.inf, 1.0, 2.0, 3.0, 4.0, np.inf]
    assert labels(values, bins=2) == ["<3", "<3", "<3", ">=3", ">=3", ">=3"]
    assert quantile_edges(np.array([np.inf, -np.inf]), bins=3) == ()


@given(st.lists(st.integers(-5, 40), min_size=1, max_size=80), st.integers(2, 12))
def test_bins_are_an_ordered_partition_without_an_empty_one(values: list[int], bins: int) -> None:
    numbers = np.array(values, float)
    edges = quantile_edges(numbers, bins=bins)
    assert list(edges) == sorted(set(edges))
    assert len(edges) < bins
    counts = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
    assert counts.sum() == len(values)
    assert (counts > 0).all()


def test_tied_values_share_a_bin() -> None:
    assert quantile_edges(np.array([0.0] * 90 + [1.0] * 10), bins=4) == ()
    assert quantile_edges(np.array([0.0] * 60 + [1.0] * 40), bins=4) == (1.0,)
    assert set(labels([0] * 98 + [1, 2], bins=2)) == {"any number"}


def test_an_arrow_table_and_a_mapping_are_the_same() -> None:
    frame = pd.DataFrame({"sex": ["F", "M", None], "age": [20, 30, 40]})
    table = encode(pa.Table.from_pandas(frame))
    mapping = encode(dict(frame.items()))
    assert (table.names, table.levels) == (mapping.names, mapping.levels)
    assert (table.codes == mapping.codes).all()
    assert table.sizes == (3, 3)
    assert table.slice_of(((0, 2), (1, 0))) == Slice({"sex": None, "age": "20"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no feature"),
        ({"a": ["x"], "b": ["x", "y"]}, "'b' has 2 values"),
        ({"a": [[1], [2]]}, "type list"),
        ({"a": [b"x"]}, "type binary"),
        ({"a": [1, "x"]}, "cannot be read"),
    ],
)
def test_what_is_no_feature_is_refused(columns: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(columns)


def test_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="bins is 1"):
        encode({"a": [1]}, bins=1)
