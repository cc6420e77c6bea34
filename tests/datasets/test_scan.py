"""A scan of a table gives the counts of its columns, wherever and however the table lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import (
    Roles,
    declare_groups,
    group_codes,
    open_table,
    scan_confusion,
    scan_missing,
    scan_scores,
)
from auditor.errors import InputError
from auditor.stats import Attribute, Groups, ScoreCounts, confusion_counts, score_counts

ROLES = Roles(sensitive=("sex", "race"), target="y", prediction="predicted", score="p")

Make = Callable[[pd.DataFrame, Path], Any]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """600 rows with missing values in every column but the prediction."""
    rng = np.random.default_rng(0)
    rows = 600
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M", None], rows, p=[0.4, 0.5, 0.1]),
            "race": rng.choice(["007", "o'B\"x", "größe\nx", None], rows, p=[0.5, 0.3, 0.1, 0.1]),
            "y": rng.choice([0.0, 1.0, np.nan], rows, p=[0.5, 0.4, 0.1]),
            "predicted": rng.integers(0, 2, rows),
            "p": np.where(rng.random(rows) < 0.1, np.nan, np.round(rng.random(rows), 2)),
        }
    )


@pytest.fixture(scope="module")
def groups(frame: pd.DataFrame) -> Groups:
    return Groups.declare(
        [
            Attribute(name=name, levels=tuple(sorted(frame[name].dropna().unique())))
            for name in ROLES.sensitive
        ]
    )


def parts(frame: pd.DataFrame, folder: Path, write: Callable[[pd.DataFrame, Path], Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(3):
        piece = frame.iloc[number::3]
        # The same columns in another order are the same table.
        write(piece[piece.columns[::-1]] if number == 1 else piece, folder / f"part-{number}")
    return folder


def to_csv(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    frame.to_csv(path, index=False, **options)
    return path


def to_parquet(frame: pd.DataFrame, path: Path) -> Path:
    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


def to_stream(frame: pd.DataFrame, path: Path) -> Path:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    return path


def to_feather(frame: pd.DataFrame, path: Path) -> Path:
    feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), str(path))
    return path


def with_types(**types: str) -> Make:
    return lambda frame, _: frame.astype(types)


SOURCES: dict[str, Make] = {
    "csv": lambda f, p: to_csv(f, p / "t.csv"),
    "csv-path-as-text": lambda f, p: str(to_csv(f, p / "t.csv")),
    "csv-gz": lambda f, p: to_csv(f, p / "t.csv.gz"),
    "csv-crlf": lambda f, p: to_csv(f, p / "t.csv", lineterminator="\r\n"),
    "csv-with-bom": lambda f, p: to_csv(f, p / "t.csv", encoding="utf-8-sig"),
    "csv-semicolon": lambda f, p: to_csv(f, p / "t.csv", sep=";"),
    "csv-all-quoted": lambda f, p: to_csv(f, p / "t.csv", quoting=1),
    "csv-with-index": lambda f, p: f.to_csv(p / "t.csv") or p / "t.csv",
    "tsv": lambda f, p: to_csv(f, p / "t.tsv", sep="\t"),
    "csv-bars": lambda f, p: to_csv(f, p / "t.csv", sep="|"),
    "parquet": lambda f, p: to_parquet(f, p / "t.parquet"),
    "arrow-file": lambda f, p: to_feather(f, p / "t.arrow"),
    "feather": lambda f, p: to_feather(f, p / "t.feather"),
    "arrow-stream": lambda f, p: to_stream(f, p / "t.arrow"),
    "folder-of-csv": lambda f, p: parts(f, p / "d", lambda x, q: to_csv(x, q.with_suffix(".csv"))),
    "folder-of-parquet": lambda f, p: parts(
        f, p / "d", lambda x, q: to_parquet(x, q.with_suffix(".parquet"))
    ),
    "folder-of-arrow": lambda f, p: parts(
        f, p / "d", lambda x, q: to_feather(x, q.with_suffix(".arrow"))
    ),
    "glob": lambda f, p: (
        parts(f, p / "d", lambda x, q: to_csv(x, q.with_suffix(".csv"))) / "part-*.csv"
    ),
    "pandas": lambda f, _: f,
    "pandas-object": with_types(sex="object", race="object", y="object"),
    "pandas-str": with_types(sex="str", race="str"),
    "pandas-string-pyarrow": with_types(sex="string[pyarrow]", race="string[pyarrow]"),
    "pandas-category": with_types(sex="category", race="category"),
    "pandas-nullable": with_types(y="Int8", predicted="boolean", p="Float64"),
    "pandas-float32": with_types(y="float32", predicted="float32"),
    "pandas-bool": with_types(predicted="bool"),
    "pandas-uint8": with_types(predicted="uint8"),
    "pandas-arrow": lambda f, _: f.convert_dtypes(dtype_backend="pyarrow"),
    "pandas-shuffled-index": lambda f, _: f.sample(frac=1, random_state=0),
    "arrow-table": lambda f, _: pa.Table.from_pandas(f, preserve_index=False),
    "arrow-batch": lambda f, _: pa.RecordBatch.from_pandas(f, preserve_index=False),
    "arrow-dictionary": lambda f, _: pa.table(
        {
            name: pa.chunked_array(
                [pa.array(part).dictionary_encode() for part in (f[name][:300], f[name][300:])]
            )
            if name in ROLES.sensitive
            else pa.array(f[name], from_pandas=True)
            for name in f
        }
    ),
    "polars": lambda f, _: pl.from_pandas(f),
    "lazy polars": lambda f, _: pl.from_pandas(f).lazy(),
    "mapping-of-lists": lambda f, _: {
        name: f[name].astype(object).where(f[name].notna(), None).tolist() for name in f
    },
    "mapping-of-arrays": lambda f, _: {name: f[name].to_numpy() for name in f},
    "mapping-of-tensors": lambda f, _: {
        name: f[name] if name in ROLES.sensitive else torch.tensor(f[name].to_numpy())
        for name in f
    },
    "mapping-of-masked-arrays": lambda f, _: {
        name: f[name] if name in ROLES.sensitive
        else np.ma.masked_array(np.nan_to_num(f[name]), f[name].isna())
        for name in f
    },
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_table_gives_the_counts_of_its_columns(
    source: str, frame: pd.DataFrame, groups: Groups, tmp_path: Path
) -> None:
    table = open_table(SOURCES[source](frame, tmp_path))
    ROLES.check(table)
    assert table.rows == len(frame)
    assert declare_groups([table], ROLES.sensitive) == groups
    codes = groups.encode({name: frame[name] for name in ROLES.sensitive})
    context = ROLES.context()
    expected = confusion_counts(groups, codes, frame["y"], frame["predicted"], context=context)
    assert scan_confusion(table, groups, ROLES) == expected
    assert scan_scores(table, groups, ROLES) == score_counts(
        groups, codes, frame["y"], frame["p"], context=context
    )


def test_arrays_and_tensors_give_the_counts_of_the_table(
    frame: pd.DataFrame, groups: Groups
) -> None:
    table = open_table(frame)
    codes = group_codes(table, groups, ROLES)
    scanned = scan_confusion(table, groups, ROLES)
    for make in (np.asarray, torch.tensor):
        y, predicted, p = (make(frame[name].to_numpy()) for name in ("y", "predicted", "p"))
        options = {"context": scanned.context}
        assert confusion_counts(groups, codes, y, predicted, **options) == scanned
        assert score_counts(groups, codes, y, p, **options) == scan_scores(table, groups, ROLES)


def test_codes_come_in_the_order_of_the_rows(
    frame: pd.DataFrame, groups: Groups, tmp_path: Path
) -> None:
    expected = groups.encode({name: frame[name] for name in ROLES.sensitive})
    for source in ("pandas", "csv-gz", "parquet"):
        table = open_table(SOURCES[source](frame, tmp_path))
        assert np.array_equal(group_codes(table, groups, ROLES), expected)
    assert group_codes(open_table(frame), Groups.declare([]), Roles()).shape == (len(frame), 0)


def test_a_threshold_predicts_where_the_score_reaches_it(frame: pd.DataFrame) -> None:
    groups = Groups.declare([])
    roles = Roles(target="y", score="p", threshold=0.57)
    predicted = np.where(frame["p"].isna(), np.nan, frame["p"] >= 0.57)
    codes = np.zeros((len(frame), 0), np.int32)
    expected = confusion_counts(groups, codes, frame["y"], predicted)
    scanned = scan_confusion(open_table(frame), groups, roles)
    assert np.array_equal(scanned.values, expected.values)
    assert scanned.context["prediction"] == "p >= 0.57"


@given(st.floats(1e-300, 1e300), st.booleans())
@settings(max_examples=25)
def test_a_score_at_the_threshold_reaches_it_to_the_last_bit(
    threshold: float, negative: bool
) -> None:
    """Written as an SQL decimal, some thresholds would be off by one place."""
    threshold = -threshold if negative else threshold
    scores = [threshold, math.nextafter(threshold, -math.inf), math.nextafter(threshold, math.inf)]
    table = open_table(pd.DataFrame({"p": scores}))
    roles = Roles(score="p", threshold=threshold)
    cells = scan_confusion(table, Groups.declare([]), roles).values[0]
    assert cells[6:8].tolist() == [1, 2]


@given(
    st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=5, unique=True),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=15)
def test_many_scores_are_binned_as_they_are_in_memory(ends: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = min(ends), max(ends) + 1
    scores = np.concatenate([ends, rng.uniform(low, high, 1_500), [np.nan]])
    labels = rng.integers(0, 2, len(scores))
    groups = Groups.declare([])
    table = open_table(pd.DataFrame({"p": scores, "y": labels}))
    scanned = scan_scores(table, groups, Roles(target="y", score="p"))
    assert not scanned.grid.exact
    codes = np.zeros((len(scores), 0), np.int32)
    counted = score_counts(groups, codes, labels, scores, context=scanned.context)
    assert scanned == counted


def test_a_tensor_of_any_precision_is_a_column() -> None:
    half = torch.tensor([0.25, 0.5, 0.75], dtype=torch.bfloat16, requires_grad=True)
    table = open_table({"p": half, "y": torch.tensor([True, False, True])})
    assert table.query("select p, y from data").to_pydict() == {
        "p": [0.25, 0.5, 0.75], "y": [True, False, True],
    }  # fmt: skip


def test_without_a_target_every_label_is_missing(frame: pd.DataFrame) -> None:
    groups = Groups.declare([])
    scanned = scan_confusion(open_table(frame), groups, Roles(prediction="predicted"))
    assert scanned.values[0, :6].sum() == 0
    assert scanned.values[0].sum() == len(frame)
    scores = scan_scores(open_table(frame), groups, Roles(score="p"))
    assert isinstance(scores, ScoreCounts)
    assert scores.unscored[0] == len(frame)


def test_missing_values_are_counted_by_slice(
    frame: pd.DataFrame, groups: Groups, tmp_path: Path
) -> None:
    columns = list(frame)
    for source in ("pandas", "csv", "parquet"):
        table = open_table(SOURCES[source](frame, tmp_path))
        counts = scan_missing(table, groups, ROLES, columns, split="train")
        assert counts.columns == ("records", *columns)
        by_sex = frame.isna().groupby(frame["sex"].fillna("unknown"))[columns].sum()
        sizes = frame["sex"].fillna("unknown").value_counts()
        for row, sex in zip(counts.family(("sex",)), ("F", "M", "unknown"), strict=True):
            assert row.tolist() == [sizes[sex], *by_sex.loc[sex]]


def test_bins_cut_at_their_lower_edges() -> None:
    frame = pd.DataFrame({"age": [17, 25, 44.9, 45, 90, None], "p": [1, 0, 1, 0, 1, 0]})
    roles = Roles(sensitive=("age",), prediction="p", bins={"age": [25, 45]})
    for table in (open_table(frame), open_table(frame.astype({"age": "object"}).astype(str))):
        groups = declare_groups([table], ["age"], bins=roles.bins)
        assert groups.attributes[0].levels == ("<25", "[25, 45)", ">=45")
        counts = scan_confusion(table, groups, roles)
        assert counts.family(("age",)).sum(axis=1).tolist() == [1, 2, 2, 1]
        assert group_codes(table, groups, roles).ravel().tolist() == [0, 1, 1, 2, 2, 3]


def test_groups_are_declared_by_all_tables_and_all_categories_together() -> None:
    train = open_table(pd.DataFrame({"sex": pd.Categorical(["F"], categories=["F", "X"])}))
    test = open_table(pd.DataFrame({"sex": ["M", None]}))
    assert declare_groups([train, test], ["sex"]).attributes[0].levels == ("F", "M", "X")


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (pd.Categorical([1, 2], categories=[1, 2, 3]), ("1", "2", "3")),
        (pd.Categorical([1.0, 2.5], categories=[1.0, 2.5, 4.0]), ("1.0", "2.5", "4.0")),
        (pd.Categorical([True, False]), ("false", "true")),
        (pd.cut(pd.Series([1, 30]), [0, 20, 40, 60]), ("(0, 20]", "(20, 40]", "(40, 60]")),
        ([1, 2], ("1", "2")),
        ([1.0, np.nan], ("1.0",)),
        ([True, False], ("false", "true")),
        ([1e20, 0.1], ("0.1", "1e+20")),
        (pd.array([1, None], "Int64"), ("1",)),
        (pd.array([True, None], "boolean"), ("true",)),
        (np.array([1, 2], np.float16), ("1.0", "2.0")),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]),
         ("2020-01-01 00:00:00", "2020-01-02 00:00:00")),
    ],
    ids=lambda v: str(getattr(v, "dtype", "")) or None,
)  # fmt: skip
def test_levels_are_written_as_they_are_encoded(values: Any, levels: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"g": values})
    table = open_table(frame)
    groups = declare_groups([table], ["g"])
    assert groups.attributes[0].levels == levels
    assert np.array_equal(
        group_codes(table, groups, Roles(sensitive=("g",))), groups.encode({"g": frame["g"]})
    )


def test_a_value_of_text_stays_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('code,p\n007,1\n7,0\n 7,0\nNA,1\n"7.0",1\n1e5,0\nTRUE,1\n"",0\n,1\n')
    groups = declare_groups([open_table(path)], ["code"])
    assert groups.attributes[0].levels == (" 7", "007", "1e5", "7", "7.0", "NA", "TRUE")


ODD = ["a b", 'x"y', "select", "größe", "g0", "cell", "place", "label", "data", "n", "mask", "m0",
       "it's", "a;b", "{x}", "'; drop table data; --", "x\ny", "%s", "records"]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas"])
def test_any_name_of_a_column_is_only_a_name(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.choice(["0", "1", None], 60) for name in ODD})
    table = open_table(SOURCES[kind](frame, tmp_path))
    assert table.columns == tuple(ODD)
    for first, second in zip(ODD[::2], ODD[-1:] + ODD[1::2], strict=True):
        roles = Roles(sensitive=(first, second), target=first, prediction=second, score=second)
        roles.check(table)
        groups = declare_groups([table], roles.sensitive)
        codes = groups.encode({name: frame[name] for name in roles.sensitive})
        assert np.array_equal(group_codes(table, groups, roles), codes)
        expected = confusion_counts(groups, codes, frame[first], frame[second])
        assert np.array_equal(scan_confusion(table, groups, roles).values, expected.values)
        scores = score_counts(groups, codes, frame[first], frame[second])
        assert np.array_equal(scan_scores(table, groups, roles).counts, scores.counts)
        missing = scan_missing(table, groups, roles, ODD, split="train")
        assert missing.values[0, 1:].tolist() == frame.isna().sum().tolist()


def test_a_value_that_was_not_declared_is_refused_with_the_table(tmp_path: Path) -> None:
    declared = declare_groups([open_table(pd.DataFrame({"sex": ["Female", "Male"]}))], ["sex"])
    path = to_csv(pd.DataFrame({"sex": ["Femal"], "p": [1]}), tmp_path / "test.csv")
    table = open_table(path)
    roles = Roles(sensitive=("sex",), prediction="p")
    with pytest.raises(InputError, match=r"test\.csv: .*no value 'Femal'; did you mean 'Female'"):
        scan_confusion(table, declared, roles)
    with pytest.raises(InputError, match="'Femal' of attribute 'sex' was not declared"):
        group_codes(table, declared, roles)
