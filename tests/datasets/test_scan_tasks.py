"""Tables with weights, frequencies, clusters and classes: scanned as they would be counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import (
    Roles,
    Table,
    declare_groups,
    open_table,
    scan_classes,
    scan_confusion,
    scan_frequencies,
    scan_frequency_scores,
    scan_score_sums,
    scan_scores,
    scan_weighted,
)
from auditor.datasets.stream import stream
from auditor.datasets.tasks import classes_of
from auditor.errors import InputError
from auditor.stats import Groups, class_counts, score_sums, weighted_confusion

ROLES: dict[str, Any] = {"sensitive": ("sex",), "target": "y", "prediction": "p"}

records = st.lists(
    st.tuples(
        st.sampled_from(["F", "M", None]), st.sampled_from([0, 1, None]),
        st.sampled_from([0, 1, None]), st.integers(0, 16).map(lambda k: k / 8),
        st.sampled_from(["a", "b", "c", None]), st.integers(0, 3),
        st.integers(0, 8).map(lambda k: k / 8),
    ),
    max_size=40,
)  # fmt: skip
FIRST = [("F", 1, 1, 1.0, "a", 1, 0.5), ("M", 0, 0, 1.0, "b", 1, 0.25)]


def tallied(scores: Any, groups: Groups) -> list[dict[Any, int]]:
    """Count by (score, label) in each slice."""
    return [
        {
            (float(scores.grid.values[i]), label): int(n)
            for (i, label), n in np.ndenumerate(scores.by_label(flat)) if n
        }
        for flat in range(groups.total)
    ]  # fmt: skip


def frame(rows: list[Any]) -> pd.DataFrame:
    made = pd.DataFrame([*FIRST, *rows], columns=["sex", "y", "p", "w", "c", "f", "s"])
    return made.astype({"y": "Int64", "p": "Int64"})


def opened(table: pd.DataFrame) -> tuple[Table, Groups]:
    made = open_table(table)
    return made, declare_groups([made], ("sex",))


def encoded(groups: Groups, table: pd.DataFrame) -> Any:
    return groups.encode({"sex": table["sex"]})


@settings(max_examples=20)
@given(records, st.booleans())
def test_weights_and_clusters_are_scanned_as_they_are_counted(
    rows: list[Any], clustered: bool
) -> None:  # fmt: skip
    table = frame(rows)
    made, groups = opened(table)
    roles = Roles(**ROLES, weight="w", cluster="c" if clustered else None)
    scanned = scan_weighted(made, groups, roles)
    counted = weighted_confusion(
        groups, encoded(groups, table), table["y"], table["p"], weights=table["w"],
        clusters=table["c"].to_numpy(object) if clustered else None, context=scanned.context,
    )  # fmt: skip
    assert scanned == counted


@settings(max_examples=20)
@given(records)
def test_a_frequency_of_f_is_f_times_the_row(rows: list[Any]) -> None:
    table = frame(rows)
    repeated = table.loc[table.index.repeat(table["f"])].reset_index(drop=True)
    made, groups = opened(table)
    other = open_table(repeated)
    roles = Roles(**ROLES, frequency="f", score="s")
    plain = Roles(**ROLES, score="s")
    ours = scan_frequencies(made, groups, roles)
    assert np.array_equal(ours.values, scan_confusion(other, groups, plain).values)
    assert ours.context["frequency"] == "f"
    scores, theirs = scan_frequency_scores(made, groups, roles), scan_scores(other, groups, plain)
    assert tallied(scores, groups) == tallied(theirs, groups)
    assert np.array_equal(scores.unscored, theirs.unscored)


@settings(max_examples=20)
@given(records)
def test_score_sums_are_scanned_as_they_are_added_up(rows: list[Any]) -> None:
    table = frame(rows)
    made, groups = opened(table)
    scanned = scan_score_sums(made, groups, Roles(**ROLES, score="s"))
    counted = score_sums(groups, encoded(groups, table), table["y"], table["s"])
    assert np.allclose(scanned.values, counted.values, rtol=1e-12)


@settings(max_examples=20)
@given(records)
def test_classes_are_scanned_as_they_are_counted(rows: list[Any]) -> None:
    table = frame(rows).assign(d=lambda f: f["c"].shift(1))
    made, groups = opened(table)
    roles = Roles(sensitive=("sex",), target="c", prediction="d", task="multiclass")
    roles.check(made)
    scanned = scan_classes(made, groups, roles)
    counted = class_counts(
        groups, encoded(groups, table), table["c"], table["d"],
        classes=scanned.context["classes"],
    )  # fmt: skip
    assert np.array_equal(scanned.values, counted.values)
    assert scanned.context["task"] == "multiclass"


def test_classes_are_sorted_as_numbers_where_they_are() -> None:
    made, _ = opened(pd.DataFrame({"sex": ["F"] * 4, "y": ["10", "9", "b", "a"], "p": ["9"] * 4}))
    assert classes_of([made], Roles(**ROLES)) == ("9", "10", "a", "b")


def test_a_threshold_makes_the_prediction_of_weighted_records() -> None:
    made, groups = opened(frame([]))
    roles = Roles(sensitive=("sex",), target="y", score="s", threshold=0.5, weight="w")
    found = scan_weighted(made, groups, roles)
    assert dict(zip(found.columns, found.values[0].tolist(), strict=True))["records:tp"] == 1
    assert found.context["prediction"] == "s >= 0.5"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("w", [1.0, -1.0], "1 of 2 values cannot be used"),
        ("w", [1.0, math.inf], "1 of 2 values cannot be used"),
        ("w", [1.0, None], "1 of 2 values cannot be used"),
        ("w", [0.0, 0.0], "all 2 values are 0"),
        ("w", ["a", "b"], "column 'w'"),
        ("f", [1.5, 1.0], "1 of 2 values cannot be used"),
        ("f", [-1, 1], "1 of 2 values cannot be used"),
    ],
)
def test_weights_that_cannot_be_used_name_their_column(
    column: str, values: list[Any], message: str
) -> None:
    table = frame([]).assign(**{column: values})
    made, groups = opened(table)
    scan = scan_weighted if column == "w" else scan_frequencies
    roles = Roles(**ROLES, **{"weight" if column == "w" else "frequency": column})
    with pytest.raises(InputError, match=message) as caught:
        scan(made, groups, roles)
    assert column in str(caught.value)


def test_a_frequency_beside_weights_or_clusters_is_refused() -> None:
    made, groups = opened(frame([]))
    for other in ({"weight": "w"}, {"cluster": "c"}):
        with pytest.raises(InputError, match="a frequency .f. beside weights or clusters"):
            scan_weighted(made, groups, Roles(**ROLES, frequency="f", **other))


@pytest.mark.parametrize("option", ["weight", "cluster", "frequency"])
def test_a_column_that_is_not_there_is_named(option: str) -> None:
    made, groups = opened(frame([]))
    scan = scan_frequencies if option == "frequency" else scan_weighted
    with pytest.raises(InputError, match="there is no column 'ww'") as caught:
        scan(made, groups, Roles(**ROLES, **{option: "ww"}))
    assert f"--{option}" in str(caught.value)


def test_an_empty_table_names_column_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("sex,y,p,w,c,f,s\n")
    made = open_table(path)
    groups = Groups.declare([])
    for roles in ({"weight": "w"}, {"cluster": "c"}):
        with pytest.raises(InputError, match="the table has 0 rows"):
            scan_weighted(made, groups, Roles(target="y", prediction="p", **roles))
    with pytest.raises(InputError, match="the table has 0 rows"):
        scan_frequencies(made, groups, Roles(target="y", prediction="p", frequency="f"))
    with pytest.raises(InputError, match="0 classes in 0 rows"):
        classes_of([made], Roles(**ROLES))


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"task": "multiclass", "target": "y"}, "the task multiclass needs --prediction"),
        ({"task": "multiclass", "prediction": "p"}, "the task multiclass needs --target"),
        ({"task": "regression", "target": "y"}, "the task regression needs --prediction"),
        ({"task": "regression", "prediction": "e"}, "all 2 values are missing"),
        ({"task": "regression", "prediction": "i"}, "1 of 2 values are infinite"),
        ({"task": "regression", "prediction": "c"}, "column 'c'"),
        ({"task": "ranking", "target": "y"}, "the task ranking needs --score"),
        ({"task": "ranking", "score": "s", "top": ()}, "a top list of no records"),
        ({"task": "counts", "total": "f"}, "the task counts needs --selected"),
        ({"task": "counts", "selected": "f", "total": "nope"}, "there is no column 'nope'"),
        ({"task": "multiclass", "target": "y", "prediction": "p", "bins": {"s": (1,)}},
         "bins are given for 's', which is not sensitive"),
        ({"task": "multiclass", "target": "one", "prediction": "one"}, "1 classes in 2 rows"),
        ({"task": "multiclass", "target": "e", "prediction": "e"}, "0 classes in 2 rows"),
    ],
)  # fmt: skip
def test_a_task_names_what_it_lacks(roles: dict[str, Any], message: str) -> None:
    table = frame([]).assign(e=[math.nan] * 2, i=[1.0, math.inf], one=["x"] * 2)
    made = open_table(table)
    with pytest.raises(InputError, match=message):
        Roles(sensitive=("sex",), **roles).check(made)


def test_batches_together_are_the_table() -> None:
    table = frame([("F", 0, 1, 0.5, "a", 2, 0.125)] * 25)
    made, groups = opened(table)
    batches = list(
        stream(made, groups, Roles(**ROLES), {"w": "w", "c": "c"}, rows=10, order="w desc")
    )
    assert [batch.rows for batch in batches] == [10, 10, 7]
    weights = np.concatenate([batch.numbers("w") for batch in batches])
    assert weights.tolist() == sorted(table["w"], reverse=True)
    codes = np.concatenate([batch.codes for batch in batches])
    assert np.bincount(codes[:, 0]).tolist() == [26, 1]
    texts = [text for batch in batches for text in batch.texts("c")]
    assert sorted(texts) == sorted(table["c"])
    assert {int(k) for b in batches for k in b.codes_of("c", ("b", "a"))} == {0, 1}


def test_a_missing_value_has_the_code_behind_the_levels_and_an_unknown_one_none() -> None:
    table = frame([(None, 1, 1, 1.0, None, 1, 0.5)])
    made, groups = opened(table)
    (batch,) = stream(
        made, groups, Roles(**ROLES), {"c": "c", "w": "case when sex is null then null else w end"}
    )
    assert batch.codes[:, 0].tolist() == [0, 1, 2]
    assert batch.codes_of("c", ("a", "b")).tolist() == [0, 1, 2]
    assert np.isnan(batch.numbers("w")).tolist() == [False, False, True]
    with pytest.raises(InputError, match="value 'b' of 'c' was not declared"):
        batch.codes_of("c", ("a",))
    other = declare_groups([open_table(pd.DataFrame({"sex": ["F"]}))], ("sex",))
    with pytest.raises(InputError, match="value 'M' of 'sex' was not declared"):
        list(stream(made, other, Roles(**ROLES), {}))
