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
    CELLS,
    PRODUCTS,
    WEIGHTED_COLUMNS,
    Attribute,
    Groups,
    SliceTable,
    confusion_counts,
    read_statistic,
    weighted_confusion,
    weighted_zero,
)

GROUPS = Groups.declare(
    [Attribute(name="sex", levels=("F", "M")), Attribute(name="race", levels=("A", "B"))]
)
NAN = float("nan")

# A missing label or prediction is None; weights are eighths, so that sums are exact.
rows = st.lists(
    st.tuples(
        st.sampled_from(["F", "M", None]), st.sampled_from(["A", "B", None]),
        st.sampled_from([0, 1, None]), st.sampled_from([0, 1, None]),
        st.integers(0, 40).map(lambda k: k / 8), st.integers(0, 6),
    ),
    max_size=60,
)  # fmt: skip


def counted(records: list[Any], *, clusters: bool = False, **options: Any) -> SliceTable:
    sex, race, true, predicted, weight, cluster = map(
        list, zip(*records, strict=True) if records else [[]] * 6
    )
    codes = GROUPS.encode({"sex": sex, "race": race})
    options = {"weights": weight} | ({"clusters": cluster} if clusters else {}) | options
    return weighted_confusion(GROUPS, codes, true, predicted, **options)


def blocks(table: SliceTable, flat: int = 0) -> tuple[Any, Any, Any]:
    """Return records by cell, weight by cell, and the products as a matrix."""
    values = table.values[flat]
    products = np.zeros((9, 9))
    for (i, j), value in zip(PRODUCTS, values[20:], strict=True):
        products[i, j] = products[j, i] = value
    return values[2:11], values[11:20], products


def test_three_records_in_two_clusters_by_hand() -> None:
    table = counted(
        [("F", "A", 1, 1, 2.0, 7), ("F", "A", 0, 1, 3.0, 7), ("M", "A", 1, 1, 5.0, 8)],
        clusters=True,
    )
    tp, fp = CELLS.index("tp"), CELLS.index("fp")
    records, weight, products = blocks(table)
    assert table.values[0, :2].tolist() == [3, 2]
    assert (records[tp], records[fp]) == (2, 1)
    assert (weight[tp], weight[fp]) == (7, 3)
    assert (products[tp, tp], products[tp, fp], products[fp, fp]) == (4 + 25, 6, 9)
    women = GROUPS.offset(("sex",))
    assert table.values[women, :2].tolist() == [2, 1]


@given(rows, st.integers(1, 5))
def test_any_split_into_batches_gives_the_same_sums(records: list[Any], parts: int) -> None:
    whole = counted(records)
    merged = weighted_zero(GROUPS)
    for part in range(parts):
        merged = merged.merge(counted(records[part::parts]))
    assert merged == whole


@given(rows)
def test_batches_of_whole_clusters_give_the_same_sums(records: list[Any]) -> None:
    merged = weighted_zero(GROUPS)
    for cluster in range(7):
        merged = merged.merge(counted([r for r in records if r[5] == cluster], clusters=True))
    assert merged == counted(records, clusters=True)


@given(rows)
def test_clusters_of_one_record_are_no_clusters(records: list[Any]) -> None:
    alone = [(*record[:5], number) for number, record in enumerate(records)]
    assert counted(alone, clusters=True) == counted(records)


@given(rows)
def test_weights_of_1_are_the_plain_counts(records: list[Any]) -> None:
    ones = [(*record[:4], 1.0, 0) for record in records]
    table = counted(ones)
    codes = GROUPS.encode({"sex": [r[0] for r in ones], "race": [r[1] for r in ones]})
    plain = confusion_counts(GROUPS, codes, [r[2] for r in ones], [r[3] for r in ones])
    assert np.array_equal(table.values[:, 2:11], plain.values)
    assert np.array_equal(table.values[:, 11:20], plain.values)
    assert np.array_equal(table.values[:, 0], plain.values.sum(axis=1))


@given(rows, rows)
def test_a_batch_that_lacks_a_group_shifts_no_other(one: list[Any], other: list[Any]) -> None:
    men = [record for record in other if record[0] == "M"]
    merged = counted(one).merge(counted(men))
    start = GROUPS.offset(("sex",))
    assert np.array_equal(merged.values[start], counted(one).values[start])
    assert np.array_equal(merged.values[start + 1], counted([*one, *men]).values[start + 1])


def test_a_record_without_a_cluster_is_a_cluster_of_its_own() -> None:
    codes = GROUPS.encode({"sex": ["F"] * 4, "race": ["A"] * 4})
    table = weighted_confusion(GROUPS, codes, [1] * 4, [1] * 4, clusters=[3, 3, NAN, NAN])
    assert table.values[0, :2].tolist() == [4, 3]
    named = weighted_confusion(GROUPS, codes, [1] * 4, [1] * 4, clusters=["a", "a", None, None])
    assert named == table


@pytest.mark.parametrize("weight", [-1.0, NAN, float("inf"), None])
def test_a_weight_that_cannot_be_used_is_refused_with_its_count(weight: Any) -> None:
    with pytest.raises(InputError, match="1 of 2 weights are missing, negative or infinite"):
        counted([("F", "A", 1, 1, 1.0, 0), ("F", "A", 1, 1, weight, 0)])


def test_clusters_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="clusters has shape"):
        weighted_confusion(GROUPS, GROUPS.encode({"sex": ["F"], "race": ["A"]}), [1], [1],
                           clusters=[1, 2])  # fmt: skip


@given(rows)
def test_it_comes_back_from_its_json(records: list[Any]) -> None:
    table = counted(records, clusters=True)
    document = json.loads(canonical_json(table.to_json()))
    assert read_statistic(document, where="evidence") == table


@pytest.mark.parametrize(
    "columns", [WEIGHTED_COLUMNS[:-1], (*WEIGHTED_COLUMNS[::-1],), (*WEIGHTED_COLUMNS, "more")]
)
def test_other_columns_are_refused(columns: tuple[str, ...]) -> None:
    forged = weighted_zero(GROUPS).to_json() | {"columns": list(columns)}
    with pytest.raises(InputError, match="columns"):
        read_statistic(forged, where="evidence")
