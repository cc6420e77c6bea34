from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.stats import (
    Attribute,
    Groups,
    SliceTable,
    read_statistic,
    strata_counts,
    strata_zero,
    with_unknown,
)

SEX = Attribute(name="sex", levels=("F", "M"))
GROUPS = Groups.declare([SEX])
LEVELS = ("a", "b")

records = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)),
    max_size=30,
)


def count(rows: list[tuple[int, int, int, int]]) -> SliceTable:
    table = np.array(rows, np.int64).reshape(-1, 4)
    return strata_counts(
        GROUPS, table[:, :1].astype(np.int32), table[:, 1], table[:, 2], levels=LEVELS,
        frequency=table[:, 3],
    )  # fmt: skip


@given(records, st.integers(0, 30))
def test_any_split_into_batches_gives_the_same_counts(
    rows: list[tuple[int, int, int, int]], cut: int
) -> None:
    assert count(rows[:cut]).merge(count(rows[cut:])) == count(rows)
    assert strata_zero(GROUPS, LEVELS).merge(count(rows)) == count(rows)


@given(records)
def test_every_record_is_placed_or_unplaced(rows: list[tuple[int, int, int, int]]) -> None:
    values = count(rows).values
    assert np.array_equal(values[:, 0], values[:, 1] + values[:, 2::2].sum(axis=1))
    assert values[0, 0] == sum(row[3] for row in rows)
    assert np.array_equal(values[0], count(rows).family(("sex",)).sum(axis=0))


def test_a_frequency_is_as_many_equal_rows() -> None:
    assert count([(0, 1, 1, 3)]) == count([(0, 1, 1, 1)] * 3)


def test_the_json_form_reads_back() -> None:
    table = count([(0, 1, 1, 3), (2, 2, 0, 1)])
    assert read_statistic(table.to_json(), where="here") == table


def test_a_stratum_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="named twice"):
        strata_zero(GROUPS, ("a", "a"))


def test_unknown_levels_join_the_missing_values_in_every_family() -> None:
    race = Attribute(name="race", levels=("Asked", "Unknown", "White"))
    groups = Groups.declare([SEX, race])
    table = SliceTable.zero("counts", groups, ["n"])
    joint = np.arange(groups.joint)[:, None]
    table.values[:] = groups.marginals(joint)
    found = with_unknown(table, ("Unknown", "Asked", "elsewhere"))
    assert found.groups.attribute("race").levels == ("White",)
    assert found.family(())[0] == table.family(())[0]
    assert np.array_equal(found.family(("sex",)), table.family(("sex",)))
    crossed = table.family(("sex", "race")).reshape(3, 4)
    assert found.family(("sex", "race")).reshape(3, 2).tolist() == [
        [row[2], row[0] + row[1] + row[3]] for row in crossed.tolist()
    ]
    assert with_unknown(table, ("elsewhere",)) is table
