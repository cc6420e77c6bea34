from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, SliceTable, read_statistic

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])

counts = hnp.arrays(np.int64, (GROUPS.total, 2), elements=st.integers(0, 2**40))
# Whole numbers as sums: addition of other doubles is not associative to the last bit.
sums = hnp.arrays(np.float64, (GROUPS.total, 2), elements=st.integers(-1000, 1000).map(float))


def table(values: Any, **options: Any) -> SliceTable:
    made = SliceTable.zero(
        "loss-sums", GROUPS, ("records", "sum:loss"), sums=values.dtype.kind == "f", **options
    )
    made.values[:] = values
    return made


@given(counts | sums, st.data())
def test_merging_is_associative_and_commutative_with_zero(a: Any, data: Any) -> None:
    like = sums if a.dtype.kind == "f" else counts
    x, y, z = (table(v) for v in (a, data.draw(like), data.draw(like)))
    assert x.merge(y) == y.merge(x)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(table(np.zeros_like(a))) == x


@given(counts | sums)
def test_a_statistic_comes_back_from_its_canonical_json(values: Any) -> None:
    written = table(values, context={"split": "test", "target": None})
    read = read_statistic(json.loads(canonical_json(written.to_json())), where="evidence")
    assert read == written
    assert read.to_json() == written.to_json()


def test_merging_changes_neither_side() -> None:
    one, other = (table(np.full((GROUPS.total, 2), n)) for n in (1, 2))
    assert one.merge(other).values.tolist() == [[3, 3]] * GROUPS.total
    assert one.values.tolist() == [[1, 1]] * GROUPS.total
    assert other.values.tolist() == [[2, 2]] * GROUPS.total


def test_tables_are_equal_when_everything_is() -> None:
    zero = table(np.zeros((GROUPS.total, 2), np.int64))
    assert zero == table(np.zeros((GROUPS.total, 2), np.int64))
    assert zero != table(np.ones((GROUPS.total, 2), np.int64))
    assert zero != table(np.zeros((GROUPS.total, 2), np.int64), context={"split": "test"})
    assert zero != "zero"


def test_empty_rows_are_not_written() -> None:
    values = np.zeros((GROUPS.total, 2), np.int64)
    values[2] = (5, 0)
    assert table(values).to_json()["rows"] == [[2, 5, 0]]


GOOD: dict[str, Any] = table(np.ones((GROUPS.total, 2), np.int64)).to_json()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schema": "auditor/statistic/v2"}, "not a statistic; schema"),
        ({"kind": 3}, "not a statistic"),
        ({"kind": CONFUSION}, "confusion counts with other cells; tn, fp"),
        ({"groups": {"attributes": []}}, "'families' is missing"),
        ({"rows": None}, "cannot be read"),
        ({"rows": [[0, 1]]}, "row 0 does not fit"),
        ({"rows": [[0, 1, 1, 1]]}, "row 0 does not fit"),
        ({"rows": [[GROUPS.total, 1, 1]]}, "row 4 does not fit"),
        ({"rows": [[0, 1, 1], [0, 2, 2]]}, "row 0 does not fit"),
        ({"rows": [[1, 1, 1], [0, 2, 2]]}, "row 0 does not fit"),
        ({"rows": [[-1, 1, 1]]}, "not a whole number from 0"),
        ({"rows": [[True, 1, 1]]}, "not a whole number from 0"),
        ({"rows": [[0, -1, 1]]}, "not a whole number from 0"),
        ({"rows": [[0, 1.5, 1]]}, "not a whole number from 0"),
        ({"rows": [[0, 2**64, 1]]}, "not a whole number from 0"),
        ({"rows": [[0, "1", 1]]}, "not a whole number from 0"),
        ({"type": "sums", "rows": [[0, float("nan"), 1]]}, "a sum is not finite"),
        ({"type": "sums", "rows": [[0, "x", 1]]}, "cannot be read"),
        ({"columns": 3}, "cannot be read"),
    ],
)
def test_a_stored_statistic_that_cannot_be_right_is_refused(
    change: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_statistic(GOOD | change, where="evidence sha256:0")
    assert str(caught.value).startswith("evidence sha256:0: ")


@pytest.mark.parametrize("field", ["groups", "columns", "type", "rows", "context"])
def test_a_missing_field_is_named(field: str) -> None:
    document = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(InputError, match=f"'{field}' is missing"):
        read_statistic(document, where="evidence")


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_other_json_is_no_statistic(document: Any) -> None:
    with pytest.raises(InputError, match="not a statistic"):
        read_statistic(document, where="evidence")


def test_confusion_counts_have_their_nine_cells_in_order() -> None:
    zero = SliceTable.zero(CONFUSION, GROUPS, CELLS)
    assert read_statistic(zero.to_json(), where="evidence") == zero
    swapped = zero.to_json() | {"columns": [CELLS[1], CELLS[0], *CELLS[2:]]}
    with pytest.raises(InputError, match="other cells"):
        read_statistic(swapped, where="evidence")
