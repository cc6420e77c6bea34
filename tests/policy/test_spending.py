"""Looks that share an error by a plan: they add up, and early ones are stricter."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.errors import InputError
from auditor.evidence import Stage, Status
from auditor.metrics.spending import alpha_of_look
from auditor.policy import LoadedPolicy, evaluate
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
def test_a_look_beyond_the_plan_decides_nothing_and_says_so(
    runs: SimpleNamespace, policy: Make, plan: str
) -> None:
    made = policy(**RULE, looks=5, spending=plan)
    fair = runs.selected({"A": (300, 1_000), "B": (300, 1_000)}, "training")
    unfair = runs.selected({"A": (100, 1_000), "B": (900, 1_000)}, "training")
    later = {"stage": "training", "looks": {"training": 6}}
    alone = unfair.rule(made, **later)
    assert (alone.status, alone.closes_gate) == (Status.NOT_EVALUATED, False)
    assert "look 6 was recorded and decides nothing: looks: 5 were declared" in alone.reason
    for at_five, now in ((unfair, fair), (fair, unfair)):
        both = now.statistics | at_five.statistics
        judged = made_rule(now, made, both, earlier=lambda stage, look, run=at_five: run.findings)
        five = at_five.rule(made, stage="training", looks={"training": 5})
        assert (judged.status, judged.bounds) == (five.status, five.bounds)
        assert judged.reason.startswith(five.reason)
        assert judged.findings == ()
    assert "decides nothing" not in unfair.rule(made, stage="training",
                                                looks={"training": 5}).reason  # fmt: skip


def made_rule(run: Any, policy: LoadedPolicy, statistics: Any, *, earlier: Any) -> Any:
    (rule,) = evaluate(
        policy, run.findings, statistics.__getitem__, evaluated_at="2026-11-15T12:00:00Z", seed=0,
        stage=Stage.TRAINING, registered=True, looks={"training": 6}, earlier=earlier,
    ).rules  # fmt: skip
    return rule


def test_a_rule_that_decides_by_the_value_spends_no_error_and_has_no_plan(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"A": (100, 1_000), "B": (900, 1_000)}, "training")
    made = policy(**RULE, looks=2, decide="point", spending="pocock")
    assert run.rule(made, stage="training", looks={"training": 6}).status is Status.FAIL


def test_fewer_looks_than_declared_leave_their_error_unspent(bounds: Any) -> None:
    stopped, _ = bounds(2, plan="obrien-fleming", looks=5)
    planned, _ = bounds(2, plan="obrien-fleming", looks=2)
    assert stopped < planned  # the wider bound of the five looks stays, though there were two


def test_a_look_that_failed_is_an_error_as_severe_as_its_rules(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"A": (300, 1_000), "B": (300, 1_000)}, "training")
    for on_fail, gate in (("warn", "open"), ("block", "closed"), ("stop", "closed")):
        made = policy(**RULE, looks=2, on_fail=on_fail)
        verdict = run.judge(made, faults={"training": "the disk is full"}, looks={"training": 2})
        assert (verdict.status, verdict.gate) == (Status.ERROR, gate)
        assert (verdict.rules[-1].id, verdict.rules[-1].reason) == (
            "look:training", "the disk is full",
        )  # fmt: skip
        beyond = run.judge(made, faults={"training": "the disk is full"}, looks={"training": 3})
        assert [rule.id for rule in beyond.rules] == ["parity"]


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
