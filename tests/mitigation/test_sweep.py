from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.mitigation.curves import Curve, curve
from auditor.mitigation.sweep import best_mixtures, best_points

tables = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=4, max_size=4).filter(
        lambda table: sum(p for _, p in table) > 0
    ),
    min_size=2,
    max_size=3,
)
targets = st.sampled_from([0.0, 0.25, 0.5, 0.8, 0.95, 1.0])


def brute_force(curves: list[Curve], ratio: float) -> float:
    """Try every combination of thresholds."""
    best = -np.inf
    for points in itertools.product(*(range(each.rate.size) for each in curves)):
        rates = [each.rate[i] for each, i in zip(curves, points, strict=True)]
        if max(rates) > 0 and min(rates) / max(rates) >= ratio - 1e-12:
            right = sum(each.right[i] for each, i in zip(curves, points, strict=True))
            best = max(best, right)
    return best


def right(curves: list[Curve], points: np.ndarray) -> float:
    return float(sum(each.right[i] for each, i in zip(curves, points, strict=True)))


@given(tables, st.lists(targets, min_size=1, max_size=4), st.booleans())
def test_the_sweep_finds_what_brute_force_finds(
    rows: list[list[tuple[int, int]]], ratios: list[float], of_positives: bool
) -> None:
    curves = [curve(table, of_positives=of_positives) for table in rows]
    for ratio, points in zip(ratios, best_points(curves, ratios), strict=True):
        rates = [each.rate[i] for each, i in zip(curves, points, strict=True)]
        assert min(rates) >= ratio * max(rates) - 1e-12
        assert max(rates) > 0
        assert right(curves, points) == pytest.approx(brute_force(curves, ratio))


@given(tables)
def test_a_tighter_target_never_raises_the_accuracy(rows: list[list[tuple[int, int]]]) -> None:
    curves = [curve(table) for table in rows]
    found = [
        right(curves, points) for points in best_points(curves, np.linspace(0, 1, 21).tolist())
    ]
    assert (np.diff(found) <= 1e-9).all()


@given(tables, targets.filter(bool), st.booleans())
def test_lotteries_reach_the_target_and_cost_no_more_than_fixed_thresholds(
    rows: list[list[tuple[int, int]]], ratio: float, of_positives: bool
) -> None:
    curves = [curve(table, of_positives=of_positives) for table in rows]
    fixed = right(curves, best_points(curves, [ratio])[0])
    rates, reached = [], 0.0
    for each, lots in zip(curves, best_mixtures(curves, ratio), strict=True):
        assert 0 <= lots.share <= 1
        rates.append(each.rate[lots.low] * (1 - lots.share) + each.rate[lots.high] * lots.share)
        reached += each.right[lots.low] * (1 - lots.share) + each.right[lots.high] * lots.share
    assert min(rates) >= ratio * max(rates) - 1e-9
    assert reached >= fixed - 1e-9


@given(tables, targets.filter(bool))
def test_lotteries_are_the_optimum_of_the_linear_programme(
    rows: list[list[tuple[int, int]]], ratio: float
) -> None:
    """The same problem, solved by scipy over shares of every threshold."""
    from scipy.optimize import linprog

    curves = [curve(table) for table in rows]
    sizes = [each.rate.size for each in curves]
    total, edges = sum(sizes), np.cumsum([0, *sizes])
    same = np.zeros((len(curves), total + 1))
    bounds: list[np.ndarray] = []
    for group, each in enumerate(curves):
        mine = slice(edges[group], edges[group + 1])
        same[group, mine] = 1
        for sign, factor in ((1, 1.0), (-1, ratio)):
            row = np.zeros(total + 1)
            row[mine], row[total] = sign * each.rate, -sign * factor
            bounds.append(row)
    least = min(each.rate[each.rate > 0].min() for each in curves)
    found = linprog(
        -np.concatenate([*(each.right for each in curves), [0]]),
        A_ub=np.stack(bounds), b_ub=np.zeros(len(bounds)),
        A_eq=same, b_eq=np.ones(len(curves)), bounds=[(0, 1)] * total + [(least, 1)],
    )  # fmt: skip
    ours = sum(
        each.right[lots.low] * (1 - lots.share) + each.right[lots.high] * lots.share
        for each, lots in zip(curves, best_mixtures(curves, ratio), strict=True)
    )
    assert ours == pytest.approx(-found.fun, abs=1e-6)


def test_a_group_without_records_or_positives_has_no_curve() -> None:
    with pytest.raises(InputError, match="no records"):
        curve([[0, 0]])
    with pytest.raises(InputError, match="no positives"):
        curve([[3, 0]], of_positives=True)
