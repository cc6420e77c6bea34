from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from auditor.datasets import adult
from auditor.datasets.adult import ADULT, load_adult, split_adult
from auditor.errors import InputError

FOLDER = Path(adult.__file__).parent
FILE = FOLDER / "adult.parquet"
NOTE = (FOLDER / "ADULT.md").read_text(encoding="utf-8")
UCI = Path(__file__).resolve().parents[3] / "shared" / "data" / "tabular" / "adult.csv.gz"

COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return load_adult()


def rows_of(table: pd.DataFrame) -> Counter[tuple[object, ...]]:
    return Counter(zip(*(table[column].astype(object) for column in COLUMNS), strict=True))


def test_the_rows_and_columns_are_those_of_the_source(frame: pd.DataFrame) -> None:
    assert list(frame) == ["id", *COLUMNS]
    assert list(load_adult(with_id=False)) == COLUMNS
    assert len(frame) == ADULT.rows == 45_222
    assert not frame.isna().to_numpy().any()
    assert list(frame["id"]) == list(range(45_222))
    first = frame.iloc[0]  # the first line of the one-hot table, read by eye
    assert (first["age"], first["occupation"], first["income"]) == (37, "Craft-repair", "<=50K")


def test_women_earn_over_50k_0_3635_times_as_often_as_men(frame: pd.DataFrame) -> None:
    over = (frame["income"] == ">50K").groupby(frame["sex"], observed=True).mean()
    assert over["Female"] / over["Male"] == pytest.approx(0.36347, abs=5e-6)


def test_every_count_in_the_note_is_the_tables(frame: pd.DataFrame) -> None:
    noted = re.findall(r"^\| (\S+) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|$", NOTE, re.MULTILINE)
    over = frame["income"] == ">50K"
    measured = {"all": over} | {
        str(value): over[frame[column] == value]
        for column in ("sex", "race")
        for value in frame[column].unique()
    }
    assert {group for group, *_ in noted} == set(measured)
    for group, rows, positives, share in noted:
        assert int(rows.replace(",", "")) == len(measured[group])
        assert int(positives.replace(",", "")) == measured[group].sum()
        assert share == f"{measured[group].mean():.4f}"
    assert f"{frame.duplicated(COLUMNS).sum()} of them exact repetitions" in NOTE


def test_the_note_the_card_and_the_file_agree_on_the_digest() -> None:
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert ADULT.sha256 == f"sha256:{digest}"
    assert f"sha256 `{digest}`" in NOTE
    assert f"{FILE.stat().st_size:,} bytes" in NOTE
    assert ADULT.source in NOTE


def test_the_file_is_small_and_holds_no_pandas_metadata() -> None:
    assert FILE.stat().st_size <= 700_000
    assert set(pq.read_schema(FILE).metadata or {}) <= {b"ARROW:schema"}
    assert set(pq.read_metadata(FILE).metadata) == {b"ARROW:schema"}


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = bytearray(FILE.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "adult.parquet"
    changed.write_bytes(data)
    monkeypatch.setattr(adult, "_FILE", changed)
    with pytest.raises(InputError, match="the embedded data were changed"):
        load_adult()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(adult, "_FILE", tmp_path / "gone.parquet")
    with pytest.raises(InputError, match=r"gone\.parquet: the embedded data cannot be read"):
        load_adult()


def test_numbers_do_not_overflow(frame: pd.DataFrame) -> None:
    assert (frame["age"] * 1000).max() == 90_000


def test_the_three_tables_of_a_split_share_no_record_and_lose_none(frame: pd.DataFrame) -> None:
    split = split_adult(frame, seed=7)
    ids = [set(table["id"]) for table in split]
    assert [len(table) for table in split] == [22_611, 9_044, 13_567]
    assert sum(map(len, ids)) == len(set.union(*ids)) == len(frame)
    for table in split:
        assert table["id"].is_monotonic_increasing
        assert list(table.index) == list(range(len(table)))


def test_the_seed_alone_decides_the_split(frame: pd.DataFrame) -> None:
    first, again, other = (split_adult(frame, seed=seed) for seed in (0, 0, 1))
    assert first.test.equals(again.test)
    assert not first.test.equals(other.test)


@pytest.mark.parametrize(
    ("test", "validation"), [(0.6, 0.4), (0.0, 0.2), (-0.1, 0.2), (float("nan"), 0.2), (1.0, 0.2)]
)
def test_shares_that_leave_a_table_empty_are_refused(
    frame: pd.DataFrame, test: float, validation: float
) -> None:
    with pytest.raises(InputError, match=r"no shares|leave a table empty"):
        split_adult(frame, seed=0, test=test, validation=validation)


@pytest.mark.skipif(not UCI.is_file(), reason="../shared/data/tabular/adult.csv.gz is not here")
def test_the_table_is_the_complete_rows_of_uci_as_a_multiset(frame: pd.DataFrame) -> None:
    complete = pd.read_csv(UCI).dropna()
    assert rows_of(frame) == rows_of(complete)
