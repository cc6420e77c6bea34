from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.jsonl import jsonl_batches, jsonl_records
from auditor.provenance.record_sources import source_manifest, source_schema
from auditor.provenance.records import record_manifest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
    max_leaves=8,
)
lines = st.one_of(
    values.map(lambda v: json.dumps(v).encode()),
    st.dictionaries(st.text(max_size=3), values, max_size=3).map(lambda v: json.dumps(v).encode()),
    st.binary(max_size=20),
    st.sampled_from([b"", b"{}", b'{"a":', b'{"a":1}}', b"[" * 40, b'{"a":"\\ud800"}', b"\xff",
                     b'{"a":1,"a":2}', b"1e999", b'{"\\ud800":1}', b'{"a":123e99999999}']),
)  # fmt: skip


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@given(st.lists(lines, max_size=6), st.sampled_from(["f.jsonl", "f.jsonl.gz"]))
def test_any_bytes_are_records_or_refused_with_a_place(parts: list[bytes], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / name, b"\n".join(parts))
        rows, place = outcome(path)
    kept = [line for part in parts for line in part.split(b"\n") if line.strip()]
    assert rows == len(kept) or place.startswith(":") or ", from line " in place


def outcome(path: Path) -> tuple[int, str]:
    """The number of records, or where it says that they are none."""
    try:
        return sum(len(batch) for batch in jsonl_batches(path, rows=2)), ""
    except InputError as error:
        return -1, str(error.where).removeprefix(str(path))


@given(st.binary(max_size=60))
def test_a_damaged_archive_is_refused_or_read(data: bytes) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.jsonl.gz"
        for damaged in (data, whole[: len(data)], whole[:20] + data + whole[20 + len(data) :]):
            path.write_bytes(damaged)
            rows, place = outcome(path)
            assert rows in {0, 20} or place.startswith(":") or ", from line " in place


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n[1]', r":2: no JSON object but a list; one JSON object a line"),
        (b"null", ":1: no JSON object but null"),
        (b'{"a": 1}\n\n{"a" 1}', r":3: no JSON: Expecting ':' delimiter, column 6"),
        (b'{"a": NaN}', ":1: no JSON: NaN is no JSON number"),
        (b'{"a": 1, "a": 1}', ":1: no JSON: a key that is there twice"),
        (b'{"a": "\xff"}', ":1: no UTF-8 at byte 7"),
        (b'{"a":' + b"[" * 100_000, ":1: too deeply nested"),
        (b'{"a": ' + b"9" * 5_000 + b"}", ":1: no JSON: Exceeds the limit"),
        (b'{"a": 1}\n' * 2 + b'{"a": "x"}', r", from line 1 on: the values of 'a' have no common"),
        (b'{"a": 99999999999999999999}', ", from line 1 on: the values of 'a' have no common"),
        (b'{"a": "\\ud800"}', ", from line 1 on: the values of 'a' have no common"),
        (b"{}\n{}", ", from line 1 on: objects without a key"),
        (b'{"a": "' + b"x" * 200 + b'"}', ":1: a line of more than 150 bytes"),
    ],
)
def test_what_is_no_record_is_named_with_its_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.jsonl", content)
    limit = 150 if b"xxx" in content else 1 << 20
    with pytest.raises(InputError, match=message):
        list(jsonl_batches(path, line_limit=limit))


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """An archive of a few kilobytes that would fill the memory."""
    path = write(tmp_path / "f.jsonl.gz", b'{"a": "' + bytes(20_000_000))
    with pytest.raises(InputError, match="a line of more than 1,000 bytes"):
        list(jsonl_records(path, line_limit=1_000))


def test_lines_are_counted_as_they_lie(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": null}')
    assert list(jsonl_records(path)) == [(1, {"a": 1}), (4, {"a": None})]


def manifest(path: Path, **options: Any) -> Any:
    schema = source_schema(path)
    return record_manifest(jsonl_batches(path, columns=schema.names, **options), schema)


def test_batches_of_other_types_come_together_under_their_schema(tmp_path: Path) -> None:
    content = b'{"b": [1], "a": 1}\n{"a": null}\n{"a": 2.5, "b": [], "c": {"x": "y"}}\n'
    path = write(tmp_path / "f.jsonl", content)
    assert source_schema(path) == pa.schema(
        [("b", pa.list_(pa.int64())), ("a", pa.float64()), ("c", pa.struct({"x": pa.string()}))]
    )
    assert manifest(path, rows=1) == manifest(path, rows=3)
    assert manifest(write(tmp_path / "f.jsonl.gz", content)) == manifest(path)
    assert source_manifest(path) == manifest(path)


def test_a_declared_key_that_no_line_has_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", b'{"a": 1}\n{"b": 2}\n')
    assert source_manifest(path, "a: int, b: int").rows == 2
    with pytest.raises(InputError, match="no line has the key 'c'"):
        source_manifest(path, "a: int, b: int, c: int")
