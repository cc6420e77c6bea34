from __future__ import annotations

import math
from fractions import Fraction

import fairlearn.metrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate, Slice
from auditor.metrics import (
    METRICS,
    Absent,
    Census,
    Proportion,
    estimate,
    slice_samples,
    wilson,
)
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.stats import CELLS, Attribute, Groups, confusion_zero

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])

# tn fp n? fn tp p? ?n ?p ??
EVERY_CELL = (1, 2, 3, 4, 5, 6, 7, 8, 9)

BY_HAND = {
    "count": Census(45, 45),
    "base_rate": Proportion(15, 21),  # (4 + 5 + 6) of the labelled
    "selection_rate": Proportion(15, 27),  # (2 + 5 + 8) of the predicted
    "true_positive_rate": Proportion(5, 9),
    "false_positive_rate": Proportion(2, 3),
    "true_negative_rate": Proportion(1, 3),
    "false_negative_rate": Proportion(4, 9),
    "precision": Proportion(5, 7),
    "accuracy": Proportion(6, 12),
    "error_rate": Proportion(6, 12),
    "rejection_rate": Proportion(12, 27),  # (1 + 4 + 7) of the predicted
    "false_discovery_rate": Proportion(2, 7),
    "negative_predictive_value": Proportion(1, 5),
    "false_omission_rate": Proportion(4, 5),
}

DERIVED = {
    "balanced_accuracy": Fraction(1, 2) * (Fraction(5, 9) + Fraction(1, 3)),
    "f1_score": Fraction(2 * 5, 2 * 5 + 2 + 4),
    "treatment_ratio": Fraction(4, 2),
    "matthews_corrcoef": (5 * 1 - 2 * 4) / math.sqrt(7 * 9 * 3 * 5),
}


def sample(name: str, cells: tuple[int, ...]) -> object:
    table = confusion_zero(GROUPS)
    table.values[:] = cells
    return slice_samples(name, table, ()).samples[Slice()]


def test_every_rate_has_a_case_worked_by_hand() -> None:
    assert {*BY_HAND, *DERIVED} == set(BINARY_METRICS)


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_measure_by_hand(name: str) -> None:
    found = sample(name, EVERY_CELL)
    assert not isinstance(found, Absent)
    assert found.value == pytest.approx(float(DERIVED[name]), abs=1e-12)
    outcome = estimate(found, confidence=0.95)
    assert isinstance(outcome, Estimate)
    assert outcome.low is not None
    assert outcome.low < outcome.value < (outcome.high or math.inf)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_rate_by_hand(name: str) -> None:
    assert sample(name, EVERY_CELL) == BY_HAND[name]


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("true_positive_rate", {"tn": 3, "fp": 1}, "no positives"),
        ("false_negative_rate", {"tn": 3, "fp": 1}, "no positives"),
        ("false_positive_rate", {"fn": 3, "tp": 1}, "no negatives"),
        ("true_negative_rate", {"fn": 3, "tp": 1}, "no negatives"),
        ("precision", {"tn": 3, "fn": 1}, "nobody was selected"),
        ("precision", {"negative_unpredicted": 1}, "no predictions"),
        ("selection_rate", {"negative_unpredicted": 1}, "no predictions"),
        ("true_positive_rate", {"positive_unpredicted": 9}, "no predictions"),
        ("accuracy", {"positive_unpredicted": 9}, "no predictions"),
        ("accuracy", {"unlabelled_predicted_positive": 9}, "no labelled records"),
        ("base_rate", {"unlabelled_predicted_positive": 9}, "no labelled records"),
        ("true_positive_rate", {"unlabelled_predicted_positive": 9}, "no labelled records"),
        ("true_positive_rate", {}, "no records"),
        ("base_rate", {}, "no records"),
    ],
)
def test_an_empty_denominator_has_its_reason(name: str, cells: dict[str, int], reason: str) -> None:
    assert sample(name, tuple(cells.get(cell, 0) for cell in CELLS)) == Absent(reason)


def test_an_empty_slice_has_the_count_0() -> None:
    assert sample("count", (0,) * 9) == Census(0, 0)


@given(st.tuples(*[st.integers(0, 50)] * 9))
def test_rates_hang_together(cells: tuple[int, ...]) -> None:
    found = {name: sample(name, cells) for name in BINARY_METRICS}
    values = {
        name: Fraction(int(s.x), int(s.n)) for name, s in found.items() if isinstance(s, Proportion)
    }
    assert all(0 <= value <= 1 for value in values.values())
    for one, other in (
        ("true_positive_rate", "false_negative_rate"),
        ("false_positive_rate", "true_negative_rate"),
    ):
        assert (one in values) == (other in values)
        if one in values:
            assert values[one] + values[other] == 1
    # A missing prediction or label changes no rate that needs it.
    complete = tuple(n if i in (0, 1, 3, 4) else 0 for i, n in enumerate(cells))
    for name in ("true_positive_rate", "false_positive_rate", "precision", "accuracy"):
        if name in values:
            assert sample(name, complete) == found[name]


def test_every_metric_says_what_it_is() -> None:
    for name in METRICS:
        metric = METRICS.get(name)
        assert metric.id == name
        assert metric.title
        assert metric.formula
        shapes = [metric.readers, metric.pairs, metric.aggregates, metric.components]
        assert sum(map(bool, shapes)) == 1
        assert metric.kinds
        assert metric.source if not metric.components else metric.operation is not None
        if metric.operation is not None:
            assert metric.ideal == (0.0 if metric.operation == "difference" else 1.0)
        if metric.low is not None and metric.high is not None:
            assert metric.low < metric.high


def test_rates_have_a_difference_and_a_ratio_with_their_range() -> None:
    for name in BY_HAND:
        if name == "count":
            continue
        difference, ratio = METRICS.get(f"{name}_difference"), METRICS.get(f"{name}_ratio")
        assert (difference.low, difference.high) == (-1.0, 1.0)
        assert (ratio.low, ratio.high) == (0.0, None)
        assert difference.components == ratio.components == (name,)
    assert "count_difference" not in METRICS
    assert "mean_loss_ratio" not in METRICS  # a loss has no zero point


def test_the_extremes_are_fairlearns() -> None:
    fairlearns = {
        f"{what}_{operation}"
        for what in ("demographic_parity", "equalized_odds", "equal_opportunity")
        for operation in ("difference", "ratio")
    }
    assert fairlearns < set(EXTREMES)
    assert all(hasattr(fairlearn.metrics, name) for name in fairlearns)


def test_a_rate_comes_with_the_interval_of_its_own_denominator() -> None:
    from auditor.metrics import disaggregate

    table = confusion_zero(GROUPS)
    table.values[:] = EVERY_CELL
    found = {m[0]: m[-1] for m in disaggregate(BINARY_METRICS, table, families=[()])}
    for name, proportion in BY_HAND.items():
        outcome = found[name]
        assert isinstance(outcome, Estimate)
        assert outcome.n == proportion.n
        if isinstance(proportion, Proportion):
            expected = wilson(proportion.x, proportion.n, confidence=0.95)
            assert np.allclose((outcome.low, outcome.high), expected, atol=1e-15)
            assert outcome.method == "wilson"
        else:
            assert (outcome.low, outcome.high, outcome.method) == (45, 45, "census")
