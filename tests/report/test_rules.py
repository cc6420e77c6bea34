"""Rules: what was asked, what was decided, and the one slice that a board should hear of."""

from __future__ import annotations

from auditor.evidence import RuleVerdict, Slice, SliceBound, Status
from auditor.ledger import RunRecord
from auditor.report import make_view
from auditor.report.policy_text import read_policy_text
from auditor.report.words import headline

from .conftest import POLICY, StartRun


def test_what_a_rule_asks_is_read_from_the_registered_policy(credit_run: RunRecord) -> None:
    rules = {rule.id: rule for rule in make_view(credit_run).rules}
    assert (
        rules["selection-parity"].asked == "Ratio of selection rates over sex, race: at least 0.8"
    )
    assert rules["selection-parity"].stage == "Evaluation"
    assert rules["accurate-enough"].asked == "Accuracy: at least 0.5"


def test_what_needs_attention_comes_first(credit_run: RunRecord) -> None:
    view = make_view(credit_run)
    assert [str(rule.status) for rule in view.rules] == ["fail", "not-evaluated", "pass", "waived"]
    decisions = [row.decision for row in view.rules[0].rows]
    assert decisions[0] == "fail"
    assert decisions[-1] == "pass"


def test_the_worst_slice_has_both_rates_its_bounds_and_what_is_accepted(
    credit_run: RunRecord,
) -> None:
    worst = make_view(credit_run).summary.worst
    assert worst is not None
    assert worst.about.startswith("Furthest from what is accepted")
    assert worst.plain.replace("\xa0", " ") == (
        "Selection rate: 18.6 % for sex F, 50.5 % for sex M."
    )
    assert worst.detail.startswith("Ratio 0.368 [0.3")
    assert "accepted is at least 0.8" in worst.detail


def test_the_worst_of_several_is_the_furthest_from_its_limit(start_run: StartRun) -> None:
    def bound(name: str, value: float) -> SliceBound:
        return SliceBound(
            slice=Slice({"sex": name}), metric="selection_rate_ratio", value=value, n=50,
            low=value, high=value + 0.1, family_low=value - 0.1, family_high=value + 0.2,
            decision=Status.FAIL,
        )  # fmt: skip

    run = start_run()
    verdict = run.decide(Status.FAIL, gate="closed")
    rule = verdict.rules[0].model_copy(
        update={"id": "selection-parity", "bounds": (bound("near", 0.7), bound("far", 0.2))}
    )
    run.write_verdict(verdict.model_copy(update={"rules": (rule,)}))
    worst = make_view(run.finish()).summary.worst
    assert worst is not None
    assert "sex far" in worst.plain


def test_a_rule_leads_from_its_slices_to_their_findings(credit_run: RunRecord) -> None:
    view = make_view(credit_run)
    parity = next(rule for rule in view.rules if rule.id == "selection-parity")
    linked = [row for row in parity.rows if row.index is not None]
    assert linked
    for row in linked:
        finding = view.findings[row.index or 0]
        assert (finding.slice, finding.value) == (row.bound.slice, row.bound.value)


def test_clauses_gather_the_rules_that_cite_them(credit_run: RunRecord) -> None:
    clauses = {clause.id: clause.rules for clause in make_view(credit_run).clauses}
    assert list(clauses) == ["eu-ai-act:10.2.f", "eu-ai-act:15.1", "us-ugesp:1607.4.D"]
    assert [status for _, _, status in clauses["eu-ai-act:15.1"]] == ["pass"]


def test_a_waiver_shows_its_owner_its_reason_and_its_end(credit_run: RunRecord) -> None:
    view = make_view(credit_run)
    (rule,) = view.waivers
    shown = dict(rule.waiver)
    assert shown["Owner"] == "A. Owner"
    assert shown["Expires"] == "2027-03-31"
    assert not rule.waiver_expired
    assert view.idle_waivers == ()


def test_a_waiver_that_no_rule_needed_is_listed(start_run: StartRun) -> None:
    run = start_run()
    run.decide(Status.PASS)
    (waiver,) = make_view(run.finish()).idle_waivers
    assert (waiver.rule, waiver.owner) == ("finds-the-qualified", "A. Owner")


def test_a_policy_that_cannot_be_read_takes_only_its_words_away() -> None:
    assert read_policy_text("not: [a policy").rules == {}
    assert read_policy_text(None).title is None
    text = read_policy_text(POLICY.replace('">= 0.8"', '"about 0.8"'))
    assert text.rules["selection-parity"].accept is None
    assert text.rules["accurate-enough"].accept is not None


def test_two_rules_that_accept_different_things_shade_nothing() -> None:
    text = read_policy_text(
        POLICY.replace(
            "  - id: no-overlap",
            "  - {id: stricter, title: t, metric: accuracy, stage: evaluation, accept: '>= 0.9'}\n"
            "  - id: no-overlap",
        )
    )  # fmt: skip
    assert ("evaluation", "accuracy") not in text.regions()
    assert ("evaluation", "selection_rate_ratio") in text.regions()


def test_the_headline_speaks_of_the_number_of_rules(start_run: StartRun) -> None:
    run = start_run()
    verdict = run.decide(Status.FAIL, Status.FAIL, Status.PASS, gate="closed")
    assert headline(verdict) == "2 of 3 rules fail."
    one = verdict.model_copy(update={"rules": verdict.rules[:1]})
    assert headline(one) == "The only rule fails."
    none = verdict.model_copy(update={"rules": (), "status": Status.NOT_EVALUATED})
    assert "nothing was judged" in headline(none)
    assert isinstance(verdict.rules[0], RuleVerdict)
