from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from auditor.errors import InputError
from auditor.metrics.contingency import two_sample_z
from auditor.metrics.mantel_haenszel import (
    ChiSquare,
    Pooled,
    breslow_day_test,
    cmh_test,
    mantel_haenszel_difference,
    mantel_haenszel_odds_ratio,
    mantel_haenszel_ratio,
)
from auditor.metrics.samples import Absent

Strata = tuple[list[int], list[int], list[int], list[int]]

ESTIMATES: list[Callable[..., Any]] = [
    mantel_haenszel_difference,
    mantel_haenszel_ratio,
    mantel_haenszel_odds_ratio,
]
EVERY: list[Callable[..., Any]] = [*ESTIMATES, cmh_test, breslow_day_test]


@st.composite
def strata(draw: Any, least: int = 1, most: int = 6) -> Strata:
    """Strata in which some of both groups were selected and some were not."""
    rows = draw(st.lists(st.tuples(*[st.integers(1, 60)] * 4), min_size=least, max_size=most))
    return (
        [a for a, *_ in rows],
        [a + c for a, c, *_ in rows],
        [b for *_, b, _ in rows],
        [b + d for *_, b, d in rows],
    )


def stratified(given: Strata) -> StratifiedTable:
    return StratifiedTable(
        [
            np.array([[a, m - a], [b, n - b]], float)
            for a, m, b, n in zip(*given, strict=True)
        ]
    )  # fmt: skip


def pooled(outcome: Pooled | Absent) -> Pooled:
    assert isinstance(outcome, Pooled)
    return outcome


# -- by hand ------------------------------------------------------------------------------------

# Admissions to Berkeley, 1973, the six largest departments (Bickel, Hammel and O'Connell 1975):
# women, then men, admitted of applied.
BERKELEY: Strata = (
    [89, 17, 202, 131, 94, 24],
    [108, 25, 593, 375, 393, 341],
    [512, 353, 120, 138, 53, 22],
    [825, 560, 325, 417, 191, 373],
)


def test_within_departments_women_were_admitted_as_often_as_men() -> None:
    """All together 30 % of the women against 45 % of the men; R's ``mantelhaen.test``: p = .2323.

    R's common odds ratio .9046968 is that of men to women; with the correction its X² is 1.4269.
    """
    women, men = (sum(BERKELEY[i]) / sum(BERKELEY[i + 1]) for i in (0, 2))
    assert (round(women, 2), round(men, 2)) == (0.30, 0.45)
    found = cmh_test(*BERKELEY, correction=True)
    assert isinstance(found, ChiSquare)
    assert found.statistic == pytest.approx(1.4269, abs=5e-5)
    assert found.p_value == pytest.approx(0.2323, abs=5e-5)
    assert 1 / pooled(mantel_haenszel_odds_ratio(*BERKELEY)).value == pytest.approx(0.9046968)
    value = pooled(mantel_haenszel_difference(*BERKELEY))
    assert abs(value.value) < 2 * value.standard_error


def test_a_difference_by_hand() -> None:
    """Weights 50 and 10: (50 · −0.2 + 10 · 0.4)/60; Sato's P and Q stratum by stratum."""
    found = pooled(mantel_haenszel_difference([20, 14], [100, 20], [40, 6], [100, 20]))
    p = (100**2 * 40 - 100**2 * 20) / 200**2 + (20**2 * 6 - 20**2 * 14) / 40**2
    q = (20 * 60 + 40 * 80) / 400 + (14 * 14 + 6 * 6) / 80
    assert found.value == pytest.approx(-0.1)
    assert found.standard_error == pytest.approx(math.sqrt(-0.1 * p + q) / 60)
    assert found.strata == 2


def test_a_ratio_by_hand() -> None:
    """(20 · 100/200 + 14 · 20/40) / (40 · 100/200 + 6 · 20/40)."""
    found = pooled(mantel_haenszel_ratio([20, 14], [100, 20], [40, 6], [100, 20]))
    spread = (100**2 * 60 - 800 * 200) / 200**2 + (20**2 * 20 - 84 * 40) / 40**2
    assert found.value == pytest.approx(17 / 23)
    assert found.standard_error == pytest.approx(math.sqrt(spread / (17 * 23)))


# -- against statsmodels ------------------------------------------------------------------------


@given(strata())
def test_ratios_and_the_odds_ratios_error_are_those_of_statsmodels(given: Strata) -> None:
    expected = stratified(given)
    ratio = pooled(mantel_haenszel_ratio(*given))
    odds = pooled(mantel_haenszel_odds_ratio(*given))
    assert ratio.value == pytest.approx(expected.riskratio_pooled, rel=1e-9)
    assert odds.value == pytest.approx(expected.oddsratio_pooled, rel=1e-9)
    assert odds.standard_error == pytest.approx(expected.logodds_pooled_se, rel=1e-9)


@given(strata(), st.booleans())
def test_the_test_is_that_of_statsmodels(given: Strata, correction: bool) -> None:
    """Except where the correction is more than there is: its statistic then grows again."""
    x1, n1, x2, n2 = (np.array(v, float) for v in given)
    gap = abs(float((x1 - n1 * (x1 + x2) / (n1 + n2)).sum()))
    found = cmh_test(*given, correction=correction)
    assert isinstance(found, ChiSquare)
    if correction and gap < 0.5:
        assert (found.statistic, found.p_value) == (0, 1)
        return
    expected = stratified(given).test_null_odds(correction=correction)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-7, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-9)


@given(strata(least=2))
def test_homogeneity_is_that_of_statsmodels(given: Strata) -> None:
    if abs(stratified(given).oddsratio_pooled - 1) < 1e-6:
        return  # statsmodels divides by 1 less the odds ratio
    expected = stratified(given).test_equal_odds(adjust=True)
    found = breslow_day_test(*given)
    assert isinstance(found, ChiSquare)
    assert found.df == len(given[0]) - 1
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-6, abs=1e-6)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-6)


# -- laws ---------------------------------------------------------------------------------------


@given(strata(most=1))
def test_one_stratum_is_the_plain_comparison(given: Strata) -> None:
    (x1,), (n1,), (x2,), (n2,) = given
    p1, p2 = x1 / n1, x2 / n2
    difference = pooled(mantel_haenszel_difference(*given))
    ratio = pooled(mantel_haenszel_ratio(*given))
    odds = pooled(mantel_haenszel_odds_ratio(*given))
    test = cmh_test(*given)
    assert difference.value == pytest.approx(p1 - p2, abs=1e-12)
    assert difference.standard_error == pytest.approx(
        math.sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    )
    assert ratio.value == pytest.approx(p1 / p2)
    assert ratio.standard_error == pytest.approx(math.sqrt(1 / x1 - 1 / n1 + 1 / x2 - 1 / n2))
    assert odds.standard_error == pytest.approx(
        math.sqrt(1 / x1 + 1 / (n1 - x1) + 1 / x2 + 1 / (n2 - x2))
    )
    assert isinstance(test, ChiSquare)
    z, n = float(two_sample_z(x1, n1, x2, n2)), n1 + n2
    assert test.statistic == pytest.approx(z * z * (n - 1) / n, abs=1e-9)


@given(strata())
def test_exchanging_the_groups_turns_the_difference_and_inverts_the_ratios(given: Strata) -> None:
    x1, n1, x2, n2 = given
    for function in ESTIMATES:
        one, other = pooled(function(x1, n1, x2, n2)), pooled(function(x2, n2, x1, n1))
        back = -other.value if function is mantel_haenszel_difference else 1 / other.value
        assert one.value == pytest.approx(back, abs=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error)


@given(strata(), st.integers(0, 5), st.integers(1, 9))
def test_a_stratum_without_one_of_the_groups_contributes_nothing(
    given: Strata, x: int, more: int
) -> None:
    n = x + more
    wider = tuple(
        [*column, *extra]
        for column, extra in zip(given, ([x, 0, 0], [n, 0, 0], [0, x, 0], [0, n, 0]), strict=True)
    )
    for function in EVERY:
        assert function(*wider) == function(*given)


@given(strata())
def test_the_order_of_the_strata_does_not_matter(given: Strata) -> None:
    for function in ESTIMATES:
        one, other = pooled(function(*given)), pooled(function(*(v[::-1] for v in given)))
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error)


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize("given", [([], [], [], []), ([1, 0], [2, 0], [0, 1], [0, 2])])
def test_without_a_stratum_of_both_groups_there_is_a_reason(
    function: Callable[..., Any], given: Strata
) -> None:
    found = function(*given)
    assert isinstance(found, Absent)
    assert "strat" in found.reason


def test_ratios_at_0_and_of_0() -> None:
    none, some = ([0, 0], [9, 4]), ([3, 1], [9, 4])
    for function in (mantel_haenszel_ratio, mantel_haenszel_odds_ratio):
        assert function(*none, *some) == Pooled(0.0, math.inf, 2)
        assert isinstance(function(*some, *none), Absent)
        assert isinstance(function(*none, *none), Absent)
    assert isinstance(breslow_day_test(*none, *some), Absent)


def test_where_nothing_varies_there_is_no_test_and_an_error_of_0_between_equal_groups() -> None:
    given = ([0, 4], [9, 4], [0, 4], [9, 4])
    assert isinstance(cmh_test(*given), Absent)
    assert isinstance(breslow_day_test(*given), Absent)
    assert mantel_haenszel_difference(*given) == Pooled(0.0, 0.0, 2)


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (([3], [2], [1], [2]), "no successes among trials"),
        (([math.nan], [2], [1], [2]), "no successes among trials"),
        (([1], [2], [1], [math.inf]), "no successes among trials"),
        ((1, 2, 1, 2), "along one axis"),
    ],
)
def test_what_are_no_strata_is_refused(function: Callable[..., Any], given: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        function(*given)


@pytest.mark.slow
@pytest.mark.parametrize(("strata_", "size"), [(4, 100), (200, 4)])
def test_differences_and_ratios_cover_with_few_large_and_with_many_small_strata(
    strata_: int, size: int, figures: Any
) -> None:
    rng = np.random.default_rng(strata_)
    draws, hits = 2_000, {"difference": 0, "ratio": 0}
    base = rng.uniform(0.15, 0.6, strata_)
    for _ in range(draws):
        n1 = rng.integers(size // 2, size, strata_)
        n2 = rng.integers(size // 2, size, strata_)
        x2 = rng.binomial(n2, base)
        low = pooled(mantel_haenszel_difference(rng.binomial(n1, base - 0.1), n1, x2, n2))
        half = pooled(mantel_haenszel_ratio(rng.binomial(n1, 0.7 * base), n1, x2, n2))
        hits["difference"] += abs(low.value + 0.1) <= 1.959964 * low.standard_error
        hits["ratio"] += abs(math.log(half.value / 0.7)) <= 1.959964 * half.standard_error
    found = {name: hit / draws for name, hit in hits.items()}
    figures(f"mantel-haenszel coverage, {strata_} strata of up to {size}", found)
    assert found["difference"] == pytest.approx(0.95, abs=0.015)
    assert found["ratio"] == pytest.approx(0.95, abs=0.015)
