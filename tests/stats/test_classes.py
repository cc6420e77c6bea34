from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import (
    MOST_CLASSES,
    Attribute,
    Groups,
    SliceTable,
    class_counts,
    class_zero,
    confusion_counts,
    read_statistic,
)

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
CLASSES = ("a", "b", "c")

label = st.sampled_from(["a", "b", "c", None])
rows = st.lists(st.tuples(st.sampled_from(["F", "M", None]), label, label), max_size=60)


def counted(records: list[Any], classes: tuple[str, ...] = CLASSES) -> SliceTable:
    sex, true, predicted = map(list, zip(*records, strict=True) if records else [[]] * 3)
    return class_counts(GROUPS, GROUPS.encode({"sex": sex}), true, predicted, classes=classes)


def test_missing_labels_are_counted_apart() -> None:
    table = counted(
        [("F", "a", "b"), ("F", None, "b"), ("F", "a", float("nan")), ("M", None, None)]
    )
    cells = dict(zip(table.columns, table.values[0].tolist(), strict=True))
    assert {name: n for name, n in cells.items() if n} == {"0:1": 1, "3:1": 1, "0:3": 1, "3:3": 1}


@given(rows, st.integers(1, 5))
def test_any_split_into_batches_gives_the_same_counts(records: list[Any], parts: int) -> None:
    merged = class_zero(GROUPS, CLASSES)
    for part in range(parts):
        merged = merged.merge(counted(records[part::parts]))
    assert merged == counted(records)


@given(rows)
def test_two_classes_are_the_confusion_counts(records: list[Any]) -> None:
    numbers = {"a": 0, "b": 1, "c": None, None: None}
    made = [(sex, numbers[true], numbers[predicted]) for sex, true, predicted in records]
    table = counted(
        [(s, *(None if v is None else str(v) for v in rest)) for s, *rest in made], ("0", "1")
    )
    codes = GROUPS.encode({"sex": [r[0] for r in made]})
    plain = confusion_counts(GROUPS, codes, [r[1] for r in made], [r[2] for r in made])
    assert np.array_equal(table.values, plain.values)


@given(rows)
def test_it_comes_back_from_its_json(records: list[Any]) -> None:
    table = counted(records)
    document = json.loads(canonical_json(table.to_json()))
    assert read_statistic(document, where="evidence") == table


def test_an_undeclared_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="y_pred holds the class 'd'"):
        counted([("F", "a", "d")])


@pytest.mark.parametrize("classes", [("a",), ("a", "a"), tuple(map(str, range(MOST_CLASSES + 1)))])
def test_two_to_two_hundred_classes_are_declared_once_each(classes: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="classes are declared"):
        class_zero(GROUPS, classes)


def test_as_many_predictions_as_labels() -> None:
    codes = GROUPS.encode({"sex": ["F"]})
    with pytest.raises(InputError, match="1 true and 2 predicted"):
        class_counts(GROUPS, codes, ["a"], ["a", "b"], classes=CLASSES)


@pytest.mark.parametrize(
    "forged",
    [
        {"columns": ["0:0"]}, {"context": {}}, {"context": {"classes": ["a", "b"]}},
        {"context": {"classes": ["a", "b", "b"]}}, {"context": {"classes": "abc"}},
        {"type": "sums"},
    ],
)  # fmt: skip
def test_a_forged_statistic_is_refused(forged: dict[str, Any]) -> None:
    document = counted([("F", "a", "b")]).to_json() | forged
    with pytest.raises(InputError):
        read_statistic(document, where="evidence")
