from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, disaggregate, estimate, slice_samples
from auditor.metrics.regression import REGRESSION_METRICS, RESIDUAL_SHARES
from auditor.stats import (
    RESIDUALS,
    Attribute,
    Groups,
    ScoreGrid,
    SliceTable,
    regression_sums,
    value_counts,
)

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
OF_SUMS = tuple(name for name in REGRESSION_METRICS if name != "residual_quantile")
NAN = float("nan")


def sums(true: Any, predicted: Any, sex: Any = None, **options: Any) -> SliceTable:
    codes = GROUPS.encode({"sex": sex if sex is not None else ["F"] * len(predicted)})
    return regression_sums(GROUPS, codes, true, predicted, **options)


EVERYBODY = Slice()


def measure(name: str, table: Any, where: Slice = EVERYBODY) -> Any:
    family = tuple(where)
    return estimate(slice_samples(name, table, family).samples[where], confidence=0.95)


def test_four_records_worked_by_hand() -> None:
    table = sums([1.0, 2.0, 3.0, 6.0], [2.0, 2.0, 5.0, 5.0])  # errors 1, 0, 2, −1
    expected = {
        "mean_prediction": 3.5, "mean_error": 0.5, "mean_absolute_error": 1.0,
        "mean_squared_error": 1.5, "root_mean_squared_error": math.sqrt(1.5),
        "r2_score": 1 - 6 / 14,
    }  # fmt: skip
    assert set(expected) == set(OF_SUMS)
    for name, value in expected.items():
        found = measure(name, table)
        assert (found.value, found.n) == (pytest.approx(value), 4)
        assert found.low < value < found.high
    bias = measure("mean_error", table)
    assert bias.high - bias.value == pytest.approx(1.959964 * math.sqrt((5 / 3) / 4), rel=1e-6)


numbers = st.floats(-100, 100).map(lambda x: round(x, 2))


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30), st.floats(-1e4, 1e4))
def test_values_are_those_of_sklearn_about_any_origin(rows: Any, origin: float) -> None:
    true, predicted = (np.array(column) for column in zip(*rows, strict=True))
    assume(np.ptp(true) > 0.1)
    table = sums(true, predicted, origins=(origin, -origin))
    expected = {
        "mean_prediction": predicted.mean(),
        "mean_error": (predicted - true).mean(),
        "mean_absolute_error": reference.mean_absolute_error(true, predicted),
        "mean_squared_error": reference.mean_squared_error(true, predicted),
        "root_mean_squared_error": reference.root_mean_squared_error(true, predicted),
    }
    for name, value in expected.items():
        assert measure(name, table).value == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_large_numbers_keep_nine_digits_about_their_middle() -> None:
    rng = np.random.default_rng(0)
    true = 1e9 + rng.normal(size=5_000)
    predicted = true + rng.normal(size=5_000) / 2
    table = sums(true, predicted, origins=(1e9, 1e9))
    r2 = measure("r2_score", table)
    assert r2.value == pytest.approx(reference.r2_score(true, predicted), rel=1e-9)
    centre = true - true.mean()
    influence = ((true - predicted) ** 2 - (1 - r2.value) * centre**2) / centre.var()
    assert (r2.high - r2.low) / 2 / 1.959964 == pytest.approx(
        influence.std() / math.sqrt(5_000), rel=1e-5
    )
    mean = measure("mean_prediction", table)
    assert (mean.high - mean.low) / 2 / 1.959964 == pytest.approx(
        predicted.std(ddof=1) / math.sqrt(5_000), rel=1e-5
    )


def test_the_error_of_the_root_is_that_of_a_leave_one_out_jackknife() -> None:
    rng = np.random.default_rng(1)
    errors = rng.normal(size=400) ** 3
    found = measure("root_mean_squared_error", sums(np.zeros(400), errors))
    left_out = np.sqrt(((errors**2).sum() - errors**2) / 399)
    jackknife = math.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert (found.high - found.value) / 1.959964 == pytest.approx(jackknife, rel=0.05)


def test_unlabelled_records_count_for_predictions_only() -> None:
    table = sums([1.0, NAN, 3.0, NAN], [2.0, 9.0, 3.5, NAN], ["F", "F", "F", "M"])
    women = Slice({"sex": "F"})
    assert (measure("mean_prediction", table, women).n, measure("mean_error", table, women).n) == (
        3, 2,
    )  # fmt: skip
    nobody = measure("mean_prediction", table, Slice({"sex": "M"}))
    assert nobody == Absent("no records with a prediction")
    only = sums([NAN, NAN], [1.0, 2.0])
    assert measure("mean_absolute_error", only) == Absent("no records with target and prediction")
    assert measure("r2_score", only) == Absent("no records with target and prediction")


def test_no_and_single_records_have_reasons() -> None:
    table = sums([1.0], [2.0], ["F"])
    for name in OF_SUMS:
        assert measure(name, table, Slice({"sex": "M"})) == Absent("no records")
        assert isinstance(measure(name, table), Absent)
    assert measure("mean_error", table) == Absent("one record has no standard error")


def test_a_target_that_does_not_vary_has_no_r2() -> None:
    for target in (0.0, 5.0, 0.1):
        found = measure("r2_score", sums([target] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]))
        assert found == Absent("the target does not vary, so there is nothing to explain")


@pytest.mark.parametrize("error", [0.0, 0.1, -3.0])
def test_errors_that_do_not_vary_promise_nothing_of_the_next(error: float) -> None:
    true = np.array([1.0, 4.0, 2.0, 8.0])
    table = sums(true, true + error)
    for name in ("mean_error", "mean_absolute_error", "root_mean_squared_error"):
        found = measure(name, table)
        assert found.method == "no-spread"
        assert found.value == pytest.approx(error if name == "mean_error" else abs(error))
        assert found.high is None
        assert found.low == (None if name == "mean_error" else 0)
    if not error:
        r2 = measure("r2_score", table)
        assert (r2.value, r2.low, r2.high, r2.method) == (1, None, 1, "no-spread")


def test_differences_and_ratios_of_slices() -> None:
    rng = np.random.default_rng(2)
    sex = np.repeat(["F", "M"], 300)
    error = rng.normal(size=600) * np.where(sex == "F", 2, 1)
    table = sums(np.zeros(600), error, sex)
    found = {m[0]: m[4] for m in disaggregate(OF_SUMS, table, reference={"sex": "M"})
             if m[1] == {"sex": "F"} and m[2] is not None}  # fmt: skip
    women, men = error[:300], error[300:]
    ratio = found["root_mean_squared_error_ratio"]
    assert isinstance(ratio, Estimate)
    assert ratio.value == pytest.approx(math.sqrt((women**2).mean() / (men**2).mean()))
    assert ratio.low is not None
    assert ratio.low > 1
    gap = found["mean_prediction_difference"]
    assert isinstance(gap, Estimate)
    assert gap.value == pytest.approx(women.mean() - men.mean())
    assert "mean_error_ratio" not in found
    assert "r2_score_ratio" not in found


@given(st.lists(numbers, min_size=1, max_size=40), st.sampled_from(RESIDUAL_SHARES))
def test_residual_quantiles_are_those_of_numpy(values: Any, share: str) -> None:
    codes = GROUPS.encode({"sex": ["F"] * len(values)})
    table = value_counts(GROUPS, codes, values, kind=RESIDUALS)
    found = measure(f"residual_quantile[{share}]", table)
    assert found.value == np.quantile(values, float(share), method="inverted_cdf")
    assert found.low <= found.value <= found.high


def test_binned_residual_quantiles_are_within_their_bound() -> None:
    values = np.random.default_rng(3).normal(size=4_000)
    codes = GROUPS.encode({"sex": ["F"] * values.size})
    grid = ScoreGrid(low=float(values.min()), high=float(values.max()))
    table = value_counts(GROUPS, codes, values, kind=RESIDUALS, grid=grid)
    for share in RESIDUAL_SHARES:
        found = measure(f"residual_quantile[{share}]", table)
        exact = np.quantile(values, float(share), method="inverted_cdf")
        assert abs(found.value - exact) <= found.bound + 1e-12


def test_a_quantile_needs_a_share() -> None:
    table = value_counts(GROUPS, GROUPS.encode({"sex": ["F"]}), [1.0], kind=RESIDUALS)
    for name in ("residual_quantile", "residual_quantile[2]", "residual_quantile[x]"):
        assert isinstance(measure(name, table), Absent)
