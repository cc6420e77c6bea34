from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from auditor.datasets import Roles, declare_groups, open_table, scan_confusion, scan_scores
from auditor.datasets.roles import bin_labels
from auditor.errors import InputError
from auditor.stats import CELLS, Groups

FRAME = pd.DataFrame(
    {
        "sex": ["F", "M", "F", "M"],
        "age": [20, 30, 40, 50],
        "y": [0, 1, 1, 0],
        "yes": ["no", "yes", "yes", None],
        "three": [0, 1, 2, 1],
        "empty": [math.nan] * 4,
        "score": [0.1, 0.2, math.nan, 0.4],
        "infinite": [0.1, math.inf, -math.inf, 0.4],
        "text": ["0.1", "high", "low", "0.2"],
    }
)


def cells(values: Any, **roles: Any) -> dict[str, int]:
    """Count the labels of one column as predictions."""
    table = open_table(pd.DataFrame({"p": values}))
    row = scan_confusion(table, Groups.declare([]), Roles(prediction="p", **roles)).values[0]
    found = dict(zip(CELLS, row.tolist(), strict=True))
    return {
        "positive": found["unlabelled_predicted_positive"],
        "negative": found["unlabelled_predicted_negative"],
        "missing": found["unlabelled_unpredicted"],
    }


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([0, 1, 1], None, (2, 1, 0)),
        ([0.0, 1.0, math.nan], None, (1, 1, 1)),
        ([True, False, None], None, (1, 1, 1)),
        (["0", "1", "1.0", "0.00", "01"], None, (3, 2, 0)),
        (["true", "False", "TRUE", ""], None, (2, 1, 1)),
        ([1, 1], None, (2, 0, 0)),
        ([0, 0], None, (0, 2, 0)),
        (["no", "yes", "nan", "", None, "yes"], "yes", (2, 1, 3)),
        (["no", "no"], "yes", (0, 2, 0)),
        (["yes", "yes"], "yes", (2, 0, 0)),
        ([1, 2, 2], "2", (2, 1, 0)),
        ([1.0, 2.0, 2.0], "2", (2, 1, 0)),
        (["it's", 'a"b'], "it's", (1, 1, 0)),
        ([0, 1, 1], "0", (1, 2, 0)),
    ],
)
def test_labels_are_read_as_they_are_meant(
    values: list[Any], positive: str | None, expected: tuple[int, int, int]
) -> None:
    found = cells(values, positive=positive)
    assert (found["positive"], found["negative"], found["missing"]) == expected


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"sensitive": ("sx",)},
         "people, --sensitive: there is no column 'sx'; did you mean 'sex'?"),
        ({"target": "Y"}, "people, --target: there is no column 'Y'; valid: sex, age, y, yes"),
        ({"prediction": "predicted"}, "people, --prediction: there is no column 'predicted'"),
        ({"score": "scores"}, "--score: there is no column 'scores'; did you mean 'score'?"),
        ({"record_id": "id"}, "people, --record-id: there is no column 'id'"),
        ({"target": "three"},
         "people, column 'three': 3 values ('1', '0', '2') in 4 rows where two are meant; "
         "0 and 1, two values with --positive, or --task multiclass"),
        ({"target": "three", "positive": "2"}, "two values (make the column binary first)"),
        ({"target": "yes"},
         "which of 'yes' and 'no' is the positive value is not said; --positive no"),
        ({"target": "y", "positive": "yes"},
         "people, column 'y': the positive value 'yes' does not occur; one of 0, 1"),
        ({"prediction": "empty"},
         "people, column 'empty': all 4 values are missing; two values"),
        ({"score": "empty"}, "people, column 'empty': all 4 scores are missing; numbers"),
        ({"score": "infinite"},
         "people, column 'infinite': 2 scores are infinite; finite numbers"),
        ({"score": "text"},
         "people, --score: column 'text' holds 'high' and other text in 2 of 4 rows; numbers"),
        ({"threshold": 0.5}, "--threshold: a threshold without a score; --score"),
        ({"score": "score", "threshold": math.nan}, "--threshold: the threshold is nan"),
        ({"score": "score", "threshold": 0.5, "prediction": "y"},
         "--threshold: a prediction column and a threshold are both given; one of them"),
        ({"sensitive": ("sex",), "bins": {"age": [30]}},
         "people: bins are given for 'age', which is not sensitive; one of sex"),
        ({"sensitive": ("age",), "bins": {"age": [45, 25]}},
         "--bins: the edges 45, 25 do not ascend; for example age=25,45,65"),
        ({"sensitive": ("sex",), "bins": {"sex": [25]}},
         "people, --bins: column 'sex' holds 'F' and other text in 4 of 4 rows; numbers"),
    ],
)  # fmt: skip
def test_a_role_that_a_table_cannot_play_is_one_clear_error(
    roles: dict[str, Any], message: str
) -> None:
    table = open_table(FRAME, name="people")
    with pytest.raises(InputError) as caught:
        Roles(**roles).check(table)
    assert message in str(caught.value)
    assert caught.value.where
    assert caught.value.valid
    assert "\n" not in str(caught.value)


def test_a_table_without_rows_plays_no_role() -> None:
    table = open_table(FRAME.iloc[:0], name="people")
    with pytest.raises(InputError, match="people: the table has 0 rows; at least one row"):
        Roles(sensitive=("sex",)).check(table)


def test_good_roles_are_accepted() -> None:
    roles = Roles(
        sensitive=("sex", "age"), target="yes", positive="yes", score="score", threshold=0.2,
        bins={"age": (30, 40)},
    )  # fmt: skip
    roles.check(open_table(FRAME))
    assert roles.context()["prediction"] == "score >= 0.2"


def test_many_spellings_of_a_label_are_too_many_to_trust() -> None:
    """Values beyond the ones that are looked at must not count as negative."""
    spellings = ["0" * n for n in range(1, 30)] + ["x"]
    with pytest.raises(InputError, match="30 values .* where two are meant"):
        cells(spellings)


def test_an_attribute_without_a_value_is_refused_with_its_tables() -> None:
    tables = [open_table(FRAME, name="train"), open_table(FRAME, name="test")]
    with pytest.raises(InputError, match="train, test: sensitive attribute 'empty' is missing in"):
        declare_groups(tables, ["empty"])
    wholly = open_table(pd.DataFrame({"g": pd.Series([None, None], dtype=object)}))
    with pytest.raises(InputError, match="'g' is missing in every row"):
        declare_groups([wholly], ["g"])


def test_an_attribute_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="named twice"):
        declare_groups([open_table(FRAME)], ["sex", "sex"])


def test_a_scan_without_a_check_still_names_the_missing_column() -> None:
    table = open_table(FRAME, name="people")
    groups = declare_groups([table], ["sex"])
    with pytest.raises(InputError, match="people: there is no column 'yy'"):
        scan_confusion(table, groups, Roles(sensitive=("sex",), target="yy"))
    with pytest.raises(InputError, match="people: no score column"):
        scan_scores(table, groups, Roles(sensitive=("sex",)))


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ([25, 45.0], ("<25", "[25, 45)", ">=45")),
        ([-1, 0, 0.5], ("<-1", "[-1, 0)", "[0, 0.5)", ">=0.5")),
        ([1_000_000, 1_000_000.5], ("<1000000", "[1000000, 1000000.5)", ">=1000000.5")),
    ],
)
def test_bins_are_named_by_their_edges(edges: list[float], labels: tuple[str, ...]) -> None:
    assert bin_labels(edges) == labels


@pytest.mark.parametrize("edges", [[], [2, 1], [1, 1], [1, math.nan], [1, math.inf]])
def test_edges_that_do_not_ascend_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError, match="do not ascend; for example"):
        bin_labels(edges)
