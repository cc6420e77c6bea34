from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from auditor.checks import CHECKS, Evidence, NotApplicable, NotMeasurable, Subject
from auditor.checks.bias.group_metrics import GroupMetrics
from auditor.datasets import scan_confusion, scan_score_sums, scan_scores
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.stats import CONFUSION, SCORE_SUMS, SCORES

FRAME = pd.DataFrame(
    {
        "sex": ["F", "F", "F", "M", "M", "M", "M", None],
        "race": ["A", "B", "A", "A", "B", "B", "A", "A"],
        "y": [1, 0, 1, 1, 0, 1, 0, 1],
        "p": [1, 0, 0, 1, 1, 1, 0, 1],
        "s": [0.9, 0.2, 0.4, 0.8, 0.7, 0.6, 0.1, 0.9],
    }
)
ALL = {"sensitive": ("sex", "race"), "target": "y", "prediction": "p", "score": "s"}


def test_a_table_of_predictions_gives_every_metric(run: Any, subject: Any, pick: Any) -> None:
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **ALL))
    women = pick(findings, "true_positive_rate", sex="F")
    assert (women.value, women.n, women.method) == (0.5, 2, "wilson")
    assert pick(findings, "auc").value == pytest.approx(13 / 15)
    assert pick(findings, "count", sex="M", race="B").value == 2
    assert pick(findings, "precision", sex="F", race="B").reason == "nobody was selected"
    assert pick(findings, "selection_rate_difference", sex=None).reason == "the group is unknown"


@pytest.fixture
def pick_over() -> Callable[..., Finding]:
    def one(findings: list[Finding], metric: str, *over: str) -> Finding:
        (found,) = [f for f in findings if f.metric == metric and f.over == over]
        return found

    return one


def test_aggregates_name_what_they_run_over(run: Any, subject: Any, pick_over: Any) -> None:
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **ALL))
    for name in EXTREMES:
        for over in (("sex",), ("race",), ("sex", "race")):
            assert pick_over(findings, name, *over).slice == Slice()
    gap = pick_over(findings, "demographic_parity_difference", "sex")
    assert gap.value == pytest.approx(3 / 4 - 1 / 3)


def test_without_a_target_only_selection_is_measured(run: Any, subject: Any) -> None:
    roles = {"sensitive": ("sex", "race"), "prediction": "p", "score": "s"}
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    measured = {f.base_metric for f in findings if f.status == "measured"}
    free = {
        "count", "selection_rate", "rejection_rate", "demographic_parity_difference",
        "demographic_parity_ratio", "differential_fairness",
    }  # fmt: skip
    compared = {
        f"{rate}_rate_{operation}"
        for rate in ("selection", "rejection")
        for operation in ("difference", "ratio")
    }
    assert measured == free | compared | {"bias_corrected_gap", "between_group_variance"}
    without = [f for f in findings if f.reason == "no target column"]
    assert {f.metric for f in without} >= {*BINARY_METRICS, *EXTREMES, "auc", "log_loss"} - free
    assert len(without) == len({f.metric for f in without}), "one reason stands for all slices"


def test_without_a_score_the_area_is_not_evaluated(run: Any, subject: Any) -> None:
    roles = {"sensitive": ("sex",), "target": "y", "prediction": "p"}
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    (area,) = [f for f in findings if f.metric == "auc"]
    assert (area.status, area.reason, area.slice) == ("not-evaluated", "no score column", Slice())


def test_a_score_alone_gives_areas_and_no_rates(run: Any, subject: Any, pick: Any) -> None:
    roles = {"sensitive": ("sex",), "target": "y", "score": "s"}
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    assert pick(findings, "auc").status == "measured"
    assert pick(findings, "base_rate").status == "measured"
    for name in ("selection_rate", "true_positive_rate", "precision", "accuracy"):
        assert pick(findings, name).reason == "no predictions"


def test_a_threshold_makes_the_predictions(run: Any, subject: Any, pick: Any) -> None:
    roles = {"sensitive": ("sex",), "target": "y", "score": "s", "threshold": 0.7}
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    assert pick(findings, "selection_rate", sex="F").value == pytest.approx(1 / 3)


def test_a_single_group_has_its_disparities_not_evaluated(
    run: Any, subject: Any, pick: Any
) -> None:
    women = FRAME[FRAME["sex"] == "F"]
    findings = run(GroupMetrics(), subject(Stage.EVALUATION, predictions=women, **ALL))
    assert pick(findings, "selection_rate", sex="F").status == "measured"
    assert pick(findings, "selection_rate_ratio", sex="F").reason == "only one group holds records"


@pytest.mark.parametrize(
    ("reference", "chosen"),
    [("largest", {"sex": "M"}), ("best", {"sex": "M"}), ("rest", "rest"),
     ({"sex": "F"}, {"sex": "F"})],
)  # fmt: skip
def test_the_reference_is_a_field(run: Any, subject: Any, reference: Any, chosen: Any) -> None:
    check = GroupMetrics(reference=reference)
    findings = run(check, subject(Stage.EVALUATION, predictions=FRAME, **ALL))
    found = {
        str(f.reference) if f.reference == "rest" else f.reference
        for f in findings
        if f.metric == "selection_rate_difference" and f.slice.attributes == ("sex",)
    }
    assert found == {chosen if chosen == "rest" else Slice(chosen)}


def test_a_reference_that_is_not_there_is_refused(subject: Any) -> None:
    check = GroupMetrics(reference={"sex": "Female"})
    made = subject(Stage.EVALUATION, predictions=FRAME, **ALL)
    evidence = [Evidence("sha256:0", s) for s in check.measure(made)]
    with pytest.raises(InputError, match="--reference: .*sex=Female does not occur; one of F, M"):
        check.derive(evidence, Stage.EVALUATION)


def test_fields_narrow_the_families(run: Any, subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=FRAME, **ALL)
    only = run(GroupMetrics(sensitive=("sex",)), made)
    assert {f.slice.attributes for f in only} == {(), ("sex",)}
    single = run(GroupMetrics(intersections=1), made)
    assert {f.slice.attributes for f in single} == {(), ("sex",), ("race",)}


def test_counts_made_elsewhere_take_the_place_of_a_scan(run: Any, subject: Any) -> None:
    scanned: Subject = subject(Stage.EVALUATION, predictions=FRAME, **ALL)
    assert scanned.predictions is not None
    counted = {
        CONFUSION: scan_confusion(scanned.predictions, scanned.groups, scanned.roles),
        SCORES: scan_scores(scanned.predictions, scanned.groups, scanned.roles),
    }
    counted[SCORE_SUMS] = scan_score_sums(scanned.predictions, scanned.groups, scanned.roles)
    made = Subject(Stage.MONITORING, scanned.groups, scanned.roles, counted=counted)
    there = run(GroupMetrics(), made)
    here = run(GroupMetrics(), scanned)
    assert [f.model_copy(update={"stage": Stage.EVALUATION}) for f in there] == here


def test_a_look_during_training_keeps_to_the_main_metrics(run: Any, subject: Any) -> None:
    scanned: Subject = subject(Stage.EVALUATION, predictions=FRAME, **ALL)
    assert scanned.predictions is not None
    counts = scan_confusion(scanned.predictions, scanned.groups, scanned.roles)
    evidence = [Evidence("sha256:0", counts)]

    def of_slices(check: GroupMetrics, stage: Stage) -> set[str]:
        return {
            f.metric for f in check.derive(evidence, stage)
            if f.slice == Slice({"sex": "F"}) and f.reference is None
        }  # fmt: skip

    every = of_slices(GroupMetrics(), Stage.EVALUATION)
    look = of_slices(GroupMetrics(), Stage.TRAINING)
    assert {"selection_rate", "false_negative_rate", "accuracy"} <= look < every
    assert "error_rate" in every - look
    chosen = GroupMetrics(metrics_of=("selection_rate", "error_rate"))
    for stage in (Stage.TRAINING, Stage.EVALUATION):
        assert of_slices(chosen, stage) == {"selection_rate", "error_rate"}


def test_without_predictions_nothing_can_be_measured(subject: Any) -> None:
    made = subject(Stage.EVALUATION, tables={"test": FRAME}, sensitive=("sex",))
    with pytest.raises(NotMeasurable, match="no predictions were given"):
        GroupMetrics().measure(made)
    absent = GroupMetrics().unmeasured("no predictions were given", Stage.EVALUATION)
    assert [f.metric for f in absent] == list(GroupMetrics.metrics)
    assert {f.status for f in absent} == {"not-evaluated"}
    assert {f.reason for f in absent} == {"no predictions were given"}


def test_a_check_that_broke_is_an_error_in_every_metric() -> None:
    broken = GroupMetrics().unmeasured("ZeroDivisionError", Stage.EVALUATION, error=True)
    assert {f.status for f in broken} == {"error"}


def test_a_whole_run_over_adult_has_one_finding_for_each_key(
    run: Any, subject: Any, adult: pd.DataFrame
) -> None:
    roles = {
        "sensitive": ("sex", "race", "age"), "target": "y", "prediction": "predicted",
        "score": "score", "bins": {"age": (25, 45, 65)},
    }  # fmt: skip
    made = subject(Stage.EVALUATION, predictions=adult, **roles)
    findings = run(GroupMetrics(), made)
    data = subject(
        Stage.DATA, tables={"train": adult[:30_000], "test": adult[30_000:]},
        sensitive=("sex", "race", "age"), target="y", bins={"age": (25, 45, 65)},
    )  # fmt: skip
    asked_for: set[str] = set()
    sometimes = {
        "provenance.feature-quality": ("agreement_rate",),  # of equal columns, if any
        "provenance.outliers": ("isolated_rate",),  # where it is asked for
    }
    for name in CHECKS:
        check = CHECKS.get(name)()
        if Stage.DATA not in check.stages:
            continue
        try:
            findings += run(check, data, without=sometimes.get(name, ()))
        except (NotApplicable, NotMeasurable):
            asked_for.add(name)
    assert asked_for == {
        "bias.label-disagreement", "bias.proxies", "bias.representation",
        "provenance.dropped-rows", "provenance.label-noise", "provenance.sources",
    }  # fmt: skip
    assert len({f.key for f in findings}) == len(findings) > 1_000
