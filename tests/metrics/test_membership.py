"""Groups known by probability: by hand, against statsmodels, enumeration, and simulated truth."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, disaggregate, slice_rows, slice_samples
from auditor.metrics.membership import MEMBERSHIP_BOUNDS, MEMBERSHIP_RATES, soft_comparison
from auditor.stats import SliceTable
from auditor.stats.membership import membership_groups, membership_sums

RACE = membership_groups("race", ("A", "B"))
A, B = Slice({"race": "A"}), Slice({"race": "B"})


def sums(p: Any, y: Any, selected: Any, **options: Any) -> SliceTable:
    p = np.asarray(p, float)
    return membership_sums(RACE, np.stack([1 - p, p], axis=1), y, selected, **options)


def simulated(seed: int, rows: int, *, gap: float = 0.0) -> tuple[Any, ...]:
    """Groups drawn from the probabilities; selection depends on these, and on the group by gap."""
    rng = np.random.default_rng(seed)
    p = np.array([0.05, 0.25, 0.5, 0.75, 0.95])[rng.integers(0, 5, rows)]
    group = rng.random(rows) < p
    selected = rng.random(rows) < 0.7 - 0.4 * p - gap * group
    y = rng.random(rows) < 0.3 + 0.3 * selected
    return p, group, y.astype(int), selected.astype(int)


def difference(table: SliceTable, name: str = "selection_rate") -> Estimate:
    rows = slice_rows(table, ("race",)).rows
    found = soft_comparison("difference", name, rows[B], rows[A], confidence=0.95)
    assert isinstance(found, Estimate)
    return found


def test_a_case_worked_by_hand() -> None:
    table = sums([0.25, 0.75, 1.0], [1, 0, 1], [1, 0, 1])
    rates = slice_samples("selection_rate", table, ("race",)).samples
    assert rates[A].value == pytest.approx(0.75 / 1.0)
    assert rates[B].value == pytest.approx(1.25 / 2.0)
    hard = slice_samples("selection_rate[hard]", table, ("race",)).samples
    assert (hard[A].value, hard[B].value) == (1.0, 0.5)
    counts = slice_samples("count", table, ("race",)).samples
    assert [counts[w].value for w in (A, B)] == [1.0, 2.0]


def test_a_soft_rate_is_weighted_least_squares_with_robust_errors() -> None:
    p, _, y, selected = simulated(0, 500)
    table = sums(p, y, selected)
    for name, mask, outcome in (
        ("selection_rate", np.ones(500, bool), selected),
        ("true_positive_rate", y == 1, selected),
        ("precision", selected == 1, y),
    ):
        fit = sm.WLS(outcome[mask], np.ones(mask.sum()), weights=p[mask]).fit(cov_type="HC0")
        sample = slice_samples(name, table, ("race",)).samples[B]
        assert sample.value == pytest.approx(fit.params[0])
        error = np.sqrt(sample.value * (1 - sample.value) / sample.n)  # type: ignore[union-attr]
        assert error == pytest.approx(fit.bse[0])
        assert sample.records == mask.sum()  # type: ignore[union-attr]


@given(st.integers(0, 500), st.integers(1, 3))
def test_any_split_into_batches_gives_the_same_sums(seed: int, parts: int) -> None:
    p, _, y, selected = simulated(seed, 60)
    whole = sums(p, y, selected)
    cut = np.array_split(np.arange(60), parts)
    merged = sums(p[cut[0]], y[cut[0]], selected[cut[0]])
    for rows in cut[1:]:
        merged = merged.merge(sums(p[rows], y[rows], selected[rows]))
    assert np.allclose(merged.values, whole.values)


def test_certain_memberships_are_ordinary_groups() -> None:
    _, group, y, selected = simulated(1, 400)
    table = sums(group.astype(float), y, selected)
    for name in MEMBERSHIP_RATES:
        soft = slice_samples(name, table, ("race",)).samples[B]
        hard = slice_samples(f"{name}[hard]", table, ("race",)).samples[B]
        assert soft.value == pytest.approx(hard.value)
    found = difference(table)
    expected = selected[group].mean() - selected[~group].mean()
    assert found.value == pytest.approx(expected)
    bounds = slice_samples("selection_rate_bounds", table, ("race",)).samples[B]
    assert bounds.low.value == pytest.approx(bounds.high.value)  # type: ignore[union-attr]


def test_everybody_else_is_the_complement() -> None:
    p, _, y, selected = simulated(2, 300)
    rows = slice_rows(sums(p, y, selected), ("race",)).rows
    rest = rows[B].of(rows[B].rest)
    to_rest = soft_comparison("difference", "selection_rate", rows[B], rest, confidence=0.95)
    to_a = soft_comparison("difference", "selection_rate", rows[B], rows[A], confidence=0.95)
    assert isinstance(to_rest, Estimate)
    assert isinstance(to_a, Estimate)
    assert (to_rest.value, to_rest.low, to_rest.high) == pytest.approx(
        (to_a.value, to_a.low, to_a.high)
    )


def test_sharing_records_makes_the_interval_narrower() -> None:
    from auditor.metrics import compare

    p, _, y, selected = simulated(3, 800)
    table = sums(p, y, selected)
    rates = slice_samples("selection_rate", table, ("race",)).samples
    (alone,) = compare("difference", [rates[B]], [rates[A]], confidence=0.95)
    together = difference(table)
    assert isinstance(alone, Estimate)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low < alone.high - alone.low  # type: ignore[operator]


@pytest.mark.parametrize(
    ("p", "selected", "y"),
    [(0.5, (1, 1, 0, 0), (1, 0, 1, 0)), (0.75, (1, 0, 0, 0), (1, 1, 0, 0)),
     (0.25, (1, 1, 1, 0), (1, 1, 1, 1))],
)  # fmt: skip
def test_the_bounds_are_those_of_every_way_to_place_the_group(
    p: float, selected: tuple[int, ...], y: tuple[int, ...]
) -> None:
    """Four records with the same probability: 4p of them are of the group, whoever they are."""
    members = list(itertools.combinations(range(4), int(4 * p)))
    table = sums([p] * 4, y, selected)
    for name, of in (("selection_rate", range(4)), ("true_positive_rate", np.flatnonzero(y))):
        rates = [
            np.mean([selected[i] for i in group if i in of])
            for group in members if any(i in of for i in group)
        ]  # fmt: skip
        sample = slice_samples(f"{name}_bounds", table, ("race",)).samples[B]
        found = sample.low.value, sample.high.value  # type: ignore[union-attr]
        assert found == pytest.approx((min(rates), max(rates)))


@pytest.mark.parametrize("gap", [-0.2, 0.0, 0.2])
def test_the_truth_lies_within_the_bounds(gap: float) -> None:
    p, group, y, selected = simulated(4, 20_000, gap=gap)
    table = sums(p, y, selected)
    bounds = slice_samples("selection_rate_bounds", table, ("race",)).samples
    for where, members in ((B, group), (A, ~group)):
        sample = bounds[where]
        assert sample.low.value <= selected[members].mean() <= sample.high.value  # type: ignore[union-attr]
    found = {n: o for n, *_, o in disaggregate(MEMBERSHIP_BOUNDS, table, families=[("race",)],
                                               reference={"race": "A"})}  # fmt: skip
    of_gap = found["selection_rate_difference_bounds"]
    assert isinstance(of_gap, Estimate)
    true = selected[group].mean() - selected[~group].mean()
    assert of_gap.low < true < of_gap.high  # type: ignore[operator]


@pytest.mark.slow
def test_soft_weights_are_unbiased_and_cover_where_hard_thresholds_overstate() -> None:
    """Selection is independent of the group given the probability (Chen et al. 2019, theorem 1)."""
    soft, hard, truth, hits = [], [], [], 0
    for seed in range(300):
        p, group, y, selected = simulated(seed, 1_000)
        table = sums(p, y, selected)
        found = difference(table)
        soft.append(found.value)
        rates = slice_samples("selection_rate[hard]", table, ("race",)).samples
        hard.append(rates[B].value - rates[A].value)
        truth.append(selected[group].mean() - selected[~group].mean())
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    rate = 0.7 - 0.4 * levels
    exact = (levels @ rate) / levels.sum() - ((1 - levels) @ rate) / (1 - levels).sum()
    assert np.mean(soft) == pytest.approx(exact, abs=0.004)
    assert np.mean(truth) == pytest.approx(exact, abs=0.006)
    assert abs(np.mean(hard)) > abs(exact) + 0.03
    for seed in range(300):
        p, _, y, selected = simulated(seed, 1_000)
        found = difference(sums(p, y, selected))
        hits += found.low <= exact <= found.high  # type: ignore[operator]
    assert 0.92 <= hits / 300 <= 0.99


def test_nobody_and_no_predictions_have_reasons() -> None:
    table = sums([0.0, 0.0], [1, 0], [1, 0])
    assert slice_samples("selection_rate", table, ("race",)).samples[B] == Absent("no records")
    bare = sums([0.5, 0.5], [1, 0], None)
    assert slice_samples("selection_rate", bare, ("race",)).samples[B] == Absent("no predictions")
    rows = slice_rows(table, ("race",)).rows
    assert soft_comparison(
        "difference", "selection_rate", rows[B], rows[A], confidence=0.95
    ) == Absent("this slice: no records")
