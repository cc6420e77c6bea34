from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import math
import struct
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger.tree import tree_root
from auditor.provenance.record_encoding import encode_records
from auditor.provenance.record_schema import declared_schema, logical_schema
from auditor.provenance.record_set import RecordSet
from auditor.provenance.record_tree import inclusion_path
from auditor.provenance.records import (
    record_digests,
    record_manifest,
    schema_leaf,
    verify_record,
)

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-(2**7), 2**7 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "string": st.text(max_size=8),
    "binary": st.binary(max_size=8),
    "decimal(9, 2)": st.decimals("-9999999.99", "9999999.99", places=2),
    "decimal256(60, 3)": st.decimals("-1e50", "1e50", places=3),
    "date32": st.dates(),
    "time64[us]": st.times(),
    "timestamp[us]": st.datetimes(),
    "timestamp[ms, UTC]": st.integers(-(10**14), 10**14),
    "duration[us]": st.timedeltas(dt.timedelta(days=-9), dt.timedelta(days=9)),
    "list<int16>": st.lists(st.none() | st.integers(-9, 9), max_size=3),
    "list<list<string>>": st.lists(
        st.none() | st.lists(st.none() | st.text(max_size=2), max_size=2), max_size=2
    ),
    "struct<a: int8, b: list<string>>": st.fixed_dictionaries(
        {"a": st.none() | st.integers(-9, 9), "b": st.none() | st.lists(st.text(max_size=2))}
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4))
    rows = draw(st.integers(0, 6))
    columns = {
        f"c{index}": pa.array(
            draw(st.lists(st.none() | KINDS[kind], min_size=rows, max_size=rows)),
            declared_schema({"c": kind}).field(0).type,
        )
        for index, kind in enumerate(kinds)
    }
    return pa.table(columns)


def written(kind: Any, value: Any) -> tuple[bytes, bytes]:
    """The slot and the tail of a value, by the documentation alone: the independent reference."""
    match kind:
        case "null":
            return b"\0", b""
        case {"struct": fields}:
            parts = [written(k, None if value is None else value[n]) for n, k in fields]
            flag = b"\0" if value is None else b"\1"
            return flag + b"".join(s for s, _ in parts), b"".join(t for _, t in parts)
        case {"list": inner}:
            if value is None:
                return bytes(5), b""
            tail = b"".join(b"".join(written(inner, item)) for item in value)
            return b"\1" + struct.pack("<I", len(value)), tail
        case {"decimal": scale}:
            if value is None:
                return bytes(33), b""
            return b"\1" + shifted(value, scale).to_bytes(32, "little", signed=True), b""
        case "bool":
            return (bytes(2) if value is None else bytes([1, value])), b""
        case "int":
            if value is None:
                return bytes(9), b""
            large = value >= 2**63
            return bytes([1 + large]) + (value % 2**64).to_bytes(8, "little"), b""
        case "float":
            if value is None:
                return bytes(9), b""
            bits = bytes.fromhex("000000000000f87f")
            return b"\1" + (bits if math.isnan(value) else struct.pack("<d", value + 0.0)), b""
        case "string" | "binary":
            data = (value or b"") if isinstance(value, (bytes, type(None))) else value.encode()
            return bytes([value is not None]) + struct.pack("<I", len(data)), data
        case "date":
            if value is None:
                return bytes(5), b""
            return b"\1" + struct.pack("<i", (value - dt.date(1970, 1, 1)).days), b""
        case "time":
            if value is None:
                return bytes(9), b""
            seconds = value.hour * 3600 + value.minute * 60 + value.second
            return b"\1" + struct.pack("<q", seconds * 10**9 + value.microsecond * 1000), b""
        case _:
            assert kind in {"timestamp", "instant", "duration"}
            if value is None:
                return bytes(13), b""
            if kind == "instant":
                seconds, milliseconds = divmod(value, 1000)
                return b"\1" + struct.pack("<qI", seconds, milliseconds * 10**6), b""
            since = value - dt.datetime(1970, 1, 1) if kind == "timestamp" else value
            seconds = since.days * 86_400 + since.seconds
            return b"\1" + struct.pack("<qI", seconds, since.microseconds * 1000), b""


def shifted(value: Decimal, scale: int) -> int:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -number if sign else number


def values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return column.cast(pa.int64()).to_pylist()
    return column.to_pylist()


def reference_rows(table: pa.Table) -> list[bytes]:
    logical = json.loads(logical_schema(table.schema))
    columns = [values(column) for column in table.columns]
    rows: list[bytes] = []
    for record in zip(*columns, strict=True):
        parts = [written(kind, v) for (_, kind), v in zip(logical, record, strict=True)]
        rows.append(b"".join(s for s, _ in parts) + b"".join(t for _, t in parts))
    return rows


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + recursive_root(leaves[:k]) + recursive_root(leaves[k:])).digest()


def manifest(table: pa.Table, schema: Any = None) -> Any:
    return record_manifest(table.to_batches(), schema or table.schema)


@given(tables())
def test_a_record_is_written_as_documented(table: pa.Table) -> None:
    table = table.combine_chunks()
    batches = table.to_batches()
    found = [row for batch in batches for row in encode_records(batch).to_pylist()]
    assert found == reference_rows(table)


@given(tables())
def test_the_digests_are_those_of_the_documented_recipe(table: pa.Table) -> None:
    rows = reference_rows(table)
    head = logical_schema(table.schema)
    found = manifest(table)
    assert found.rows == len(rows)
    assert found.ordered_root == "sha256:" + recursive_root([head, *rows]).hex()
    digests = [hashlib.sha256(b"\0" + row).digest() for row in rows]
    entries = b"".join(d + digests.count(d).to_bytes(8, "little") for d in sorted(set(digests)))
    whole = hashlib.sha256(b"\0" + head).digest() + entries
    assert found.set_digest == "sha256:" + hashlib.sha256(whole).hexdigest()


@given(tables(), st.lists(st.integers(0, 6), max_size=4), st.randoms())
def test_any_chunks_give_the_same_and_any_order_the_same_set(
    table: pa.Table, cuts: list[int], random: Any
) -> None:
    whole = manifest(table)
    ends = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    parts = [table.slice(a, b - a) for a, b in pairwise(ends)]
    batches = [batch for part in parts for batch in part.to_batches()]
    assert record_manifest(batches, table.schema) == whole
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = manifest(table.take(pa.array(order, pa.int64())))
    assert shuffled.set_digest == whole.set_digest
    same = reference_rows(table) == [reference_rows(table)[i] for i in order]
    assert (shuffled.ordered_root == whole.ordered_root) == same


@given(tables(), st.data())
def test_any_changed_cell_changes_both_digests(table: pa.Table, data: st.DataObject) -> None:
    if not len(table):
        return
    row = data.draw(st.integers(0, len(table) - 1))
    name = data.draw(st.sampled_from(table.column_names))
    kind = table.schema.field(name).type
    text = {str(declared_schema({"c": k}).field(0).type): k for k in KINDS}[str(kind)]
    new = pa.array([data.draw(st.none() | KINDS[text])], kind)
    column = pa.concat_arrays(
        [*table[name].slice(0, row).chunks, new, *table[name].slice(row + 1).chunks]
    )
    changed = table.set_column(table.column_names.index(name), name, column)
    equal = reference_rows(table) == reference_rows(changed)
    one, other = manifest(table), manifest(changed)
    assert (one.ordered_root == other.ordered_root) == equal
    assert (one.set_digest == other.set_digest) == equal


BASE = pa.table({"a": ["1", "12", None], "b": ["23", "3", "x"], "n": [1, 2, 2]})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.rename_columns(["b", "a", "n"]),
        lambda t: t.select(["b", "a", "n"]),
        lambda t: t.rename_columns(["a", "c", "n"]),
        lambda t: t.set_column(0, "a", pa.array([None, "12", "1"])),
        lambda t: t.set_column(0, "a", pa.array(["1", "12", ""])),
        lambda t: t.set_column(0, "a", pa.array(["12", "1", None])),
        lambda t: t.set_column(2, "n", pa.array(["1", "2", "2"])),
        lambda t: t.set_column(2, "n", pa.array([1.0, 2.0, 2.0])),
        lambda t: t.slice(0, 2),
        lambda t: pa.concat_tables([t, t.slice(1, 1)]),
        lambda t: pa.concat_tables([t, t]),
        lambda t: t.slice(0, 0),
        lambda t: t.append_column("z", pa.nulls(3)),
    ],
)
def test_what_changes_the_records_changes_both_digests(change: Any) -> None:
    one, other = manifest(BASE), manifest(change(BASE))
    assert one.ordered_root != other.ordered_root
    assert one.set_digest != other.set_digest


def test_texts_that_run_together_alike_are_not_alike() -> None:
    assert encode_records(pa.record_batch({"a": ["1"], "b": ["23"]})) != encode_records(
        pa.record_batch({"a": ["12"], "b": ["3"]})
    )


def test_a_pair_of_equal_records_is_not_nothing() -> None:
    """As it would be under XOR."""
    none, pair = BASE.slice(0, 0), pa.concat_tables([BASE.slice(0, 1)] * 2)
    four = pa.concat_tables([pair, pair])
    assert len({manifest(t).set_digest for t in (none, pair, four)}) == 3


SCHEMA = "id: int32, x: float64, when: timestamp[us, UTC], day: date32, ok: bool, s: string"


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [1, 2, 3],
            "x": [0.1, -2.5e300, None],
            "when": pd.to_datetime(
                ["2024-01-01 10:00+02:00", "1969-12-31 23:59:59.5+00:00", None], utc=True,
                format="ISO8601",
            ),
            "day": [dt.date(2024, 2, 29), None, dt.date(1900, 1, 1)],
            "ok": pd.array([True, None, False], "boolean"),
            "s": ["größe\n", None, 'a,"b"'],
        }
    )  # fmt: skip


def test_csv_parquet_and_pandas_give_the_same_digests(tmp_path: Any) -> None:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    expected = manifest(table, SCHEMA)
    text = io.BytesIO(frame().to_csv(index=False).encode())
    options = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(frame(), pa.string()), strings_can_be_null=True,
        quoted_strings_can_be_null=False, null_values=[""],
    )  # fmt: skip
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    read = pa.csv.read_csv(text, convert_options=options, parse_options=parse)
    assert manifest(read, SCHEMA) == expected
    other = table.set_column(0, "id", table["id"].cast(pa.uint16()))
    other = other.set_column(
        5, "s", table["s"].cast(pa.large_string()).dictionary_encode()
    ).set_column(2, "when", table["when"].cast(pa.timestamp("ns", "Asia/Tokyo")))
    pq.write_table(other, tmp_path / "t.parquet", row_group_size=2)
    assert manifest(pq.read_table(tmp_path / "t.parquet"), SCHEMA) == expected
    assert manifest(other.select(other.column_names[::-1]), SCHEMA) == expected


def test_equal_numbers_are_equal_records() -> None:
    nan = np.array([0x7FF8000000000001, 0xFFF8000000000000], "u8").view("f8")
    assert len(set(encode_records(pa.record_batch({"x": nan})).to_pylist())) == 1
    assert len(set(encode_records(pa.record_batch({"x": [0.0, -0.0]})).to_pylist())) == 1
    assert len(set(encode_records(pa.record_batch({"x": [math.nan, None]})).to_pylist())) == 2


def test_the_digests_of_method_one_do_not_change() -> None:
    """Records of old runs are compared with them."""
    found = manifest(BASE)
    assert found.method == "sha256-rfc6962-arrow-rows-1"
    assert found.ordered_root[7:23] == "25f23537b1b221cd"
    assert found.set_digest[7:23] == "16b6bb28a91773a7"


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 5_000])
def test_a_record_is_proved_in_and_no_other(rows: int) -> None:
    table = pa.table({"a": np.arange(rows), "b": [f"r{i}" for i in range(rows)]})
    found = manifest(table)
    leaves = np.concatenate(
        [
            np.frombuffer(schema_leaf(table.schema), np.uint8).reshape(1, 32),
            *record_digests(table.to_batches(), table.schema),
        ]
    )
    for index in {0, rows // 2, rows - 1}:
        path = inclusion_path(leaves, index + 1)
        (record,) = table.slice(index, 1).to_batches()
        assert verify_record(found, record, index, path)
        changed = pa.record_batch({"a": [index], "b": ["other"]})
        assert not verify_record(found, changed, index, path)
        for bad in (path[:-1], [*path, bytes(32)]):
            with pytest.raises(InputError, match="an audit path that is too"):
                verify_record(found, record, index, bad)


def test_one_record_is_asked_for() -> None:
    with pytest.raises(InputError, match="one record is asked for, not 3"):
        verify_record(manifest(BASE), BASE.to_batches()[0], 0, [])


def test_batches_with_other_dictionaries_are_one_table() -> None:
    words = ["x", "y", "z", "x"]
    parts = [
        pa.record_batch({"d": pa.array(words[i : i + 1]).dictionary_encode()}) for i in range(4)
    ]
    plain = pa.table({"d": words})
    assert record_manifest(parts, "d: string") == manifest(plain)


def test_a_loss_in_a_later_batch_is_placed_among_all_rows() -> None:
    batches = [pa.record_batch({"a": ["1"] * 3}), pa.record_batch({"a": ["2", "x"]})]
    with pytest.raises(InputError, match="in 1 of 2 rows from row 4 on"):
        record_manifest(batches, "a: int")


@pytest.mark.slow
def test_many_records_have_the_digests_of_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through several subtrees, and through the files of the set."""
    rows = 700_000
    table = pa.table({"a": np.arange(rows) % 300_000, "b": pa.array(["x", None] * (rows // 2))})
    whole = manifest(table)
    monkeypatch.setattr("auditor.provenance.records._ROWS", 70_001)
    monkeypatch.setattr(RecordSet.__init__, "__kwdefaults__",
                        {"held": 100_000})  # fmt: skip
    assert record_manifest(table.to_batches(max_chunksize=9_999), table.schema) == whole
    reference = tree_root([logical_schema(table.schema), *reference_rows(table)])
    assert whole.ordered_root == f"sha256:{reference.hex()}"
