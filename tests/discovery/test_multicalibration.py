from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.discovery.multicalibration import (
    calibration_sums,
    multicalibration_error,
    score_bins,
)
from auditor.errors import InputError
from auditor.evidence import Estimate
from auditor.metrics.samples import Absent, Projected, scaled
from auditor.metrics.subgroups import worst_calibration


def expected_calibration_error(y: Any, s: Any, bins: int) -> float:
    """By its definition, bin by bin."""
    place = np.minimum((s * bins).astype(int), bins - 1)
    gaps = [abs(y[place == b].mean() - s[place == b].mean()) * (place == b).mean()
            for b in range(bins) if (place == b).any()]  # fmt: skip
    return float(sum(gaps))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Any, Any, list[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 80))
    s = np.round(rng.random(rows), draw(st.integers(0, 6)))
    y = (rng.random(rows) < s**2).astype(float)
    slices = [np.ones(rows, bool), *(rng.random((draw(st.integers(0, 3)), rows)) < 0.4)]
    return y, s, slices


def estimate_of(y: Any, s: Any, slices: Any, **options: Any) -> Estimate:
    found = multicalibration_error(calibration_sums(y, s, slices), **options)
    assert isinstance(found, Estimate)
    return found


def test_a_case_by_hand() -> None:
    y, s = [0, 1, 1, 1], [0.2, 0.4, 0.8, 0.9]
    first, last = [True, True, False, False], [False, False, True, True]
    sums = calibration_sums(y, s, [[True] * 4, first, last], bins=2)
    # Everybody: (|1 − .6| + |2 − 1.7|) / 4 = .175; the first two: .4 / 2; the last two: .3 / 2.
    found = multicalibration_error(sums)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.2)
    weighted = multicalibration_error(sums, weighting="everybody")
    assert isinstance(weighted, Estimate)
    assert weighted.value == pytest.approx(0.175)
    assert (found.n, found.method) == (4, "hoeffding-bonferroni")


@given(scored())
def test_it_is_the_largest_calibration_error_of_any_slice(given: Any) -> None:
    y, s, slices = given
    found = estimate_of(y, s, slices)
    every = [expected_calibration_error(y[m], s[m], 10) for m in slices if m.any()]
    assert found.value == pytest.approx(max(every))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(scored(), st.integers(0, 80))
def test_any_split_into_batches_gives_the_same_sums(given: Any, cut: int) -> None:
    y, s, slices = given
    whole = calibration_sums(y, s, slices)
    parts = [
        calibration_sums(y[part], s[part], [m[part] for m in slices])
        for part in (slice(None, cut), slice(cut, None))
    ]
    merged = parts[0].merge(parts[1])
    assert (merged.records == whole.records).all()
    assert (merged.positives == whole.positives).all()
    assert merged.scores == pytest.approx(whole.scores)


@given(scored())
def test_slices_more_can_only_raise_it(given: Any) -> None:
    y, s, slices = given
    assert estimate_of(y, s, slices).value >= estimate_of(y, s, slices[:1]).value - 1e-12


def test_more_records_narrow_the_interval() -> None:
    sample = worst_calibration([[40, 60]], [[10, 50]], [[8.0, 50.0]])
    assert isinstance(sample, Projected)
    small, large = sample, scaled(sample, 100)
    assert isinstance(large, Projected)
    a, b = small.bounds(0.95, small.factor), large.bounds(0.95, large.factor)
    assert a[0] <= b[0] <= sample.value <= b[1] < a[1]


def test_without_a_record_there_is_a_reason() -> None:
    sums = calibration_sums([], [], [np.zeros(0, bool)])
    assert multicalibration_error(sums) == Absent("no records with a score")
    assert worst_calibration(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3))) == Absent(
        "no records with a score"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([0, 2], [0.1, 0.2], []), "neither 0 nor 1"),
        (([0, 1], [0.1, 1.2], []), "no probability"),
        (([0, 1], [0.1, float("nan")], []), "no probability"),
        (([0, 1], [0.1], []), "different shapes"),
        (([0, 1], [0.1, 0.2], [[True]]), "different shapes"),
    ],
)
def test_what_cannot_be_summed_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_sums(*fields)


def test_bins_and_sums_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="bins is 0"):
        score_bins([0.1], bins=0)
    with pytest.raises(InputError, match="cannot be merged"):
        calibration_sums([0], [0.1], [[True]]).merge(calibration_sums([0], [0.1], [[True]], bins=5))
    with pytest.raises(InputError, match="none of the records"):
        worst_calibration([[1]], [[2]], [[0.5]])


@pytest.mark.slow
def test_the_bounds_hold_although_the_worst_of_many_is_taken(figures: Any) -> None:
    rng = np.random.default_rng(0)
    trials, rows, covered, alarms = 400, 2_000, 0, 0
    value, truth_of = [], []
    for trial in range(trials):
        s = rng.beta(2, 3, rows)
        slices = [np.ones(rows, bool), *(rng.random((10, rows)) < 0.1)]
        # Calibrated in every other trial; else one slice has its odds wrong.
        p = np.where(slices[1] & (trial % 2 == 1), s**2, s)
        y = (rng.random(rows) < p).astype(float)
        found = estimate_of(y, s, slices)
        # The expected error given the scores: labels replaced by their probabilities.
        truth = max(expected_calibration_error(p[m], s[m], 10) for m in slices)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
        alarms += trial % 2 == 0 and found.low > 0
        value.append(found.value)
        truth_of.append(truth)
    calibrated = np.arange(trials) % 2 == 0
    figures(
        "multicalibration error, 10 slices of 200 rows",
        {"trials": trials, "coverage": covered / trials, "nominal": 0.95,
         "false alarms of calibrated scores": alarms / (trials / 2),
         "plain value of calibrated scores": float(np.mean(np.array(value)[calibrated])),
         "plain value, one slice wrong": float(np.mean(np.array(value)[~calibrated])),
         "truth, one slice wrong": float(np.mean(np.array(truth_of)[~calibrated]))},
    )  # fmt: skip
    assert covered >= 0.95 * trials
    assert np.mean(np.array(value)[calibrated]) > 0.05, "noise alone is far from 0"
