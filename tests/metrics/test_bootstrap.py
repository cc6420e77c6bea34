from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.metrics.bootstrap import (
    Bootstrapped,
    bca_interval,
    bootstrap_interval,
    jackknife,
    percentile_interval,
)
from auditor.metrics.samples import Absent


def rate(cells: Any) -> Any:
    return cells[..., 1] / cells.sum(axis=-1)


def f1(cells: Any) -> Any:
    """Of (tn, fp, fn, tp)."""
    return 2 * cells[..., 3] / (2 * cells[..., 3] + cells[..., 1] + cells[..., 2])


def test_percentiles_by_hand() -> None:
    """Of 99 values the (99 + 1)·0.05th and the (99 + 1)·0.95th."""
    assert percentile_interval(range(1, 100), confidence=0.9) == (5.0, 95.0)
    assert percentile_interval([3.0], confidence=0.9) == (3.0, 3.0)


def test_the_jackknife_leaves_out_each_record() -> None:
    cells = np.array([3, 0, 2, 4])
    left, weights = jackknife(f1, cells)
    rows = np.repeat(np.arange(4), cells)
    one_by_one = [f1(np.bincount(np.delete(rows, i), minlength=4)) for i in range(len(rows))]
    assert np.repeat(left, weights).tolist() == one_by_one


def test_bca_is_that_of_scipy() -> None:
    cells = np.array([60, 9, 14, 25])
    rows = np.repeat(np.arange(4), cells)

    def statistic(sample: Any, axis: int = -1) -> Any:
        return f1(np.stack([(sample == c).sum(axis=axis) for c in range(4)], axis=-1))

    theirs = stats.bootstrap(
        (rows,), statistic, n_resamples=9_999, rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    ours = bootstrap_interval(f1, cells, confidence=0.95, replicates=9_999)
    assert isinstance(ours, Bootstrapped)
    assert ours.method == "bootstrap-bca"
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.006)


def test_without_bias_and_skewness_bca_are_percentiles() -> None:
    values = np.linspace(-1, 1, 999)
    found = bca_interval(values, 0.0, [-0.1, 0.1], weights=[5, 5], confidence=0.9)
    assert found == pytest.approx(percentile_interval(values, confidence=0.9), abs=0.003)


@given(st.tuples(*[st.integers(1, 60)] * 4), st.sampled_from(["bca", "studentized"]))
def test_the_same_seed_gives_the_same_interval_and_it_is_ordered(
    cells: tuple[int, ...], kind: Any
) -> None:
    one, other = (
        bootstrap_interval(f1, cells, confidence=0.9, replicates=200, seed=4, kind=kind)
        for _ in range(2)
    )
    assert one == other
    if isinstance(one, Bootstrapped):
        assert one.low <= one.high
        assert one.value == f1(np.array(cells))


def test_the_studentised_interval_of_a_large_rate_is_the_normal_one() -> None:
    found = bootstrap_interval(rate, [7_000, 3_000], confidence=0.95, kind="studentized")
    assert isinstance(found, Bootstrapped)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 10_000)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=6e-4)


def test_replicates_without_a_value_are_counted_and_take_no_part() -> None:
    """Two positives of 20: both are missing in (1 − 2/20)^20, an eighth of the replicates."""

    def recall(cells: Any) -> Any:
        return cells[..., 1] / (cells[..., 0] + cells[..., 1])

    found = bootstrap_interval(recall, [1, 1, 18], confidence=0.9, replicates=2_000)
    assert isinstance(found, Bootstrapped)
    assert found.undefined == pytest.approx(2_000 * 0.9**20, abs=60)
    assert 0 <= found.low <= found.high <= 1


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([0, 0], "no records"),
        ([10, 0], "all bootstrap replicates agree"),
    ],
)
@pytest.mark.parametrize("kind", ["bca", "studentized"])
def test_no_spread_is_no_certainty(cells: list[int], reason: str, kind: Any) -> None:
    found = bootstrap_interval(rate, cells, confidence=0.95, kind=kind)
    assert isinstance(found, Absent)
    assert reason in found.reason


def test_undefined_metrics_are_absent() -> None:
    found = bootstrap_interval(lambda c: c[..., 0] / c[..., 1], [0, 0, 5], confidence=0.9)
    assert found == Absent("undefined for these counts")

    def needs_both(cells: Any) -> Any:
        return np.where((cells > 0).all(axis=-1), 1.0, np.nan)

    rare = bootstrap_interval(needs_both, [1, 1, 1], confidence=0.9)
    assert isinstance(rare, Absent)
    assert "of 2000 bootstrap replicates" in rare.reason


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(InputError, match="one value for each row"):
        bootstrap_interval(lambda c: c, [1, 2], confidence=0.9)
    with pytest.raises(InputError, match="bca, studentized"):
        bootstrap_interval(rate, [1, 2], confidence=0.9, kind="basic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="between 0 and 1"):
        bootstrap_interval(rate, [1, 2], confidence=1.0)
