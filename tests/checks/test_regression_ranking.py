"""The checks of predicted numbers and of ranked lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import CHECKS, Evidence, NotApplicable, NotMeasurable
from auditor.checks.bias.families import MOST_GROUPS
from auditor.checks.bias.ranking import RankingMetrics
from auditor.checks.bias.regression import RegressionMetrics
from auditor.evidence import Stage

FRAME = pd.DataFrame(
    {
        "sex": ["F", "F", "F", "M", "M", "M", "M", None],
        "race": ["A", "B", "A", "A", "B", "B", "A", "A"],
        "y": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0, 8.0],
        "p": [2.0, 2.0, 3.0, 4.5, 5.5, 5.0, 6.5, np.nan],
        "s": [9.0, 8.0, 7.0, 6.0, 6.0, 4.0, np.nan, 2.0],
        "q": ["x", "x", "y", "x", "y", "y", "x", "y"],
    }
)
NUMBERS: dict[str, Any] = {"task": "regression", "sensitive": ("sex", "race"), "target": "y",
                           "prediction": "p"}  # fmt: skip
LISTS: dict[str, Any] = {"task": "ranking", "sensitive": ("sex", "race"), "score": "s",
                         "query": "q", "top": (1, 2)}  # fmt: skip


def test_predicted_numbers_give_every_metric(run: Any, subject: Any, pick: Any) -> None:
    findings = run(RegressionMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **NUMBERS))
    women = pick(findings, "mean_error", sex="F")
    assert (women.value, women.n) == (0.5, 2)
    assert pick(findings, "mean_prediction", sex="F").n == 3
    gap = pick(findings, "mean_prediction_difference", sex="F")
    assert gap.value == pytest.approx(7 / 3 - 21.5 / 4)
    assert pick(findings, "ks_distance", sex="F").value == 1
    assert pick(findings, "wasserstein_distance", sex=None).reason == "the group is unknown"
    assert pick(findings, "residual_quantile[0.5]", sex="M").value == -0.5
    largest = [f for f in findings if f.metric == "mean_error_difference" and f.over == ("race",)]
    assert len(largest) == 1


def test_without_a_target_predictions_are_compared(run: Any, subject: Any, pick: Any) -> None:
    roles = {**NUMBERS, "target": None}
    findings = run(RegressionMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    assert {f.base_metric for f in findings if f.status == "measured"} == {
        "mean_prediction", "mean_prediction_difference", "ks_distance", "wasserstein_distance",
        *(f.base_metric for f in findings if f.base_metric == "count"),
    }  # fmt: skip
    for name in ("mean_error", "r2_score", "residual_quantile"):
        assert pick(findings, name).reason == "no target column"


def test_ranked_lists_give_every_metric(run: Any, subject: Any, pick: Any) -> None:
    findings = run(RankingMetrics(), subject(Stage.MONITORING, predictions=FRAME, **LISTS))
    # x: F F M, y: F M M unknown
    rate = pick(findings, "top_k_rate[1]", sex="F")
    assert (rate.value, rate.n, rate.method) == (pytest.approx(2 / 3), 3, "wilson-by-list")
    skew = pick(findings, "skew_at_k[1]", sex="F")
    assert skew.value == pytest.approx(np.log(1 / (3 / 7)))
    assert pick(findings, "skew_at_k[1]", sex="M").reason == ("nobody of the slice is in the top 1")
    assert pick(findings, "exposure_ratio", sex="F").value > 1
    (divergence,) = [f for f in findings if f.metric == "ndkl" and f.over == ("sex",)]
    assert (divergence.value > 0, divergence.n) == (True, 2)


def test_without_queries_the_table_is_one_list(run: Any, subject: Any, pick: Any) -> None:
    roles = {**LISTS, "query": None}
    findings = run(RankingMetrics(), subject(Stage.EVALUATION, predictions=FRAME, **roles))
    assert pick(findings, "exposure", sex="F").method == "normal-superpopulation"
    assert {f.method for f in findings if f.metric == "ndkl"} == {"one-list"}


@pytest.mark.parametrize(("check", "roles"), [(RegressionMetrics(), LISTS),
                                              (RankingMetrics(), NUMBERS)])  # fmt: skip
def test_another_task_is_none_of_its_business(check: Any, roles: Any, subject: Any) -> None:
    for predictions in (FRAME, None):
        with pytest.raises(NotApplicable):
            check.measure(subject(Stage.EVALUATION, predictions=predictions,
                                  tables={"test": FRAME}, **roles))  # fmt: skip


@pytest.mark.parametrize(("check", "roles"), [(RegressionMetrics(), NUMBERS),
                                              (RankingMetrics(), LISTS)])  # fmt: skip
@pytest.mark.parametrize("option", ["weight", "frequency", "cluster"])
def test_weights_are_not_passed_over(check: Any, roles: Any, option: str, subject: Any) -> None:
    frame = FRAME.assign(w=1)
    made = subject(Stage.EVALUATION, predictions=frame, **{**roles, option: "w"})
    with pytest.raises(NotMeasurable, match=option):
        check.measure(made)


def test_fields_narrow_what_is_measured(run: Any, subject: Any) -> None:
    check = RankingMetrics(sensitive=("sex",), intersections=1, reference="rest")
    findings = run(check, subject(Stage.EVALUATION, predictions=FRAME, **LISTS))
    assert {tuple(f.slice) for f in findings} == {(), ("sex",)}
    assert {f.reference for f in findings} == {None, "rest"}


@pytest.mark.parametrize(("check", "roles"), [(RegressionMetrics(), NUMBERS),
                                              (RankingMetrics(), LISTS)])  # fmt: skip
def test_of_very_many_groups_not_all_pairs_are_compared(
    check: Any, roles: Any, subject: Any
) -> None:
    many = pd.concat([FRAME.assign(race=f"r{i}") for i in range(MOST_GROUPS + 1)])
    made = subject(Stage.EVALUATION, predictions=many, **{**roles, "sensitive": ("race",)})
    evidence = [Evidence(str(i), s) for i, s in enumerate(check.measure(made))]
    findings = check.derive(evidence, Stage.EVALUATION)
    left_out = [f for f in findings if f.over and f.metric != "ndkl"]
    assert left_out
    assert {f.reason for f in left_out} == {"41 groups: beyond 40 not all pairs are compared"}
    assert len({f.key for f in findings}) == len(findings)


def test_both_are_registered() -> None:
    assert CHECKS.get("bias.regression") is RegressionMetrics
    assert CHECKS.get("bias.ranking") is RankingMetrics
