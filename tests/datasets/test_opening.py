"""What cannot be opened as a table is one clear error: what, where, what would be valid."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest

from auditor.datasets import Table, open_table
from auditor.datasets.table import number_sql
from auditor.errors import InputError


def text(name: str, content: str, *, encoding: str = "utf-8") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode(encoding))
        return path

    return write


def binary(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def truncated(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def a_truncated_parquet(folder: Path) -> Path:
    parquet.write_table(pa.table({"a": list(range(1_000))}), folder / "t.parquet")
    return truncated(folder / "t.parquet")


def a_damaged_parquet(folder: Path) -> Path:
    parquet.write_table(
        pa.table({"a": list(range(10_000))}), folder / "t.parquet", compression="gzip"
    )
    data = bytearray((folder / "t.parquet").read_bytes())
    data[200:4_000] = bytes(3_800)
    (folder / "t.parquet").write_bytes(data)
    return folder / "t.parquet"


def a_truncated_arrow(folder: Path) -> Path:
    feather.write_feather(pa.table({"a": list(range(1_000))}), str(folder / "t.arrow"))
    return truncated(folder / "t.arrow")


def a_truncated_gzip(folder: Path) -> Path:
    content = "".join(f"{i * 7919 % 1000},{i}\n" for i in range(20_000))
    (folder / "t.csv.gz").write_bytes(gzip.compress(("a,b\n" + content).encode()))
    return truncated(folder / "t.csv.gz")


def repeated_in_parquet(folder: Path) -> Path:
    parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), folder / "t.parquet")
    return folder / "t.parquet"


def repeated_in_arrow(folder: Path) -> Path:
    feather.write_feather(pa.table([[1], [2]], names=["a", "a"]), str(folder / "t.arrow"))
    return folder / "t.arrow"


def mixed(folder: Path) -> Path:
    text("a.csv", "a\n1\n")(folder)
    parquet.write_table(pa.table({"a": [1]}), folder / "b.parquet")
    return folder


def other_columns(folder: Path) -> Path:
    text("a.csv", "y,p\n1,1\n")(folder)
    text("b.csv", "y,q\n1,1\n")(folder)
    return folder


def other_columns_in_parquet(folder: Path) -> Path:
    parquet.write_table(pa.table({"y": [1], "p": [1]}), folder / "a.parquet")
    parquet.write_table(pa.table({"y": [1]}), folder / "b.parquet")
    return folder


def other_types_in_arrow(folder: Path) -> Path:
    feather.write_feather(pa.table({"y": [1]}), str(folder / "a.arrow"))
    feather.write_feather(pa.table({"y": ["x"]}), str(folder / "b.arrow"))
    return folder


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no such file": (lambda p: p / "gone.csv", r"gone\.csv: no such file; a path or glob of CSV"),
    "a glob of nothing": (lambda p: p / "*.csv", r"\*\.csv: no such file"),
    "an empty folder": (lambda p: p, "no table in this folder; a path or glob of CSV"),
    "an empty file": (text("t.csv", ""), r"t\.csv: the file is empty; a header and rows"),
    "an empty Parquet file": (binary("t.parquet", b""), "the file is empty"),
    "nothing, compressed": (
        binary("t.csv.gz", gzip.compress(b"")), r"t\.csv\.gz: the first line names no column"),
    "blank lines": (text("t.csv", "\n\n"), r"t\.csv: the first line names no column; a header"),
    "an unknown suffix": (text("t.xlsx", "x"), r"t\.xlsx: unknown kind of file '\.xlsx'"),
    "a pickle": (text("t.pkl", "x"), "unknown kind of file"),
    "no suffix": (text("table", "x"), "table: a file without a suffix"),
    "a short row": (text("t.csv", "a,b\n1,2\n3\n"),
                    r"t\.csv: the file cannot be read \(CSV Error on Line: 3, Expected Number of "
                    r"Columns: 2 Found: 1\)"),
    "a long row": (text("t.csv", "a,b\n1,2,3\n"), "Line: 2, .*Columns: 2 Found: 3"),
    "an open quote": (text("t.csv", 'a,b\n"secret,2\n'), "Line: 2, Value with unterminated quote"),
    "another encoding": (
        text("t.csv", "a\n" + "1\n" * 9_999 + "fé\n", encoding="latin-1"),
        "Line: 10001, Invalid unicode"),
    "another encoding in the header": (
        text("t.csv", "fé\n1\n", encoding="latin-1"), r"t\.csv: .*can't decode.*; text in UTF-8"),
    "UTF-16": (text("t.csv", "a,b\n1,2\n", encoding="utf-16"), "text in UTF-8"),
    "no gzip": (binary("t.csv.gz", b"a,b\n1,2\n"), r"t\.csv\.gz: the file cannot be read"),
    "a truncated gzip": (a_truncated_gzip, r"t\.csv\.gz: the file cannot be read"),
    "a truncated Parquet file": (
        a_truncated_parquet, r"t\.parquet: the file cannot be read .*; a whole Parquet file"),
    "text called Parquet": (binary("t.parquet", b"a,b\n1,2\n" * 9), "a whole Parquet file"),
    "a truncated Arrow file": (
        a_truncated_arrow, r"t\.arrow: the file cannot be read .*; a whole Arrow file"),
    "formats mixed": (mixed, r"files of different formats \(csv, parquet\); one format"),
    "repeated names": (text("t.csv", "a,b,a\n1,2,3\n"), r"t\.csv: column 'a' occurs twice"),
    "names that differ in case": (
        text("t.csv", "Sex,sex\n1,2\n"), "columns 'Sex' and 'sex' differ only in case"),
    "repeated names in Parquet": (repeated_in_parquet, "column 'a' occurs twice; a name"),
    "repeated names in Arrow": (repeated_in_arrow, "column 'a' occurs twice"),
    "other columns": (
        other_columns, r"b\.csv: column 'p' is in a\.csv but not in b\.csv; files with the same"),
    "other columns in Parquet": (
        other_columns_in_parquet, r"column 'p' is in a\.parquet but not in b\.parquet"),
    "other types in Arrow": (other_types_in_arrow, "files whose columns differ in type"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_table_is_one_clear_error(what: str, tmp_path: Path) -> None:
    make, message = FILES[what]
    with pytest.raises(InputError, match=message) as caught:
        open_table(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value), "an error quotes no data"
    assert caught.value.where


def test_a_header_without_rows_has_no_rows(tmp_path: Path) -> None:
    table = open_table(text("t.csv", "a,b\n")(tmp_path))
    assert (table.columns, table.rows) == (("a", "b"), 0)
    with pytest.raises(InputError, match=r"t\.csv: the table has 0 rows; at least one row"):
        table.require(["a"])


def test_damage_behind_a_good_header_is_found_when_it_is_read(tmp_path: Path) -> None:
    table = open_table(a_damaged_parquet(tmp_path), name="mine")
    with pytest.raises(InputError, match=r"mine: the table cannot be read \("):
        table.query("select sum(a) as s from data")


def test_a_large_csv_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.datasets import files

    path = text("t.csv", "a,b\n1,2\n3,4\n")(tmp_path)
    monkeypatch.setattr(files, "_KEPT_BYTES", 0)
    table = open_table(path)
    assert table.query("select a, b from data").to_pydict() == {"a": ["1", "3"], "b": ["2", "4"]}
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(InputError, match="the table cannot be read .*Line: 3"):
        table.query("select a from data")


MEMORY: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: [1, 2], "list is not a table; a DataFrame"),
    "an array": (lambda: np.zeros((2, 2)), "ndarray is not a table"),
    "a series": (lambda: pd.Series([1]), "Series is not a table"),
    "nothing": (lambda: None, "NoneType is not a table"),
    "no columns": (lambda: pd.DataFrame(index=[0, 1]), "the table has no columns"),
    "repeated names": (
        lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), "mine: column 'a' occurs twice"),
    "names that are equal as text": (
        lambda: pd.DataFrame([[1, 2]], columns=[1, "1"]), "column '1' occurs twice"),
    "repeated names in Arrow": (
        lambda: pa.table([[1], [2]], names=["a", "A"]), "'a' and 'A' differ only in case"),
    "mixed types": (
        lambda: pd.DataFrame({"a": [1, "x"]}, dtype=object),
        "mine: a column mixes types .*column a .*; one type for each column"),
    "a mapping of nothing": (dict, "the table has no columns"),
    "columns of unequal length": (
        lambda: {"a": [1, 2], "b": [1]}, "mine: column 'b' has 1 values; 2, as 'a' has"),
    "a column of two dimensions": (
        lambda: {"a": np.zeros((2, 2))}, "column 'a' cannot be read .*; values of one type"),
    "a column that is a number": (lambda: {"a": 3}, "column 'a' cannot be read"),
    "a column of mixed types": (lambda: {"a": [1, "x"]}, "column 'a' cannot be read"),
    "objects": (lambda: pd.DataFrame({"a": [object()]}), "a column mixes types"),
}  # fmt: skip


@pytest.mark.parametrize("what", MEMORY)
def test_an_object_that_is_no_table_is_one_clear_error(what: str) -> None:
    make, message = MEMORY[what]
    with pytest.raises(InputError, match=message):
        open_table(make(), name="mine")


def test_a_query_draws_nothing_on_standard_output() -> None:
    table = open_table(pd.DataFrame({"a": [1]}))
    assert not table.scalar("select current_setting('enable_progress_bar')")
    assert table.scalar("select current_setting('temp_directory')") == ""


def test_a_table_is_opened_once() -> None:
    table = open_table(pd.DataFrame({"a": [1]}))
    assert open_table(table) is table
    assert isinstance(table, Table)


def test_a_frame_is_left_as_it_was() -> None:
    frame = pd.DataFrame({1: pd.cut(pd.Series([1, 30]), [0, 20, 40]), "b": [1, 2]}, index=[7, 7])
    before = frame.copy()
    open_table(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_a_subclass_of_a_frame_is_a_frame() -> None:
    class Frame(pd.DataFrame):
        pass

    assert open_table(Frame({"a": [1]})).rows == 1


def test_an_unnamed_index_gets_the_name_of_its_place(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [5]})
    frame.to_csv(tmp_path / "t.csv")
    assert open_table(tmp_path / "t.csv").columns == ("column0", "a")
    assert open_table(pd.DataFrame({"": [1], "a": [5]})).columns == ("column0", "a")


@pytest.mark.parametrize("name", ["a[1].csv", "b*.csv", "c?.csv", "d'e.csv", "f g.csv", "ü.csv"])
def test_the_name_of_a_file_is_no_pattern(name: str, tmp_path: Path) -> None:
    text("a1.csv", "x\n2\n")(tmp_path)
    text("bb.csv", "x\n2\n")(tmp_path)
    text("cc.csv", "x\n2\n")(tmp_path)
    table = open_table(text(name, "x\n1\n")(tmp_path))
    assert table.query("select x from data")["x"].to_pylist() == ["1"]


def test_a_folder_is_read_with_its_folders_and_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    text("a.csv", "x\n1\n")(tmp_path)
    text("b.csv", "x\n2\n")(tmp_path / "deep")
    text("_SUCCESS", "")(tmp_path)
    text("README.md", "words")(tmp_path)
    table = open_table(tmp_path)
    assert table.query("select x from data")["x"].to_pylist() == ["1", "2"]
    assert [path.name for path in table.files] == ["a.csv", "b.csv"]
    assert open_table(tmp_path / "**" / "*.csv").rows == 2


def test_one_column_and_a_last_line_without_an_end_are_fine(tmp_path: Path) -> None:
    table = open_table(text("t.csv", "a\n1\n\n2")(tmp_path))
    assert table.query("select a from data")["a"].to_pylist() == ["1", None, "2"]


def test_rows_are_hashed_by_what_they_hold() -> None:
    frame = pd.DataFrame({"a": ["1", "11", None, "", "x"], "b": ["12", "2", "-", None, "x"]})
    hashes = open_table(frame).row_hashes(["a", "b"])
    assert hashes.shape == (5, 4)
    assert len({row.tobytes() for row in hashes}) == 5
    again = open_table(frame.iloc[::-1]).row_hashes(["a", "b"])
    assert np.array_equal(again[::-1], hashes)
    assert open_table(frame).row_hashes([]).shape == (5, 4)


def test_a_column_is_text_or_numbers_as_it_is_asked() -> None:
    table = open_table(pd.DataFrame({"a": [1.5, np.nan], "b": ["2", "x"], "c": [True, None]}))
    a, b, c = table.text("a"), table.number("b"), table.text("c")
    found = table.query(f"select {a} as ta, {b} as nb, {c} as tc from data").to_pydict()
    assert found == {"ta": ["1.5", None], "nb": [2.0, None], "tc": ["true", None]}
    for read in (table.text, table.number):
        with pytest.raises(InputError, match="there is no column 'd'; valid: a, b, c"):
            read("d")


@pytest.mark.parametrize("value", [0.1, 1e-300, -0.30000000000000004, 1e20, 5])
def test_a_number_reaches_sql_to_the_last_bit(value: float) -> None:
    assert open_table(pd.DataFrame({"a": [1]})).scalar(number_sql(value)) == value


def test_lines_of_json_are_columns_of_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a":"007","n":1,"c":{"x":[1]}}\n{"n":null,"d":true,"a":"2020-01-01"}\n')
    table = open_table(path)
    assert table.columns == ("a", "n", "c", "d")
    assert table.query("select * from data").to_pylist() == [
        {"a": "007", "n": "1", "c": '{"x":[1]}', "d": None},
        {"a": "2020-01-01", "n": None, "c": None, "d": "true"},
    ]


def test_compressed_lines_are_read_alike(tmp_path: Path) -> None:
    text = b'{"a": 1}\n{"a": 2}\n'
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "rows.ndjson").write_bytes(text)
    zipped, plain = (open_table(tmp_path / n) for n in ("rows.jsonl.gz", "rows.ndjson"))
    assert np.array_equal(zipped.row_hashes(["a"]), plain.row_hashes(["a"]))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": 1}\n[1, 2]\n', "1 lines are JSON but no objects"),
        ('{"a": 1}\n{"a": \n', "cannot be read"),
        ("{}\n", "no object has a key"),
        ('{"a": 1, "A": 2}\n', "differ only in case"),
        ("", "the file is empty"),
    ],
)
def test_what_is_no_table_of_json_objects_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=what):
        open_table(path)


def test_a_dataset_of_the_hub_library_is_its_rows() -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"sex": ["F", "M", "F"], "y": [0, 1, 1]})
    table = open_table(made.select([2, 0]))
    assert table.query("select * from data").to_pylist() == [
        {"sex": "F", "y": 1}, {"sex": "F", "y": 0}
    ]  # fmt: skip
    with pytest.raises(InputError, match="DatasetDict is not a table"):
        open_table(datasets.DatasetDict({"train": made}))


def test_plain_text_is_one_text_a_line(tmp_path: Path) -> None:
    """No line is a header, nothing in it is a delimiter, and no line is lost."""
    lines = [
        b'to be, or "not"',
        b"  to be\t",
        b"",
        b"x;y|z \r NULL \\n",
        "é\u2028ü".encode(),
        b"end",
    ]
    path = tmp_path / "corpus.txt"
    for written in (b"\n".join(lines), b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n"):
        path.write_bytes(written)
        table = open_table(path)
        assert (table.columns, table.rows, table.files) == (("text",), 6, (path,))
        read = table.query("select text from data")["text"].to_pylist()
        assert read == [line.decode() or None for line in lines]


def test_compressed_and_several_plain_texts_are_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.datasets.lines._BLOCK", 7)  # lines and letters cross the blocks
    (tmp_path / "a.txt").write_text("öäü one\ntwo öäü\n", encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(b"drei\n\nvier")
    table = open_table(tmp_path)
    assert table.query("select text from data")["text"].to_pylist() == [
        "öäü one", "two öäü", "drei", None, "vier",
    ]  # fmt: skip


def test_plain_text_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.datasets.lines._BLOCK", 8)
    path = tmp_path / "t.txt"
    for content, what in (
        (b"a\nb\n\xff\n", "t.txt: not UTF-8; text in UTF-8, one a line"),
        (b"a\nb" + b"c" * 9 + b"\xc3", "t.txt: the text after line 1 is not all UTF-8"),
        (b"", "t.txt: the file is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=what):
            open_table(path)
