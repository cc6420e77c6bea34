"""What every kind of sample promises: an interval around its value, narrower with more records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from auditor.evidence import Estimate
from auditor.metrics import Absent, Census, Mean, Proportion, compare, estimate, scaled
from auditor.metrics.means import mean_of
from auditor.metrics.noise import bridge_noise
from auditor.metrics.other_intervals import SMALL, with_others
from auditor.metrics.row import Row
from auditor.metrics.samples import Average, Bounded, Noisy, Projected, Quantile, Transformed

SHARES = np.full(10, 0.1)
KINDS: dict[str, Any] = {
    "proportion": Proportion(30, 100),
    "weighted": Proportion(15.0, 50.0, 100, "weighted"),
    "transformed": Transformed(Proportion(30, 100), lambda p: 2 * p / (1 + p), "f1"),
    "average": Average((Proportion(30, 50), Proportion(20, 50)), (0.5, 0.5), 100, "balanced"),
    "mean": Mean(0.3, 0.05, 100, "normal"),
    "noisy": Noisy(0.3, bridge_noise((SHARES, 50.0), (SHARES, 50.0), np.ones(10), sup=True), 100,
                   "gaussian-bridge", 0.0, 1.0),
    "quantile": Quantile(np.arange(100.0), np.arange(1, 101) / 100, 0.5, 100),
    "bounded": Bounded(0.5, Proportion(40, 100), Proportion(60, 100), 100, "frechet"),
    "projected": Projected(0.3, 100, "box",
                           lambda confidence, factor: (0.3 - 0.1 / factor**0.5,
                                                       0.3 + 0.1 / factor**0.5)),
}  # fmt: skip


def width(sample: Any, confidence: float = 0.95) -> float:
    found = estimate(sample, confidence=confidence)
    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    return found.high - found.low


@pytest.mark.parametrize("kind", KINDS)
def test_more_records_and_less_confidence_make_it_narrower(kind: str) -> None:
    sample = KINDS[kind]
    assert width(scaled(sample, 4)) < width(sample)
    assert width(scaled(sample, 1)) == pytest.approx(width(sample))
    if kind != "projected":
        assert width(sample, 0.8) < width(sample)
    many = scaled(sample, 4)
    assert many.value == pytest.approx(sample.value)
    assert many.n == sample.n * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_difference_of_equals_holds_0_and_a_ratio_of_equals_holds_1(kind: str) -> None:
    sample = KINDS[kind]
    for operation, value in (("difference", 0.0), ("ratio", 1.0)):
        (found,) = compare(operation, [sample], [sample], confidence=0.95)  # type: ignore[arg-type]
        assert isinstance(found, Estimate)
        assert found.value == pytest.approx(value)
        assert (-math.inf if found.low is None else found.low) < value
        assert value < (math.inf if found.high is None else found.high)


def test_a_census_has_no_sampling_error() -> None:
    assert width(Census(5, 5)) == 0
    (gap,) = compare("difference", [Census(5, 5)], [Census(3, 3)], confidence=0.95)
    assert isinstance(gap, Estimate)
    assert (gap.low, gap.value, gap.high) == (2, 2, 2)
    (mixed,) = compare("difference", [Census(5, 5)], [KINDS["mean"]], confidence=0.95)
    assert mixed == Absent("the two sides were measured in different ways")


def test_a_reason_stays_one() -> None:
    assert scaled(Absent("why"), 3) == Absent("why")
    found = compare("ratio", [Absent("why"), KINDS["mean"], KINDS["mean"]],
                    [KINDS["mean"], Absent("why"), Mean(0.0, 1.0, 5, "normal")],
                    confidence=0.95)  # fmt: skip
    assert found == [
        Absent("this slice: why"), Absent("the reference: why"),
        Absent("the reference is 0, so the ratio is undefined"),
    ]  # fmt: skip


def test_the_noise_of_a_distance_is_added_on_both_sides() -> None:
    noise = np.arange(1, 1_001) / 10_000
    found = estimate(Noisy(0.5, noise, 10, "x", 0.0, 1.0, bound=0.01), confidence=0.95)
    assert isinstance(found, Estimate)
    assert (found.low, found.high) == (pytest.approx(0.5 - 0.105), pytest.approx(0.5 + 0.105))
    assert found.bound == 0.01


def test_a_mean_of_records_by_hand() -> None:
    found = mean_of(6.0, 14.0, 3)  # 1, 2, 3: variance 1
    assert isinstance(found, Mean)
    assert found.standard_error == pytest.approx(math.sqrt(1 / 3))
    assert mean_of(0.0, 0.0, 0) == Absent("no records")
    assert mean_of(math.inf, math.inf, 3) == Absent("a value is not finite")


def test_the_rest_is_everybody_less_the_slice() -> None:
    row = Row(np.array([1, 2]), np.array([5, 5]), ("a", "b"), None, {})
    assert row.rest.tolist() == [4, 3]
    assert (row.column("b"), row.of(row.rest).column("b")) == (2, 3)


def test_other_intervals_stand_beside_the_rates_of_a_family() -> None:
    samples = [Proportion(3, 10), Proportion(400, 1_000), Absent("no records")]
    outcomes = [estimate(sample, confidence=0.95) for sample in samples]
    small, large, absent = with_others(samples, outcomes, confidence=0.95)
    assert isinstance(small, Estimate)
    assert isinstance(large, Estimate)
    assert absent == Absent("no records")
    assert [i.method for i in small.also][1:] == ["clopper-pearson", "dirichlet-multinomial"]
    assert len(large.also) == 1
    assert large.n > SMALL > small.n
    for found in (small, large):
        assert found.low is not None
        assert found.also[0].low is not None
        assert found.also[0].low <= found.low  # wider, as both hold together
    alone = with_others(samples[:1], outcomes[:1], confidence=0.95)
    assert alone == outcomes[:1]
