from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.checks import Check, NotApplicable, NotMeasurable, Subject
from auditor.checks.bias.adverse_impact import AdverseImpact
from auditor.checks.bias.group_metrics import GroupMetrics
from auditor.datasets import scan_confusion
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage, Status
from auditor.metrics.adverse_impact import AGAINST_THE_MOST_SELECTED
from auditor.metrics.reconciliation import RECONCILED
from auditor.stats import CONFUSION

COUNTS = pd.DataFrame(
    [
        ("F", None, 100, 20), ("M", None, 100, 40), ("Unknown", None, 10, 5),
        (None, "A", 150, 45), (None, "B", 60, 20), ("F", "A", 75, 15), ("M", "A", 75, 30),
        ("F", "B", 25, 5), ("M", "B", 35, 15),
    ],
    columns=["sex", "race", "n", "k"],
)  # fmt: skip
PUBLISHED: dict[str, Any] = {
    "sensitive": ("sex", "race"),
    "task": "counts",
    "total": "n",
    "selected": "k",
}


def records() -> pd.DataFrame:
    """The rows by sex of the table above, one row for each person."""
    rows = [
        (sex, int(i < k), k - i)
        for sex, n, k in COUNTS[COUNTS.race.isna()][["sex", "n", "k"]].itertuples(index=False)
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["sex", "p", "s"])


BY_SEX: dict[str, Any] = {"sensitive": ("sex",), "prediction": "p"}


@pytest.fixture
def run(run: Any) -> Any:
    """Measure and derive; only scores have a scoring rate, only published counts have totals."""

    def measure_and_derive(check: Check, subject: Subject) -> list[Finding]:
        if not isinstance(check, AdverseImpact):
            return run(check, subject)
        roles = subject.roles
        without = set() if roles.task == "counts" else set(RECONCILED)
        if roles.prediction is not None or roles.threshold is not None or roles.task == "counts":
            without.add("scoring_rate")
        return run(check, subject, without=without)

    return measure_and_derive


def test_published_counts_give_ratios_and_all_that_stands_beside(
    run: Any, subject: Any, pick: Any
) -> None:
    check = AdverseImpact(unknown=("Unknown",))
    findings = run(check, subject(Stage.EVALUATION, predictions=COUNTS, **PUBLISHED))
    women = pick(findings, "impact_ratio", sex="F")
    assert (women.value, women.n, women.reference) == (0.5, 200, Slice({"sex": "M"}))
    assert pick(findings, "impact_ratio", sex="M").value == 1
    assert pick(findings, "favourable_rate", sex="F").n == 100
    assert pick(findings, "favourable_rate", sex=None).value == 0.5
    assert pick(findings, "impact_ratio", sex=None).reason == "the group is unknown"
    assert pick(findings, "selection_shortfall", sex="F").value == pytest.approx(10)
    crossed = pick(findings, "impact_ratio", sex="F", race="B")
    assert crossed.value == pytest.approx(0.2 / (15 / 35))
    assert crossed.reference == Slice({"sex": "M", "race": "B"})


def over(findings: list[Finding], metric: str) -> dict[tuple[str, ...] | None, float | None]:
    return {f.over: f.value for f in findings if f.metric == metric}


def test_totals_that_disagree_are_named(run: Any, subject: Any) -> None:
    findings = run(AdverseImpact(), subject(Stage.EVALUATION, predictions=COUNTS, **PUBLISHED))
    assert over(findings, "marginal_total_difference") == {
        ("sex",): 0, ("race",): 0, ("sex", "race"): 0,
    }  # fmt: skip
    short = COUNTS.assign(n=COUNTS.n.where(COUNTS.sex != "Unknown", 3), k=COUNTS.k.clip(upper=40))
    short.loc[short.sex == "Unknown", "k"] = 1
    findings = run(AdverseImpact(), subject(Stage.EVALUATION, predictions=short, **PUBLISHED))
    assert over(findings, "marginal_total_difference")[("sex",)] == 203 - 210
    assert over(findings, "marginal_selected_difference")[("sex",)] == 61 - 60


def test_records_give_what_their_counts_give(run: Any, subject: Any) -> None:
    alone = COUNTS[COUNTS.race.isna()].drop(columns="race")
    check = AdverseImpact()
    published = {**PUBLISHED, "sensitive": ("sex",)}
    names = ("impact_ratio", "favourable_rate", *AGAINST_THE_MOST_SELECTED)
    numbers = [
        {
            (f.metric, f.slice): (f.value, f.low, f.high, f.n, f.method, f.reason)
            for f in run(check, made) if f.metric in names
        }
        for made in (
            subject(Stage.EVALUATION, predictions=records(), **BY_SEX),
            subject(Stage.EVALUATION, predictions=alone, **published),
            subject(Stage.EVALUATION, predictions=records().assign(y=1), target="y", **BY_SEX),
        )
    ]  # fmt: skip
    assert numbers[0] == numbers[1] == numbers[2]
    assert len(numbers[0]) > 10


def test_a_frequency_is_as_many_records(run: Any, subject: Any, pick: Any) -> None:
    short = records().groupby(["sex", "p"]).size().rename("f").reset_index()
    made = subject(Stage.EVALUATION, predictions=short, frequency="f", **BY_SEX)
    assert pick(run(AdverseImpact(), made), "impact_ratio", sex="F").value == pytest.approx(0.4)


def test_weights_give_a_ratio(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=records().assign(w=2.0), weight="w", **BY_SEX)
    found = pick(run(AdverseImpact(), made), "impact_ratio", sex="F")
    assert found.value == pytest.approx(0.4)
    assert "weighted" in found.method


def test_counts_of_a_loop_are_taken_as_they_are(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=records(), **BY_SEX)
    counted = scan_confusion(made.predictions, made.groups, made.roles)
    loop = subject(Stage.EVALUATION, tables={"test": records()}, counted={CONFUSION: counted},
                   **BY_SEX)  # fmt: skip
    check = AdverseImpact(unknown=("Unknown",))
    assert pick(run(check, loop), "impact_ratio", sex="F") == pick(
        run(check, made), "impact_ratio", sex="F"
    ).model_copy(update={"evidence": pick(run(check, loop), "impact_ratio", sex="F").evidence})


@pytest.mark.parametrize("weight", [None, "w"])
def test_scores_alone_are_compared_with_their_median(
    run: Any, subject: Any, pick: Any, weight: str | None
) -> None:
    frame = pd.DataFrame({"sex": list("FFFFMMMM"), "s": [1, 2, 3, 9, 3, 3, 8, 9], "w": 1.0})
    made = subject(Stage.EVALUATION, predictions=frame, sensitive=("sex",), score="s",
                   weight=weight)  # fmt: skip
    findings = run(AdverseImpact(), made)
    # The median is 3, and strictly above it score one of four and two of four.
    assert pick(findings, "scoring_rate", sex="F").value == 0.25
    assert pick(findings, "scoring_rate", sex="M").value == 0.5
    assert pick(findings, "impact_ratio", sex="F").value == 0.5
    (counts,) = AdverseImpact().measure(made)
    assert (counts.context["median"], counts.context["prediction"]) == (3.0, "s > 3")


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1 + 2**-54, 0.2, 0.30000000001]])
def test_strictly_above_is_to_the_last_bit(run: Any, subject: Any, scores: list[float]) -> None:
    frame = pd.DataFrame({"sex": list("FFMM"), "s": scores})
    made = subject(Stage.EVALUATION, predictions=frame, sensitive=("sex",), score="s")
    findings = run(AdverseImpact(), made)
    everybody = next(f for f in findings if f.metric == "scoring_rate" and f.slice == Slice())
    assert everybody.value == np.mean(np.array(scores) > np.median(scores))


def test_a_threshold_is_a_decision_and_no_scoring_rate(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=records(), sensitive=("sex",), score="s",
                   threshold=1)  # fmt: skip
    findings = run(AdverseImpact(), made)
    assert pick(findings, "impact_ratio", sex="F").value == pytest.approx(0.4)
    assert not [f for f in findings if f.metric == "scoring_rate"]


def test_a_bad_outcome_turns_the_rates_round_and_the_method_says_so(
    run: Any, subject: Any, pick: Any
) -> None:
    made = subject(Stage.EVALUATION, predictions=records(), unfavourable=True, **BY_SEX)
    findings = run(AdverseImpact(unknown=("Unknown",)), made)
    men = pick(findings, "impact_ratio", sex="M")
    assert men.value == pytest.approx(0.6 / 0.8)
    assert men.method == "miettinen-nurminen-with-the-best-of-not-being-selected"
    assert pick(findings, "favourable_rate", sex="M").value == 0.6


def test_small_categories_are_left_out_with_a_reason_and_keep_their_rates(
    run: Any, subject: Any, pick: Any
) -> None:
    check = AdverseImpact(exclude_under=0.06, exclusion_reason="so few differ by chance")
    findings = run(check, subject(Stage.EVALUATION, predictions=records(), **BY_SEX))
    left_out = pick(findings, "impact_ratio", sex="Unknown")
    assert left_out.status == "not-evaluated"
    assert left_out.reason.endswith("under 6.00%: so few differ by chance")
    rate = pick(findings, "favourable_rate", sex="Unknown")
    assert (rate.value, rate.n) == (0.5, 10)
    assert pick(findings, "impact_ratio", sex="M").value == 1


def test_leaving_out_without_a_reason_is_refused() -> None:
    with pytest.raises(InputError, match="exclude_under needs an exclusion_reason"):
        AdverseImpact.build({"exclude_under": 0.02})
    with pytest.raises(InputError, match="exclusion_reason"):
        AdverseImpact.build({"exclude_under": 0.02, "exclusion_reason": ""})


def test_a_named_comparator(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=COUNTS, **PUBLISHED)
    findings = run(AdverseImpact(reference={"sex": "F"}), made)
    assert pick(findings, "impact_ratio", sex="M").value == pytest.approx(2)
    # Race was not named: its most selected category is the reference.
    assert pick(findings, "impact_ratio", race="A").reference == Slice({"race": "B"})
    # Of the women, the most selected ones: those of race A and B alike, of whom A are more.
    crossed = pick(findings, "impact_ratio", sex="M", race="A")
    assert crossed.reference == Slice({"sex": "F", "race": "A"})
    assert crossed.value == pytest.approx(2)


@pytest.mark.parametrize("word", ["largest", "best", "rest"])
def test_the_words_of_other_checks_leave_the_most_selected(word: str) -> None:
    assert AdverseImpact.build({"reference": word}) == AdverseImpact()


def test_attributes_can_be_chosen(run: Any, subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=COUNTS, **PUBLISHED)
    findings = run(AdverseImpact(sensitive=("race",), intersections=1), made)
    assert {f.slice.attributes for f in findings} == {(), ("race",)}


def test_what_cannot_be_measured(subject: Any) -> None:
    frame = pd.DataFrame({"g": ["a", "b"], "y": [1.0, 2.0], "p": [1.0, 3.0]})
    regression = subject(Stage.EVALUATION, predictions=frame, sensitive=("g",), target="y",
                         prediction="p", task="regression")  # fmt: skip
    with pytest.raises(NotApplicable, match="regression"):
        AdverseImpact().measure(regression)
    nothing = subject(Stage.EVALUATION, tables={"test": frame}, sensitive=("g",))
    with pytest.raises(NotMeasurable, match="no predictions"):
        AdverseImpact().measure(nothing)


def test_groups_of_counts_have_the_rates_and_gaps_of_group_metrics(
    run: Any, subject: Any, pick: Any
) -> None:
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=COUNTS, **PUBLISHED))
    assert pick(findings, "selection_rate", sex="F").value == 0.2
    assert pick(findings, "selection_rate_difference", race="B").value == pytest.approx(1 / 30)
    assert pick(findings, "count").value == 210
    assert pick(findings, "true_positive_rate").reason == "no target column"
    gaps = {f.over: f.value for f in findings if f.metric == "demographic_parity_difference"}
    assert gaps["sex",] == pytest.approx(0.3)


POLICY = """schema: auditor/policy/v1
id: four-fifths-of-the-most-selected
version: 1.0.0
title: Impact ratios
checks:
  - bias.adverse-impact: {{{fields}}}
defaults: {{confidence: 0.95, min_denominator: {least}, on_inconclusive: warn}}
rules:
  - {{id: ratio, title: Ratio, metric: impact_ratio, over: [sex], stage: evaluation,
     accept: ">= 0.8", on_fail: block}}
  - {{id: exact, title: Exact, metric: fisher_exact_p_value, over: [sex], stage: evaluation,
     accept: ">= 0.05", on_fail: warn}}
  - {{id: totals, title: Totals, metric: marginal_total_difference, over: [sex, race],
     stage: evaluation, accept: "== 0", on_fail: warn}}
"""


@pytest.mark.parametrize(
    ("counts", "fields", "statuses"),
    [
        ({}, 'unknown: [Unknown]', ["fail", "fail", "pass"]),
        ({"M": (100, 21)}, 'unknown: [Unknown]', ["inconclusive", "pass", "pass"]),
        ({"F": (90, 9)}, 'unknown: [Unknown]', ["fail", "fail", "fail"]),
        ({"F": (9000, 3600), "M": (9000, 3610)}, 'unknown: [Unknown]', ["pass", "pass", "fail"]),
        # Both known categories are under the floor, so that no two can be compared.
        ({}, 'unknown: [Unknown], exclude_under: 0.477, exclusion_reason: none',
         ["not-evaluated", "not-evaluated", "pass"]),
    ],
)  # fmt: skip
def test_rules_judge_the_ratio(
    tmp_path: Path, counts: dict[str, tuple[int, int]], fields: str, statuses: list[str]
) -> None:
    frame = COUNTS.copy()
    for sex, (n, k) in counts.items():
        frame.loc[(frame.sex == sex) & frame.race.isna(), ["n", "k"]] = n, k
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.format(fields=fields, least=1))
    audit = auditor.Audit(policy=str(path))
    audit.evaluate(predictions=frame, **PUBLISHED)
    verdict = audit.gate("evaluation")
    assert verdict is not None
    assert [str(rule.status) for rule in verdict.rules] == statuses
    if statuses[0] == "inconclusive":
        (rule, *_) = verdict.rules
        assert rule.status is Status.INCONCLUSIVE
        assert rule.required_n is not None
        assert rule.required_n > 200
