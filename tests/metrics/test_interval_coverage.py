"""How often intervals of rates, differences and ratios hold the truth, at four sizes of a group.

One rate: exactly, by the binomial distribution. Two rates: exactly with small groups, all tables
enumerated; from 1,000 records on with tables that are drawn with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from auditor.metrics.intervals import clopper_pearson, jeffreys, newcombe, wilson
from auditor.metrics.score_difference import miettinen_nurminen_difference
from auditor.metrics.score_ratio import miettinen_nurminen_ratio

pytestmark = pytest.mark.slow

SIZES = (30, 100, 1_000, 10_000)
RATES = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5])

Bounds = Callable[..., Any]


def coverage_of_a_rate(bounds: Bounds, n: int, confidence: float) -> NDArray[np.float64]:
    """Return the probability that the interval holds the rate, for 97 rates from 0.02 to 0.5."""
    x = np.arange(n + 1)
    low, high = bounds(x, n, confidence=confidence)
    return np.array(
        [
            stats.binom.pmf(x[(low <= rate) & (rate <= high)], n, rate).sum()
            for rate in np.linspace(0.02, 0.5, 97)
        ]
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("bounds", [wilson, jeffreys])
def test_an_interval_of_a_rate_covers_as_often_as_it_says_on_average(
    bounds: Bounds, n: int, figures: Any
) -> None:
    found = coverage_of_a_rate(bounds, n, 0.95)
    figures(f"coverage of {bounds.__name__}, n = {n}", {"mean": found.mean(), "least": found.min()})
    assert found.mean() == pytest.approx(0.95, abs=0.015)
    assert found.min() > 0.83


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_and_pearson_never_cover_less_than_they_say(
    n: int, confidence: float, figures: Any
) -> None:
    found = coverage_of_a_rate(clopper_pearson, n, confidence)
    figures(
        f"coverage of clopper_pearson at {confidence}, n = {n}",
        {"mean": found.mean(), "least": found.min()},
    )
    assert found.min() >= confidence - 1e-9


def tables(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return x₁, x₂ and weights, shape ``[pairs of rates, tables]``: all tables, or drawn ones."""
    if n <= 100:
        x1, x2 = (grid.ravel()[None] for grid in np.indices((n + 1, n + 1)))
        mass = stats.binom.pmf(np.arange(n + 1), n, RATES[:, None])
        weights = np.einsum("ix,jy->ijxy", mass, mass).reshape(RATES.size**2, -1)
        return x1, x2, weights
    rng, draws = np.random.default_rng(n), 600
    p1, p2 = (grid.ravel()[:, None] for grid in np.meshgrid(RATES, RATES, indexing="ij"))
    shape = (RATES.size**2, draws)
    return rng.binomial(n, p1, shape), rng.binomial(n, p2, shape), np.full(shape, 1 / draws)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "bounds", [newcombe, miettinen_nurminen_difference, miettinen_nurminen_ratio]
)
def test_an_interval_of_two_rates_covers_as_often_as_it_says_on_average(
    bounds: Bounds, n: int, figures: Any
) -> None:
    x1, x2, weights = tables(n)
    p1, p2 = (grid.ravel()[:, None] for grid in np.meshgrid(RATES, RATES, indexing="ij"))
    truth = p1 / p2 if bounds is miettinen_nurminen_ratio else p1 - p2
    low, high = bounds(x1, n, x2, n, confidence=0.95)
    found = (weights * ((low <= truth + 1e-12) & (truth - 1e-12 <= high))).sum(axis=1)
    figures(f"coverage of {bounds.__name__}, n = {n}", {"mean": found.mean(), "least": found.min()})
    assert found.mean() == pytest.approx(0.95, abs=0.015)
    assert found.min() > 0.9
