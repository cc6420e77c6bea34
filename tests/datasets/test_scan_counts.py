from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.datasets import Roles, declare_groups, open_table, scan_confusion, scan_counts
from auditor.errors import InputError
from auditor.stats import CELLS, SliceTable, read_statistic

SELECTED = CELLS.index("unlabelled_predicted_positive")
REJECTED = CELLS.index("unlabelled_predicted_negative")
ROLES = Roles(sensitive=("sex", "race"), task="counts", total="n", selected="k")

Row = tuple[str | None, str | None, float | None, float | None]


def scan(rows: list[Row], source: Any = None, *, intersections: int = 2) -> SliceTable:
    frame = pd.DataFrame(rows, columns=["sex", "race", "n", "k"])
    table = open_table(frame if source is None else source)
    ROLES.check(table)
    groups = declare_groups([table], ROLES.sensitive, intersections=intersections)
    return scan_counts(table, groups, ROLES)


def numbers(counts: SliceTable, *family: str) -> dict[Any, tuple[float, float]]:
    """Selected and total of the slices of a family that hold anybody."""
    return {
        tuple(counts.groups.slice_of(family, i)[name] for name in family): (
            row[SELECTED], row[SELECTED] + row[REJECTED],
        )
        for i, row in enumerate(counts.family(family).tolist())
        if any(row)
    }  # fmt: skip


STACKED: list[Row] = [
    ("F", None, 10, 4),
    ("M", None, 11, 6),
    (None, "A", 12, 5),
    (None, "B", 12, 6),
    ("F", "A", 5, 2),
    ("M", "A", 6, 3),
    ("F", "B", 4, 2),
    ("M", "B", 5, 3),
]


def test_families_are_taken_as_published() -> None:
    counts = scan(STACKED)
    assert numbers(counts, "sex") == {("F",): (4, 10), ("M",): (6, 11)}
    assert numbers(counts, "race") == {("A",): (5, 12), ("B",): (6, 12)}
    assert numbers(counts, "sex", "race")["F", "B"] == (2, 4)
    assert counts.values.dtype == np.int64
    assert counts.context["published"] == [["sex"], ["race"], ["sex", "race"]]


def test_everybody_is_the_family_that_counts_most_persons() -> None:
    assert numbers(scan(STACKED)) == {(): (11, 24)}


def test_a_row_of_everybody_is_taken_as_published() -> None:
    assert numbers(scan([*STACKED, (None, None, 30, 12)])) == {(): (12, 30)}


def test_marginals_of_intersections_alone_are_their_sums() -> None:
    counts = scan(STACKED[4:])
    assert numbers(counts, "sex") == {("F",): (4, 9), ("M",): (6, 11)}
    assert numbers(counts, "race") == {("A",): (5, 11), ("B",): (5, 9)}
    assert numbers(counts) == {(): (10, 20)}


def test_an_intersection_that_was_not_published_is_no_family_of_nobody() -> None:
    assert scan(STACKED[:4]).groups.families == ((), ("sex",), ("race",))


def test_intersections_that_are_not_asked_for_still_give_their_sums() -> None:
    counts = scan(STACKED[4:], intersections=1)
    assert counts.groups.families == ((), ("sex",), ("race",))
    assert numbers(counts, "race") == {("A",): (5, 11), ("B",): (5, 9)}


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_text_is_a_missing_value(blank: str) -> None:
    rows = [(s or blank, r or blank, n, k) for s, r, n, k in STACKED]
    assert scan(rows) == scan(STACKED)


def test_a_file_gives_the_counts_of_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    pd.DataFrame(STACKED, columns=["sex", "race", "n", "k"]).to_csv(path, index=False)
    assert scan([], path) == scan(STACKED)


def test_rows_of_the_same_group_add_up() -> None:
    counts = scan([("F", "A", 5, 2), ("F", "A", 3, 1), ("M", "A", 4, 4)])
    assert numbers(counts, "sex") == {("F",): (3, 8), ("M",): (4, 4)}


def test_a_level_named_unknown_is_a_level() -> None:
    counts = scan([("F", "A", 5, 2), ("Unknown", "A", 3, 1)])
    assert numbers(counts, "sex") == {("F",): (2, 5), ("Unknown",): (1, 3)}


def test_fractions_of_persons_are_kept() -> None:
    counts = scan([("F", "A", 573_856, 271_433.888), ("M", "A", 478_161, 222_823.026)])
    assert counts.values.dtype == np.float64
    women = numbers(counts, "sex")["F",]
    assert women == (pytest.approx(271_433.888, abs=1e-6), 573_856)
    assert numbers(counts)[()][1] == 573_856 + 478_161
    assert read_statistic(counts.to_json(), where="here") == counts


@given(st.permutations(range(6)))
def test_fractions_add_up_alike_in_any_order(order: list[int]) -> None:
    rows: list[Row] = [("F", "A", 10 + i / 3, i / 7) for i in range(6)]
    assert scan([rows[i] for i in order]) == scan(rows)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (("F", "A", None, 1), "1 of 3 values are missing.*column 'n'"),
        (("F", "A", 3, None), "1 of 3 values are missing.*column 'k'"),
        (("F", "A", -1, 0), "1 of 3 values are negative.*column 'n'"),
        (("F", "A", 3, -1), "1 of 3 values are negative.*column 'k'"),
        (("F", "A", 3, 4), "1 of 3 values are more than the total in 'n'.*column 'k'"),
        (("F", "A", float("inf"), 4), "infinite.*column 'n'"),
    ],
)
def test_numbers_that_count_nobody_are_refused(row: Row, what: str) -> None:
    with pytest.raises(InputError) as raised:
        scan([("F", "A", 5, 2), ("M", "A", 5, 2), row])
    assert re.search(what, f"{raised.value.what} {raised.value.where}")


def test_text_in_the_place_of_a_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("sex,race,n,k\nF,A,5,2\nM,A,5,few\n")
    with pytest.raises(InputError, match="few"):
        scan([], path)


@settings(max_examples=20)
@given(st.lists(st.tuples(*map(st.sampled_from, ["FM", "AB", (0, 1)])), min_size=1, max_size=40))
def test_counts_of_records_say_what_the_records_say(records: list[tuple[str, str, int]]) -> None:
    frame = pd.DataFrame(records, columns=["sex", "race", "p"])
    crossed = frame.groupby(["sex", "race"]).p.agg(["size", "sum"]).reset_index()
    rows: list[Row] = [tuple(row) for row in crossed.itertuples(index=False)]  # type: ignore[misc]
    counts = scan(rows)
    roles = Roles(sensitive=("sex", "race"), prediction="p")
    direct = scan_confusion(open_table(frame), counts.groups, roles)
    assert np.array_equal(counts.values, direct.values)
