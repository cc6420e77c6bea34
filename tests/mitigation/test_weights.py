from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.mitigation import resample, reweigh

records = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=60)


def test_a_two_by_two_table_has_the_weights_worked_by_hand() -> None:
    # Group 0: 4 of 6 positive; group 1: 1 of 4. P(y=1) = 1/2, P(g=0) = 3/5.
    groups = np.repeat([0, 1], [6, 4])
    y = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0])
    weights = reweigh(y, groups)
    assert weights[0] == pytest.approx(0.6 * 0.5 / 0.4)
    assert weights[4] == pytest.approx(0.6 * 0.5 / 0.2)
    assert weights[6] == pytest.approx(0.4 * 0.5 / 0.1)
    assert weights[7] == pytest.approx(0.4 * 0.5 / 0.3)


@given(records)
def test_the_weights_are_those_of_the_formula_of_aif360(rows: list[tuple[int, int]]) -> None:
    """AIF360's Reweighing: w = n_g n_y / (n n_gy), for each cell that holds records."""
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    expected = [
        (groups == g).sum() * (y == label).sum() / (y.size * ((groups == g) & (y == label)).sum())
        for label, g in rows
    ]
    assert reweigh(y, groups) == pytest.approx(expected)


@given(records)
def test_under_the_weights_every_group_has_the_same_base_rate(rows: list[tuple[int, int]]) -> None:
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    weights = reweigh(y, groups)
    for g in np.unique(groups):
        mine = groups == g
        if np.unique(y[mine]).size == 2:
            assert np.average(y[mine], weights=weights[mine]) == pytest.approx(y.mean())


@given(records, st.integers(0, 9))
def test_resampling_gives_each_cell_its_expected_size(rows: Any, seed: int) -> None:
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    taken = resample(y, groups, seed=seed)
    assert np.array_equal(taken, resample(y, groups, seed=seed))
    for label, g in set(rows):
        size = ((y[taken] == label) & (groups[taken] == g)).sum()
        assert abs(size - (groups == g).sum() * (y == label).sum() / y.size) <= 0.5 + 1e-9


def test_no_records_have_no_weights_and_nobody_is_drawn() -> None:
    assert reweigh([], []).size == 0
    assert resample([], [], seed=0).size == 0
