"""Statistics of the data before any model: they merge, and come back from their JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts, read_statistic
from auditor.stats.membership import membership_groups, membership_sums
from auditor.stats.proxies import proxy_counts
from auditor.stats.unknown_counts import unknown_counts

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])


def back(table: SliceTable) -> Any:
    return read_statistic(json.loads(canonical_json(table.to_json())), where="evidence")


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_any_split_into_batches_gives_the_same_counts_of_positions(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (50, 1)).astype(np.int32)
    places = rng.integers(-1, 7, 50)
    whole = proxy_counts(GROUPS, codes, places, 7)
    made = [
        proxy_counts(GROUPS, codes[rows], places[rows], 7)
        for rows in np.array_split(np.arange(50), parts)
    ]
    merged = made[0]
    for other in made[1:]:
        merged = merged.merge(other)
    assert merged == whole
    assert back(whole) == whole


def test_positions_and_families_are_checked() -> None:
    codes = GROUPS.encode({"sex": ["F"]})
    with pytest.raises(InputError, match="a position is out of range"):
        proxy_counts(GROUPS, codes, np.array([3]), 3)
    crossed = Groups.declare([*GROUPS.attributes, Attribute(name="age", levels=("x",))])
    with pytest.raises(InputError, match="not for their intersections"):
        proxy_counts(crossed, codes, np.array([0]), 1)


@given(st.integers(0, 10_000))
def test_counts_beside_unknown_ones_merge_as_confusion_counts_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (40, 1)).astype(np.int32)
    y, p = rng.integers(0, 2, (2, 40))
    one, other = (confusion_counts(GROUPS, codes[s], y[s], p[s])
                  for s in (slice(0, 15), slice(15, 40)))  # fmt: skip
    both = unknown_counts(one.merge(other))
    assert unknown_counts(one).merge(unknown_counts(other)) == both
    assert back(both) == both
    assert both.values[:, 0].tolist() == one.merge(other).values.sum(axis=1).tolist()


@pytest.mark.parametrize("p", [[[-0.1, 0.5]], [[0.2, 1.1]], [[0.7, 0.4]]])
def test_what_is_no_probability_is_refused(p: Any) -> None:
    with pytest.raises(InputError, match="lie outside 0 to 1, or exceed 1 in sum"):
        membership_sums(membership_groups("race", ("A", "B")), p, [1], [1])


def test_a_record_without_all_probabilities_is_unknown() -> None:
    groups = membership_groups("race", ("A", "B"))
    sums = membership_sums(groups, [[0.5, None], [0.5, 0.5]], [1, 1], [1, 1])
    assert sums.values[:, 0].tolist() == [2.0, 0.5, 0.5, 1.0]
    assert sums.values[:, 1].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert back(sums) == sums


def test_rounding_of_probabilities_is_no_error() -> None:
    groups = membership_groups("race", ("A", "B", "C"))
    thirds = membership_sums(groups, [[0.334, 0.334, 0.334]], [1], [1])
    assert thirds.values[-1, 0] == 0
