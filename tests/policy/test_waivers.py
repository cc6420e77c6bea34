from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from auditor.evidence import RuleVerdict, Slice, Status
from auditor.policy import LoadedPolicy, parse_policy, policy_text

Make = Callable[..., LoadedPolicy]

FAILING = {"F": (290, 1000), "M": (310, 1000), "X": (100, 1000)}


@pytest.fixture
def waived(policy: Make) -> Make:
    """Make a policy with waivers of its rule; the moment of judging is 2026-11-15."""

    def make(*waivers: str, **changes: str) -> LoadedPolicy:
        lines = "".join(f"  - {{rule: parity, reason: R, {waiver}}}\n" for waiver in waivers)
        text = policy_text(policy(**changes).policy).decode() + f"waivers:\n{lines}"
        return parse_policy(text.encode(), "waived.yaml")

    return make


def decisions(rule: RuleVerdict) -> dict[str | None, object]:
    return {bound.slice.get("group"): bound.decision for bound in rule.bounds}


def test_a_valid_waiver_turns_a_fail_into_waived(runs: SimpleNamespace, waived: Make) -> None:
    verdict = runs.selected(FAILING).judge(waived("owner: Ann, expires: 2027-03-31"))
    (rule,) = verdict.rules
    assert rule.status is verdict.status is Status.WAIVED
    assert verdict.gate == "open"
    assert rule.waiver is not None
    assert (rule.waiver.owner, rule.waiver.expired) == ("Ann", False)
    assert rule.reason.startswith("waived by Ann until 2027-03-31 (R); measured: selection_rate")
    assert decisions(rule)["X"] is Status.FAIL  # the numbers stay as they are


@pytest.mark.parametrize("rates", [FAILING, {"F": (3000, 9000), "M": (3000, 9000)}, None])
def test_an_expired_waiver_fails_its_rule_whatever_was_measured(
    runs: SimpleNamespace, waived: Make, rates: dict[str | None, tuple[int, int]] | None
) -> None:
    run = runs.selected(rates) if rates else runs.nothing()
    verdict = run.judge(waived("owner: Ann, expires: 2026-11-14"))
    (rule,) = verdict.rules
    assert rule.status is Status.FAIL
    assert verdict.gate == "closed"
    assert rule.waiver is not None
    assert rule.waiver.expired
    assert "the waiver of Ann expired on 2026-11-14; renew it or remove it" in rule.reason


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-11-15T23:59:59Z", Status.WAIVED),
        ("2026-11-16T00:00:00Z", Status.FAIL),
        ("2026-11-16T01:00:00+02:00", Status.WAIVED),
        ("2026-11-15T23:00:00-02:00", Status.FAIL),
    ],
)
def test_the_day_of_expiry_is_the_last_one_in_utc(
    runs: SimpleNamespace, waived: Make, moment: str, status: Status
) -> None:
    made = waived("owner: Ann, expires: 2026-11-15")
    assert runs.selected(FAILING).rule(made, evaluated_at=moment).status is status


def test_a_waiver_of_a_slice_sets_its_contrasts_aside_and_judges_the_rest(
    runs: SimpleNamespace, waived: Make
) -> None:
    made = waived("slice: {group: X}, owner: Ann, expires: 2027-03-31")
    rule = runs.selected(FAILING).rule(made)
    assert rule.status is Status.WAIVED
    assert rule.waiver is not None
    assert rule.waiver.slice == Slice({"group": "X"})
    assert decisions(rule) == {"F": Status.PASS, "M": Status.PASS, "X": Status.WAIVED}
    assert "group=X is waived by Ann" in rule.reason
    assert "inside >= 0.8" in rule.reason


def test_a_waiver_of_one_slice_does_not_cover_another(runs: SimpleNamespace, waived: Make) -> None:
    made = waived("slice: {group: X}, owner: Ann, expires: 2027-03-31")
    rates = FAILING | {"Y": (120, 1000)}
    verdict = runs.selected(rates).judge(made)
    (rule,) = verdict.rules
    assert rule.status is Status.FAIL
    assert verdict.gate == "closed"
    assert rule.waiver is not None
    assert decisions(rule)["X"] is Status.WAIVED
    assert decisions(rule)["Y"] is Status.FAIL
    both = waived(
        "slice: {group: X}, owner: Ann, expires: 2027-03-31",
        "slice: {group: Y}, owner: Bob, expires: 2027-03-31",
    )
    assert runs.selected(rates).rule(both).status is Status.WAIVED


def test_what_is_open_besides_a_waived_slice_stays_open(
    runs: SimpleNamespace, waived: Make
) -> None:
    made = waived("slice: {group: X}, owner: Ann, expires: 2027-03-31")
    rule = runs.selected({"F": (29, 100), "M": (31, 100), "X": (10, 1000)}).rule(made)
    assert rule.status is Status.INCONCLUSIVE
    assert rule.required_n is not None
    assert rule.waiver is not None


def test_a_waiver_of_all_that_fails_leaves_nothing_to_judge(
    runs: SimpleNamespace, waived: Make
) -> None:
    made = waived("slice: {group: X}, owner: Ann, expires: 2027-03-31")
    rule = runs.selected({"F": (290, 1000), "X": (100, 1000)}).rule(made)
    assert rule.status is Status.WAIVED


def test_a_waiver_of_a_slice_that_is_not_there_covers_nothing(
    runs: SimpleNamespace, waived: Make
) -> None:
    made = waived("slice: {group: Z}, owner: Ann, expires: 2027-03-31")
    rule = runs.selected(FAILING).rule(made)
    assert rule.status is Status.FAIL
    assert "the waiver for group=Z covers no slice of this rule" in rule.reason


def test_a_waiver_of_a_group_does_not_cover_its_intersections(
    runs: SimpleNamespace, waived: Make
) -> None:
    cells = {("F", "A"): (700, 0, 0, 300), ("M", "A"): (700, 0, 0, 300),
             ("F", "B"): (950, 0, 0, 50), ("M", "B"): (700, 0, 0, 300)}  # fmt: skip
    run = runs.crossed({"sex": ["F", "M"], "race": ["A", "B"]}, cells)
    made = waived("slice: {sex: F}, owner: Ann, expires: 2027-03-31", over="[sex, race*sex]")
    rule = run.rule(made)
    assert rule.status is Status.FAIL
    failed = {bound.slice for bound in rule.bounds if bound.decision is Status.FAIL}
    assert failed == {Slice({"sex": "F", "race": "B"})}


def test_a_waiver_leaves_what_does_not_fail(runs: SimpleNamespace, waived: Make) -> None:
    made = waived("owner: Ann, expires: 2027-03-31")
    passed = runs.selected({"F": (3000, 9000), "M": (3000, 9000)}).rule(made)
    assert passed.status is Status.PASS
    assert passed.waiver is None
    assert runs.nothing().rule(made).status is Status.NOT_EVALUATED
