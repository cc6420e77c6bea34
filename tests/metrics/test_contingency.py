from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from auditor.errors import InputError
from auditor.metrics.contingency import fisher_exact, one_person_flip, shortfall, two_sample_z

ALL: list[Callable[..., Any]] = [fisher_exact, one_person_flip, shortfall, two_sample_z]
every = pytest.mark.parametrize("function", ALL)

Table = tuple[int, int, int, int]


@st.composite
def tables(draw: Any, most: int = 200) -> Table:
    n1, n2 = draw(st.integers(1, most)), draw(st.integers(1, most))
    return draw(st.integers(0, n1)), n1, draw(st.integers(0, n2)), n2


def scipys(x1: int, n1: int, x2: int, n2: int) -> float:
    return float(stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]]).pvalue)


# -- Fisher's exact test --------------------------------------------------------------------------


def test_the_lady_tasting_tea() -> None:
    """3 of 4 right: (16 + 1 + 16 + 1)/70; all 4 right: 2/70."""
    assert float(fisher_exact(3, 4, 1, 4)) == pytest.approx(34 / 70)
    assert float(fisher_exact(4, 4, 0, 4)) == pytest.approx(2 / 70)


@given(tables())
def test_the_p_value_is_that_of_scipy(table: Table) -> None:
    assert float(fisher_exact(*table)) == pytest.approx(scipys(*table), rel=1e-9)


@pytest.mark.parametrize(
    "table", [(48_200, 100_000, 48_900, 100_000), (20, 10**6, 45, 10**6), (3, 50, 90_000, 10**6)]
)
def test_large_tables_lose_no_digits(table: Table) -> None:
    assert float(fisher_exact(*table)) == pytest.approx(scipys(*table), rel=1e-8)


@given(tables())
def test_exchanging_groups_or_outcomes_changes_no_p_value(table: Table) -> None:
    x1, n1, x2, n2 = table
    p = float(fisher_exact(*table))
    assert 0 < p <= 1
    assert float(fisher_exact(x2, n2, x1, n1)) == pytest.approx(p, rel=1e-9)
    assert float(fisher_exact(n1 - x1, n1, n2 - x2, n2)) == pytest.approx(p, rel=1e-9)


def test_where_all_or_none_are_selected_there_is_one_table() -> None:
    assert fisher_exact([0, 5], 5, [0, 9], 9).tolist() == [1, 1]


def test_fractions_of_persons_have_no_exact_test() -> None:
    with pytest.raises(InputError, match="not whole"):
        fisher_exact(1.5, 4, 1, 4)


# -- standard deviations ---------------------------------------------------------------------------


def test_standard_deviations_by_hand() -> None:
    """−0.2 / √(0.3 · 0.7 · 2/100)."""
    assert float(two_sample_z(20, 100, 40, 100)) == pytest.approx(-0.2 / math.sqrt(0.0042))


@given(tables(10_000))
def test_standard_deviations_are_those_of_statsmodels_and_their_square_is_pearsons(
    table: Table,
) -> None:
    x1, n1, x2, n2 = table
    if x1 + x2 in (0, n1 + n2):
        assert float(two_sample_z(*table)) == 0
        return
    z = float(two_sample_z(*table))
    assert z == pytest.approx(proportions_ztest([x1, x2], [n1, n2])[0], rel=1e-9, abs=1e-9)
    pearson = stats.chi2_contingency([[x1, n1 - x1], [x2, n2 - x2]], correction=False).statistic
    assert z * z == pytest.approx(pearson, rel=1e-7, abs=1e-9)


# -- one person, and persons missing --------------------------------------------------------------


def test_one_person_turns_a_small_result_round() -> None:
    """1 of 4 against 5 of 10: a ratio of 0.5. With one different person 2 of 4 against 4 of 10."""
    assert float(one_person_flip(1, 4, 5, 10)) == pytest.approx(1.25)
    assert float(one_person_flip(100, 400, 500, 1_000)) == pytest.approx((101 / 400) / (499 / 1000))


def test_nobody_is_selected_who_is_not_there() -> None:
    assert float(one_person_flip(4, 4, 5, 10)) == pytest.approx(1 / 0.4)
    assert one_person_flip([1, 1], 4, [1, 0], 10).tolist() == [math.inf, math.inf]


@given(tables())
def test_one_more_person_never_lowers_the_impact_ratio(table: Table) -> None:
    x1, n1, x2, n2 = table
    if x2:
        assert one_person_flip(*table) >= x1 / n1 / (x2 / n2)


def test_a_shortfall_by_hand() -> None:
    """60 of 200 were selected; of 100 that would be 30, and there are 20."""
    assert float(shortfall(20, 100, 40, 100)) == pytest.approx(10)


@given(tables())
def test_what_one_group_lacks_the_other_has_too_many(table: Table) -> None:
    x1, n1, x2, n2 = table
    missing = float(shortfall(*table))
    assert missing == pytest.approx(-float(shortfall(x2, n2, x1, n1)), abs=1e-9)
    assert np.sign(round(missing, 9)) == -np.sign(round(float(two_sample_z(*table)), 9))
    margins = stats.contingency.expected_freq([[x1, n1 - x1], [x2, n2 - x2]])
    assert missing == pytest.approx(margins[0, 0] - x1, abs=1e-9)


# -- what all share --------------------------------------------------------------------------------


@every
@given(drawn=st.lists(tables(30), max_size=5))
def test_arrays_give_what_each_element_gives(
    function: Callable[..., Any], drawn: list[Table]
) -> None:
    columns = np.array(drawn, float).reshape(-1, 4).T
    assert function(*columns).tolist() == [float(function(*table)) for table in drawn]


@every
def test_shapes_are_kept_and_broadcast(function: Callable[..., Any]) -> None:
    assert function([[1, 2], [3, 4]], 10, 5, 10).shape == (2, 2)


@every
@pytest.mark.parametrize(
    ("table", "why"),
    [
        ((0, 0, 1, 2), "a group without records has no rate; n > 0"),
        ((1, 2, 0, 0), "a group without records has no rate; n > 0"),
        ((3, 2, 1, 2), "no successes among trials"),
        ((-1, 2, 1, 2), "no successes among trials"),
        ((math.nan, 2, 1, 2), "no successes among trials"),
        ((1, 2, 1, math.inf), "no successes among trials"),
    ],
)
def test_what_are_no_counts_is_refused(
    function: Callable[..., Any], table: tuple[float, ...], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        function(*table)
