"""Looks that share an error by a plan: they add up, and early ones are stricter."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.errors import InputError
from auditor.evidence import Status
from auditor.metrics.spending import alpha_of_look
from auditor.policy import LoadedPolicy
from auditor.policy.decide import Levels

Make = Callable[..., LoadedPolicy]
PLANS = ("uniform", "pocock", "obrien-fleming")
RULE: dict[str, Any] = {"metric": "selection_rate_difference", "accept": '"<= 0"',
                        "stage": "training"}  # fmt: skip


@pytest.fixture
def bounds(runs: SimpleNamespace, policy: Make) -> Callable[..., tuple[float, Any]]:
    """Return the simultaneous lower bound of the larger gap at a look, and the rule's verdict."""

    def at(look: int, *, plan: str, looks: int) -> tuple[float, Any]:
        run = runs.selected({"A": (300, 1_000), "B": (305, 1_000)}, "training")
        made = policy(**RULE, looks=looks, spending=plan)
        rule = run.rule(made, stage="training", looks={"training": look})
        worst = max(rule.bounds, key=lambda bound: bound.value)
        return worst.family_low, rule

    return at


@pytest.mark.parametrize("plan", ["pocock", "obrien-fleming"])
def test_early_looks_are_stricter(bounds: Any, plan: str) -> None:
    lows = [bounds(look, plan=plan, looks=5)[0] for look in range(1, 6)]
    # Pocock spends most at first, O'Brien and Fleming at last.
    assert lows == sorted(lows, reverse=plan == "pocock")
    assert len(set(lows)) == 5
    uniform = {round(bounds(look, plan="uniform", looks=5)[0], 12) for look in range(1, 6)}
    assert len(uniform) == 1
    assert min(lows) < next(iter(uniform)) < max(lows)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("looks", [1, 2, 20, 500])
def test_the_error_over_all_looks_adds_up(plan: str, looks: int) -> None:
    alpha = 0.05
    shares = [alpha_of_look(k, looks, alpha=alpha, plan=plan) / alpha for k in range(1, looks + 1)]
    assert sum(shares) == pytest.approx(1)
    levels = [Levels(1 - alpha, 3, looks, share).family for share in shares]
    assert all(0 < level < 1 for level in levels)
    # Both sides of the levels of three comparisons, over all looks, are twice the error.
    assert 3 * sum(1 - level for level in levels) == pytest.approx(2 * alpha)


@pytest.mark.parametrize("plan", PLANS)
def test_one_look_is_no_look_too_many(bounds: Any, plan: str) -> None:
    assert bounds(1, plan=plan, looks=1)[0] == bounds(1, plan="uniform", looks=1)[0]


@pytest.mark.parametrize("plan", PLANS)
def test_a_look_too_many_falls_back_to_equal_shares_and_says_so(bounds: Any, plan: str) -> None:
    low, rule = bounds(6, plan=plan, looks=5)
    assert low == bounds(1, plan="uniform", looks=6)[0]
    assert "this is look 6 where 5 were declared" in rule.reason
    assert "were declared" not in bounds(5, plan=plan, looks=5)[1].reason


def test_the_first_of_very_many_looks_accuses_nobody_and_breaks_nothing(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"A": (300, 1_000), "B": (400, 1_000)}, "training")
    made = policy(**RULE, looks=10_000, spending="obrien-fleming")
    first = run.rule(made, stage="training", looks={"training": 1})
    assert first.status is Status.INCONCLUSIVE
    last = run.rule(made, stage="training", looks={"training": 10_000})
    assert last.status in (Status.FAIL, Status.INCONCLUSIVE)


def test_a_gap_that_is_found_at_the_end_is_not_yet_found_at_first(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"A": (300, 1_000), "B": (380, 1_000)}, "training")
    made = policy(**RULE, looks=5, spending="obrien-fleming")
    found = [run.rule(made, stage="training", looks={"training": k}).status for k in (1, 5)]
    assert found == [Status.INCONCLUSIVE, Status.FAIL]


def test_another_plan_is_refused_with_the_known_ones(policy: Make) -> None:
    with pytest.raises(InputError, match="spending"):
        policy(**RULE, looks=5, spending="haybittle")
