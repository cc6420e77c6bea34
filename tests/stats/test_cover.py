"""A few joint tables give the counts of every family."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.stats import Attribute, Groups, cover
from auditor.stats.cover import count_cells
from auditor.stats.cover import cover as cover_families

sizes = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 9), max_size=6)


@given(sizes, st.integers(1, 3), st.integers(1, 500))
def test_every_family_is_counted_once_in_a_set_that_holds_it(
    given_sizes: dict[str, int], most: int, limit: int
) -> None:
    families = [
        f for size in range(most + 1) for f in itertools.combinations(given_sizes, size)
    ]  # fmt: skip
    blocks = cover_families(families, given_sizes, limit=limit)
    assert sorted(f for _, served in blocks for f in served) == sorted(families)
    for block, served in blocks:
        assert all(set(family) <= set(block) for family in served)
        assert list(block) == [name for name in given_sizes if name in block]
        cells = math.prod(given_sizes[name] for name in block)
        assert cells <= limit or block in families


def test_twelve_attributes_need_far_fewer_tables_than_there_are_families() -> None:
    names = "abcdefghijkl"
    families = [f for size in range(3) for f in itertools.combinations(names, size)]
    assert len(families) == 79
    assert len(cover_families(families, dict.fromkeys(names, 4), limit=1 << 14)) <= 8


@pytest.mark.parametrize("most", [1 << 17, 40, 1])
def test_the_counts_are_those_of_every_family_for_itself(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cover, "_MOST_CELLS", most)
    levels = [("a", "b"), ("x", "y", "z"), tuple(map(str, range(30))), ("0",)]
    groups = Groups.declare([Attribute(name=f"g{i}", levels=each) for i, each in enumerate(levels)])
    rng = np.random.default_rng(0)
    for rows in (0, 1, 50, 3_000):
        codes = np.stack([rng.integers(0, a.size, rows) for a in groups.attributes], 1)
        cells = rng.integers(0, 9, rows)
        out = np.zeros((groups.total, 9), np.int64)
        count_cells(groups, codes.astype(np.int32), cells, out)
        expected = np.zeros_like(out)
        np.add.at(expected, (groups.flat(codes.astype(np.int32)), cells[:, None]), 1)
        assert np.array_equal(out, expected)


def test_codes_that_nobody_encoded_are_refused() -> None:
    groups = Groups.declare([Attribute(name="g", levels=("a",))])
    with pytest.raises(InputError, match="out of range"):
        count_cells(groups, np.array([[2]], np.int32), np.zeros(1, int), np.zeros((3, 1), np.int64))
