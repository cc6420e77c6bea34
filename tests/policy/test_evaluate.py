from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.checks import CHECKS
from auditor.errors import AuditorError, InputError
from auditor.evidence import (
    Finding,
    RuleVerdict,
    Slice,
    Stage,
    Status,
    canonical_json,
    read_verdict,
)
from auditor.metrics import Proportion, compare, estimate
from auditor.policy import LoadedPolicy, evaluate, parse_policy

Make = Callable[..., LoadedPolicy]

WOMEN, MEN = Slice({"group": "F"}), Slice({"group": "M"})


def bounds(rule: RuleVerdict) -> dict[str | None, Any]:
    return {bound.slice.get("group"): bound for bound in rule.bounds}


# --- the statuses, by hand -----------------------------------------------------------------------


def test_a_large_gap_fails_by_bounds_that_hold_for_the_whole_rule(
    runs: SimpleNamespace, policy: Make
) -> None:
    verdict = runs.selected({"F": (113, 1000), "M": (310, 1000)}).judge(policy())
    (rule,) = verdict.rules
    assert rule.status is verdict.status is Status.FAIL
    assert verdict.gate == "closed"
    # Two ordered pairs, so each one-sided bound is at 1 − 0.05 / 2: the two-sided 95 %.
    (expected,) = compare(
        "ratio", [Proportion(113, 1000)], [Proportion(310, 1000)], confidence=0.95
    )
    worst = bounds(rule)["F"]
    assert worst.reference == MEN
    assert (worst.family_low, worst.family_high) == pytest.approx((expected.low, expected.high))
    (own,) = compare("ratio", [Proportion(113, 1000)], [Proportion(310, 1000)], confidence=0.9)
    assert (worst.low, worst.high) == pytest.approx((own.low, own.high))
    assert rule.reason == (
        "selection_rate_ratio of group=F against group=M is 0.3645 [0.2992, 0.4432]: outside "
        ">= 0.8 with simultaneous confidence 95 % over 2 comparisons"
    )


def test_similar_rates_of_many_records_pass(runs: SimpleNamespace, policy: Make) -> None:
    verdict = runs.selected({"F": (290, 1000), "M": (310, 1000)}).judge(policy())
    assert verdict.status is Status.PASS
    assert verdict.gate == "open"
    assert {b.decision for b in verdict.rules[0].bounds} == {Status.PASS}


def test_few_records_are_inconclusive_and_say_how_many_more_would_decide(
    runs: SimpleNamespace, policy: Make
) -> None:
    rule = runs.selected({"F": (29, 100), "M": (31, 100)}).rule(policy())
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is not None
    assert re.search(r"about [\d,]+ more records beside the 200 judged", rule.reason)
    # That many records do decide, at the same rates; a tenth fewer do not.
    for factor, status in ((1.0, Status.PASS), (0.9, Status.INCONCLUSIVE)):
        n = math.ceil(rule.required_n * factor / 200) * 100
        again = runs.selected({"F": (round(0.29 * n), n), "M": (round(0.31 * n), n)})
        assert again.rule(policy()).status is status


def test_the_records_that_show_a_fail_are_told_as_well(runs: SimpleNamespace, policy: Make) -> None:
    rule = runs.selected({"F": (22, 100), "M": (30, 100)}).rule(policy())
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is not None
    n = math.ceil(rule.required_n / 200) * 100
    again = runs.selected({"F": (round(0.22 * n), n), "M": (round(0.3 * n), n)})
    assert again.rule(policy()).status is Status.FAIL


def test_of_many_slices_the_last_to_pass_says_how_many_records_it_takes(
    runs: SimpleNamespace, policy: Make
) -> None:
    made = policy(metric="selection_rate", over="[group]", accept='">= 0.25"')
    rates = {f"g{i}": (260 + i, 1000) for i in range(30)}
    rule = runs.selected(rates).rule(made)
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is not None
    for share, status in ((1.01, Status.PASS), (0.95, Status.INCONCLUSIVE)):
        factor = rule.required_n * share / 30_000
        grown = {g: (round(x * factor), round(n * factor)) for g, (x, n) in rates.items()}
        assert runs.selected(grown).rule(made).status is status


def test_everybody_else_counts_once_among_the_records_needed(
    runs: SimpleNamespace, policy: Make
) -> None:
    rule = runs.selected({"F": (29, 100), "M": (31, 100)}).rule(policy(reference="rest"))
    assert rule.status is Status.INCONCLUSIVE
    assert "beside the 200 judged" in rule.reason


def test_a_value_on_the_border_is_never_decided_by_more_records(
    runs: SimpleNamespace, policy: Make
) -> None:
    rule = runs.selected({"F": (24, 100), "M": (30, 100)}).rule(policy())
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is None
    assert "no number of records would decide" in rule.reason


def test_without_a_finding_a_rule_is_not_evaluated(runs: SimpleNamespace, policy: Make) -> None:
    verdict = runs.nothing().judge(policy())
    (rule,) = verdict.rules
    assert rule.status is verdict.status is Status.NOT_EVALUATED
    assert rule.findings == ()
    assert rule.reason == (
        "no finding of selection_rate_ratio at stage evaluation: the check that yields it "
        "(bias.class-metrics or bias.group-metrics or bias.soft-membership) did not run"
    )


@pytest.mark.parametrize(
    ("metric", "near"),
    [
        ("missing_rate[agge]", "did you mean 'missing_rate[age]'?"),
        ("missing_rate[zzzzzzzzzzzzzzzzzzzz]", "valid: missing_rate[age], missing_rate[pay, x]"),
    ],
)
def test_a_mistyped_parameter_is_not_a_check_that_did_not_run(
    runs: SimpleNamespace, policy: Make, metric: str, near: str
) -> None:
    run = runs.missing({"age": 0, "pay, x": 10}, 1000)
    rule = run.rule(policy(metric=metric, stage="data", accept='"<= 0.1"'), stage="data")
    assert rule.status is Status.NOT_EVALUATED
    assert rule.reason == (
        f"no finding of {metric} at stage data: provenance.missing-values gave no such finding; "
        + near
    )


def test_a_metric_that_its_check_did_not_give_is_not_a_check_that_did_not_run(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.scored({"F": [(0.2, 0), (0.8, 1)], "M": [(0.3, 0), (0.7, 1)]})
    run.findings = [f for f in run.findings if f.base_metric == "auc"]
    rule = run.rule(policy(metric="brier_score", accept='"<= 0.1"'), stage="evaluation")
    assert rule.status is Status.NOT_EVALUATED
    assert rule.reason == (
        "no finding of brier_score at stage evaluation: bias.group-metrics gave no such finding; "
        "valid: auc"
    )


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (True, Status.ERROR, "provenance.missing-values broke: no such thing"),
        (
            False,
            Status.NOT_EVALUATED,
            "no finding of missing_rate[age] at stage data: no such thing",
        ),
    ],
)
def test_a_check_without_any_number_says_why_to_a_rule_on_one_parameter(
    runs: SimpleNamespace, policy: Make, error: bool, status: Status, reason: str
) -> None:
    run = runs.nothing()
    check = CHECKS.get("provenance.missing-values")()
    run.findings = check.unmeasured("no such thing", Stage.DATA, error=error)
    made = policy(metric="missing_rate[age]", stage="data", accept='"<= 0.1"')
    rule = run.rule(made, stage="data")
    assert (rule.status, rule.reason) == (status, reason)


def test_spaces_after_the_commas_of_a_parameter_mean_nothing(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.missing({"age": 0, "pay, x": 10, "pay,y": 20, "pay, y": 30}, 1000)

    def value(metric: str) -> Any:
        made = policy(metric=f'"{metric}"', stage="data", accept='"<= 0.1"')
        rule = run.rule(made, stage="data")
        assert rule.status is Status.PASS
        return [run.findings[i].metric for i in rule.findings]

    assert value("missing_rate[pay,x]") == ["missing_rate[pay, x]"]
    # Where both are there, each is what it says.
    assert value("missing_rate[pay,y]") == ["missing_rate[pay,y]"]
    assert value("missing_rate[pay, y]") == ["missing_rate[pay, y]"]


def test_a_single_group_is_not_evaluated(runs: SimpleNamespace, policy: Make) -> None:
    rule = runs.selected({"F": (300, 1000)}).rule(policy())
    assert rule.status is Status.NOT_EVALUATED
    assert "only one group holds records" in rule.reason
    assert bounds(rule)["F"].decision == "listed"


def test_the_reason_of_the_check_is_the_reason_of_the_rule(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.nothing()
    run.findings += CHECKS.get("bias.group-metrics")().unmeasured(
        "no predictions were given", Stage.EVALUATION
    )
    rule = run.rule(policy(metric="accuracy"))
    assert rule.status is Status.NOT_EVALUATED
    assert "no predictions were given" in rule.reason


def test_a_check_that_broke_is_an_error_and_closes_the_gate(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"F": (290, 1000), "M": (310, 1000)})
    run.findings += [
        Finding(check="bias.group-metrics", metric="accuracy", stage=Stage.EVALUATION,
                status="error", reason="ZeroDivisionError: oh")
    ]  # fmt: skip
    verdict = run.judge(policy(metric="accuracy", accept='">= 0.1"'))
    assert verdict.status is Status.ERROR
    assert verdict.gate == "closed"
    assert "bias.group-metrics broke: ZeroDivisionError" in verdict.rules[0].reason


def test_statistics_that_are_gone_are_an_error(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (290, 1000), "M": (310, 1000)})
    run.statistics.clear()
    rule = run.rule(policy())
    assert rule.status is Status.ERROR
    assert "cannot be read" in rule.reason


def test_statistics_that_cannot_be_read_are_an_error(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (290, 1000), "M": (310, 1000)})

    def broken(digest: str) -> Any:
        raise AuditorError(f"{digest} is torn")

    verdict = evaluate(
        policy(), run.findings, broken, evaluated_at="2026-11-15", seed=0,
        stage=Stage.EVALUATION, registered=True,
    )  # fmt: skip
    assert verdict.status is Status.ERROR


# --- which slices decide -------------------------------------------------------------------------


def test_small_groups_are_listed_and_decide_nothing(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (900, 3000), "M": (910, 3000), "X": (1, 29), "Y": (30, 30)})
    rule = run.rule(policy(reference="best"))
    assert rule.status is Status.FAIL  # against Y, whose 30 of 30 were selected
    run = runs.selected({"F": (900, 3000), "M": (910, 3000), "X": (1, 29), "Y": (29, 29)})
    rule = run.rule(policy())
    assert rule.status is Status.PASS
    small = bounds(rule)["X"]
    assert (small.decision, small.n, small.value) == ("small", 29, None)
    assert small.reason == "n=29 is under the least denominator 30"


def test_small_groups_block_where_the_policy_says_so(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (900, 3000), "M": (910, 3000), "Y": (29, 29)})
    assert run.rule(policy(rest="defaults: {small_groups: block}\n")).status is Status.FAIL
    assert run.rule(policy(small_groups="block")).status is Status.FAIL
    assert run.rule(policy(min_denominator=29)).status is Status.FAIL
    assert run.rule(policy(min_denominator=3001)).status is Status.NOT_EVALUATED


def test_unknown_and_empty_groups_are_listed(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (900, 3000), "M": (910, 3000), "E": (0, 0), None: (500, 500)})
    rule = run.rule(policy())
    assert rule.status is Status.PASS
    found = bounds(rule)
    assert list(found) == ["F", "M", "E", None]
    assert (found[None].decision, found[None].reason) == ("listed", "the group is unknown")
    assert (found["E"].decision, found["E"].reason) == ("listed", "no records")


def test_the_denominator_is_the_metrics_own(runs: SimpleNamespace, policy: Make) -> None:
    cells = {("F",): (500, 0, 5, 20), ("M",): (500, 0, 50, 200)}
    run = runs.crossed({"group": ["F", "M"]}, cells)
    rule = run.rule(policy(metric="true_positive_rate_ratio"))
    assert rule.status is Status.NOT_EVALUATED
    assert "n of 30 or more (group=F: n=25)" in rule.reason


def test_a_count_of_records_has_no_least_denominator(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (5, 10), "M": (50, 100), "E": (0, 0)})
    rule = run.rule(policy(metric="count", over="[group]", accept='">= 50"'))
    assert rule.status is Status.FAIL
    assert bounds(rule)["F"].decision is Status.FAIL
    assert bounds(rule)["E"].decision is Status.FAIL


def test_a_rule_without_over_speaks_of_everybody_or_of_every_attribute(
    runs: SimpleNamespace, policy: Make
) -> None:
    cells = {(s, r): (300, 0, 0, 100) for s in "FM" for r in "AB"}
    run = runs.crossed({"sex": ["F", "M"], "race": ["A", "B"]}, cells)
    everybody = run.rule(policy(metric="selection_rate", accept='">= 0.1"'))
    assert [bound.slice for bound in everybody.bounds] == [Slice()]
    each = run.rule(policy(accept='">= 0.5"'))
    assert {bound.slice.attributes for bound in each.bounds} == {("sex",), ("race",)}
    both = run.rule(policy(accept='">= 0.5"', over="[race*sex]"))
    assert {bound.slice.attributes for bound in both.bounds} == {("race", "sex")}


def test_a_family_that_was_not_counted_is_not_a_pass(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (900, 3000), "M": (910, 3000)})
    rule = run.rule(policy(over="[group, age]"))
    assert rule.status is Status.NOT_EVALUATED
    assert "was not counted over age" in rule.reason
    failing = runs.selected({"F": (300, 3000), "M": (910, 3000)}).rule(policy(over="[group, age]"))
    assert failing.status is Status.FAIL


def test_one_slice_can_be_judged_alone(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (900, 3000), "M": (910, 3000), "X": (10, 3000)})
    rule = run.rule(policy(metric="selection_rate", slice="{group: M}", accept='">= 0.25"'))
    assert rule.status is Status.PASS
    assert [bound.slice for bound in rule.bounds] == [MEN]
    against = run.rule(policy(slice="{group: F}", reference="{group: M}"))
    assert against.status is Status.PASS
    nobody = run.rule(policy(slice="{group: Z}"))
    assert nobody.status is Status.NOT_EVALUATED
    assert "there is no slice group=Z" in nobody.reason


# --- pairs, references, extremes -----------------------------------------------------------------


def test_all_pairs_are_the_worst_against_the_best(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"A": (300, 1000), "B": (290, 1000), "C": (180, 1000), "D": (240, 1000)})
    rule = run.rule(policy())
    worst = min((b for b in rule.bounds if b.value is not None), key=lambda b: b.value)
    assert worst.slice == {"group": "C"}
    assert worst.reference == {"group": "A"}
    assert worst.value == pytest.approx(0.6)
    assert "over 12 comparisons" in rule.reason


@pytest.mark.parametrize(
    ("extreme", "pairs", "accept"),
    [
        ("demographic_parity_ratio", "selection_rate_ratio", '">= 0.8"'),
        ("demographic_parity_difference", "selection_rate_difference", '"<= 0.05"'),
    ],
)
def test_an_extreme_is_all_pairs_of_its_component(
    runs: SimpleNamespace, policy: Make, extreme: str, pairs: str, accept: str
) -> None:
    for rates in ({"A": (300, 1000), "B": (290, 1000), "C": (180, 1000)},
                  {"A": (300, 1000), "B": (290, 1000), "C": (275, 1000)},
                  {"A": (3000, 10000), "B": (2900, 10000), "C": (2950, 10000)}):  # fmt: skip
        run = runs.selected(rates)
        one = run.rule(policy(metric=extreme, accept=accept))
        other = run.rule(policy(metric=pairs, accept=accept))
        assert (one.status, one.bounds, one.required_n) == (
            other.status, other.bounds, other.required_n,
        )  # fmt: skip
        assert one.findings != other.findings


def test_equalized_odds_judges_both_rates(runs: SimpleNamespace, policy: Make) -> None:
    cells = {("F",): (800, 200, 100, 900), ("M",): (400, 600, 100, 900)}
    run = runs.crossed({"group": ["F", "M"]}, cells)
    rule = run.rule(policy(metric="equalized_odds_difference", accept='"<= 0.1"'))
    assert rule.status is Status.FAIL
    assert bounds(rule)["M"].metric == "false_positive_rate_difference"
    assert bounds(rule)["M"].value == pytest.approx(0.4)
    assert "over 4 comparisons" in rule.reason


@pytest.mark.parametrize(
    ("reference", "against"),
    [("largest", "M"), ("{group: F}", "F")],
)
def test_a_reference_is_that_of_the_rule(
    runs: SimpleNamespace, policy: Make, reference: str, against: str
) -> None:
    run = runs.selected({"F": (250, 1000), "M": (300, 1100), "B": (500, 1000), "S": (20, 20)})
    found = bounds(run.rule(policy(reference=reference)))
    assert found[against].reason == "the reference"
    compared = {b.reference for b in found.values() if b.value is not None}
    assert compared == {Slice({"group": against})}
    assert found["S"].decision == "small"


def test_against_the_best_is_against_everybody_since_the_data_choose_the_best(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"F": (250, 1000), "M": (300, 1100), "B": (500, 1000), "S": (20, 20)})
    best, pairs = run.rule(policy(reference="best")), run.rule(policy())
    assert best.bounds == pairs.bounds
    assert bounds(best)["F"].reference == Slice({"group": "B"})
    assert bounds(best)["S"].decision == "small"  # 20 of 20, and yet not the best


def test_everybody_else_can_be_the_reference(runs: SimpleNamespace, policy: Make) -> None:
    run = runs.selected({"F": (250, 1000), "M": (300, 1000), "X": (290, 1000)})
    found = bounds(run.rule(policy(reference="rest")))
    assert found["F"].reference == "rest"
    assert found["F"].value == pytest.approx(0.25 / (590 / 2000))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("{group: Z}", "the reference group=Z holds no records"),
        ("{group: S}", "the reference group=S cannot be used: n=20 is under"),
    ],
)
def test_a_reference_that_cannot_be_used_is_said(
    runs: SimpleNamespace, policy: Make, reference: str, words: str
) -> None:
    run = runs.selected({"F": (250, 1000), "M": (300, 1100), "S": (10, 20)})
    rule = run.rule(policy(reference=reference))
    assert rule.status is Status.NOT_EVALUATED
    assert words in rule.reason


def test_a_rate_of_zero_is_judged_where_a_ratio_exists(runs: SimpleNamespace, policy: Make) -> None:
    rule = runs.selected({"A": (0, 400), "B": (300, 1000), "C": (0, 400)}).rule(policy())
    found = bounds(rule)
    assert rule.status is Status.FAIL
    assert found["A"].decision is found["C"].decision is Status.FAIL
    assert found["B"].decision == "listed"
    nobody = runs.selected({"A": (0, 400), "B": (0, 1000)}).rule(policy())
    assert nobody.status is Status.NOT_EVALUATED
    assert "the ratio is undefined" in nobody.reason


# --- how it is decided ---------------------------------------------------------------------------


def test_two_sides_are_two_one_sided_tests(runs: SimpleNamespace, policy: Make) -> None:
    rule = {"metric": "selection_rate", "accept": '"0.2 .. 0.4"'}
    assert runs.selected({"F": (30, 100)}).rule(policy(**rule)).status is Status.PASS
    inconclusive = runs.selected({"F": (25, 100)}).rule(policy(**rule))
    assert inconclusive.status is Status.INCONCLUSIVE
    assert runs.selected({"F": (500, 1000)}).rule(policy(**rule)).status is Status.FAIL
    passed = runs.selected({"F": (30, 100)}).rule(policy(**rule)).bounds[0]
    own = estimate(Proportion(30, 100), confidence=0.9)
    simultaneous = estimate(Proportion(30, 100), confidence=0.95)  # two sides share the error
    assert (passed.low, passed.high) == pytest.approx((own.low, own.high))
    assert (passed.family_low, passed.family_high) == pytest.approx(
        (simultaneous.low, simultaneous.high)
    )


def test_a_difference_in_either_direction_is_judged(runs: SimpleNamespace, policy: Make) -> None:
    rule = policy(metric="selection_rate_difference", accept='"-0.1 .. 0.1"')
    wide = runs.selected({"F": (3000, 10000), "M": (3100, 10000)}).rule(rule)
    assert wide.status is Status.PASS
    assert runs.selected({"F": (300, 1000), "M": (500, 1000)}).rule(rule).status is Status.FAIL
    assert runs.selected({"F": (300, 1000), "M": (390, 1000)}).rule(rule).status is (
        Status.INCONCLUSIVE
    )


def test_looks_split_the_error_of_a_fail_and_leave_a_pass(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"F": (180, 1000), "M": (300, 1000)}, "training")
    once = policy(stage="training")
    often = policy(stage="training", looks=1000)
    assert run.rule(once, stage="training").status is Status.FAIL
    assert run.rule(often, stage="training").status is Status.INCONCLUSIVE
    assert bounds(run.rule(often, stage="training"))["F"].family_high == pytest.approx(
        compare("ratio", [Proportion(180, 1000)], [Proportion(300, 1000)],
                confidence=1 - 2 * 0.05 / 2000)[0].high
    )  # fmt: skip
    same = runs.selected({"F": (300, 1000), "M": (300, 1000)}, "training")
    assert same.rule(often, stage="training").status is Status.PASS


def test_a_point_decision_takes_the_value_and_shows_the_interval(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"F": (24, 100), "M": (30, 100)})  # 0.24 / 0.3 is 0.8 but for rounding
    rule = run.rule(policy(decide="point"))
    assert rule.status is Status.PASS
    assert bounds(rule)["F"].low < 0.8 < bounds(rule)["F"].high
    assert bounds(rule)["F"].family_low is None
    failed = runs.selected({"F": (23, 100), "M": (30, 100)}).rule(policy(decide="point"))
    assert failed.status is Status.FAIL
    assert "0.7667 [0.5172, 1.1313]: outside >= 0.8 by its value" in failed.reason


def test_what_was_counted_over_everything_decides_by_itself(
    runs: SimpleNamespace, policy: Make
) -> None:
    rule = {"metric": "overlap_rate", "stage": "data", "accept": '"<= 0"'}
    assert runs.overlap(0, 1000).rule(policy(**rule)).status is Status.PASS
    failed = runs.overlap(1, 1000).rule(policy(**rule))
    assert failed.status is Status.FAIL
    assert failed.reason == "overlap_rate[test] is 0.001: outside <= 0, counted over all there is"
    assert runs.overlap(0, 1000).rule(policy(**rule | {"accept": '"== 0"'})).status is Status.PASS


def test_a_metric_without_its_parameter_is_every_one_of_it(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.missing({"age": 0, "job": 400, "pay": 10}, 1000)
    rule = policy(metric="missing_rate", stage="data", accept='"<= 0.2"')
    judged = run.rule(rule)
    assert judged.status is Status.FAIL
    assert [b.metric for b in judged.bounds] == [
        f"missing_rate[{c}]" for c in ("age", "job", "pay")
    ]
    only = run.rule(policy(metric="'missing_rate[pay]'", stage="data", accept='"<= 0.2"'))
    assert only.status is Status.PASS
    assert len(only.findings) == 1


def test_means_are_judged_by_their_standard_error(runs: SimpleNamespace, policy: Make) -> None:
    rule = policy(metric="completeness_residual", accept='"<= 0.1"')
    assert runs.residuals([0.01, 0.02, 0.03] * 20).rule(rule).status is Status.PASS
    assert runs.residuals([0.2, 0.3] * 20).rule(rule).status is Status.FAIL
    open_ = runs.residuals([0.0, 0.19] * 16).rule(rule)
    assert open_.status is Status.INCONCLUSIVE
    assert open_.required_n is not None
    few = runs.residuals([0.01, 0.02]).rule(rule)
    assert few.status is Status.NOT_EVALUATED


def test_rankings_are_judged_too(runs: SimpleNamespace, policy: Make) -> None:
    good = [(i / 100, int(i > 50)) for i in range(100)]
    poor = [(i / 100, i % 2) for i in range(100)]
    run = runs.scored({"A": good, "B": poor})
    assert run.rule(policy(metric="auc", accept='">= 0.6"')).status is Status.PASS
    by_group = run.rule(policy(metric="auc", over="[group]", accept='">= 0.7"'))
    assert by_group.status is Status.FAIL
    assert run.rule(policy(metric="auc_difference", accept='"-0.1 .. 0.1"')).status is Status.FAIL


# --- the gate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_fail", "on_inconclusive", "rates", "gate"),
    [
        ("block", "warn", (100, 300), "closed"),
        ("stop", "warn", (100, 300), "closed"),
        ("warn", "block", (100, 300), "open"),
        ("block", "warn", (280, 300), "open"),
        ("block", "block", (280, 300), "open"),
        ("block", "warn", (250, 300), "open"),
        ("block", "block", (250, 300), "closed"),
        ("warn", "block", (250, 300), "open"),
        ("block", "block", None, "closed"),
        ("block", "warn", None, "open"),
    ],
)
def test_the_gate_closes_as_the_policy_says(
    runs: SimpleNamespace, policy: Make, on_fail: str, on_inconclusive: str,
    rates: tuple[int, int] | None, gate: str,
) -> None:  # fmt: skip
    made = policy(on_fail=on_fail, rest=f"defaults: {{on_inconclusive: {on_inconclusive}}}\n")
    run = runs.selected({"F": (rates[0], 1000), "M": (rates[1], 1000)}) if rates else runs.nothing()
    verdict = run.judge(made)
    assert verdict.gate == gate
    assert verdict.rules[0].closes_gate == (gate == "closed")


@pytest.mark.parametrize(
    ("stage", "only", "judged"),
    [
        ("data", False, []),
        ("training", False, ["t"]),
        ("evaluation", False, ["t", "e"]),
        ("evaluation", True, ["e"]),
        ("pre-deployment", False, ["t", "e"]),
        ("monitoring", False, ["t", "e", "m"]),
        ("training", True, ["t"]),
    ],
)
def test_a_gate_covers_its_stage_and_the_earlier_ones(
    runs: SimpleNamespace, head: str, stage: str, only: bool, judged: list[str]
) -> None:
    stages = {"t": "training", "e": "evaluation", "m": "monitoring"}
    rules = "".join(
        f"  - {{id: {i}, metric: accuracy, stage: {s}, accept: '>= 0.5'}}\n"
        for i, s in stages.items()
    )
    made = parse_policy(f"{head}rules:\n{rules}".encode(), "p")
    verdict = runs.nothing().judge(made, stage=stage, only_stage=only)
    assert [rule.id for rule in verdict.rules] == judged


def test_the_worst_rule_is_the_verdict(runs: SimpleNamespace, head: str) -> None:
    rules = (
        "  - {id: good, metric: selection_rate, stage: evaluation, accept: '>= 0.1'}\n"
        "  - {id: open, metric: selection_rate, stage: evaluation, accept: '>= 0.28'}\n"
        "  - {id: bad, metric: selection_rate, stage: evaluation, accept: '>= 0.5', "
        "on_fail: warn}\n"
    )
    made = parse_policy(f"{head}rules:\n{rules}".encode(), "p")
    verdict = runs.selected({"F": (150, 500), "M": (150, 500)}).judge(made)
    assert [rule.status for rule in verdict.rules] == [
        Status.PASS, Status.INCONCLUSIVE, Status.FAIL,
    ]  # fmt: skip
    assert verdict.status is Status.FAIL
    assert verdict.gate == "open"


def test_a_check_of_the_policy_that_failed_to_load_is_an_error(
    runs: SimpleNamespace, policy: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHECKS.broken, "acme.check", "ImportError: no module")
    run = runs.selected({"F": (290, 1000), "M": (310, 1000)})
    verdict = run.judge(policy(rest="checks: [acme.check]\n"))
    assert [(rule.id, rule.status) for rule in verdict.rules] == [
        ("parity", Status.PASS), ("check:acme.check", Status.ERROR),
    ]  # fmt: skip
    assert verdict.status is Status.ERROR
    assert verdict.gate == "closed"
    named = run.rule(policy(check="acme.check"))
    assert named.status is Status.ERROR
    assert named.reason == "check acme.check failed to load: ImportError: no module"


# --- the form ------------------------------------------------------------------------------------


def test_findings_are_those_of_the_metric_and_the_families(
    runs: SimpleNamespace, policy: Make
) -> None:
    run = runs.selected({"F": (290, 1000), "M": (310, 1000)})
    rule = run.rule(policy())
    cited = [run.findings[i] for i in rule.findings]
    assert {finding.metric for finding in cited} == {"selection_rate_ratio"}
    assert [finding.over for finding in cited] == [None, ("group",)]
    rule = run.rule(policy(metric="selection_rate", accept='">= 0.1"', over="[group]"))
    assert [run.findings[i].slice for i in rule.findings] == [WOMEN, MEN]
    rule = run.rule(policy(metric="selection_rate", accept='">= 0.1"'))
    assert [run.findings[i].slice for i in rule.findings] == [Slice()]
    rule = run.rule(policy(metric="equalized_odds_ratio"))
    assert [run.findings[i].over for i in rule.findings] == [("group",)]


def test_equal_input_gives_an_equal_document_that_reads_back(
    runs: SimpleNamespace, policy: Make
) -> None:
    rates = {"F": (29, 100), "M": (31, 100), "X": (3, 9), None: (1, 50)}
    documents = [
        canonical_json(runs.selected(rates).judge(policy(), seed=7).to_json()) for _ in range(2)
    ]
    assert documents[0] == documents[1]
    verdict = read_verdict(json.loads(documents[0]), where="verdict.json")
    assert verdict.seed == 7
    assert verdict.policy.digest == policy().digest
    assert canonical_json(verdict.to_json()) == documents[0]


def test_a_moment_that_is_none_is_refused(runs: SimpleNamespace, policy: Make) -> None:
    with pytest.raises(InputError, match="'soon' is no moment"):
        runs.nothing().judge(policy(), evaluated_at="soon")
