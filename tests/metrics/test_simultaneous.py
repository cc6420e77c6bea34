from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from auditor.errors import InputError
from auditor.metrics import newcombe, normal_quantile, wilson
from auditor.metrics.critical_values import bonferroni, confidence_of, sidak, tukey
from auditor.metrics.simultaneous import (
    difference_limits,
    guarded_limits,
    max_t_bands,
    sidak_wilson,
    simultaneous_differences,
)

proportions = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
families = st.lists(proportions, min_size=1, max_size=8)
LARGE = ([4_000, 6_000, 5_000], [10_000, 20_000, 10_000])

# Two attributes of two values each: four joint cells, and eight slices that overlap.
MEMBERSHIP = np.array(
    [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1],
     [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], bool,
)  # fmt: skip


def slices(joint: Any) -> tuple[Any, Any]:
    table = MEMBERSHIP @ np.asarray(joint)
    return table[:, 0], table.sum(axis=1)


# -- rates --------------------------------------------------------------------------------------


def test_large_slices_have_wilsons_interval_at_sidaks_level() -> None:
    """1 − 0.95^(1/3) = 0.016952, shared by two sides: z = 2.3877."""
    bands = sidak_wilson(*LARGE, confidence=0.95)
    assert bands.critical == pytest.approx(2.3877, abs=1e-4)
    assert bands.method == "sidak-wilson"
    low, high = wilson(*LARGE, confidence=0.95 ** (1 / 3))
    assert np.allclose((bands.low, bands.high), (low, high))
    assert max_t_bands(*LARGE, confidence=0.95).critical == bands.critical


def test_slices_that_overlap_share_the_error_in_equal_parts() -> None:
    bands = sidak_wilson(*LARGE, confidence=0.95, disjoint=False)
    assert bands.critical == bonferroni(3, confidence=0.95)
    assert bands.method == "bonferroni-wilson"


@given(proportions, st.sampled_from([0.95, 0.999]))
def test_limits_are_clopper_and_pearsons_or_wilsons(
    sample: tuple[int, int], confidence: float
) -> None:
    x, n = sample
    few = min(x, n - x) < normal_quantile(confidence) ** 6 / 3
    method = "beta" if few else "wilson"
    expected = proportion_confint(x, n, alpha=1 - confidence, method=method)
    assert np.allclose(guarded_limits(x, n, confidence=confidence), expected, atol=1e-9)


@pytest.mark.parametrize("family", [2, 10, 60])
@pytest.mark.parametrize("n", [30, 100, 1_000])
def test_guarded_limits_miss_no_rate_more_often_than_they_say(family: int, n: int) -> None:
    """Exactly, by the binomial distribution, at the worst rate; Wilson's alone miss far more."""
    confidence = confidence_of(sidak(family, confidence=0.95))
    x = np.arange(n + 1)
    rates = np.linspace(0.01, 0.99, 99)
    mass = stats.binom.pmf(x[:, None], n, rates)

    def together(limits: Any) -> float:
        low, high = limits(x, np.full(n + 1, n), confidence=confidence)
        low, high = low[:, None], high[:, None]
        return float((mass * ((low <= rates) & (rates <= high))).sum(axis=0).min() ** family)

    assert together(guarded_limits) > 0.94
    assert together(wilson) < together(guarded_limits) + 1e-9


@given(families, st.sampled_from([0.8, 0.95, 0.99]))
def test_a_band_holds_the_rate_and_a_larger_family_has_wider_ones(
    family: list[tuple[int, int]], confidence: float
) -> None:
    x, n = (np.array(v) for v in zip(*family, strict=True))
    bands = sidak_wilson(x, n, confidence=confidence)
    assert (bands.low <= x / n + 1e-12).all()
    assert (x / n <= bands.high + 1e-12).all()
    more = sidak_wilson(np.append(x, 500), np.append(n, 1_000), confidence=confidence)
    assert more.critical > bands.critical


def test_a_slice_without_records_knows_nothing_and_costs_nothing() -> None:
    bands = sidak_wilson([40, 0, 50], [100, 0, 100], confidence=0.95)
    assert (bands.low[1], bands.high[1]) == (0.0, 1.0)
    assert bands.critical == sidak(2, confidence=0.95)
    alone = sidak_wilson([0], [0], confidence=0.95)
    assert (alone.low.tolist(), alone.high.tolist()) == ([0.0], [1.0])


# -- slices that overlap ------------------------------------------------------------------------


def test_slices_that_overlap_have_a_smaller_critical_value_than_bonferronis() -> None:
    joint = np.array([[4_000, 6_000], [5_000, 7_000], [6_000, 5_000], [3_000, 8_000]])
    bands = max_t_bands(*slices(joint), confidence=0.95, joint=joint, membership=MEMBERSHIP)
    assert normal_quantile(0.95) < bands.critical < bonferroni(8, confidence=0.95)
    assert bands.method == "max-t-wilson"
    same = max_t_bands(*slices(joint), confidence=0.95, joint=joint, membership=MEMBERSHIP)
    assert (bands.low == same.low).all()


def test_slices_that_are_the_same_are_one() -> None:
    """Five names of one set of records: the maximum is over one t."""
    joint, membership = np.array([[5_000, 9_000], [4_000, 3_000]]), np.ones((5, 2), bool)
    bands = max_t_bands([9_000] * 5, [21_000] * 5, confidence=0.95, joint=joint,
                        membership=membership, replicates=20_000)  # fmt: skip
    assert bands.critical == pytest.approx(1.96, abs=0.05)


def test_slices_that_do_not_overlap_have_sidaks_value() -> None:
    joint = np.full((6, 2), 5_000)
    bands = max_t_bands([5_000] * 6, [10_000] * 6, confidence=0.95, joint=joint,
                        membership=np.eye(6, dtype=bool), replicates=20_000)  # fmt: skip
    assert bands.critical == pytest.approx(sidak(6, confidence=0.95), abs=0.05)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=4, max_size=4))
def test_empty_and_tiny_cells_have_exact_limits(joint: list[tuple[int, int]]) -> None:
    x, n = slices(joint)
    if not n.any():
        return
    bands = max_t_bands(x, n, confidence=0.95, joint=joint, membership=MEMBERSHIP, replicates=100)
    occupied = n > 0
    z = bonferroni(int(occupied.sum()), confidence=0.95)
    rough = occupied & (np.minimum(x, n - x) < z**6 / 3)
    low, high = guarded_limits(x[rough], n[rough], confidence=confidence_of(z))
    assert np.allclose((bands.low[rough], bands.high[rough]), (low, high))
    assert ((bands.low[~occupied] == 0) & (bands.high[~occupied] == 1)).all()
    assert bands.critical <= z


def test_few_replicates_fall_back_to_bonferroni() -> None:
    joint = np.array([[4_000, 6_000], [5_000, 7_000], [6_000, 5_000], [3_000, 8_000]])
    bands = max_t_bands(
        *slices(joint), confidence=0.999, joint=joint, membership=MEMBERSHIP, replicates=50
    )
    assert bands.critical == bonferroni(8, confidence=0.999)


def test_joint_cells_that_do_not_add_up_are_refused() -> None:
    joint = np.array([[4, 6], [5, 7], [6, 5], [3, 8]])
    x, n = slices(joint)
    with pytest.raises(InputError, match="do not add up"):
        max_t_bands(x + 1, n + 1, confidence=0.95, joint=joint, membership=MEMBERSHIP)
    with pytest.raises(InputError, match="do not add up"):
        max_t_bands(x, n, confidence=0.95, joint=joint[:2], membership=MEMBERSHIP)
    with pytest.raises(InputError, match="both or none"):
        max_t_bands(x, n, confidence=0.95, joint=joint)
    with pytest.raises(InputError, match="0 ≤ x ≤ n"):
        sidak_wilson([3], [2], confidence=0.95)


# -- differences --------------------------------------------------------------------------------


def test_all_pairs_of_large_groups_by_hand() -> None:
    """Newcombe at z = 3.314 / √2 = 2.344."""
    found = simultaneous_differences(*LARGE, confidence=0.95)
    assert found.critical == tukey(3, confidence=0.95) == pytest.approx(2.344, abs=5e-4)
    x, n = (np.array(v) for v in LARGE)
    i, j = found.pairs.T
    low, high = newcombe(x[i], n[i], x[j], n[j], confidence=confidence_of(found.critical))
    assert np.allclose((found.low, found.high), (low, high))


def test_one_reference_needs_less_than_all_pairs() -> None:
    found = simultaneous_differences(*LARGE, confidence=0.95, reference=1)
    assert found.pairs.tolist() == [[0, 1], [2, 1]]
    assert normal_quantile(0.95) < found.critical < sidak(2, confidence=0.95)
    assert found.method == "newcombe-dunnett"


def test_a_single_difference_is_newcombes() -> None:
    x, n = [3, 9], [10, 12]
    expected = newcombe(x[0], n[0], x[1], n[1], confidence=0.95)
    for reference in (None, 1):
        found = simultaneous_differences(x, n, confidence=0.95, reference=reference)
        assert np.allclose((found.low[0], found.high[0]), expected)


@given(st.lists(proportions, min_size=2, max_size=6))
def test_differences_hold_the_observed_ones_and_are_wider_than_single_ones(
    family: list[tuple[int, int]],
) -> None:
    x, n = (np.array(v, float) for v in zip(*family, strict=True))
    found = simultaneous_differences(x, n, confidence=0.95)
    i, j = found.pairs.T
    d = x[i] / n[i] - x[j] / n[j]
    assert (found.low <= d + 1e-12).all()
    assert (d <= found.high + 1e-12).all()
    single = difference_limits(x[i], n[i], x[j], n[j], confidence=0.95, guarded=len(i) > 1)
    assert (found.high - found.low >= single[1] - single[0] - 1e-12).all()


def test_differences_need_two_groups_with_records() -> None:
    for x, n in (([1], [2]), ([1, 0], [2, 0])):
        with pytest.raises(InputError, match="two or more groups"):
            simultaneous_differences(x, n, confidence=0.95)
    with pytest.raises(InputError, match="0 to 1"):
        simultaneous_differences([1, 2], [3, 4], confidence=0.95, reference=2)
