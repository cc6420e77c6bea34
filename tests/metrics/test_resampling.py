from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.metrics.resampling import (
    cell_replicates,
    poisson_replicates,
    poisson_weights,
    stratified_replicates,
)

counts = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(counts, st.integers(0, 2**32))
def test_a_replicate_has_as_many_records_and_no_new_cells(cells: list[int], seed: int) -> None:
    drawn = cell_replicates(cells, replicates=5, seed=seed)
    assert drawn.shape == (5, len(cells))
    assert (drawn.sum(axis=1) == sum(cells)).all()
    assert not drawn[:, np.array(cells) == 0].any()
    assert (drawn == cell_replicates(cells, replicates=5, seed=seed)).all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_strata_keep_their_sizes(slices: list[tuple[int, int]]) -> None:
    drawn = stratified_replicates(slices, replicates=4, seed=0)
    assert (drawn.sum(axis=2) == np.array(slices).sum(axis=1)).all()


def test_cells_have_the_distribution_of_rows() -> None:
    """The difference of two groups' rates: 4,000 replicates of cells against as many of rows."""
    rng = np.random.default_rng(3)
    group, hit = np.repeat([0, 1], [30, 50]), rng.random(80) < 0.4
    codes = 2 * group + hit

    def gap(cells: np.ndarray) -> np.ndarray:
        return cells[:, 1] / cells[:, :2].sum(axis=1) - cells[:, 3] / cells[:, 2:].sum(axis=1)

    rows = codes[rng.integers(0, 80, (4_000, 80))]
    by_rows = np.stack([(rows == cell).sum(axis=1) for cell in range(4)], axis=1)
    by_cells = cell_replicates(np.bincount(codes, minlength=4), replicates=4_000, seed=0)
    assert np.abs(by_rows.mean(axis=0) - by_cells.mean(axis=0)).max() < 0.35
    assert np.allclose(np.cov(by_rows.T), np.cov(by_cells.T), atol=1.5)
    assert stats.ks_2samp(gap(by_rows), gap(by_cells)).pvalue > 0.01


# -- the bootstrap that merges ------------------------------------------------------------------

records = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 4)), min_size=1, max_size=60, unique=True
)


@given(records, st.randoms(), st.integers(0, 60))
def test_any_split_and_any_order_merge_to_the_same_replicates(
    rows: list[tuple[int, int]], random: Any, cut: int
) -> None:
    def count(part: list[tuple[int, int]]) -> np.ndarray:
        ids = np.array([i for i, _ in part], np.uint64)
        codes = np.array([c for _, c in part], np.int64)
        return poisson_replicates(codes, ids, cells=5, replicates=7, seed=11)

    shuffled = random.sample(rows, len(rows))
    whole = count(rows)
    assert (count(shuffled) == whole).all()
    assert (count(shuffled[:cut]) + count(shuffled[cut:]) == whole).all()
    assert (sum(count([row]) for row in rows) == whole).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30))
def test_more_replicates_leave_the_first_ones_as_they_are(ids: list[int]) -> None:
    hashes = np.array(ids, np.uint64)
    few, many = (poisson_weights(hashes, replicates=r, seed=5) for r in (3, 9))
    assert (few == many[:, :3]).all()


@pytest.mark.parametrize("ids", ["consecutive", "hashed"])
def test_weights_are_poisson_and_independent(ids: str) -> None:
    rows = np.arange(50_000, dtype=np.uint64)
    if ids == "hashed":
        rows = np.random.default_rng(0).integers(0, 2**63, 50_000, dtype=np.uint64)
    weights = poisson_weights(rows, replicates=20, seed=1)
    seen = np.bincount(weights.ravel(), minlength=7)
    expected = stats.poisson.pmf(np.arange(7), 1) * weights.size
    assert stats.chisquare(
        np.append(seen[:7], seen[7:].sum()), np.append(expected, weights.size - expected.sum())
    ).pvalue > 1e-3  # fmt: skip
    between = np.corrcoef(weights.T.astype(float)) - np.eye(20)
    assert np.abs(between).max() < 4.5 / math.sqrt(50_000)
    assert abs(np.corrcoef(weights[1:, 0], weights[:-1, 0])[0, 1]) < 4 / math.sqrt(50_000)
    other = poisson_weights(rows, replicates=1, seed=2)[:, 0]
    assert abs(np.corrcoef(weights[:, 0], other)[0, 1]) < 4 / math.sqrt(50_000)


def test_the_weights_of_all_machines() -> None:
    """Published runs depend on these numbers: they never change."""
    found = poisson_weights(np.array([0, 1, 2**64 - 1], np.uint64), replicates=8, seed=0)
    assert found.tolist() == [
        [0, 0, 0, 1, 1, 1, 0, 0],
        [1, 0, 3, 0, 0, 0, 0, 0],
        [0, 3, 2, 1, 0, 2, 1, 2],
    ]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_weights_are_those_of_splitmix64_in_whole_numbers(record: int, seed: int) -> None:
    def mixed(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    key = mixed(record ^ mixed((seed + golden) % 2**64))
    uniform = [mixed((key + r * golden) % 2**64) / 2**64 for r in range(1, 6)]
    found = poisson_weights(np.array([record], np.uint64), replicates=5, seed=seed)
    assert found[0].tolist() == stats.poisson.ppf(uniform, 1).clip(0).tolist()


def test_the_poisson_bootstrap_has_the_spread_of_the_multinomial_one() -> None:
    codes = np.repeat([0, 1], [700, 300])
    cells = poisson_replicates(codes, np.arange(1_000), cells=2, replicates=2_000, seed=0)
    rates = cells[:, 1] / cells.sum(axis=1)
    drawn = cell_replicates([700, 300], replicates=2_000, seed=0)[:, 1] / 1_000
    assert rates.mean() == pytest.approx(0.3, abs=0.002)
    assert rates.std() == pytest.approx(drawn.std(), rel=0.08)


def test_no_rows_are_no_counts() -> None:
    none = np.array([], np.uint64)
    assert not poisson_replicates([], none, cells=3, replicates=2, seed=0).any()
    assert poisson_weights(none, replicates=2, seed=0).shape == (0, 2)
    assert not cell_replicates([0, 0], replicates=2, seed=0).any()


@pytest.mark.parametrize("bad", [[-1, 2], [0.5, 1.0], [math.nan, 1.0]])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_counts_that_are_none_are_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="whole numbers"):
        cell_replicates(bad, replicates=2, seed=0)


def test_shapes_codes_ids_and_replicates_are_checked() -> None:
    with pytest.raises(InputError, match="one dimension"):
        cell_replicates([[1, 2]], replicates=1, seed=0)
    with pytest.raises(InputError, match="slices by cells"):
        stratified_replicates([1, 2], replicates=1, seed=0)
    with pytest.raises(InputError, match="1 or more"):
        cell_replicates([1], replicates=0, seed=0)
    with pytest.raises(InputError, match="0 to 1"):
        poisson_replicates([2], [7], cells=2, replicates=1, seed=0)
    with pytest.raises(InputError, match="one code and one id"):
        poisson_replicates([0, 1], [7], cells=2, replicates=1, seed=0)
    with pytest.raises(InputError, match="64-bit integers"):
        poisson_weights(["a"], replicates=1, seed=0)
