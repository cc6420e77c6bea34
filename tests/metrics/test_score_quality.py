from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, disaggregate, estimate, slice_samples
from auditor.metrics.curves import threshold_curves
from auditor.metrics.noise import absolute_noise, bridge_noise
from auditor.metrics.score_quality import SCORE_METRICS
from auditor.stats import Attribute, Groups, ScoreGrid, score_counts, score_sums

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
EVERYBODY = Slice()
NAN = float("nan")

# Twentieths: there are ties, and scores of 0 and 1; both labels occur.
pair = st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20))
ends = [(0, 0.4), (1, 0.6)]
scored = st.lists(pair, max_size=58).map(lambda rows: [*rows, *ends])
fine = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), max_size=58).map(
    lambda rows: [*rows, *ends]
)
COARSE = ScoreGrid(low=0.0, high=1.0, bins=7)  # no bin ends where another grid's does


def counts(rows: Any, grid: ScoreGrid | None = None, sex: Any = None) -> Any:
    codes = GROUPS.encode({"sex": sex or ["F"] * len(rows)})
    return score_counts(GROUPS, codes, [r[0] for r in rows], [r[1] for r in rows], grid=grid)


def sums(rows: Any) -> Any:
    codes = GROUPS.encode({"sex": ["F"] * len(rows)})
    return score_sums(GROUPS, codes, [r[0] for r in rows], [r[1] for r in rows])


def sample(name: str, statistic: Any, where: Slice = EVERYBODY) -> Any:
    return slice_samples(name, statistic, tuple(where)).samples[where]


def measured(name: str, statistic: Any) -> Any:
    return estimate(sample(name, statistic), confidence=0.95)


def columns(rows: Any) -> tuple[Any, Any]:
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows])


def separation(y: Any, s: Any) -> float:
    with warnings.catch_warnings():  # of its p-value, which is not asked for
        warnings.simplefilter("ignore")
        return float(stats.ks_2samp(s[y == 1], s[y == 0], method="asymp").statistic)


def calibration_error(rows: Any) -> float:
    y, s = columns(rows)
    bins = np.minimum((s * 10).astype(int), 9)
    return float(sum(abs((y - s)[bins == b].sum()) for b in range(10)) / y.size)


def test_four_records_by_hand() -> None:
    rows = [(1, 0.8), (0, 0.6), (1, 0.6), (0, 0.2)]
    found = counts(rows)
    # At 0.8: precision 1, half of the positives; at 0.6: precision 2/3, the other half.
    assert measured("average_precision", found).value == pytest.approx(0.5 + 0.5 * 2 / 3)
    # Up to 0.2: none of the positives, half of the negatives; up to 0.6: half of both above 0.6.
    assert measured("ks_statistic", found).value == 0.5
    # One record in the bins of 0.2 and 0.8, two in that of 0.6: |−0.2| + |0.2| + |1 − 1.2|.
    assert measured("expected_calibration_error", found).value == pytest.approx(0.6 / 4)
    assert measured("score_quantile[0.5]", found).value == 0.6
    assert measured("score_quantile[0.75]", found).value == 0.6
    assert measured("score_quantile[0.76]", found).value == 0.8
    assert measured("auc", found).value == 0.875
    assert measured("brier_score", sums(rows)).value == pytest.approx(
        (0.04 + 0.36 + 0.16 + 0.04) / 4
    )
    assert measured("mean_score", sums(rows)).value == pytest.approx(0.55)


@pytest.mark.parametrize("positives", range(1, 130))
def test_a_perfect_ranking_has_a_precision_of_exactly_one(positives: int) -> None:
    """Whatever the shares of the positives sum to in floating point, and with its interval."""
    ranked = [(1, 0.5 + i / 400) for i in range(positives)]
    found = measured("average_precision", counts([(0, 0.1), *ranked]))
    assert found.value == found.high == 1
    assert 0 < found.low < 1


def test_a_precision_next_to_one_has_an_interval() -> None:
    ranked = [(1, 0.5 + i / 4_000) for i in range(1_500)]
    found = measured("average_precision", counts([(0, 0.9), (0, 0.1), *ranked, (0, 0.5)]))
    assert 0 < found.low < found.value < found.high <= 1


@given(scored)
def test_ranking_and_errors_are_those_of_scikit_learn(rows: list[Any]) -> None:
    y, s = columns(rows)
    found = counts(rows)
    expected = {
        "average_precision": average_precision_score(y, s),
        "auc": roc_auc_score(y, s),
    }
    for name, value in expected.items():
        assert sample(name, found).value == pytest.approx(value, abs=1e-9)
    assert sample("brier_score", sums(rows)).value == pytest.approx(
        brier_score_loss(y, s), abs=1e-9
    )
    assert sample("log_loss", sums(rows)).value == pytest.approx(log_loss(y, s), abs=1e-9)


@given(scored)
def test_the_separation_is_that_of_scipy(rows: list[Any]) -> None:
    y, s = columns(rows)
    expected = separation(y, s)
    assert sample("ks_statistic", counts(rows)).value == pytest.approx(expected, abs=1e-9)


@given(scored)
def test_the_calibration_error_is_the_sum_over_ten_bins(rows: list[Any]) -> None:
    found = sample("expected_calibration_error", counts(rows))
    assert found.value == pytest.approx(calibration_error(rows), abs=1e-9)


@given(scored, st.integers(1, 99))
def test_a_quantile_is_numpys_inverted_distribution(rows: list[Any], percent: int) -> None:
    found = sample(f"score_quantile[{percent / 100}]", counts(rows))
    s = np.sort(columns(rows)[1])
    assert found.value == s[math.ceil(percent * s.size / 100 - 1e-9) - 1]
    outcome = estimate(found, confidence=0.95)
    assert isinstance(outcome, Estimate)
    assert outcome.low is not None
    assert outcome.high is not None
    assert outcome.low <= outcome.value <= outcome.high


@given(fine)
def test_binned_scores_hold_the_exact_value_within_their_bound(rows: list[Any]) -> None:
    y, s = columns(rows)
    exact = {
        "auc": roc_auc_score(y, s),
        "average_precision": average_precision_score(y, s),
        "ks_statistic": separation(y, s),
        "expected_calibration_error": calibration_error(rows),
        **{f"score_quantile[{q}]": np.quantile(s, q, method="inverted_cdf") for q in (0.1, 0.5)},
    }
    for grid in (COARSE, ScoreGrid(bins=20), ScoreGrid(low=-0.5, high=1.5, bins=31)):
        binned = counts(rows, grid)
        for name, value in exact.items():
            found = sample(name, binned)
            if isinstance(found, Absent):  # a grid beyond 0 to 1 is none of probabilities
                assert name == "expected_calibration_error"
                continue
            assert abs(found.value - value) <= found.bound + 1e-9, (name, grid.bins)
            assert found.bound > 0 or abs(found.value - value) < 1e-9


def test_bounds_shrink_with_the_bins() -> None:
    rng = np.random.default_rng(0)
    s = rng.random(2_000)
    rows = list(zip((rng.random(2_000) < s).astype(int).tolist(), s.tolist(), strict=True))
    for name in ("auc", "average_precision", "ks_statistic", "expected_calibration_error"):
        wide, narrow = (sample(name, counts(rows, ScoreGrid(bins=b))).bound for b in (64, 1_024))
        assert narrow < wide / 4
        assert narrow < 0.02


def logit(p: Any) -> Any:
    return np.log(p / (1 - p))


@given(st.integers(0, 10_000))
def test_calibration_coefficients_are_those_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = rng.integers(1, 20, 60) / 20
    y = (rng.random(60) < s**1.5).astype(int)
    rows = list(zip(y.tolist(), s.tolist(), strict=True))
    family = sm.families.Binomial()
    slope = sm.GLM(y, sm.add_constant(logit(s)), family=family).fit()
    found = sample("calibration_slope", counts(rows))
    assert found.value == pytest.approx(slope.params[1], rel=1e-6)
    assert found.standard_error == pytest.approx(slope.bse[1], rel=1e-4)
    level = sm.GLM(y, np.ones(60), offset=logit(s), family=family).fit()
    found = sample("calibration_intercept", counts(rows))
    assert found.value == pytest.approx(level.params[0], rel=1e-6, abs=1e-8)
    assert found.standard_error == pytest.approx(level.bse[0], rel=1e-4)


@pytest.mark.parametrize("name", ["calibration_slope", "calibration_intercept"])
def test_calibration_has_no_number_where_there_is_none(name: str) -> None:
    apart = counts([(0, 0.1), (0, 0.2), (1, 0.8), (1, 0.9)])
    found = sample(name, apart)
    if name == "calibration_slope":
        assert found == Absent("the scores do not vary, or separate the labels perfectly")
    else:
        assert math.isfinite(found.value)
    alike = sample(name, counts([(0, 0.5), (1, 0.5)]))
    assert isinstance(alike, Absent) == (name == "calibration_slope")
    beyond = sample(name, counts([(0, 1.5), (1, 0.5)]))
    assert beyond == Absent("the scores are no probabilities: some lie outside 0 to 1")


def test_scores_of_0_and_1_have_a_calibration() -> None:
    rows = [(0, 0.0), (1, 0.0), (0, 1.0), (1, 1.0), (1, 0.5)]
    for name in ("calibration_slope", "calibration_intercept"):
        assert math.isfinite(sample(name, counts(rows)).value)


@pytest.mark.parametrize("name", [n for n in SCORE_METRICS if n != "score_quantile"])
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0, 0.2), (0, 0.3)], "no positives"),
        ([(1, 0.2), (1, 0.3)], "no negatives"),
        ([(None, 0.2)], "no scored records"),
        ([(1, NAN)], "no scored records"),
    ],
)
def test_a_label_that_is_missing_is_the_reason(name: str, rows: Any, reason: str) -> None:
    found = sample(name, counts(rows))
    if name == "expected_calibration_error" and reason != "no scored records":
        assert math.isfinite(found.value)  # a calibration of one label is a calibration
    else:
        assert found == Absent(reason)


def test_without_records_everything_has_a_reason() -> None:
    empty = counts([], ScoreGrid())
    for name in (*(n for n in SCORE_METRICS if n != "score_quantile"), "score_quantile[0.5]"):
        assert sample(name, empty) == Absent("no records")
    for name in ("mean_score", "brier_score", "log_loss"):
        assert sample(name, sums([])) == Absent("no records")


def test_means_of_scores_have_their_reasons() -> None:
    assert sample("brier_score", sums([(1, NAN)])) == Absent("no scored records")
    beyond = sums([(1, 1.5), (0, 0.5)])
    assert sample("log_loss", beyond).reason.startswith("the scores are no probabilities")
    assert sample("mean_score", beyond).value == 1.0
    assert sample("brier_score", sums([(1, 0.5)])) == Absent("one record has no standard error")


def test_one_score_outside_makes_no_group_a_probability() -> None:
    codes = GROUPS.encode({"sex": ["F", "F", "M", "M"]})
    table = score_sums(GROUPS, codes, [0, 1, 0, 1], [0.2, 0.4, 0.5, 1.5])
    for where in (Slice({"sex": "F"}), Slice({"sex": "M"})):
        assert isinstance(sample("brier_score", table, where), Absent)


@pytest.mark.parametrize("share", ["", "0", "1", "x", "-0.5", "nan"])
def test_a_quantile_needs_a_share(share: str) -> None:
    found = sample(f"score_quantile[{share}]", counts([(1, 0.5)]))
    assert isinstance(found, Absent)
    assert "a share between 0 and 1" in found.reason


def test_a_group_with_one_label_leaves_the_others_as_they_are() -> None:
    rows = [(0, 0.2), (1, 0.8), (1, 0.4), (0, 0.5)]
    sexes = ["F"] * 4
    alone = counts(rows, ScoreGrid(bins=10), sexes)
    both = counts([*rows, (0, 0.1), (0, 0.9)], ScoreGrid(bins=10), [*sexes, "M", "M"])
    women, men = Slice({"sex": "F"}), Slice({"sex": "M"})
    for name in ("auc", "average_precision", "ks_statistic", "expected_calibration_error"):
        mine, same = (sample(name, table, women) for table in (alone, both))
        assert mine.value == same.value
        if name != "expected_calibration_error":
            assert sample(name, both, men) == Absent("no positives")


def test_areas_against_the_background_by_hand() -> None:
    rows = [(0, 0.6), (1, 0.7), (0, 0.1), (1, 0.5)]
    table = counts(rows, None, ["F", "F", "M", "M"])
    women = Slice({"sex": "F"})
    assert sample("bpsn_auc", table, women).value == 0  # 0.5 of a man under 0.6 of a woman
    assert sample("bnsp_auc", table, women).value == 1
    assert sample("auc", table).value == 0.75


def test_differences_of_scores_are_measured_between_groups() -> None:
    rng = np.random.default_rng(0)
    s = rng.integers(1, 100, 400) / 100
    rows = list(zip((rng.random(400) < s).astype(int).tolist(), s.tolist(), strict=True))
    table = counts(rows, None, ["F", "M"] * 200)
    names = [n for n in SCORE_METRICS if n != "score_quantile"]
    found = {(m, w): o for m, w, *_, o in disaggregate(names, table, reference={"sex": "F"})}
    men, women = Slice({"sex": "M"}), Slice({"sex": "F"})
    for name in names:
        gap = found[f"{name}_difference", men]
        assert isinstance(gap, Estimate)
        one, other = found[name, men], found[name, women]
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert gap.value == pytest.approx(one.value - other.value)
        assert gap.low is not None
        assert gap.high is not None
        assert gap.low < gap.value < gap.high


@given(scored)
def test_the_curve_passes_through_the_points_of_scikit_learn(rows: list[Any]) -> None:
    y, s = columns(rows)
    curve = threshold_curves(counts(rows), ("sex",))[Slice({"sex": "F"})]
    false, true, thresholds = roc_curve(y, s, drop_intermediate=False)
    at = {float(t): (x, y) for x, y, t in zip(false, true, thresholds, strict=True)}
    assert len(curve.thresholds) == len(set(s.tolist()))
    for i, t in enumerate(curve.thresholds):
        assert at[float(t)] == pytest.approx(
            (curve.false_positive_rate[i], curve.true_positive_rate[i])
        )
        chosen = s >= t
        assert curve.selection_rate[i] == pytest.approx(chosen.mean())
        assert curve.precision[i] == pytest.approx(y[chosen].mean())
        assert curve.accuracy[i] == pytest.approx((chosen == y).mean())


def test_a_curve_of_binned_scores_is_exact_at_the_edges_of_bins() -> None:
    rng = np.random.default_rng(0)
    s = rng.random(500)
    rows = list(zip(rng.integers(0, 2, 500).tolist(), s.tolist(), strict=True))
    curve = threshold_curves(counts(rows, ScoreGrid(bins=64)), (), points=20)[EVERYBODY]
    assert curve.thresholds.size == 20
    for i, t in enumerate(curve.thresholds):
        assert curve.selection_rate[i] == pytest.approx((s >= t - 1e-12).mean())


def test_a_curve_without_positives_says_so_by_not_being_a_number() -> None:
    curve = threshold_curves(counts([(0, 0.2), (0, 0.7)]), ())[EVERYBODY]
    assert np.isnan(curve.true_positive_rate).all()
    assert curve.false_positive_rate.tolist() == [1, 0.5]
    assert threshold_curves(counts([], ScoreGrid()), ("sex",)) == {}


def test_the_noise_of_a_bridge_has_the_law_of_kolmogorov() -> None:
    shares = np.full(100, 0.01)
    noise = bridge_noise((shares, 400.0), (shares, 400.0), np.ones(100), sup=True)
    # 95 % of sup |B| over a fine grid, √(1/400 + 1/400) wide; 1,000 replicates.
    expected = stats.kstwobign.ppf(0.95) * math.sqrt(2 / 400)
    assert np.quantile(noise, 0.95) == pytest.approx(expected, rel=0.1)
    assert np.quantile(noise, 0.95) < expected * 1.05


def test_the_noise_of_sums_is_that_of_folded_normals() -> None:
    noise = absolute_noise(np.array([1.0, 0.0, 2.0]))
    assert noise.mean() == pytest.approx(3 * math.sqrt(2 / math.pi), rel=0.05)
    assert absolute_noise(np.zeros(3)).tolist() == [0] * noise.size


def test_many_positions_are_taken_together_and_few_are_not() -> None:
    shares = np.full(1_000, 0.001)
    coarse = bridge_noise((shares, 100.0), (shares, 100.0), np.full(1_000, 0.001), sup=False)
    few = np.full(100, 0.01)
    fine = bridge_noise((few, 100.0), (few, 100.0), np.full(100, 0.01), sup=False)
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.1)
    spread = np.zeros(300)
    spread[::3] = 0.01  # the same distribution, with unused positions between
    gaps = bridge_noise((spread, 100.0), (spread, 100.0), np.full(300, 0.01 / 3), sup=False)
    assert gaps.mean() == pytest.approx(fine.mean(), rel=0.02)
