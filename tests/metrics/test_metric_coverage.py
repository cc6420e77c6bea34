"""How often the intervals of derived measures hold the truth, by simulation with fixed seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from auditor.evidence import Estimate
from auditor.metrics import METRICS, Row, estimate
from auditor.stats import (
    CELLS,
    CONFUSION,
    SCORE_SUMS,
    SCORES,
    WEIGHTED,
    Groups,
    ScoreGrid,
    score_sums,
    weighted_confusion,
)

pytestmark = pytest.mark.slow

Figures = Callable[[str, Mapping[str, object]], None]
DRAWS = 600
NOBODY = Groups.declare([])
JUDGED = [CELLS.index(cell) for cell in ("tn", "fp", "fn", "tp")]


def coverage(samples: Any, truth: float) -> float:
    hits = 0
    for sample in samples:
        found = estimate(sample, confidence=0.95)
        assert isinstance(found, Estimate)
        low = -math.inf if found.low is None else found.low
        hits += low <= truth <= (math.inf if found.high is None else found.high)
    return hits / DRAWS


def rates(rng: Any, draw: Callable[[Any], tuple[Any, Any, Any]], *, clustered: bool) -> Any:
    read = METRICS.get("selection_rate").readers[WEIGHTED]
    context = {"cluster": "c" if clustered else None}
    for _ in range(DRAWS):
        y, weights, clusters = draw(rng)
        codes = np.zeros((y.size, 0), np.int32)
        table = weighted_confusion(
            NOBODY, codes, None, y, weights=weights, clusters=clusters, context=context
        )
        yield read(Row(table.values[0], table.values[0], table.columns, None, table.context))


@pytest.mark.parametrize("n", [200, 2_000])
def test_weighted_rates(n: int, figures: Figures) -> None:
    """Weights from 1 to 8 that go with the outcome."""

    def draw(rng: Any) -> Any:
        weights = rng.integers(1, 9, n).astype(float)
        return (rng.random(n) < 0.1 + 0.04 * weights).astype(int), weights, None

    w = np.arange(1, 9)
    truth = float((w * (0.1 + 0.04 * w)).sum() / w.sum())
    found = coverage(rates(np.random.default_rng(n), draw, clustered=False), truth)
    figures(f"coverage of weighted rates, n = {n}", {"coverage": found})
    assert found >= 0.93


@pytest.mark.parametrize(("clusters", "size"), [(10, 20), (40, 5), (100, 20)])
def test_clustered_rates(clusters: int, size: int, figures: Figures) -> None:
    """Records of a cluster are alike (ρ = 0.2); with ten clusters the interval is short."""

    def draw(rng: Any) -> Any:
        p = rng.beta(0.3 * 4, 0.7 * 4, clusters)
        number = np.repeat(np.arange(clusters), size)
        return (rng.random(number.size) < p[number]).astype(int), None, number

    found = coverage(rates(np.random.default_rng(clusters), draw, clustered=True), 0.3)
    figures(f"coverage of rates of {clusters} clusters of {size}", {"coverage": found})
    assert found >= (0.88 if clusters < 40 else 0.925)


SHARES = {"even": (0.4, 0.1, 0.15, 0.35), "rare": (0.85, 0.05, 0.04, 0.06)}


@pytest.mark.parametrize("n", [200, 2_000])
@pytest.mark.parametrize("shares", SHARES)
def test_measures_of_the_confusion_table(n: int, shares: str, figures: Figures) -> None:
    tn, fp, fn, tp = SHARES[shares]
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    truth = {
        "f1_score": 2 * tp / (2 * tp + fp + fn),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "matthews_corrcoef": (tp * tn - fp * fn) / root,
    }
    drawn = np.random.default_rng(n).multinomial(n, SHARES[shares], DRAWS)
    cells = np.zeros((DRAWS, 9), np.int64)
    cells[:, JUDGED] = drawn
    found = {
        name: coverage(
            (METRICS.get(name).readers[CONFUSION](Row(c, c, CELLS, None, {})) for c in cells), value
        )
        for name, value in truth.items()
    }
    figures(f"coverage of {shares} confusion tables, n = {n}", found)
    assert min(found.values()) >= (0.92 if shares == "even" else 0.9)


PLACES = np.arange(1, 100) / 100
GRID = ScoreGrid(values=PLACES)


def population(power: float) -> Any:
    """Return P(score, label), shape ``[99, 2]``: a positive has probability score ** power."""
    density = PLACES * (1 - PLACES)
    density = density / density.sum()
    positive = PLACES**power
    return np.stack([density * (1 - positive), density * positive], axis=1)


def truths(cells: Any) -> dict[str, float]:
    negative, positive = cells[:, 0] / cells[:, 0].sum(), cells[:, 1] / cells[:, 1].sum()
    down = cells[::-1].cumsum(axis=0)
    bins = np.minimum((PLACES * 10 + 1e-9).astype(int), 9)
    gaps = cells[:, 1] - cells.sum(axis=1) * PLACES
    brier = (cells[:, 1] * (1 - PLACES) ** 2 + cells[:, 0] * PLACES**2).sum()
    return {
        "ks_statistic": float(np.abs(negative.cumsum() - positive.cumsum()).max()),
        "average_precision": float((positive[::-1] * down[:, 1] / down.sum(axis=1)).sum()),
        "expected_calibration_error": float(sum(abs(gaps[bins == b].sum()) for b in range(10))),
        "brier_score": float(brier),
    }


@pytest.mark.parametrize("n", [200, 2_000])
@pytest.mark.parametrize("power", [1.0, 1.6], ids=["calibrated", "not-calibrated"])
def test_measures_of_scores(n: int, power: float, figures: Figures) -> None:
    cells = population(power)
    truth = truths(cells)
    if power == 1.0:
        assert truth["expected_calibration_error"] == pytest.approx(0, abs=1e-12)
        truth["expected_calibration_error"] = 0.0
    rng = np.random.default_rng(n)
    drawn = rng.multinomial(n, cells.reshape(-1), DRAWS).reshape(DRAWS, -1, 2)
    found: dict[str, float] = {}
    for name in ("ks_statistic", "average_precision", "expected_calibration_error"):
        read = METRICS.get(name).readers[SCORES]
        rows = (Row(c, c, (), None, {}, GRID) for c in drawn)
        found[name] = coverage((read(row) for row in rows), truth[name])
    read = METRICS.get("brier_score").readers[SCORE_SUMS]

    def summed(c: Any) -> Row:
        y = np.repeat([0, 1], c.sum(axis=0))
        s = np.concatenate([np.repeat(PLACES, c[:, k]) for k in (0, 1)])
        table = score_sums(NOBODY, np.zeros((n, 0), np.int32), y, s)
        return Row(table.values[0], table.values[0], table.columns, None, {})

    found["brier_score"] = coverage((read(summed(c)) for c in drawn), truth["brier_score"])
    which = "calibrated" if power == 1.0 else "not calibrated"
    figures(f"coverage of measures of scores, {which}, n = {n}", found)
    assert min(found.values()) >= 0.925, found
