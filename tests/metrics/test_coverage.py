"""What an interval promises, held against many drawn tables: coverage at the stated confidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from auditor.metrics import (
    Mean,
    Proportion,
    estimate,
    extreme,
    miettinen_nurminen_ratio,
    newcombe,
    wilson,
)
from auditor.metrics.auc import auc_sample

pytestmark = pytest.mark.slow

RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SIZES = (30, 100, 300, 1_000)
DRAWS = 2_000


def covered(low: Any, high: Any, truth: float) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_covers_a_rate_as_often_as_it_says(confidence: float) -> None:
    """Exactly, by the binomial distribution; a single rate may miss by more than the average."""
    found: list[float] = []
    for n in SIZES:
        x = np.arange(n + 1)
        low, high = wilson(x, n, confidence=confidence)
        for rate in np.linspace(0.02, 0.5, 97):
            inside = (low <= rate) & (rate <= high)
            found.append(float(stats.binom.pmf(x, n, rate)[inside].sum()))
    assert np.mean(found) == pytest.approx(confidence, abs=0.015)
    assert min(found) > confidence - 0.12


@pytest.mark.parametrize("bounds", [newcombe, miettinen_nurminen_ratio])
def test_comparisons_of_two_rates_cover_as_often_as_they_say(bounds: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    found: list[float] = []
    for n1 in SIZES:
        for n2 in SIZES:
            for p1 in RATES:
                for p2 in RATES[1::2]:
                    x1, x2 = rng.binomial(n1, p1, 500), rng.binomial(n2, p2, 500)
                    low, high = bounds(x1, n1, x2, n2, confidence=0.95)
                    found.append(covered(low, high, p1 - p2 if bounds is newcombe else p1 / p2))
    assert np.mean(found) == pytest.approx(0.95, abs=0.015)
    assert min(found) > 0.88


def gaps(rates: np.ndarray, sizes: np.ndarray, operation: Any, draws: int, seed: int) -> np.ndarray:
    """Return the intervals of the extreme over many tables, shape ``[draws, 2]``."""
    rng = np.random.default_rng(seed)
    out = np.empty((draws, 2))
    for draw in range(draws):
        x = rng.binomial(sizes, rates)
        samples = [Proportion(float(a), float(n)) for a, n in zip(x, sizes, strict=True)]
        found = extreme(operation, [samples], confidence=0.95)
        out[draw] = (found.low, found.high)  # type: ignore[union-attr]
    return out


@pytest.mark.parametrize("groups", [2, 4, 8, 16])
def test_the_largest_of_no_gaps_is_found_to_be_0(groups: int) -> None:
    """fairlearn's percentiles of max − min cover a true gap of 0 in none of 300 tables."""
    draws = 400
    sizes = np.resize([50, 200, 500, 1_000], groups)
    found = gaps(np.full(groups, 0.3), sizes, "difference", draws, seed=groups)
    margin = 2 * np.sqrt(0.95 * 0.05 / draws)
    assert covered(found[:, 0], found[:, 1], 0.0) >= 0.95 - margin
    ratio = gaps(np.full(groups, 0.3), sizes, "ratio", draws // 4, seed=groups)
    assert covered(ratio[:, 0], ratio[:, 1], 1.0) >= 0.95 - 2 * margin


@pytest.mark.parametrize(
    "rates", [(0.1, 0.3), (0.2, 0.25, 0.3, 0.45), (0.05, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.35)]
)
def test_a_true_largest_gap_is_covered(rates: tuple[float, ...]) -> None:
    draws = 400
    sizes = np.resize([80, 300, 1_000], len(rates))
    margin = 2 * np.sqrt(0.95 * 0.05 / draws)
    found = gaps(np.array(rates), sizes, "difference", draws, seed=1)
    assert covered(found[:, 0], found[:, 1], max(rates) - min(rates)) >= 0.95 - margin
    ratio = gaps(np.array(rates), sizes, "ratio", draws // 4, seed=2)
    assert covered(ratio[:, 0], ratio[:, 1], min(rates) / max(rates)) >= 0.95 - 2 * margin


@pytest.mark.parametrize(
    ("negatives", "positives", "miss"), [(50, 50, 0.03), (400, 40, 0.03), (1_000, 200, 0.015)]
)
def test_delong_covers_an_area_nearly_as_often_as_it_says(
    negatives: int, positives: int, miss: float
) -> None:
    """A normal interval: with a few dozen records of a label it is up to three points short."""
    rng = np.random.default_rng(negatives)
    shift, draws = 1.0, DRAWS
    truth = float(stats.norm.cdf(shift / np.sqrt(2)))
    hits = 0
    for _ in range(draws):
        scores = np.concatenate([rng.normal(0, 1, negatives), rng.normal(shift, 1, positives)])
        order = np.argsort(scores)
        positive = (order >= negatives).astype(int)
        sample = auc_sample(1 - positive, positive)
        assert isinstance(sample, Mean)
        found = estimate(sample, confidence=0.95)
        hits += found.low <= truth <= found.high  # type: ignore[union-attr,operator]
    assert hits / draws == pytest.approx(0.95, abs=miss)
