"""Rates of weighted and clustered records, and their variance, against what others compute."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, Proportion, estimate, scaled, slice_samples, wilson
from auditor.metrics.intervals import student_factor
from auditor.metrics.rates import BINARY_METRICS
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts, weighted_confusion

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
EVERYBODY = Slice()

bits = st.integers(0, 1)
records = st.lists(
    st.tuples(bits, bits, st.integers(1, 40).map(lambda k: k / 8), st.integers(0, 9)),
    min_size=2, max_size=60,
)  # fmt: skip


def weighted(rows: Any, *, clusters: Any = None, weights: Any = None) -> SliceTable:
    true, predicted = ([row[i] for row in rows] for i in (0, 1))
    codes = GROUPS.encode({"sex": ["F"] * len(rows)})
    context = {"cluster": None if clusters is None else "c"}
    weights = [row[2] for row in rows] if weights is None else weights
    return weighted_confusion(
        GROUPS, codes, true, predicted, weights=weights, clusters=clusters, context=context
    )


def plain(rows: Any) -> SliceTable:
    codes = GROUPS.encode({"sex": ["F"] * len(rows)})
    return confusion_counts(GROUPS, codes, [r[0] for r in rows], [r[1] for r in rows])


def sample(name: str, table: SliceTable) -> Any:
    return slice_samples(name, table, ()).samples[EVERYBODY]


def measured(name: str, table: SliceTable) -> Any:
    return estimate(sample(name, table), confidence=0.95)


THEIRS: dict[str, Any] = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1_score": reference.f1_score,
    "matthews_corrcoef": reference.matthews_corrcoef,
    "precision": reference.precision_score,
    "true_positive_rate": reference.recall_score,
    "negative_predictive_value": lambda t, p, **k: reference.precision_score(
        t, p, pos_label=0, **k
    ),
    "true_negative_rate": lambda t, p, **k: reference.recall_score(t, p, pos_label=0, **k),
}


@given(records)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_values_are_those_of_scikit_learn_with_sample_weights(rows: list[Any]) -> None:
    true, predicted, weights, _ = (np.array(column) for column in zip(*rows, strict=True))
    for name, theirs in THEIRS.items():
        for table, by in ((plain(rows), None), (weighted(rows), weights)):
            found = sample(name, table)
            if not isinstance(found, Absent):
                expected = theirs(true, predicted, sample_weight=by)
                assert found.value == pytest.approx(expected, abs=1e-9), name


@given(records)
def test_weights_of_1_give_the_unweighted_values_and_denominators(rows: list[Any]) -> None:
    ones, counted = weighted(rows, weights=np.ones(len(rows))), plain(rows)
    for name in BINARY_METRICS:
        theirs, ours = sample(name, counted), sample(name, ones)
        if isinstance(theirs, Absent):
            assert ours == theirs
            continue
        one, other = (estimate(s, confidence=0.95) for s in (ours, theirs))
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.n == other.n
        if isinstance(ours, Proportion):  # the variance is that of a sample: C / (C − 1)
            assert theirs.n * (1 - 1 / len(rows)) - 1e-9 <= ours.n <= theirs.n


@given(records, st.integers(2, 5))
def test_only_the_proportions_of_weights_matter(rows: list[Any], factor: int) -> None:
    weights = np.array([row[2] for row in rows])
    once, again = weighted(rows), weighted(rows, weights=weights * factor)
    for name in BINARY_METRICS:
        one, other = measured(name, once), measured(name, again)
        if isinstance(one, Absent):
            assert other == one
            continue
        assert (one.value, one.n) == (pytest.approx(other.value, abs=1e-12), other.n)
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-9)


def linearised(y: Any, weights: Any, clusters: Any) -> float:
    """Return the standard error of Σwy / Σw, written out: residual totals of the clusters."""
    rate = float(weights @ y / weights.sum())
    totals = np.array(
        [(weights * (y - rate))[clusters == c].sum() for c in np.unique(clusters)]
    )  # fmt: skip
    factor = totals.size / (totals.size - 1)
    return math.sqrt(factor * float(totals @ totals)) / float(weights.sum())


@given(records)
def test_the_effective_number_is_that_of_the_linearised_variance(rows: list[Any]) -> None:
    _, y, weights, clusters = (np.array(column, float) for column in zip(*rows, strict=True))
    if np.unique(clusters).size < 2:
        return
    for labels, table in (
        (np.arange(len(rows)), weighted(rows)), (clusters, weighted(rows, clusters=clusters)),
    ):  # fmt: skip
        found = sample("selection_rate", table)
        assert isinstance(found, Proportion)
        error = linearised(y, weights, labels)
        if labels is clusters:
            error *= student_factor(np.unique(clusters).size - 1)
        if 0 < found.value < 1 and error > 1e-5:
            expected = min(found.value * (1 - found.value) / error**2, len(rows))
            assert found.n == pytest.approx(expected, rel=1e-9)
            assert found.records == len(rows)


def test_clustered_errors_are_those_of_statsmodels_up_to_its_small_sample_factor() -> None:
    """statsmodels' factor is C/(C−1) · (N−1)/(N−k) with k = 1 regressor: the same as ours."""
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 30, 400)
    y = (rng.random(400) < 0.2 + 0.6 * rng.random(30)[clusters]).astype(int)
    weights = rng.integers(1, 5, 400).astype(float)
    for w in (np.ones(400), weights):
        fit = sm.WLS(y, np.ones(400), weights=w).fit(
            cov_type="cluster", cov_kwds={"groups": clusters}
        )
        found = sample(
            "selection_rate", weighted([(1, k) for k in y], clusters=clusters, weights=w)
        )
        assert found.value == pytest.approx(fit.params[0], rel=1e-12)
        error = math.sqrt(found.value * (1 - found.value) / found.n)
        assert error == pytest.approx(fit.bse[0] * student_factor(29), rel=1e-9)


def test_the_weighted_error_of_a_rate_is_the_heteroskedastic_one_of_statsmodels() -> None:
    """HC1 has N/(N−1) as we have it for clusters of one record."""
    rng = np.random.default_rng(1)
    y, w = rng.integers(0, 2, 300), rng.uniform(0.5, 4, 300)
    fit = sm.WLS(y, np.ones(300), weights=w).fit(cov_type="HC1")
    found = sample("selection_rate", weighted([(1, k) for k in y], weights=w))
    assert math.sqrt(found.value * (1 - found.value) / found.n) == pytest.approx(
        fit.bse[0], rel=1e-9
    )


def test_equal_records_of_one_cluster_are_one_record() -> None:
    rows = [(1, 1)] * 6 + [(1, 0)] * 4
    found = sample("true_positive_rate", weighted(rows, clusters=np.zeros(10), weights=np.ones(10)))
    assert (found.value, found.records) == (0.6, 10)
    assert found.n == pytest.approx(1 / student_factor(1) ** 2)  # and says next to nothing
    outcome = estimate(found, confidence=0.95)
    assert isinstance(outcome, Estimate)
    assert (outcome.n, outcome.effective_n, outcome.method) == (10, found.n, "wilson-clustered")
    assert (outcome.low, outcome.high) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))


def test_a_rate_of_0_has_the_bound_of_kishs_effective_size() -> None:
    weights = np.array([1.0, 1.0, 4.0])  # 6² / (1 + 1 + 16) = 2
    found = sample("selection_rate", weighted([(1, 0)] * 3, weights=weights))
    assert (found.x, found.n) == (0, 2)
    outcome = estimate(found, confidence=0.95)
    assert isinstance(outcome, Estimate)
    assert outcome.high == pytest.approx(float(wilson(0, 2, confidence=0.95)[1]))


@given(records)
def test_effective_numbers_never_exceed_the_records(rows: list[Any]) -> None:
    clusters = [row[3] for row in rows]
    for name in BINARY_METRICS:
        for table in (weighted(rows), weighted(rows, clusters=clusters)):
            found = sample(name, table)
            if isinstance(found, Proportion):
                assert found.records is not None
                assert 0 < found.n <= found.records + 1e-9
                grown = scaled(found, 4)
                assert isinstance(grown, Proportion)
                assert grown.value == pytest.approx(found.value)


def test_the_correlation_of_matthews_has_the_error_of_many_drawn_tables() -> None:
    rng = np.random.default_rng(2)
    n, shares = 2_000, np.array([0.5, 0.1, 0.15, 0.25])  # tn, fp, fn, tp

    def drawn() -> float:
        tn, fp, fn, tp = rng.multinomial(n, shares)
        return (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))

    rows = [pair for pair, share in zip([(0, 0), (0, 1), (1, 0), (1, 1)], shares, strict=True)
            for _ in range(int(n * share))]  # fmt: skip
    found = sample("matthews_corrcoef", plain(rows))
    assert found.standard_error == pytest.approx(np.std([drawn() for _ in range(4_000)]), rel=0.05)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0, 1), (0, 0)], "no positives"),
        ([(1, 1), (1, 0)], "no negatives"),
        ([(1, 1), (0, 1)], "nobody was rejected"),
        ([(1, 0), (0, 0)], "nobody was selected"),
        ([(None, 1)], "no labelled records"),
        ([(1, None)], "no predictions"),
    ],
)
def test_one_sided_tables_have_a_reason(rows: list[Any], reason: str) -> None:
    for table in (plain(rows), weighted(rows, weights=np.ones(len(rows)))):
        assert sample("matthews_corrcoef", table) == Absent(reason)


def test_a_perfect_prediction_of_few_records_is_not_certain() -> None:
    outcome = measured("matthews_corrcoef", plain([(0, 0)] * 5 + [(1, 1)] * 5))
    assert (outcome.value, outcome.high) == (1, 1)
    assert outcome.low < 0.9


def test_a_ratio_of_errors_without_false_positives_has_a_reason() -> None:
    assert sample("treatment_ratio", plain([(1, 0), (1, 1)])) == Absent(
        "no false positives, so the ratio of the two errors is undefined"
    )
    found = measured("treatment_ratio", plain([(1, 0)] * 2 + [(0, 1)] * 3))
    assert found.value == pytest.approx(2 / 3)
    assert found.low < 2 / 3 < found.high


@given(records)
def test_clustered_intervals_hold_their_value(rows: list[Any]) -> None:
    table = weighted(rows, clusters=[row[3] for row in rows])
    for name in BINARY_METRICS:
        found = measured(name, table)
        if isinstance(found, Estimate):
            assert found.low is not None
            assert (
                found.low - 1e-9
                <= found.value
                <= (math.inf if found.high is None else found.high) + 1e-9
            )
            assert math.isfinite(found.value)
