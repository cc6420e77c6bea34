from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from auditor.errors import InputError
from auditor.metrics.multiplicity import benjamini_hochberg, bonferroni_level, holm, sidak_level

p_lists = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), max_size=20)


def test_holm_by_hand() -> None:
    """3 · .001, then 2 · .02, then 1 · .03, which may not fall under the one before."""
    assert holm([0.02, 0.03, 0.001]).tolist() == pytest.approx([0.04, 0.04, 0.003])


def test_benjamini_hochberg_keeps_all_three() -> None:
    """p = .02, .03, .001 at .05: ranks 2, 3, 1; an ``argsort`` in place of a rank loses one."""
    adjusted = benjamini_hochberg([0.02, 0.03, 0.001])
    assert adjusted.tolist() == pytest.approx([0.03, 0.03, 0.003])
    assert (adjusted <= 0.05).all()


def test_adjusted_p_values_end_at_1() -> None:
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert benjamini_hochberg([1.0, 0.9]).tolist() == [1, 1]


@settings(max_examples=12)  # statsmodels' Holm takes a tenth of a second
@given(p_lists)
def test_both_are_those_of_statsmodels(p_values: list[float]) -> None:
    if not p_values:
        return
    for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = multipletests(p_values, method=name)[1]
        assert np.allclose(ours(p_values), expected, rtol=1e-9, atol=1e-12)


@given(p_lists)
def test_benjamini_hochberg_is_that_of_scipy(p_values: list[float]) -> None:
    if p_values:
        expected = stats.false_discovery_control(p_values)
        assert np.allclose(benjamini_hochberg(p_values), expected, rtol=1e-9, atol=1e-12)


@given(p_lists, st.randoms())
def test_the_order_of_the_tests_does_not_matter(p_values: list[float], random: Any) -> None:
    places = list(range(len(p_values)))
    random.shuffle(places)
    mixed = [p_values[i] for i in places]
    for adjust in (holm, benjamini_hochberg):
        assert adjust(mixed).tolist() == adjust(p_values)[places].tolist()


@given(p_lists)
def test_an_adjusted_p_value_is_between_the_given_one_and_bonferronis(
    p_values: list[float],
) -> None:
    p = np.array(p_values)
    bonferroni = np.minimum(p * p.size, 1) + 1e-12
    assert (p <= benjamini_hochberg(p) + 1e-12).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()
    assert (holm(p) <= bonferroni).all()


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize("p_values", [[math.nan], [-0.1], [1.1], [math.inf], 0.5, [[0.1]]])
def test_what_is_no_probability_is_refused(adjust: Any, p_values: Any) -> None:
    with pytest.raises(InputError, match="no probabilities"):
        adjust(p_values)


def test_of_no_p_values_there_are_none() -> None:
    assert holm([]).tolist() == benjamini_hochberg([]).tolist() == []


def test_levels_by_hand() -> None:
    assert bonferroni_level(0.95, 10) == pytest.approx(0.995)
    assert sidak_level(0.81, 2) == pytest.approx(0.9)


@given(st.floats(0.01, 0.999), st.integers(1, 10_000))
def test_a_family_of_one_keeps_its_level_and_bonferroni_is_the_stricter(
    confidence: float, k: int
) -> None:
    assert bonferroni_level(confidence, 1) == pytest.approx(confidence)
    assert sidak_level(confidence, 1) == pytest.approx(confidence)
    sidak, bonferroni = sidak_level(confidence, k), bonferroni_level(confidence, k)
    assert confidence - 1e-12 <= sidak <= bonferroni + 1e-12 < 1
    assert sidak_level(confidence, k) ** k == pytest.approx(confidence)


@pytest.mark.parametrize("level", [bonferroni_level, sidak_level])
def test_no_comparisons_and_no_confidence_are_refused(level: Any) -> None:
    with pytest.raises(InputError, match="0 comparisons have no level; 1 or more"):
        level(0.95, 0)
    with pytest.raises(InputError, match="a number between 0 and 1"):
        level(1.0, 2)
