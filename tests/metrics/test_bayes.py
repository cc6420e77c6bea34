from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from auditor.errors import InputError
from auditor.metrics import wilson
from auditor.metrics.bayes import dirichlet_multinomial

proportions = st.integers(0, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
families = st.lists(proportions, min_size=1, max_size=8)


def split(family: list[tuple[int, int]]) -> tuple[Any, Any]:
    x, n = zip(*family, strict=True)
    return np.array(x, float), np.array(n, float)


def test_a_single_group_has_jeffreys_interval() -> None:
    found = dirichlet_multinomial([3], [10], confidence=0.95)
    expected = stats.beta(3.5, 7.5).ppf([0.025, 0.975])
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(expected))
    assert found.concentration.tolist() == [1.0]


def test_the_concentration_is_the_likeliest_one() -> None:
    x, n = np.array([2, 9, 14, 30, 3]), np.array([10, 20, 60, 60, 12])
    found = dirichlet_multinomial(x, n, confidence=0.95)
    rate = (x.sum() + 0.5) / (n.sum() + 1)

    def loss(log: float) -> float:
        k = np.exp(log)
        mass = stats.betabinom.logpmf(x, n, k * rate, k * (1 - rate))
        return 2 * np.log1p(k) - float(mass.sum())

    best = optimize.minimize_scalar(loss, bounds=(0, np.log(n.sum())), method="bounded")
    assert found.concentration[0] == pytest.approx(np.exp(best.x), rel=0.01)


def test_the_interval_is_that_of_the_beta_posterior() -> None:
    x, n = np.array([2, 9, 14]), np.array([10, 20, 60])
    found = dirichlet_multinomial(x, n, confidence=0.9)
    k, rate = found.concentration, (x.sum() - x + 0.5) / (n.sum() - n + 1)
    assert found.rate == pytest.approx(rate)
    posterior = stats.beta(k * rate + x, k * (1 - rate) + n - x)
    assert np.allclose([found.low, found.high], [posterior.ppf(0.05), posterior.ppf(0.95)])
    assert np.allclose(found.mean, posterior.mean())


@given(families, st.sampled_from([0.8, 0.95]))
def test_the_mean_lies_between_the_rate_and_that_of_the_others_and_in_the_interval(
    family: list[tuple[int, int]], confidence: float
) -> None:
    x, n = split(family)
    found = dirichlet_multinomial(x, n, confidence=confidence)
    assert (found.low >= 0).all()
    assert (found.high <= 1).all()
    assert (found.low <= found.high).all()
    seen = n > 0
    rate = x[seen] / n[seen]
    between = np.sort([rate, found.rate[seen]], axis=0)
    assert (between[0] <= found.mean[seen] + 1e-12).all()
    assert (found.mean[seen] <= between[1] + 1e-12).all()
    assert ((found.low[~seen] == 0) & (found.high[~seen] == 1)).all()
    others = np.maximum(n.sum() - n, 1)
    assert ((found.concentration >= 1) & (found.concentration <= others)).all()


def test_groups_that_do_not_vary_borrow_much_and_no_more_than_there_is() -> None:
    x, n = np.full(40, 30), np.full(40, 100)
    found = dirichlet_multinomial(x, n, confidence=0.95)
    assert ((found.concentration > 500) & (found.concentration <= 3_900)).all()
    low, high = wilson(x, n, confidence=0.95)
    assert (found.high - found.low < (high - low) / 3).all()


def test_groups_that_differ_borrow_little() -> None:
    x, n = np.array([5, 95, 50, 20, 80]), np.full(5, 100)
    found = dirichlet_multinomial(x, n, confidence=0.95)
    assert (found.concentration < 5).all()
    assert np.allclose(found.mean, x / n, atol=0.03)


def test_groups_without_any_success_keep_an_interval() -> None:
    found = dirichlet_multinomial([0, 0, 0], [3, 40, 9], confidence=0.95)
    assert (found.high > 0).all()
    assert (found.high < 0.5).all()
    nobody = dirichlet_multinomial([0, 0], [0, 0], confidence=0.95)
    assert (nobody.low.tolist(), nobody.high.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_counts_that_are_none_are_refused() -> None:
    for x, n in (([3], [2]), ([-1], [2]), ([1, 2], [3]), ([float("nan")], [2])):
        with pytest.raises(InputError, match="0 ≤ x ≤ n"):
            dirichlet_multinomial(x, n, confidence=0.95)
    with pytest.raises(InputError, match="between 0 and 1"):
        dirichlet_multinomial([1], [2], confidence=0.0)
