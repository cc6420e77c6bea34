from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from auditor.evidence import Estimate
from auditor.metrics import Absent, Mean, estimate, wilson
from auditor.metrics.auc import auc_sample
from auditor.stats import Groups, ScoreGrid, score_counts

GROUPS = Groups.declare([])


@st.composite
def scored(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both kinds and scores with ties, on no particular scale."""
    n = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    labels[:2] = [0, 1]
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(-3, 3)
    scores = draw(st.lists(values, min_size=n, max_size=n))
    return np.array(labels), np.array(scores)


def sample(labels: Any, scores: Any, grid: ScoreGrid | None = None) -> Any:
    codes = np.zeros((len(labels), 0), np.int32)
    table = score_counts(GROUPS, codes, labels, scores, grid=grid)
    both = table.by_label(0)
    return auc_sample(both[:, 0], both[:, 1], exact=table.grid.exact)


def delong(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """AUC and its variance as DeLong, DeLong and Clarke-Pearson write them, pair by pair."""
    positives, negatives = scores[labels == 1], scores[labels == 0]
    psi = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    v10, v01, auc = psi.mean(axis=1), psi.mean(axis=0), float(psi.mean())
    s10 = ((v10 - auc) ** 2).sum() / (len(positives) - 1)
    s01 = ((v01 - auc) ** 2).sum() / (len(negatives) - 1)
    return auc, float(s10 / len(positives) + s01 / len(negatives))


def test_the_area_and_its_variance_by_hand() -> None:
    """Negatives 1, 3; positives 2, 3: of four pairs two are right, one tied, one wrong.

    Placements of the positives are 0.5 and 0.75, of the negatives 1 and 0.25.
    """
    found = sample([0, 0, 1, 1], [1, 3, 2, 3])
    assert found.value == 0.625
    assert found.n == 4
    variance = 2 * 0.125**2 / 1 / 2 + 2 * 0.375**2 / 1 / 2
    assert found.standard_error == pytest.approx(math.sqrt(variance), abs=1e-15)
    assert found.method == "delong"
    assert found.bound == 0


@given(scored())
def test_the_area_is_that_of_sklearn(data: tuple[np.ndarray, np.ndarray]) -> None:
    assert sample(*data).value == pytest.approx(roc_auc_score(*data), abs=1e-12)


@given(scored())
def test_the_variance_is_that_of_all_pairs(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    if min(labels.sum(), len(labels) - labels.sum()) < 2:
        return
    value, variance = delong(labels, scores)
    found = sample(labels, scores)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)


@given(scored(), st.integers(1, 8))
def test_the_bound_of_binned_scores_is_certified(
    data: tuple[np.ndarray, np.ndarray], bins: int
) -> None:
    labels, scores = data
    exact = sample(labels, scores)
    binned = sample(labels, scores, ScoreGrid(low=-3.0, high=3.0, bins=bins))
    assert abs(binned.value - exact.value) <= binned.bound + 1e-12
    assert binned.method == "delong-binned"
    interval = estimate(binned, confidence=0.95)
    assert isinstance(interval, Estimate)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= exact.value <= interval.high


@given(scored())
def test_exchanging_the_labels_gives_the_complement(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    one, other = sample(labels, scores), sample(1 - labels, scores)
    assert one.value == pytest.approx(1 - other.value, abs=1e-12)
    assert one.standard_error == pytest.approx(other.standard_error, abs=1e-12)


@given(scored())
def test_the_interval_lies_in_range_and_holds_the_estimate(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    found = estimate(sample(*data), confidence=0.95)
    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_a_thousand_distinct_scores_are_exact_and_more_come_with_a_bound() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 5_000)
    scores = rng.normal(labels, 1.0)
    rounded = np.round(scores, 2)
    few = sample(labels, rounded)
    assert len(np.unique(rounded)) <= 1_024
    assert few.bound == 0
    assert few.value == pytest.approx(roc_auc_score(labels, rounded), abs=1e-12)
    many = sample(labels, scores)
    assert 0 < many.bound < 1e-3
    assert abs(many.value - roc_auc_score(labels, scores)) <= many.bound
    assert many.standard_error == pytest.approx(math.sqrt(delong(labels, scores)[1]), rel=1e-3)


def test_a_perfect_ranking_has_the_interval_of_as_many_right_trials() -> None:
    found = sample([0, 0, 0, 1, 1], [1, 2, 3, 4, 5])
    assert (found.value, found.standard_error, found.floor) == (1.0, 0.0, 2)
    interval = estimate(found, confidence=0.95)
    low, _ = wilson(2, 2, confidence=0.95)
    assert (interval.low, interval.high) == (pytest.approx(float(low)), 1.0)


def test_ties_everywhere_are_a_coin_toss() -> None:
    found = sample([0, 1, 0, 1], [7, 7, 7, 7])
    assert found.value == 0.5
    interval = estimate(found, confidence=0.95)
    assert interval.low < 0.5 < interval.high


def test_a_single_positive_says_little() -> None:
    """Its one placement shows no variance; the largest possible one is taken for it."""
    found = sample([0] * 99 + [1], [*range(99), 89.5])
    assert found.value == pytest.approx(90 / 99)
    assert found.standard_error >= math.sqrt(90 / 99 * 9 / 99)
    interval = estimate(found, confidence=0.95)
    assert interval.low < 0.4
    assert interval.high == 1.0


@pytest.mark.parametrize(
    ("negatives", "positives", "reason"),
    [
        ([2, 1], [0, 0], "no positives"),
        ([0, 0], [2, 1], "no negatives"),
        ([0, 0], [0, 0], "no scored records"),
        ([], [], "no scored records"),
    ],
)
def test_without_both_labels_there_is_no_area(
    negatives: list[int], positives: list[int], reason: str
) -> None:
    assert auc_sample(negatives, positives) == Absent(reason)


def test_counts_of_millions_keep_their_digits() -> None:
    neg, pos = np.arange(1, 101) * 10**6, np.arange(100, 0, -1) * 10**6
    found = auc_sample(neg, pos)
    assert isinstance(found, Mean)
    exact = sum(
        int(p) * (int(neg[:i].sum()) * 2 + int(neg[i])) for i, p in enumerate(pos)
    ) / (2 * int(neg.sum()) * int(pos.sum()))  # fmt: skip
    assert found.value == pytest.approx(exact, abs=1e-12)
