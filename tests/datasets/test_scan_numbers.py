"""A scan of predicted numbers and of ranked lists gives the statistic of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.datasets import Roles, declare_groups, group_codes, open_table
from auditor.datasets.scan_ranking import scan_ranking
from auditor.datasets.scan_regression import scan_predictions, scan_regression, scan_residuals
from auditor.errors import InputError
from auditor.stats import (
    PREDICTIONS,
    RESIDUALS,
    rank_sums,
    regression_sums,
    value_counts,
)

NUMBERS = Roles(task="regression", sensitive=("sex",), target="y", prediction="p")
LISTS = Roles(task="ranking", sensitive=("sex",), score="s", query="q", top=(5, 2, 5))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """3,000 rows with missing values in every column."""
    rng = np.random.default_rng(0)
    rows = 3_000
    y = np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 20, rows))
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M", None], rows, p=[0.4, 0.5, 0.1]),
            "y": y,
            "p": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 20, rows) / 4),
            "wide": rng.normal(size=rows),
            "s": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 9, rows)),
            "q": rng.choice(["a", "b'", "c", None], rows),
        }
    )


@pytest.fixture(params=["frame", "csv", "parquet"])
def table(request: pytest.FixtureRequest, frame: pd.DataFrame, tmp_path: Path) -> Any:
    if request.param == "frame":
        return open_table(frame)
    path = tmp_path / f"table.{request.param}"
    write = frame.to_csv if request.param == "csv" else frame.to_parquet
    write(path, index=False)
    return open_table(str(path))


def test_sums_are_those_of_the_columns(table: Any, frame: pd.DataFrame) -> None:
    NUMBERS.check(table)
    groups = declare_groups([table], ("sex",))
    codes = group_codes(table, groups, NUMBERS)
    found = scan_regression(table, groups, NUMBERS)
    origins = tuple(
        float(np.quantile(frame[c].dropna(), 0.5, method="inverted_cdf")) for c in ("p", "y")
    )
    assert found.context["origins"] == list(origins)
    expected = regression_sums(groups, codes, frame["y"], frame["p"], origins=origins)
    assert np.array_equal(found.values, expected.values)
    assert scan_regression(table, groups, NUMBERS).to_json() == found.to_json()


def test_few_values_are_counted_exactly(table: Any, frame: pd.DataFrame) -> None:
    groups = declare_groups([table], ("sex",))
    codes = group_codes(table, groups, NUMBERS)
    for scan, kind, values in (
        (scan_predictions, PREDICTIONS, frame["p"]),
        (scan_residuals, RESIDUALS, frame["p"] - frame["y"]),
    ):
        found = scan(table, groups, NUMBERS)
        assert found.grid.exact
        expected = value_counts(groups, codes, values, kind=kind, context=found.context)
        assert found == expected


def test_many_values_are_binned_over_their_range(table: Any, frame: pd.DataFrame) -> None:
    roles = Roles(task="regression", sensitive=("sex",), prediction="wide")
    groups = declare_groups([table], ("sex",))
    found = scan_predictions(table, groups, roles)
    assert not found.grid.exact
    assert (found.grid.low, found.grid.high) == (frame["wide"].min(), frame["wide"].max())
    assert found.by_label(0).sum() == len(frame)


def test_without_a_target_nothing_is_judged(table: Any) -> None:
    roles = Roles(task="regression", sensitive=("sex",), prediction="p")
    found = scan_regression(table, declare_groups([table], ("sex",)), roles)
    assert found.values[0, found.column("judged")] == 0
    assert found.context["target"] is None


def test_ranks_are_those_of_the_columns(table: Any, frame: pd.DataFrame) -> None:
    LISTS.check(table)
    groups = declare_groups([table], ("sex",))
    codes = group_codes(table, groups, LISTS)
    found = scan_ranking(table, groups, LISTS)
    assert found.context["top"] == [2, 5]
    owner = frame["q"].map({"a": 0, "b'": 1, "c": 2}).fillna(-1)
    expected = rank_sums(groups, codes, frame["s"], owner, top=(2, 5))
    assert np.allclose(found.values, expected.values, rtol=1e-12)
    one = scan_ranking(table, groups, Roles(task="ranking", sensitive=("sex",), score="s"))
    assert one.values[0, one.column("lists")] == 1


def test_infinite_numbers_are_refused_before_any_scan(frame: pd.DataFrame) -> None:
    table = open_table(frame.assign(p=np.inf, s=np.inf))
    for roles in (NUMBERS, LISTS):
        with pytest.raises(InputError, match="values are infinite"):
            roles.check(table)


def test_a_range_beyond_a_double_is_refused(frame: pd.DataFrame) -> None:
    wide = np.random.default_rng(1).uniform(-1, 1, len(frame)) * 1.7e308
    table = open_table(frame.assign(p=wide))
    with pytest.raises(InputError, match="a narrower range"):
        scan_predictions(table, declare_groups([table], ("sex",)), NUMBERS)
