from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.stats import CELLS, Attribute, Groups, SliceTable, confusion_counts, confusion_zero

GROUPS = Groups.declare(
    [Attribute(name="sex", levels=("F", "M")), Attribute(name="race", levels=("A", "B", "C"))]
)

Row = tuple[str | None, str | None, int | None, int | None]

labels = st.sampled_from([0, 1, None])
rows = st.lists(
    st.tuples(
        st.sampled_from(["F", "M", None]), st.sampled_from(["A", "B", "C", None]), labels, labels
    ),
    max_size=40,
)


def count(batch: list[Row]) -> SliceTable:
    columns = list(zip(*batch, strict=True)) or [(), (), (), ()]
    codes = GROUPS.encode({"sex": columns[0], "race": columns[1]})
    return confusion_counts(GROUPS, codes, columns[2], columns[3])


def split(batch: list[Row], cuts: list[int]) -> list[list[Row]]:
    edges = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    return [batch[a:b] for a, b in itertools.pairwise(edges)]


def test_the_cells_by_hand() -> None:
    table = count([("F", "A", 1, 1), ("F", "B", 0, 1), ("M", "A", 1, None), (None, "A", None, 0)])
    by_sex = {str(w): table.family(("sex",))[n] for n, w in GROUPS.slices(("sex",), np.ones(3))}
    assert dict(zip(CELLS, by_sex["sex=F"].tolist(), strict=True)) == {
        "tn": 0, "fp": 1, "negative_unpredicted": 0, "fn": 0, "tp": 1, "positive_unpredicted": 0,
        "unlabelled_predicted_negative": 0, "unlabelled_predicted_positive": 0,
        "unlabelled_unpredicted": 0,
    }  # fmt: skip
    assert by_sex["sex=M"][CELLS.index("positive_unpredicted")] == 1
    assert by_sex["sex is unknown"][CELLS.index("unlabelled_predicted_negative")] == 1
    assert table.family(())[0].sum() == 4


@given(rows)
def test_the_counts_are_those_of_a_naive_loop(batch: list[Row]) -> None:
    table = count(batch)
    for family in GROUPS.families:
        for number in range(GROUPS.size(family)):
            where = GROUPS.slice_of(family, number)
            inside = [
                (t, p) for sex, race, t, p in batch
                if all({"sex": sex, "race": race}[k] == v for k, v in where.items())
            ]  # fmt: skip
            expected = [
                sum((t, p) == cell for t, p in inside)
                for cell in [(t, p) for t in (0, 1, None) for p in (0, 1, None)]
            ]
            assert table.family(family)[number].tolist() == expected


@given(rows, st.lists(st.integers(0, 40), max_size=4), st.randoms())
def test_any_split_into_batches_gives_the_same_counts(
    batch: list[Row], cuts: list[int], random: Any
) -> None:
    parts = [count(part) for part in split(batch, cuts)]
    random.shuffle(parts)
    merged = confusion_zero(GROUPS)
    for part in parts:
        merged = merged.merge(part)
    assert merged == count(batch)


@given(rows, rows, rows)
def test_merging_is_associative_and_commutative_with_zero(
    a: list[Row], b: list[Row], c: list[Row]
) -> None:
    x, y, z = count(a), count(b), count(c)
    assert x.merge(y) == y.merge(x)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(confusion_zero(GROUPS)) == x


@given(rows)
def test_marginals_reconcile_with_intersections(batch: list[Row]) -> None:
    table = count(batch)
    joint = table.family(("sex", "race")).reshape(3, 4, 9)
    assert np.array_equal(joint.sum(axis=1), table.family(("sex",)))
    assert np.array_equal(joint.sum(axis=0), table.family(("race",)))
    assert np.array_equal(joint.sum(axis=(0, 1)), table.family(())[0])
    assert table.family(())[0].sum() == len(batch)


def test_a_batch_that_lacks_a_group_shifts_no_other() -> None:
    """torchmetrics infers the groups from the batch, and counts B of the second as A."""
    first = count([("F", "A", 1, 1), ("M", "B", 1, 0)])
    second = count([("F", "B", 1, 1)])
    race = first.merge(second).family(("race",))
    assert race[:, [CELLS.index("fn"), CELLS.index("tp")]].tolist() == [
        [0, 1], [1, 1], [0, 0], [0, 0],
    ]  # fmt: skip


CARRIERS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "int8": lambda v: np.array(v, np.int8),
    "uint64": lambda v: np.array(v, np.uint64),
    "float": lambda v: np.array(v, np.float32),
    "bool": lambda v: np.array(v, bool),
    "object": lambda v: np.array(v, object),
    "pandas": pd.Series,
    "pandas-Int64": lambda v: pd.Series(v, dtype="Int64"),
    "pandas-boolean": lambda v: pd.Series(v, dtype="boolean"),
    "pandas-category": lambda v: pd.Series(v, dtype="category"),
    "pandas-string": lambda v: pd.Series([str(x) for x in v], dtype="string[pyarrow]"),
    "torch-int": torch.tensor,
    "torch-bool": lambda v: torch.tensor(v, dtype=torch.bool),
    "torch-bfloat16": lambda v: torch.tensor(v, dtype=torch.bfloat16),
    "torch-with-gradient": lambda v: torch.tensor(v, dtype=torch.float32, requires_grad=True),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_labels_count_the_same_whatever_holds_them(carrier: str) -> None:
    true, predicted = [0, 1, 1, 0, 1], [0, 1, 0, 1, 1]
    make = CARRIERS[carrier]
    codes = GROUPS.encode({"sex": "FMFMF", "race": "ABCAB"})
    assert confusion_counts(GROUPS, codes, make(true), make(predicted)) == confusion_counts(
        GROUPS, codes, true, predicted
    )


@pytest.mark.parametrize(
    "missing",
    [
        [1, None, 0],
        np.array([1, np.nan, 0]),
        np.array([1, None, 0], object),
        np.ma.array([1, 1, 0], mask=[False, True, False]),
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([1, None, 0], dtype="category"),
        torch.tensor([1.0, math.nan, 0.0]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_missing_label_is_counted_as_missing(missing: Any) -> None:
    codes = GROUPS.encode({"sex": "FFF", "race": "AAA"})
    everybody = confusion_counts(GROUPS, codes, missing, [1, 1, 1]).family(())[0]
    named = dict(zip(CELLS, everybody.tolist(), strict=True))
    assert {name: n for name, n in named.items() if n} == {
        "fp": 1, "tp": 1, "unlabelled_predicted_positive": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ([0, 1, 2], "y_true holds the values 0, 1, 2; 0, 1 or missing"),
        ([0, -1, 1], "y_true holds the values -1, 0, 1"),
        ([0, 0.5, 1], "y_true holds the values 0, 0.5, 1"),
        ([0, math.inf, 1], "y_true holds the values 0, 1, inf"),
        (["yes", "no", "yes"], "y_true holds values that are not numbers"),
        ([0, 1], r"y_true has shape \(2,\); shape \(3,\)"),
        ([[0], [1], [1]], r"y_true has shape \(3, 1\)"),
        (pd.Series(["a", None, "b"], dtype="category"), "not numbers"),
    ],
)
def test_other_labels_are_refused(bad: Any, what: str) -> None:
    codes = GROUPS.encode({"sex": "FFF", "race": "AAA"})
    with pytest.raises(InputError, match=what):
        confusion_counts(GROUPS, codes, bad, [0, 1, 1])


def test_no_column_at_all_is_missing_everywhere() -> None:
    codes = GROUPS.encode({"sex": "FM", "race": "AB"})
    cells = confusion_counts(GROUPS, codes, None, [0, 1]).family(())[0]
    assert cells[CELLS.index("unlabelled_predicted_positive")] == 1
    assert cells[:6].sum() == 0


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (confusion_zero(Groups.declare([])), "different groups"),
        (confusion_zero(GROUPS, {"split": "test"}), "different context"),
        (SliceTable.zero("loss-sums", GROUPS, CELLS), "different kind"),
        (SliceTable.zero("confusion-counts", GROUPS, ("tn",)), "different columns"),
    ],
)
def test_what_was_counted_differently_is_not_merged(other: SliceTable, what: str) -> None:
    with pytest.raises(InputError, match=what):
        confusion_zero(GROUPS).merge(other)
