from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import (
    MOST_DISTINCT,
    Attribute,
    Groups,
    ScoreCounts,
    ScoreGrid,
    read_statistic,
    score_counts,
)

GROUPS = Groups.declare(
    [Attribute(name="sex", levels=("F", "M")), Attribute(name="race", levels=("A", "B"))]
)
EXACT = ScoreGrid(values=(-1.5, 0.0, 0.25, 7.0))
BINNED = ScoreGrid(low=-2.0, high=8.0, bins=16)

Row = tuple[str | None, str | None, int | None, float | None]

rows = st.lists(
    st.tuples(
        st.sampled_from(["F", "M", None]),
        st.sampled_from(["A", "B", None]),
        st.sampled_from([0, 1, None]),
        st.sampled_from([-1.5, 0.0, 0.25, 7.0, None]),
    ),
    max_size=40,
)
grids = st.sampled_from([EXACT, BINNED])


def count(batch: list[Row], grid: ScoreGrid | None = None) -> ScoreCounts:
    columns = list(zip(*batch, strict=True)) or [(), (), (), ()]
    codes = GROUPS.encode({"sex": columns[0], "race": columns[1]})
    return score_counts(GROUPS, codes, columns[2], columns[3], grid=grid)


def test_the_counts_by_hand() -> None:
    table = count(
        [("F", "A", 1, 0.25), ("F", "B", 0, 0.25), ("M", "A", 1, None), (None, "A", 1, 7)]
    )
    assert table.grid == ScoreGrid(values=(0.25, 7.0))
    everybody, women = GROUPS.offset(()), GROUPS.offset(("sex",))
    assert table.by_label(everybody).tolist() == [[1, 1], [0, 1]]
    assert table.by_label(women).tolist() == [[1, 1], [0, 0]]
    assert table.by_label(women + 1).tolist() == [[0, 0], [0, 0]]
    assert table.unscored[[everybody, women, women + 1]].tolist() == [1, 0, 1]


@given(rows, grids)
def test_the_counts_are_those_of_a_naive_loop(batch: list[Row], grid: ScoreGrid) -> None:
    table = count(batch, grid)
    for family in GROUPS.families:
        for number in range(GROUPS.size(family)):
            where = GROUPS.slice_of(family, number)
            inside = [
                (y, s) for sex, race, y, s in batch
                if all({"sex": sex, "race": race}[k] == v for k, v in where.items())
            ]  # fmt: skip
            expected = np.zeros((grid.size, 2), int)
            for y, s in inside:
                if y is not None and s is not None:
                    expected[grid.position(np.array([s]))[0], y] += 1
            flat = GROUPS.offset(family) + number
            assert table.by_label(flat).tolist() == expected.tolist()
            assert table.unscored[flat] == len(inside) - expected.sum()


@given(rows, grids, st.lists(st.integers(0, 40), max_size=4), st.randoms())
def test_any_split_into_batches_gives_the_same_counts(
    batch: list[Row], grid: ScoreGrid, cuts: list[int], random: Any
) -> None:
    edges = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    parts = [count(batch[a:b], grid) for a, b in itertools.pairwise(edges)]
    random.shuffle(parts)
    merged = ScoreCounts.zero(GROUPS, grid)
    for part in parts:
        merged = merged.merge(part)
    assert merged == count(batch, grid)


@given(rows, rows, rows, grids)
def test_merging_is_associative_and_commutative_with_zero(
    a: list[Row], b: list[Row], c: list[Row], grid: ScoreGrid
) -> None:
    x, y, z = (count(batch, grid) for batch in (a, b, c))
    assert x.merge(y) == y.merge(x)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(ScoreCounts.zero(GROUPS, grid)) == x


@given(rows, grids)
def test_marginals_reconcile_with_intersections(batch: list[Row], grid: ScoreGrid) -> None:
    table = count(batch, grid)
    dense = np.array([table.by_label(flat) for flat in range(GROUPS.total)])
    joint = dense[GROUPS.offset(("sex", "race")) :].reshape(3, 3, grid.size, 2)
    sex = dense[GROUPS.offset(("sex",)) : GROUPS.offset(("race",))]
    race = dense[GROUPS.offset(("race",)) : GROUPS.offset(("sex", "race"))]
    assert np.array_equal(joint.sum(axis=1), sex)
    assert np.array_equal(joint.sum(axis=0), race)
    assert np.array_equal(sex.sum(axis=0), dense[0])
    assert dense[0].sum() + table.unscored[0] == len(batch)


@given(rows, grids)
def test_score_counts_come_back_from_their_canonical_json(
    batch: list[Row], grid: ScoreGrid
) -> None:
    written = count(batch, grid)
    assert read_statistic(json.loads(canonical_json(written.to_json())), where="e") == written


def test_a_batch_that_lacks_a_group_or_a_score_shifts_no_other() -> None:
    merged = count([("F", "A", 1, 7.0)], EXACT).merge(count([("M", "B", 0, 0.0)], EXACT))
    men = GROUPS.offset(("sex",)) + 1
    assert merged.by_label(men).tolist() == [[0, 0], [1, 0], [0, 0], [0, 0]]


def test_up_to_1024_distinct_scores_are_counted_exactly() -> None:
    at_most, beyond = (ScoreGrid.covering(np.arange(float(n))) for n in (1024, 1025))
    assert (at_most.exact, at_most.size) == (True, MOST_DISTINCT)
    assert (beyond.exact, beyond.low, beyond.high, beyond.size) == (False, 0.0, 1024.0, 1024)


def test_probabilities_are_binned_over_the_unit_interval_and_other_scores_over_their_range() -> (
    None
):
    assert ScoreGrid.spanning(0.2, 0.9) == ScoreGrid(low=0.0, high=1.0)
    assert ScoreGrid.spanning(-0.2, 0.9) == ScoreGrid(low=-0.2, high=0.9)


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20, unique=True),
    st.integers(1, 64),
)
def test_positions_rise_with_the_score_and_stay_on_the_grid(scores: list[float], bins: int) -> None:
    ordered = np.sort(scores)
    grid = ScoreGrid(low=ordered[0], high=ordered[-1], bins=bins)
    places = grid.position(ordered)
    assert (np.diff(places) >= 0).all()
    assert places[0] == 0
    assert places[-1] == bins - 1


def test_other_histograms_are_score_counts_of_another_kind() -> None:
    counts = count([("F", "A", 1, 0.25), ("M", "B", 0, 7.0)], EXACT)
    other = replace(counts, kind="residual-counts")
    assert other != counts
    assert read_statistic(other.to_json(), where="e") == other
    assert ScoreCounts.zero(GROUPS, EXACT, kind="residual-counts").merge(other) == other
    with pytest.raises(InputError, match="cannot be merged"):
        counts.merge(other)


def test_a_grid_of_very_many_values_counts_every_score() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(40_000)
    groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    codes = rng.integers(0, 2, (scores.size, 1)).astype(np.int32)
    labels = rng.integers(0, 2, scores.size)
    grid = ScoreGrid(values=np.sort(scores))
    assert grid == ScoreGrid(values=tuple(sorted(scores.tolist())))
    assert len({grid, ScoreGrid(values=np.sort(scores)), ScoreGrid()}) == 2
    assert np.array_equal(np.sort(scores)[grid.position(scores)], scores)
    counts = score_counts(groups, codes, labels, scores, grid=grid)
    expected = np.bincount(labels[np.argsort(scores)] + 2 * np.arange(scores.size))
    assert np.array_equal(counts.by_label(0).ravel()[: expected.size], expected)
    assert grid.to_json()["values"] == sorted(scores.tolist())


def test_negative_zero_is_zero() -> None:
    table = count([("F", "A", 1, -0.0), ("F", "A", 0, 0.0)])
    assert table.by_label(0).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("grid", "scores", "what"),
    [
        (EXACT, [0.0, 0.1], "not among the declared distinct values"),
        (BINNED, [0.0, 8.1], r"outside \[-2, 8\]"),
        (ScoreGrid(), [-0.1, 0.5], r"outside \[0, 1\]"),
        (None, [0.1, math.inf], "a score is infinite; finite numbers, or missing"),
        (None, [0.1, -math.inf], "a score is infinite"),
        (None, ["high", "low"], "scores holds values that are not numbers; numbers, or missing"),
        (None, [0.1], r"scores has shape \(1,\); shape \(2,\)"),
        (None, [[0.1], [0.2]], r"scores has shape \(2, 1\)"),
    ],
)
def test_a_score_that_cannot_be_counted_is_refused(
    grid: ScoreGrid | None, scores: Any, what: str
) -> None:
    codes = GROUPS.encode({"sex": "FM", "race": "AB"})
    with pytest.raises(InputError, match=what):
        score_counts(GROUPS, codes, [0, 1], scores, grid=grid)


def test_scores_too_far_apart_for_a_double_are_refused() -> None:
    scores = np.linspace(-1.0, 1.0, 2_000) * 1.7e308
    with pytest.raises(InputError, match="the scores span"):
        ScoreGrid.covering(scores)


@pytest.mark.parametrize(
    "scores",
    [
        [0.5, None, 0.25],
        np.array([0.5, np.nan, 0.25], np.float32),
        pd.Series([0.5, None, 0.25], dtype="Float64"),
        pd.Series([0.5, None, 0.25], dtype=object),
        torch.tensor([0.5, math.nan, 0.25], dtype=torch.bfloat16),
        torch.tensor([0.5, math.nan, 0.25], requires_grad=True),
    ],
    ids=lambda v: type(v).__name__,
)
def test_scores_count_the_same_whatever_holds_them(scores: Any) -> None:
    codes = GROUPS.encode({"sex": "FMF", "race": "ABA"})
    table = score_counts(GROUPS, codes, [1, 1, 0], scores)
    assert table == score_counts(GROUPS, codes, [1, 1, 0], np.array([0.5, np.nan, 0.25]))
    assert table.unscored[0] == 1


def test_without_a_single_score_the_grid_is_empty_and_everybody_is_unscored() -> None:
    table = count([("F", "A", 1, None), ("M", "B", 0, None)])
    assert table.grid.size == 0
    assert table.by_label(0).shape == (0, 2)
    assert table.unscored[0] == 2
    assert read_statistic(table.to_json(), where="e") == table


def test_counts_over_other_grids_or_groups_are_not_merged() -> None:
    with pytest.raises(InputError, match="different groups or grids"):
        ScoreCounts.zero(GROUPS, EXACT).merge(ScoreCounts.zero(GROUPS, BINNED))
    with pytest.raises(InputError, match="different groups or grids"):
        ScoreCounts.zero(GROUPS, EXACT).merge(ScoreCounts.zero(Groups.declare([]), EXACT))


GOOD: dict[str, Any] = count([("F", "A", 1, 0.25), ("M", "B", 0, None)], EXACT).to_json()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rows": [[0, 1], [1]]}, "not as many counts as keys"),
        ({"rows": [[0, 0], [1, 1]]}, "keys do not fit"),
        ({"rows": [[2, 1], [1, 1]]}, "keys do not fit"),
        ({"rows": [[10**6], [1]]}, "keys do not fit"),
        ({"rows": [[-1], [1]]}, "not a whole number"),
        ({"rows": [[0], [-1]]}, "not a whole number"),
        ({"rows": [[0], [1.5]]}, "not a whole number"),
        ({"unscored": [[-1, 1]]}, "not a whole number"),
        ({"unscored": [[10**6, 1]]}, "slice 1000000 is not one of"),
        ({"unscored": [[0]]}, "cannot be read"),
        ({"grid": {"values": [1.0, 1.0]}}, "do not ascend"),
        ({"grid": {"low": 1.0, "high": 0.0, "bins": 4}}, "do not ascend"),
        ({"grid": {"low": 0.0, "high": math.inf, "bins": 4}}, "do not ascend"),
        ({"grid": {"low": 0.0, "high": 1.0, "bins": 0}}, "do not ascend"),
        ({"grid": {}}, "cannot be read"),
    ],
)
def test_stored_score_counts_that_cannot_be_right_are_refused(
    change: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        read_statistic(GOOD | change, where="evidence")
