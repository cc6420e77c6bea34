from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import open_table
from auditor.provenance import repeated, rows_digest, seen_in

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


def digest(source: Any, columns: list[str] = COLUMNS) -> str:
    table = open_table(source)
    return rows_digest(columns, table.row_hashes(columns))


@settings(max_examples=20)
@given(rows, rows)
def test_a_digest_is_that_of_the_rows_in_their_order(one: list[Any], other: list[Any]) -> None:
    equal = one == other
    assert (digest(frame_of(one)) == digest(frame_of(other))) == equal


def test_a_digest_is_made_as_its_method_says() -> None:
    """Records of old runs are compared with it: the recipe, and one digest, are written down."""
    frame = frame_of([["xü", "1"], ["", None]])

    def counted(text: str) -> bytes:
        return len(text.encode()).to_bytes(8, "little") + text.encode()

    hashed = [hashlib.sha256(row.encode()).digest() for row in ("2:xü1:1", "0:-")]
    recipe = (2).to_bytes(8, "little") + counted("a") + counted("b") + b"".join(hashed)
    assert digest(frame) == "blake3:" + blake3.blake3(recipe).hexdigest()
    assert digest(frame).startswith("blake3:3abbee4c072bf8de")


def test_the_same_text_has_the_same_digest_wherever_it_lies(tmp_path: Path) -> None:
    frame = frame_of([["007", "1.50"], ["größe\n", None], ["x,y", "true"]])
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    expected = digest(frame)
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        assert digest(tmp_path / name) == expected
    assert digest(frame.astype("category")) == expected
    assert digest(frame.astype(object).where(frame.notna(), None)) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.iloc[::-1],
        lambda f: f.rename(columns={"a": "b", "b": "a"})[["b", "a"]],
        lambda f: f.assign(a=f["b"], b=f["a"]),
        lambda f: f.iloc[:-1],
        lambda f: pd.concat([f, f.iloc[-1:]]),
        lambda f: f.replace("1", "1 "),
        lambda f: f.replace({"b": {"1": None}}),
    ],
)
def test_any_change_changes_the_digest(change: Any) -> None:
    frame = frame_of([["x", "1"], ["y", "2"]])
    changed = change(frame)
    assert digest(changed, list(changed)) != digest(frame)


def test_a_name_cannot_be_taken_for_a_row() -> None:
    empty = np.zeros((0, 4), np.uint64)
    assert rows_digest(["ab"], empty) != rows_digest(["a", "b"], empty)
    assert rows_digest([], empty) != rows_digest([""], empty)
