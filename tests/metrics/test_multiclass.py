from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
)

from auditor.evidence import Slice
from auditor.metrics import Absent, Mean, estimate, scaled, slice_samples
from auditor.metrics import multiclass as ours
from auditor.metrics.multiclass import AVERAGED_METRICS
from auditor.metrics.rates import BINARY_METRICS
from auditor.stats import Attribute, Groups, SliceTable, class_counts, confusion_counts

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
CLASSES = ("a", "b", "c")
EVERYBODY = Slice()
WHOLE = ("accuracy", "error_rate", "balanced_accuracy", *AVERAGED_METRICS)

label = st.sampled_from(CLASSES)
pairs = st.lists(st.tuples(label, label), min_size=1, max_size=60)


def counted(rows: Any, classes: tuple[str, ...] = CLASSES) -> SliceTable:
    codes = GROUPS.encode({"sex": ["F"] * len(rows)})
    return class_counts(GROUPS, codes, [r[0] for r in rows], [r[1] for r in rows], classes=classes)


def sample(name: str, table: SliceTable) -> Any:
    return slice_samples(name, table, ()).samples[EVERYBODY]


def measured(name: str, table: SliceTable) -> Any:
    return estimate(sample(name, table), confidence=0.95)


def test_ten_records_by_hand() -> None:
    # a: 3 right, 1 as b; b: 2 right, 1 as c; c: 1 right, 2 as a.
    table = counted(
        [("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2 + [("b", "c")] + [("c", "c")]
        + [("c", "a")] * 2
    )  # fmt: skip
    f1 = {"a": 6 / 9, "b": 4 / 6, "c": 2 / 5}
    expected = {
        "accuracy": 0.6, "error_rate": 0.4,
        "balanced_accuracy": (3 / 4 + 2 / 3 + 1 / 3) / 3,
        "macro_precision": (3 / 5 + 2 / 3 + 1 / 2) / 3,
        "macro_recall": (3 / 4 + 2 / 3 + 1 / 3) / 3,
        "macro_f1_score": sum(f1.values()) / 3,
        "micro_precision": 0.6, "micro_recall": 0.6, "micro_f1_score": 0.6,
        "weighted_precision": 0.4 * 3 / 5 + 0.3 * 2 / 3 + 0.3 * 1 / 2,
        "weighted_recall": 0.6,
        "weighted_f1_score": 0.4 * f1["a"] + 0.3 * f1["b"] + 0.3 * f1["c"],
    }  # fmt: skip
    assert set(expected) == set(WHOLE)
    for name, value in expected.items():
        found = measured(name, table)
        assert found.value == pytest.approx(value, abs=1e-12), name
        assert found.low < found.value < found.high
        assert found.n == 10


@given(pairs)
def test_averages_are_those_of_scikit_learn_where_every_class_occurs(rows: list[Any]) -> None:
    both = [*rows, *((c, c) for c in CLASSES)]
    true, predicted = (list(column) for column in zip(*both, strict=True))
    table = counted(both)
    for average in ("macro", "micro", "weighted"):
        expected = precision_recall_fscore_support(true, predicted, average=average)
        for name, value in zip(("precision", "recall", "f1_score"), expected, strict=False):
            assert sample(f"{average}_{name}", table).value == pytest.approx(value, abs=1e-9)
    assert sample("accuracy", table).value == pytest.approx(accuracy_score(true, predicted))


@given(pairs)
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur(rows: list[Any]) -> None:
    true, predicted = (list(column) for column in zip(*rows, strict=True))
    present = sorted(set(true))
    expected = recall_score(true, predicted, labels=present, average="macro", zero_division=0)
    assert sample("balanced_accuracy", counted(rows)).value == pytest.approx(expected, abs=1e-9)


@given(pairs)
def test_one_class_against_the_others_is_the_binary_measure(rows: list[Any]) -> None:
    table = counted(rows)
    codes = GROUPS.encode({"sex": ["F"] * len(rows)})
    for label in CLASSES:
        true, predicted = ([int(r[i] == label) for r in rows] for i in (0, 1))
        binary = confusion_counts(GROUPS, codes, true, predicted)
        for name in BINARY_METRICS:
            if name in ("count", "accuracy", "error_rate", "balanced_accuracy"):
                continue
            assert measured(f"{name}[{label}]", table) == measured(name, binary)


def test_missing_labels_stay_apart_when_classes_are_folded() -> None:
    rows = [("a", "a"), ("b", None), (None, "a"), ("c", "b"), (None, None)]
    table = counted(rows)
    found = measured("selection_rate[a]", table)
    assert (found.value, found.n) == (2 / 3, 3)
    assert measured("base_rate[b]", table).value == 1 / 3
    assert measured("count", table).value == 5
    assert measured("accuracy", table).n == 2


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("true_positive_rate", [("a", "a")], "a class has to be named"),
        ("true_positive_rate[z]", [("a", "a")], "there is no class 'z'"),
        ("true_positive_rate[b]", [("a", "a")], "no positives"),
        ("precision[b]", [("a", "a")], "nobody was selected"),
        ("accuracy", [("a", None)], "no records with label and prediction"),
        ("macro_f1_score", [(None, "a")], "no records with label and prediction"),
        ("macro_precision", [(None, "a")], "no records with label and prediction"),
        ("micro_recall", [(None, "a")], "no records with label and prediction"),
        ("balanced_accuracy", [(None, "a")], "no records with label and prediction"),
        ("weighted_precision", [("a", "b"), ("b", "b")],
         "a class that occurs is never predicted"),
    ],
)  # fmt: skip
def test_what_has_no_denominator_has_a_reason(name: str, rows: Any, reason: str) -> None:
    found = sample(name, counted(rows))
    assert isinstance(found, Absent)
    assert reason in found.reason


def test_no_records_is_the_reason_of_every_measure() -> None:
    for name in WHOLE:
        assert sample(name, counted([])) == Absent("no records")


@pytest.mark.parametrize("right", [True, False])
def test_a_table_that_is_all_right_or_all_wrong_is_not_certain(right: bool) -> None:
    rows = [(c, c if right else CLASSES[i - 1]) for i, c in enumerate(CLASSES) for _ in range(4)]
    for name in ("macro_f1_score", "weighted_f1_score", "weighted_precision"):
        found = measured(name, counted(rows))
        assert found.value == (1 if right else 0)
        assert 0.1 < found.high - found.low < 1


tables = st.lists(st.integers(0, 30), min_size=9, max_size=9).filter(lambda m: min(m) >= 0)


@given(tables)
def test_the_error_of_an_average_is_the_delta_method_by_small_steps(cells: list[int]) -> None:
    matrix = np.array(cells, float).reshape(3, 3) + np.eye(3) + np.roll(np.eye(3), 1, axis=1)

    def weighted_precision(m: Any) -> float:
        return float((m.sum(axis=1) * np.diag(m) / m.sum(axis=0)).sum() / m.sum())

    def f1(m: Any) -> Any:
        return 2 * np.diag(m) / (m.sum(axis=0) + m.sum(axis=1))

    functions: dict[str, Any] = {
        "weighted_precision": weighted_precision,
        "macro_f1_score": lambda m: float(f1(m).mean()),
        "weighted_f1_score": lambda m: float((m.sum(axis=1) * f1(m)).sum() / m.sum()),
    }
    rows = [(CLASSES[i], CLASSES[j]) for i, j in np.ndindex(3, 3) for _ in range(int(matrix[i, j]))]
    for name, function in functions.items():
        found = sample(name, counted(rows))
        variance = 0.0
        for i, j in np.ndindex(3, 3):
            step = np.zeros((3, 3))
            step[i, j] = 1e-5
            slope = (function(matrix + step) - function(matrix - step)) / 2e-5
            variance += slope**2 * matrix[i, j]
        assert isinstance(found, Mean)
        assert found.value == pytest.approx(function(matrix), abs=1e-12)
        assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-5, abs=1e-8)
        grown = scaled(found, 4)
        assert isinstance(grown, Mean)
        assert grown.standard_error == found.standard_error / 2


def test_the_matrix_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.choice(CLASSES, (2, 200))
    table = counted(list(zip(true.tolist(), predicted.tolist(), strict=True)))
    from auditor.metrics.slices import slice_rows

    row = slice_rows(table, ()).rows[EVERYBODY]
    assert np.array_equal(ours.confusion_matrix(row), confusion_matrix(true, predicted))


def test_two_hundred_classes_take_no_longer_than_a_moment() -> None:
    import time

    rng = np.random.default_rng(0)
    classes = tuple(f"c{i:03}" for i in range(200))
    true, predicted = rng.choice(classes, (2, 5_000))
    table = counted(list(zip(true.tolist(), predicted.tolist(), strict=True)), classes)
    start = time.perf_counter()
    for name in AVERAGED_METRICS:
        assert not isinstance(sample(name, table), Absent)
    assert time.perf_counter() - start < 1
