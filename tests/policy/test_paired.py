"""Rules on numbers of two groups at once, and of all of them: distances, tests, indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.evidence import Slice, Status
from auditor.policy import LoadedPolicy
from auditor.stats import PREDICTIONS, Attribute, Groups, value_counts

Make = Callable[..., LoadedPolicy]
DISTANCE = {"metric": "ks_distance", "accept": '"<= 0.2"'}


def g(name: str) -> Slice:
    return Slice({"group": name})


@pytest.fixture
def predicted(runs: SimpleNamespace) -> Callable[..., Any]:
    """Make a run of predicted numbers: {group: (shift, records)}, evenly spread over 0 to 1."""

    def make(shifts: Mapping[str, tuple[float, int]]) -> Any:
        groups = Groups.declare([Attribute(name="group", levels=tuple(shifts))])
        names = [name for name, (_, n) in shifts.items() for _ in range(n)]
        values = np.concatenate([np.arange(n) / max(n, 1) + s for s, n in shifts.values()])
        codes = groups.encode({"group": names})
        table = value_counts(groups, codes, np.round(values, 2), kind=PREDICTIONS)
        return runs.nothing().add("bias.regression", table, "evaluation")

    return make


def test_every_pair_of_near_distributions_passes(predicted: Any, policy: Make) -> None:
    rule = predicted({"A": (0, 3_000), "B": (0, 3_000), "C": (0.05, 3_000)}).rule(
        policy(**DISTANCE)
    )
    assert rule.status is Status.PASS
    assert [bound.slice for bound in rule.bounds] == [g("A"), g("B"), g("C")]
    assert {bound.reference for bound in rule.bounds} <= {g("A"), g("B"), g("C")}
    for bound in rule.bounds:
        assert bound.reference != bound.slice


def test_a_distribution_that_is_far_from_another_fails(predicted: Any, policy: Make) -> None:
    rule = predicted({"A": (0, 500), "B": (0, 500), "C": (0.5, 500)}).rule(policy(**DISTANCE))
    assert rule.status is Status.FAIL
    decisions = {bound.slice["group"]: bound.decision for bound in rule.bounds}
    assert decisions == dict.fromkeys("ABC", Status.FAIL)  # A is as far from C as C from A
    by_reference = policy(**DISTANCE, reference="{group: A}")
    against = predicted({"A": (0, 500), "B": (0, 500), "C": (0.5, 500)}).rule(by_reference)
    shown = {bound.slice["group"]: bound for bound in against.bounds}
    assert shown["C"].decision is Status.FAIL
    assert (shown["C"].value, shown["C"].reference) == (pytest.approx(0.5, abs=0.02), g("A"))
    assert shown["B"].decision is not Status.FAIL


def test_few_records_decide_nothing_yet(predicted: Any, policy: Make) -> None:
    run = predicted({"A": (0, 40), "B": (0.15, 40)})
    rule = run.rule(policy(**DISTANCE))
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is not None
    assert rule.required_n > 80


def test_small_groups_are_listed_and_decide_nothing(predicted: Any, policy: Make) -> None:
    rule = predicted({"A": (0, 3_000), "B": (0, 3_000), "C": (0.5, 20)}).rule(policy(**DISTANCE))
    assert rule.status is Status.PASS
    small = {bound.slice["group"]: bound for bound in rule.bounds}["C"]
    assert (small.decision, small.reason) == ("small", "n=20 is under the least denominator 30")
    blocking = policy(**DISTANCE, small_groups="block")
    run = predicted({"A": (0, 3_000), "B": (0, 3_000), "C": (0.5, 20)})
    assert run.rule(blocking).status is Status.INCONCLUSIVE


def test_the_best_is_every_pair(predicted: Any, policy: Make) -> None:
    run = predicted({"A": (0, 500), "B": (0.1, 400), "C": (0.5, 300)})
    best, pairs = (run.rule(policy(**DISTANCE, **more)) for more in ({"reference": "best"}, {}))
    assert (best.status, best.bounds) == (pairs.status, pairs.bounds)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("largest", "the reference group=A has too few records"),
        ("{group: B}", "the reference group=B has too few records"),
        ("{group: C}", "the reference group holds no records"),
    ],
)
def test_a_reference_that_cannot_be_used_leaves_nothing_to_judge(
    predicted: Any, policy: Make, reference: str, reason: str
) -> None:
    run = predicted({"A": (0, 20), "B": (0, 10), "C": (0, 0)})
    rule = run.rule(policy(**DISTANCE, reference=reference))
    assert rule.status is Status.NOT_EVALUATED
    assert reason in rule.reason


def test_one_group_has_nobody_to_be_compared_with(predicted: Any, policy: Make) -> None:
    for n, reason in ((0, "only one group holds records"),
                      (20, "fewer than two groups are large enough to compare")):  # fmt: skip
        rule = predicted({"A": (0, 200), "B": (0, n)}).rule(policy(**DISTANCE))
        assert rule.status is Status.NOT_EVALUATED
        assert reason in rule.reason


def test_a_waiver_of_one_of_the_two_sets_their_distance_aside(predicted: Any, policy: Make) -> None:
    waiver = (
        "waivers:\n  - {rule: parity, slice: {group: C}, owner: A, reason: known, "
        "expires: 2027-03-31}\n"
    )
    run = predicted({"A": (0, 3_000), "B": (0, 3_000), "C": (0.5, 3_000)})
    assert run.rule(policy(**DISTANCE)).status is Status.FAIL
    waived = run.rule(policy(**DISTANCE, rest=waiver))
    assert waived.status is Status.WAIVED
    other = waiver.replace("{group: C}", "{group: B}")  # A and C are still far from each other
    assert run.rule(policy(**DISTANCE, rest=other)).status is Status.FAIL


AGGREGATE = {"metric": "differential_fairness", "over": "[group]"}


@pytest.mark.parametrize(
    ("rates", "status"),
    [
        ({"A": (3_000, 10_000), "B": (3_000, 10_000)}, Status.PASS),
        ({"A": (1_000, 10_000), "B": (6_000, 10_000)}, Status.FAIL),
        ({"A": (30, 100), "B": (35, 100)}, Status.INCONCLUSIVE),
    ],
)
def test_one_number_over_all_groups_is_judged(
    runs: SimpleNamespace, policy: Make, rates: Any, status: Status
) -> None:
    rule = runs.selected(rates).rule(policy(**AGGREGATE, accept='"<= 0.3"'))
    assert rule.status is status
    (bound,) = rule.bounds
    assert (bound.slice, bound.metric) == (Slice(), "differential_fairness")
    assert (rule.required_n is not None) == (status is Status.INCONCLUSIVE)


def test_one_group_has_no_number_over_all_groups(runs: SimpleNamespace, policy: Make) -> None:
    rule = runs.selected({"A": (30, 100), "B": (0, 0)}).rule(policy(**AGGREGATE, accept='"<= 0.3"'))
    assert rule.status is Status.NOT_EVALUATED
    assert "only one group holds records" in rule.reason


def test_a_metric_in_brackets_over_all_groups(runs: SimpleNamespace, policy: Make) -> None:
    made = policy(metric='"bias_corrected_gap[selection_rate]"', over="[group]", accept='"<= 0.1"')
    assert runs.selected({"A": (300, 10_000), "B": (310, 10_000)}).rule(made).status is Status.PASS
    assert runs.selected({"A": (100, 1_000), "B": (900, 1_000)}).rule(made).status is Status.FAIL
