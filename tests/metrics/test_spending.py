from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.errors import InputError
from auditor.metrics.spending import SPENDING_PLANS, alpha_of_look, spent

plans = st.sampled_from(sorted(SPENDING_PLANS))
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.2])


def test_the_plans_by_hand_at_half_of_the_records() -> None:
    assert spent(0.5, alpha=0.05, plan="uniform") == pytest.approx(0.025)
    assert spent(0.5, alpha=0.05, plan="pocock") == pytest.approx(0.05 * math.log(1.859141))
    # 1.959964 · √2 = 2.7718
    assert spent(0.5, alpha=0.05, plan="obrien-fleming") == pytest.approx(0.005575, abs=5e-7)


@given(st.floats(0.001, 1), alphas)
def test_obrien_and_fleming_is_that_of_scipys_normal(t: float, alpha: float) -> None:
    expected = 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(t))
    found = spent(t, alpha=alpha, plan="obrien-fleming")
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(plans, alphas, st.integers(1, 200))
def test_the_looks_spend_all_of_it_and_no_more(plan: str, alpha: float, looks: int) -> None:
    each = [alpha_of_look(k, looks, alpha=alpha, plan=plan) for k in range(1, looks + 1)]
    assert all(one >= 0 for one in each)
    assert math.fsum(each) == pytest.approx(alpha, rel=1e-12)
    assert alpha_of_look(1, 1, alpha=alpha, plan=plan) == alpha


@given(plans, alphas, st.floats(0, 1), st.floats(0, 1))
def test_what_is_spent_grows_from_nothing_to_all(
    plan: str, alpha: float, one: float, other: float
) -> None:
    early, late = sorted((one, other))
    assert spent(early, alpha=alpha, plan=plan) <= spent(late, alpha=alpha, plan=plan)
    assert spent(0, alpha=alpha, plan=plan) == 0
    assert spent(1, alpha=alpha, plan=plan) == alpha


@given(st.floats(0, 1), st.floats(0.001, 0.1))
def test_pocock_spends_early_and_obrien_and_fleming_late(t: float, alpha: float) -> None:
    late, even, early = (
        spent(t, alpha=alpha, plan=plan) for plan in ("obrien-fleming", "uniform", "pocock")
    )
    assert late <= even + 1e-15 <= early + 2e-15


@pytest.mark.parametrize(("look", "looks"), [(0, 5), (6, 5), (-1, 5), (1, 0)])
def test_a_look_that_was_not_planned_is_refused(look: int, looks: int) -> None:
    with pytest.raises(InputError, match=f"look {look} of {looks} was not planned; 1 to {looks}"):
        alpha_of_look(look, looks, alpha=0.05, plan="uniform")


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'pocock'"):
        spent(0.5, alpha=0.05, plan="pockock")
    for fraction in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match="from 0 to 1"):
            spent(fraction, alpha=0.05, plan="uniform")
    for alpha in (0.0, 1.0, 5.0, math.nan):
        with pytest.raises(InputError, match="between 0 and 1"):
            spent(0.5, alpha=alpha, plan="uniform")


@pytest.mark.slow
@pytest.mark.parametrize("plan", sorted(SPENDING_PLANS))
def test_looks_at_growing_data_find_nothing_where_there_is_nothing(plan: str, figures: Any) -> None:
    """Ten looks at 5 % each find something in about one of five; by a plan in one of twenty."""
    rng = np.random.default_rng(0)
    looks, draws, alpha = 10, 20_000, 0.05
    sums = np.cumsum(rng.standard_normal((draws, looks)), axis=1)
    z = np.abs(sums) / np.sqrt(np.arange(1, looks + 1))
    levels = [alpha_of_look(k, looks, alpha=alpha, plan=plan) for k in range(1, looks + 1)]
    planned = float(np.mean((z > stats.norm.isf(np.array(levels) / 2)).any(axis=1)))
    naive = float(np.mean((z > stats.norm.isf(alpha / 2)).any(axis=1)))
    figures(f"false alarms of 10 looks, {plan}", {"planned": planned, "without a plan": naive})
    assert planned <= alpha + 2 * math.sqrt(alpha * (1 - alpha) / draws)
    assert naive > 0.15
