from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from auditor.errors import InputError
from auditor.provenance.record_sources import (
    SourceRecord,
    arrow_batches_of,
    source_manifest,
    source_record,
    source_schema,
    splits_of,
)

SCHEMA = "a: int, b: string, c: list<float>"
TABLE = pa.table(
    {"a": [1, 2, None], "b": ["x", None, 'a,"ö"\n'], "c": [[0.5], [], None]},
    schema=pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.list_(pa.float64()))]),
)
FLAT = TABLE.select(["a", "b"])


def digest(source: Any, schema: Any = SCHEMA) -> Any:
    return source_manifest(source, schema)


def test_the_records_are_the_same_wherever_they_lie(tmp_path: Path) -> None:
    expected = digest(TABLE)
    assert expected.rows == 3
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=1)
    pa.feather.write_feather(TABLE, str(tmp_path / "t.feather"))
    with pa.ipc.new_stream(str(tmp_path / "t.arrow"), TABLE.schema) as stream:
        stream.write_table(TABLE, max_chunksize=2)
    lines = '{"a": 1, "b": "x", "c": [0.5]}\n{"a": 2, "c": []}\n{"b": "a,\\"ö\\"\\n"}\n'
    (tmp_path / "t.jsonl").write_text(lines)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("t.parquet", "t.feather", "t.arrow", "t.jsonl", "t.jsonl.gz"):
        assert digest(tmp_path / name) == expected
        assert digest(str(tmp_path / name)) == expected
    frame = TABLE.to_pandas().astype({"b": object})
    assert digest(frame) == expected
    assert digest(TABLE.to_reader(1)) == expected
    assert digest(TABLE.to_batches()[0]) == expected
    pl = pytest.importorskip("polars")
    assert digest(pl.from_arrow(TABLE)) == expected


def test_the_fields_of_csv_are_texts_and_empty_ones_missing(tmp_path: Path) -> None:
    FLAT.to_pandas().astype({"a": "Int64"}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    for name in ("t.csv", "t.csv.gz"):
        assert digest(tmp_path / name, "a: int, b: string") == digest(FLAT, "a: int, b: string")
        assert source_schema(tmp_path / name).types == [pa.string(), pa.string()]
    (tmp_path / "t.csv").write_text('a,b\n"",\n')
    assert digest(tmp_path / "t.csv", "a: text, b: text") == digest(
        pa.table({"a": [""], "b": pa.array([None], pa.string())}), "a: text, b: text"
    )


def test_a_frame_longer_than_a_batch_has_one_schema() -> None:
    frame = pd.DataFrame({"a": [None] * 70_000 + [1.5], "b": ["x"] * 70_001})
    batches = list(arrow_batches_of(frame))
    assert [len(batch) for batch in batches] == [65_536, 4_465]
    assert batches[0].schema.types == [pa.float64(), batches[1].schema.field("b").type]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"PAR1 no", "the file cannot be read: "),
        ("t.arrow", b"ARROW1 no", "the file cannot be read: "),
        ("t.csv", b"", "the file cannot be read: Empty CSV file"),
        ("t.csv", b"a,b\n1\n", "the file cannot be read: .*Expected 2 columns, got 1"),
        ("t.csv.gz", b"no archive", "the file cannot be read: "),
        ("t.txt", b"", "no kind of file that holds records; a .csv"),
        ("t.pkl", b"", "no kind of file that holds records"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: {message}"):
        list(arrow_batches_of(tmp_path / name))


@pytest.mark.parametrize("source", [3, None, [1], {"a": [1]}])
def test_what_holds_no_records_is_refused(source: Any) -> None:
    with pytest.raises(InputError, match="is no source of records; a .csv"):
        list(arrow_batches_of(source))


def test_a_missing_file_and_a_strange_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(arrow_batches_of(tmp_path / "gone.csv"))
    with pytest.raises(InputError, match="a column of the frame has no Arrow type"):
        list(arrow_batches_of(pd.DataFrame({"a": [object()]})))
    with pytest.raises(InputError, match="no records, so no schema to be seen"):
        source_schema(TABLE.slice(0, 0).to_reader())
    with pytest.raises(InputError, match="a stream without a declared schema"):
        source_manifest(TABLE.to_reader())


@pytest.fixture(scope="module")
def datasets() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("datasets")


@pytest.mark.slow
def test_a_hugging_face_data_set_is_read_in_its_own_order(datasets: Any) -> None:
    data = datasets.Dataset(TABLE)
    assert digest(data) == digest(TABLE)
    chosen = data.select([2, 0])
    assert digest(chosen) == digest(TABLE.take(pa.array([2, 0])))
    assert digest(data.to_iterable_dataset()) == digest(TABLE)
    assert digest(data.with_format("numpy")) == digest(TABLE)


@pytest.mark.slow
def test_a_data_set_of_splits_is_several_sources(datasets: Any) -> None:
    data = datasets.Dataset(TABLE)
    both = datasets.DatasetDict({"train": data, "test": data.select([0])})
    with pytest.raises(InputError, match="a data set of several splits; one of them: train, test"):
        list(arrow_batches_of(both))
    assert {k: digest(part).rows for k, part in splits_of(both).items()} == {"train": 3, "test": 1}
    found = source_record(data)
    assert (found.kind, found.fingerprint) == ("datasets.Dataset", data._fingerprint)
    assert found.features is not None
    assert set(found.features) == {"a", "b", "c"}


def test_a_source_says_what_it_is() -> None:
    assert source_record("x/t.CSV.gz") == SourceRecord(kind="csv.gz")
    assert source_record(TABLE).kind == "pyarrow.Table"
    assert splits_of(TABLE) == {"": TABLE}


def test_the_records_of_real_files_have_one_digest_however_written(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "contamination" / "mmlu_sociology_with_rephrase.jsonl.gz"
    schema = source_schema(source)
    found = digest(source, schema)
    assert found.rows == 201
    table = pa.Table.from_batches(
        [b.select(schema.names).cast(schema) for b in arrow_batches_of(source)], schema
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=17)
    assert digest(tmp_path / "t.parquet", schema) == found
    assert digest(table.to_pandas(), schema) == found
