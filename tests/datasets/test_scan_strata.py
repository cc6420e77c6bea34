from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.datasets import Roles, declare_groups, open_table, scan_strata, weighted_median
from auditor.errors import InputError
from auditor.stats import SliceTable

FRAME = pd.DataFrame(
    {
        "sex": ["F", "F", "M", "M", None, "F"],
        "dept": ["a", "b", "a", None, "b", "b"],
        "year": [1, 1, 1, 2, 2, 2],
        "p": [1, 0, 1, 1, 0, None],
        "s": [0.1, 0.2, 0.3, 0.4, None, 0.6],
        "f": [3, 1, 2, 1, 0, 1],
    }
)


def scan(frame: pd.DataFrame = FRAME, **roles: Any) -> SliceTable:
    played = Roles(**{"sensitive": ("sex",), "prediction": "p", "strata": ("dept",), **roles})
    table = open_table(frame)
    return scan_strata(table, declare_groups([table], ("sex",)), played)


def test_records_are_counted_by_slice_and_stratum() -> None:
    counts = scan()
    assert counts.context["levels"] == ["dept=a", "dept=b"]
    assert counts.columns[:4] == ("records", "unplaced", "total:dept=a", "selected:dept=a")
    # A record without a stratum, and one without a prediction, are in no stratum.
    assert counts.values.tolist() == [
        [6, 2, 2, 2, 2, 0],
        [3, 1, 1, 1, 1, 0],
        [2, 1, 1, 1, 0, 0],
        [1, 0, 0, 0, 1, 0],
    ]


def test_a_frequency_is_as_many_equal_rows() -> None:
    long = FRAME.loc[np.repeat(FRAME.index, FRAME.f)].reset_index(drop=True)
    assert np.array_equal(scan(frequency="f").values, scan(long).values)


def test_several_columns_make_one_stratum() -> None:
    assert scan(strata=("dept", "year")).context["levels"] == [
        "dept=a, year=1", "dept=b, year=1", "dept=b, year=2",
    ]  # fmt: skip


def test_a_threshold_makes_the_prediction() -> None:
    counts = scan(prediction=None, score="s", threshold=0.25)
    assert counts.family(())[0].tolist() == [6, 2, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dept": None}, "missing in each of 6 rows"),
        ({"f": 0.5}, "6 of 6 values cannot be used"),
        ({"f": -1}, "6 of 6 values cannot be used"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        scan(FRAME.assign(**change), frequency="f")


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="'Dept'"):
        scan(strata=("Dept",))


def test_a_thousand_strata_are_enough() -> None:
    frame = pd.DataFrame({"sex": "F", "dept": range(1_001), "p": 1})
    with pytest.raises(InputError, match=r"more than 1,000 strata in 1,001 rows"):
        scan(frame)


@pytest.mark.parametrize(
    ("weights", "median"),
    [(None, 0.3), ([1, 1, 1, 1, 1, 1], 0.3), ([5, 1, 1, 1, 9, 1], 0.1), ([1, 1, 0, 1, 9, 1], 0.3)],
)
def test_the_median_is_the_middle_one(weights: list[float] | None, median: float) -> None:
    table = open_table(FRAME.assign(w=weights or 1.0))
    found = weighted_median(table, "s", weight=None if weights is None else "w")
    assert found == pytest.approx(median)


def test_a_median_of_no_weight_is_refused() -> None:
    with pytest.raises(InputError, match="no score has a weight"):
        weighted_median(open_table(FRAME.assign(w=0.0)), "s", weight="w")
