"""What the verdicts claim of themselves, by simulation with fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from auditor.evidence import Status
from auditor.policy import LoadedPolicy

pytestmark = pytest.mark.slow

Make = Callable[..., LoadedPolicy]

TRIALS = 1_000


def share(
    runs: SimpleNamespace, made: LoadedPolicy, rates: list[float], n: int, status: Status,
    *, trials: int = TRIALS, seed: int = 0,
) -> float:  # fmt: skip
    """Return how often runs with these true rates get a status."""
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(n, rates, size=(trials, len(rates)))
    names = [f"g{i}" for i in range(len(rates))]
    run = runs.selected(dict.fromkeys(names, (n // 2, n)))
    (digest,) = run.statistics
    hits = 0
    for row in drawn:
        # A verdict reads the statistics that findings name, so the findings can stay.
        counts = {name: (int(x), n) for name, x in zip(names, row, strict=True)}
        run.statistics[digest] = runs.counts(counts)
        hits += run.rule(made).status is status
    return hits / trials


def test_ten_truly_equal_groups_are_accused_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make
) -> None:
    made = policy(metric="selection_rate_difference", accept='"<= 0"')
    rate = share(runs, made, [0.3] * 10, 400, Status.FAIL)
    assert rate <= 0.05
    assert rate >= 0.005  # and the bounds are not merely wide


def test_a_group_on_the_border_is_accused_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make
) -> None:
    assert share(runs, policy(), [0.24, 0.3], 400, Status.FAIL) <= 0.05


def test_a_group_on_the_border_passes_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make
) -> None:
    # On the border every pass is as false as it can be; each of two sides needs its own 5 percent.
    assert share(runs, policy(), [0.24, 0.3], 2_000, Status.PASS) <= 0.065
    two_sided = policy(metric="selection_rate_difference", accept='"-0.1 .. 0.1"')
    assert share(runs, two_sided, [0.2, 0.3], 2_000, Status.PASS) <= 0.065


def test_rates_of_20_and_30_percent_are_told_apart_at_500_records(
    runs: SimpleNamespace, policy: Make
) -> None:
    made = policy(metric="selection_rate_difference", accept='"<= 0"')
    assert share(runs, made, [0.2, 0.3], 500, Status.FAIL, trials=300) >= 0.9
    assert share(runs, policy(), [0.2, 0.3], 500, Status.FAIL, trials=300) >= 0.3
    assert share(runs, policy(), [0.2, 0.3], 500, Status.PASS, trials=300) <= 0.01


def test_four_looks_with_the_error_split_accuse_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make
) -> None:
    made = policy(metric="selection_rate_difference", accept='"<= 0"', stage="training", looks=4)
    rng = np.random.default_rng(1)
    run = runs.selected({"F": (1, 2), "M": (1, 2)}, "training")
    (digest,) = run.statistics
    accused = 0
    for _ in range(500):
        taken = rng.binomial(300, [0.3, 0.3], size=(4, 2)).cumsum(axis=0)
        failed = False
        for look, (women, men) in enumerate(taken.tolist(), start=1):
            counts = {"F": (women, 300 * look), "M": (men, 300 * look)}
            run.statistics[digest] = runs.counts(counts)
            rule = run.rule(made, stage="training", looks={"training": look})
            failed = failed or rule.status is Status.FAIL
        accused += failed
    assert accused / 500 <= 0.05


def test_two_sided_rules_tell_20_from_30_percent_at_500_records(
    runs: SimpleNamespace, policy: Make
) -> None:
    made = policy(metric="selection_rate_difference", accept='"-0.0 .. 0.0"')
    assert share(runs, made, [0.2, 0.3], 500, Status.FAIL, trials=300) >= 0.9
    # Two truly equal groups are accused at the nominal 5 percent, give or take the simulation.
    assert share(runs, made, [0.25, 0.25], 500, Status.FAIL) <= 0.065


def test_ten_equal_groups_of_5000_pass_four_fifths(runs: SimpleNamespace, policy: Make) -> None:
    assert share(runs, policy(), [0.3] * 10, 5_000, Status.PASS, trials=200) >= 0.95


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "selection_rate", "over": "[group]", "accept": '">= 0.3"'},
        {"metric": "selection_rate_difference", "reference": "rest", "accept": '"-0.0 .. 0.0"'},
    ],
    ids=["each", "against-the-rest"],
)
def test_sixty_slices_on_the_border_are_accused_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make, figures: Callable[..., None], rule: dict[str, str]
) -> None:
    rate = share(runs, policy(**rule), [0.3] * 60, 200, Status.FAIL, trials=300)
    figures(f"false accusations of 60 slices, {rule['metric']}", {"rate": rate})
    assert rate <= 0.05


@pytest.mark.parametrize("plan", ["uniform", "pocock", "obrien-fleming"])
def test_twenty_looks_accuse_in_at_most_5_percent(
    runs: SimpleNamespace, policy: Make, figures: Callable[..., None], plan: str
) -> None:
    made = policy(metric="selection_rate_difference", accept='"<= 0"', stage="training", looks=20,
                  spending=plan)  # fmt: skip
    rng = np.random.default_rng(2)
    run = runs.selected({"F": (1, 2), "M": (1, 2)}, "training")
    (digest,) = run.statistics
    trials, accused = 200, 0
    for _ in range(trials):
        taken = rng.binomial(100, [0.3, 0.3], size=(20, 2)).cumsum(axis=0)
        for look, (women, men) in enumerate(taken.tolist(), start=1):
            counts = {"F": (women, 100 * look), "M": (men, 100 * look)}
            run.statistics[digest] = runs.counts(counts)
            rule = run.rule(made, stage="training", looks={"training": look})
            if rule.status is Status.FAIL:
                accused += 1
                break
    figures(f"false accusations over 20 looks, {plan}", {"rate": accused / trials})
    assert accused / trials <= 0.05
