from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.evidence import Slice
from auditor.metrics import Absent, disaggregate, estimate, pair_sample
from auditor.stats import PREDICTIONS, Attribute, Groups, ScoreCounts, ScoreGrid, value_counts

GROUPS = Groups.declare([Attribute(name="g", levels=("a", "b"))])
ONE, OTHER = Slice({"g": "a"}), Slice({"g": "b"})


def counted(x: Any, y: Any, grid: ScoreGrid | None = None) -> ScoreCounts:
    codes = np.repeat([0, 1], [len(x), len(y)]).astype(np.int32)[:, None]
    values = np.concatenate([x, y]).astype(np.float64)
    return value_counts(GROUPS, codes, values, kind=PREDICTIONS, grid=grid)


def measure(name: str, table: ScoreCounts, reference: Slice | str = OTHER) -> Any:
    return estimate(pair_sample(name, table, ("g",), ONE, reference), confidence=0.95)


def test_three_against_two_worked_by_hand() -> None:
    table = counted([1.0, 2.0, 4.0], [2.0, 6.0])
    # F is 1/3, 2/3, 2/3, 1, 1 and G 0, 0, 1/2, 1/2, … at 1, 2, 4, 6
    ks, moved = measure("ks_distance", table), measure("wasserstein_distance", table)
    assert ks.value == pytest.approx(1 / 2)  # at 4: 1 − 1/2
    assert moved.value == pytest.approx(1 / 3 * 1 + 1 / 6 * 2 + 1 / 2 * 2)
    assert (ks.n, ks.method, ks.bound) == (5, "gaussian-bridge", None)
    assert measure("ks_distance", table, "rest") == ks


numbers = st.floats(-100, 100).map(lambda x: round(x, 1))
samples = st.lists(numbers, min_size=2, max_size=40)


@given(samples, samples)
def test_distances_are_those_of_scipy(x: Any, y: Any) -> None:
    table = counted(x, y)
    ks = measure("ks_distance", table)
    assert ks.value == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-9)
    assert 0 <= ks.low <= ks.value <= ks.high <= 1
    moved = measure("wasserstein_distance", table)
    if isinstance(moved, Absent):
        assert len({*x, *y}) == 1
    else:
        assert moved.value == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-9)
        assert 0 <= moved.low <= moved.value <= moved.high


@given(samples, samples, st.integers(1, 60))
def test_the_exact_distance_lies_within_the_bound_of_binning(x: Any, y: Any, bins: int) -> None:
    table = counted(x, y, ScoreGrid(low=-100.0, high=100.0, bins=bins))
    for name, exact in (
        ("ks_distance", stats.ks_2samp(x, y, method="asymp").statistic),
        ("wasserstein_distance", stats.wasserstein_distance(x, y)),
    ):
        found = measure(name, table)
        assert abs(found.value - exact) <= (found.bound or 0) + 1e-9
        assert found.low - 1e-9 <= exact <= found.high + 1e-9
        if name == "ks_distance":
            assert found.value <= exact + 1e-9


def test_predictions_that_are_all_equal_do_not_prove_equality() -> None:
    grid = ScoreGrid(values=[0.0, 1.0, 5.0])
    same = counted([1.0] * 5, [1.0] * 5, grid)
    ks, moved = measure("ks_distance", same), measure("wasserstein_distance", same)
    assert (ks.value, ks.low, moved.value, moved.low) == (0, 0, 0, 0)
    assert ks.high > 0.3
    assert moved.high == pytest.approx(5 * ks.high)
    apart = measure("ks_distance", counted([0.0] * 5, [1.0] * 5, grid))
    assert apart.value == apart.high == 1
    assert apart.low < 0.7
    many = measure("ks_distance", counted([1.0] * 5_000, [1.0] * 5_000, grid))
    assert many.high < 1e-3


def test_one_value_in_all_records_has_no_unit_of_distance() -> None:
    found = measure("wasserstein_distance", counted([2.0] * 9, [2.0] * 9))
    assert found == Absent("all predictions are equal, so there is no unit of distance")


@pytest.mark.parametrize("name", ["ks_distance", "wasserstein_distance"])
def test_too_few_records_are_a_reason(name: str) -> None:
    nan = float("nan")
    assert measure(name, counted([1.0, 2.0], [3.0])) == Absent(
        "the reference: one record has no distribution"
    )
    assert measure(name, counted([nan, nan], [1.0, 3.0])) == Absent(
        "this slice: no records with a prediction"
    )
    codes = np.zeros((4, 1), np.int32)
    alone = value_counts(GROUPS, codes, [1.0, 2.0, 3.0, 3.0], kind=PREDICTIONS)
    outcomes = {m[4] for m in disaggregate([name], alone) if m[1] == ONE}
    assert outcomes == {Absent("only one group holds records")}


@pytest.mark.slow
def test_intervals_cover_also_where_the_true_distance_is_zero(
    figures: Callable[[str, Mapping[str, object]], None],
) -> None:
    n, rounds = 150, 400
    shift = 0.5
    cases: dict[str, tuple[Any, Any, float, float]] = {
        "normal, equal": (lambda r: r.normal(size=n), lambda r: r.normal(size=n), 0.0, 0.0),
        "four values, equal": (
            lambda r: r.integers(0, 4, n), lambda r: r.integers(0, 4, n), 0.0, 0.0
        ),
        "normal, shifted": (
            lambda r: r.normal(size=n), lambda r: r.normal(size=n) + shift,
            2 * float(stats.norm.cdf(shift / 2)) - 1, shift,
        ),
    }  # fmt: skip
    for case, (draw, other, ks, moved) in cases.items():
        rng = np.random.default_rng(20260101)
        hits = {"ks_distance": 0, "wasserstein_distance": 0}
        for _ in range(rounds):
            table = counted(draw(rng), other(rng))
            for name, true in (("ks_distance", ks), ("wasserstein_distance", moved)):
                found = measure(name, table)
                hits[name] += found.low <= true <= found.high
        figures(
            f"coverage of distances, {case}",
            {"n": n, "confidence": 0.95, **{k: v / rounds for k, v in hits.items()}},
        )
        assert min(hits.values()) / rounds >= 0.92, (case, hits)
