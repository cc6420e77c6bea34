from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import open_table
from auditor.provenance import repeated, seen_in

COLUMNS = ["a", "b"]

rows = st.lists(
    st.tuples(st.sampled_from(["", "x", "xy", None]), st.sampled_from(["y", "1", None])),
    min_size=1,
    max_size=25,
)


def hashes(frame: pd.DataFrame) -> Any:
    return open_table(frame).row_hashes(COLUMNS)


def frame_of(records: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(records, columns=COLUMNS, dtype="str")


@settings(max_examples=20)
@given(rows)
def test_repeated_rows_are_those_of_pandas(records: list[Any]) -> None:
    frame = frame_of(records)
    assert repeated(hashes(frame)).tolist() == frame.duplicated().tolist()


@settings(max_examples=20)
@given(rows, rows)
def test_rows_seen_before_are_those_of_pandas(records: list[Any], earlier: list[Any]) -> None:
    known = {tuple(record) for record in earlier}
    found = seen_in(hashes(frame_of(records)), hashes(frame_of(earlier)))
    assert found.tolist() == [tuple(record) in known for record in records]


def test_adult_repeats_as_many_rows_as_pandas_finds(adult: pd.DataFrame) -> None:
    found = repeated(open_table(adult).row_hashes(list(adult)))
    assert np.array_equal(found, adult.duplicated().to_numpy())
    assert found.sum() > 1_000
    half = len(adult) // 2
    seen = seen_in(
        open_table(adult[half:]).row_hashes(list(adult)),
        open_table(adult[:half]).row_hashes(list(adult)),
    )
    merged = adult[half:].merge(adult[:half].drop_duplicates(), how="left", indicator=True)
    assert np.array_equal(seen, (merged["_merge"] == "both").to_numpy())


def test_a_missing_value_elsewhere_hides_no_equal_row() -> None:
    """In pandas it makes floats of integers: 20.0 here is 20 there."""
    floats = pd.DataFrame({"a": [20, None, 2.5], "b": ["x", "y", "z"]})
    integers = pd.DataFrame({"a": [20, 21], "b": ["x", "y"]})
    assert seen_in(hashes(integers), hashes(floats)).tolist() == [True, False]
    single = floats.astype({"a": "float32"})
    assert seen_in(hashes(single), hashes(floats)).tolist() == [True, True, True]
    large = pd.DataFrame({"a": [2.0**60, -0.0, np.inf], "b": ["x", "y", "z"]})
    assert repeated(hashes(large)).tolist() == [False, False, False]


def test_no_rows_repeat_nothing() -> None:
    none, some = np.zeros((0, 4), np.uint64), np.ones((2, 4), np.uint64)
    assert repeated(none).tolist() == []
    assert seen_in(none, some).tolist() == []
    assert seen_in(some, none).tolist() == [False, False]
