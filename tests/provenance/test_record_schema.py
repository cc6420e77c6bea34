from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.record_schema import declared_schema, logical_schema, schema_text

LEAVES = st.sampled_from(
    [
        pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
        pa.string(), pa.binary(), pa.date32(), pa.time32("ms"), pa.time64("ns"),
        pa.duration("s"), pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.decimal128(12, 2),
        pa.decimal256(50, 3),
    ]
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def fields(kinds: st.SearchStrategy[Any], least: int) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(NAMES, kinds), min_size=least, max_size=3, unique_by=lambda p: p[0])


KINDS = st.recursive(LEAVES, lambda k: k.map(pa.list_) | fields(k, 0).map(pa.struct), max_leaves=4)


@given(fields(KINDS, 1).map(pa.schema))
def test_a_schema_is_read_from_its_own_text(schema: pa.Schema) -> None:
    assert declared_schema(schema_text(schema)) == schema == declared_schema(schema)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: int\nb : text", "a: int64, b: string"),
        ("a: int,\n b: float,", "a: int64, b: float64"),
        ('"a b": timestamp, "q\\"": timestamp[ns, tz=Asia/Tokyo]',
         '"a b": timestamp[us], "q\\"": timestamp[ns, UTC]'),
        ("x: struct< a:int , b: list < decimal(5,2) > >",
         "x: struct<a: int64, b: list<decimal(5, 2)>>"),
    ],
)  # fmt: skip
def test_a_text_may_be_written_loosely(text: str, expected: str) -> None:
    assert schema_text(declared_schema(text)) == expected


def test_widths_and_containers_are_no_information() -> None:
    narrow = pa.schema(
        [
            ("a", pa.int8()),
            ("b", pa.dictionary(pa.int8(), pa.string())),
            ("c", pa.list_(pa.float32(), 2)),
            ("t", pa.timestamp("s", "Asia/Tokyo")),
        ]
    )
    wide = pa.schema(
        [
            ("a", pa.uint64()),
            ("b", pa.large_string()),
            ("c", pa.large_list(pa.float64())),
            ("t", pa.timestamp("ns", "UTC")),
        ]
    )
    assert logical_schema(narrow) == logical_schema(wide)
    assert declared_schema({"a": "int8", "b": pa.large_string()}).types == [pa.int8(), pa.string()]
    naive = pa.schema([*wide][:3]).append(pa.field("t", pa.timestamp("ns")))
    assert logical_schema(naive) != logical_schema(wide)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "without a column"),
        ("a", "':' expected"),
        ("a: ", "unknown type ''"),
        ("a: integer", "unknown type 'integer'; "),
        ("a: int64 b: int", "a comma expected"),
        ("a: int, a: text", "column 'a' is there more than once"),
        ("a: list<int", "'>' expected"),
        ("a: struct<b: int, b: int>", "column 'b' is there more than once"),
        ("a: decimal(99, 2)", "precision"),
        ("a: decimal(x, 2)", "two whole numbers"),
        ("a: timestamp[h]", "unknown unit 'h'"),
        ("a: timestamp[us", "']' expected"),
        ("a: time64[ms]", "unknown type 'time64'"),
        ('"\\q": int', "no JSON string"),
        ("é: int", "unexpected text"),
        ("a: " + "list<" * 500, "more than 32 deep"),
        ({"a": "int int"}, "more than one type"),
        (pa.schema([("a", pa.month_day_nano_interval())]), "no canonical encoding"),
        (pa.schema([("a", pa.int8()), ("a", pa.int8())]), "more than once"),
        (5, "5 declares no schema; .*a mapping from names to types"),
        ([("a", "int")], "declares no schema"),
        ({"a": 5}, "5 is no type of column 'a'; null, bool"),
        ({5: "int"}, "5 is no name of a column"),
    ],
)
def test_what_is_no_schema_is_refused(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        declared_schema(source)


@given(st.text(st.sampled_from('ab:<>[](),"\\ \n1 int list struct decimal timestamp'), max_size=40))
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    try:
        found = declared_schema(text)
    except InputError:
        return
    assert declared_schema(schema_text(found)) == found
