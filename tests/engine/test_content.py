"""What the record keeps of a table's content does not depend on where the table lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import open_table
from auditor.engine.datasets import content_manifest
from auditor.errors import InputError

COLUMNS = ["a", "b"]

rows = st.lists(
    st.tuples(st.sampled_from(["", "x", "xy", None]), st.sampled_from(["y", "1", None])),
    min_size=1,
    max_size=25,
)


def frame_of(rows: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def digest(source: Any) -> str:
    return content_manifest(open_table(source)).ordered_root


@settings(max_examples=20)
@given(rows, rows)
def test_a_digest_is_that_of_the_rows_in_their_order(one: list[Any], other: list[Any]) -> None:
    equal = one == other
    assert (digest(frame_of(one)) == digest(frame_of(other))) == equal


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
    assert digest(changed) != digest(frame)


def test_under_a_declared_schema_the_same_data_have_one_digest(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, None, 1.0], "s": ["a", "b", None]})
    schema = "n: int64, x: float64, s: string"
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.astype({"n": "int8", "x": "float32"}).to_parquet(tmp_path / "t.parquet")
    found = {
        content_manifest(open_table(source), schema)
        for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet")
    }
    assert len(found) == 1
    with pytest.raises(InputError, match="'s'"):
        content_manifest(open_table(frame), "n: int64, x: float64, s: int64")


def test_another_order_is_the_same_set() -> None:
    frame = frame_of([["x", "1"], ["y", "2"], ["x", "1"]])
    ours, theirs = (content_manifest(open_table(f)) for f in (frame, frame.iloc[::-1]))
    assert ours.set_digest == theirs.set_digest
    assert ours.set_digest != content_manifest(open_table(frame.head(2))).set_digest
