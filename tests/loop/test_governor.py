"""The governor keeps the measured cost within its budget."""

from __future__ import annotations

import pytest

from auditor.loop.governor import Governor


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(*, step: float, cost: float, asking: float, budget: float, steps: int) -> Governor:
    clock = Clock()
    governor = Governor(budget=budget, clock=clock)
    for step_number in range(steps):
        clock.now += step
        observed = governor.take()
        clock.now += cost if observed else asking
        governor.done(observed=observed)
        if step_number % 16 == 0:
            governor.settle()
    return governor


@pytest.mark.parametrize(("step", "cost"), [(0.01, 0.0005), (0.001, 0.0002), (0.1, 0.01)])
def test_the_cost_stays_within_the_budget(step: float, cost: float) -> None:
    report = simulate(step=step, cost=cost, asking=1e-7, budget=0.01, steps=5_000).report()
    assert report["cost"] <= 0.011
    assert report["observed_batches"] >= 5_000 * 0.009 * step / cost


def test_a_cheap_observation_is_made_at_every_step() -> None:
    assert simulate(step=0.1, cost=0.0001, asking=0, budget=0.01, steps=100).report()[
        "fraction"
    ] == pytest.approx(1.0)


def test_a_pause_is_not_taken_for_a_step() -> None:
    clock = Clock()
    governor = Governor(budget=0.01, clock=clock)
    for step in range(2_000):
        clock.now += 5.0 if step % 100 == 50 else 0.001
        observed = governor.take()
        clock.now += 0.0001 if observed else 0.0
        governor.done(observed=observed)
        if step % 16 == 0:
            governor.settle()
    assert 10 <= governor.every <= 11


def test_nothing_observed_reports_no_share() -> None:
    assert Governor().report()["fraction"] is None
