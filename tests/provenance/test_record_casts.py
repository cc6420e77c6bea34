from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.record_casts import cast_batch
from auditor.provenance.record_schema import declared_schema

UTC = pa.timestamp("us", "UTC")


def cast(values: Any, kind: str) -> list[Any]:
    batch = pa.record_batch({"c": values})
    return cast_batch(batch, declared_schema({"c": kind})).column(0).to_pylist()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-7", None, "7.0", "12."], "int8", [1, -7, None, 7, 12]),
        (["0.1", "1e3", "nan", None], "float64", [0.1, 1000.0, "nan", None]),
        (["0.1"], "float32", [float(np.float32(0.1))]),
        (["true", "False", "1", "0"], "bool", [True, False, True, False]),
        (["1.50", "-2"], "decimal(5, 2)", [Decimal("1.50"), Decimal("-2.00")]),
        (["2024-02-29"], "date32", [dt.date(2024, 2, 29)]),
        (["2024-02-29 10:00:00"], "timestamp[us]", [dt.datetime(2024, 2, 29, 10)]),
        (
            ["2024-02-29T10:00:00+02:00"], "timestamp[us, UTC]",
            [dt.datetime(2024, 2, 29, 8, tzinfo=dt.UTC)],
        ),
        (["10:11:12", None], "time64[us]", [dt.time(10, 11, 12), None]),
        (["x"], "binary", [b"x"]),
        ([b"x"], "string", ["x"]),
        ([7, None], "string", ["7", None]),
        ([1.0, None, -3.0], "int32", [1, None, -3]),
        ([1, 0], "bool", [True, False]),
        ([True, None], "int8", [1, None]),
        ([0.5, float("nan"), float("inf")], "float32", [0.5, "nan", float("inf")]),
        ([2**53], "float64", [2.0**53]),
        ([0.25], "decimal(5, 2)", [Decimal("0.25")]),
        (pa.array([Decimal("1.50")]), "decimal(9, 1)", [Decimal("1.5")]),
        (pa.array([Decimal("1.50")]), "float64", [1.5]),
        (pa.array([Decimal("7.00")]), "int64", [7]),
        (pa.array([dt.date(2024, 1, 1)], pa.date64()), "date32", [dt.date(2024, 1, 1)]),
        ([dt.datetime(2024, 1, 1)], "date32", [dt.date(2024, 1, 1)]),
        ([dt.date(2024, 1, 1)], "timestamp[ns]", [dt.datetime(2024, 1, 1)]),
        ([None, None], "list<int64>", [None, None]),
        ([[1.0], None, []], "list<int8>", [[1], None, []]),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), "list<int8>", [[1, 2]]),
        (pa.array([["a"]], pa.large_list(pa.large_string())), "list<string>", [["a"]]),
        (pa.array([["a", None]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
         "list<string>", [["a", None]]),
        ([{"a": "1"}, None], "struct<b: int8, a: int8>", [{"b": None, "a": 1}, None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
         "list<struct<key: string, value: int8>>", [[{"key": "k", "value": 1}], None]),
        (pa.array(["x", "x", None]).dictionary_encode(), "string", ["x", "x", None]),
        (pa.array(["x"], pa.string_view()), "string", ["x"]),
        (pa.array([b"ab"], pa.binary(2)), "binary", [b"ab"]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"]), "string", ["x", "x", "y"]),
    ],
)  # fmt: skip
def test_a_value_that_fits_is_the_same_value(values: Any, kind: str, expected: list[Any]) -> None:
    assert [("nan" if v != v else v) for v in cast(values, kind)] == expected


@pytest.mark.parametrize(
    ("values", "kind", "rows"),
    [
        (["1", "x", "", "1.5"], "int64", 3),
        (["300", "1"], "int8", 1),
        (["1e999x"], "float64", 1),
        (["yes"], "bool", 1),
        (["1.234", "1.23"], "decimal(5, 2)", 1),
        (["2024-02-30"], "date32", 1),
        (["10:11:12.5", "25:00:00"], "time32[s]", 2),
        (["2024-01-01 10:00"], "timestamp[us, UTC]", 1),
        (["2024-01-01T10:00:00Z"], "timestamp[us]", 1),
        ([b"\xff", b"a"], "string", 1),
        ([1.5, 2.0, None, float("nan")], "int64", 2),
        ([2**53 + 1], "float64", 1),
        ([0.1, 0.5], "float32", 1),
        ([1e300], "float32", 1),
        ([0.125], "decimal(5, 2)", 1),
        ([float("nan")], "decimal(5, 2)", 1),
        ([300, 1], "int8", 1),
        ([-1], "uint64", 1),
        ([2, 1], "bool", 1),
        ([1.5], "string", 1),
        ([True, None], "string", 1),
        (pa.array([Decimal("1.55")]), "decimal(9, 1)", 1),
        (pa.array([Decimal("0.1234567890123456789")]), "float64", 1),
        (pa.array([Decimal("1.5")]), "int64", 1),
        ([dt.datetime(2024, 1, 1, 5)], "date32", 1),
        (pa.array([5], pa.int64()).view(pa.timestamp("us")), "timestamp[ms]", 1),
        ([dt.datetime(2024, 1, 1)], "timestamp[us, UTC]", 1),
        (pa.array([0], pa.int64()).cast(UTC), "timestamp[us]", 1),
        ([[1, 300]], "list<int8>", 1),
        ([{"a": 1, "z": 2}], "struct<a: int8>", 1),
        ([[1]], "int8", 1),
        ([1], "list<int8>", 1),
        ([1], "date32", 1),
    ],
)
def test_a_loss_is_refused_and_counted(values: Any, kind: str, rows: int) -> None:
    with pytest.raises(InputError, match=rf"column 'c' of .* without loss in {rows} of "):
        cast(values, kind)


@given(st.lists(st.floats() | st.none(), min_size=1, max_size=6))
def test_a_float_is_narrowed_only_where_it_stays_itself(values: list[float | None]) -> None:
    with np.errstate(over="ignore"):
        kept = [v is None or v != v or float(np.float32(v)) == v for v in values]
    if all(kept):
        assert len(cast(pa.array(values, pa.float64()), "float32")) == len(values)
    else:
        with pytest.raises(InputError, match=f"without loss in {kept.count(False)} of"):
            cast(pa.array(values, pa.float64()), "float32")


def test_the_rows_are_named_from_the_first_of_the_batch() -> None:
    batch = pa.record_batch({"c": ["x"]})
    with pytest.raises(InputError, match=r"t\.csv: column 'c' of string .* from row 101 on"):
        cast_batch(batch, declared_schema("c: int"), where="t.csv", first=100)


def test_text_that_is_no_utf8_is_refused() -> None:
    raw = pa.array([b"\xff", b"ok"]).view(pa.string())
    with pytest.raises(InputError, match="without loss in 1 of 2 rows .*no UTF-8"):
        cast(raw, "string")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "there is no column 'b'; "),
        (["a", "b", "b"], "column 'b' is there more than once"),
        (["a", "b", "z"], "column 'z' is not in the declared schema; declare it"),
    ],
)
def test_other_columns_are_refused(names: list[str], message: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1])] * len(names), names=names)
    with pytest.raises(InputError, match=message):
        cast_batch(batch, declared_schema("a: int, b: int"))
