from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.clean_score import CleanScore
from auditor.datasets import DataOptions, open_table
from auditor.evidence import Stage
from auditor.metrics import newcombe, wilson

LONG = " ".join(f"word{i}" for i in range(30))
RNG = np.random.default_rng(0)
TRAIN = pd.DataFrame({"sex": ["F", "M"] * 50, "x": np.arange(100), "y": RNG.integers(0, 2, 100)})
FRESH = pd.DataFrame(
    {"sex": ["F", "M"] * 40, "x": np.arange(1_000, 1_080), "y": RNG.integers(0, 2, 80)}
)
MIXED = pd.concat([FRESH, TRAIN[:20]], ignore_index=True)
MIXED["p"] = np.where(np.arange(100) < 80, RNG.integers(0, 2, 100), MIXED["y"])
ROLES = {"sensitive": ("sex",), "target": "y", "prediction": "p"}


def asked(
    subject: Any, train: pd.DataFrame, predictions: pd.DataFrame, *, roles: Any = (), **options: Any
) -> Any:
    made = subject(Stage.EVALUATION, predictions=predictions, **ROLES)
    return replace(
        made,
        tables={"train": open_table(train, name="train")},
        options=DataOptions(**options),
        roles=replace(made.roles, **dict(roles)),
    )


def test_scores_of_clean_and_contaminated_records(run: Any, subject: Any, pick: Any) -> None:
    findings = run(CleanScore(), asked(subject, TRAIN, MIXED))
    right = (MIXED.p == MIXED.y).to_numpy()
    clean = pick(findings, "clean_accuracy")
    assert (clean.value, clean.n) == (right[:80].mean(), 80)
    assert (clean.low, clean.high) == pytest.approx(
        tuple(map(float, wilson(right[:80].sum(), 80, confidence=0.95)))
    )
    assert pick(findings, "contaminated_accuracy").value == 1
    change = pick(findings, "clean_accuracy_difference")
    assert change.value == pytest.approx(right[:80].mean() - right.mean())
    low, high = newcombe(right[:80].sum(), 80, 20, 20, confidence=0.95)
    assert (change.low, change.high) == pytest.approx((0.2 * float(low), 0.2 * float(high)))
    women = (MIXED.sex == "F").to_numpy()
    assert pick(findings, "clean_accuracy", sex="F").value == right[:80][women[:80]].mean()
    positive = (MIXED.y == 1).to_numpy()
    hit = ((MIXED.p == 1) & positive).to_numpy()
    change = pick(findings, "clean_true_positive_rate_difference")
    expected = hit[:80].sum() / positive[:80].sum() - hit.sum() / positive.sum()
    assert change.value == pytest.approx(expected)


def test_without_overlap_there_is_no_change_to_measure(run: Any, subject: Any, pick: Any) -> None:
    findings = run(CleanScore(), asked(subject, TRAIN, MIXED[:80]))
    assert pick(findings, "clean_accuracy").value == (MIXED.p == MIXED.y)[:80].mean()
    assert not any(finding.slice for finding in findings)  # the groups are as everybody
    assert pick(findings, "contaminated_accuracy").reason == "no contaminated records"
    assert pick(findings, "clean_accuracy_difference").reason == "no contaminated records"


def test_a_test_set_that_was_all_trained_on_has_no_clean_score(
    run: Any, subject: Any, pick: Any
) -> None:
    findings = run(CleanScore(), asked(subject, TRAIN, MIXED[80:]))
    assert pick(findings, "clean_accuracy").reason == "no clean records"
    assert pick(findings, "clean_accuracy_difference").reason == "no clean records"


def test_each_way_of_overlap_contaminates(run: Any, subject: Any, pick: Any) -> None:
    train = pd.DataFrame(
        {"sex": ["F", "M"], "y": [0, 1], "who": ["a", "b"],
         "text": [LONG, "so it was, and\n" + " ".join(f"term{i}" for i in range(40))]}
    )  # fmt: skip
    test = pd.DataFrame(
        {"sex": ["F"] * 4 + ["M"], "y": [0, 1, 0, 1, 1], "p": [0, 1, 0, 0, 1],
         "who": ["c", "c", "a", "c", None],
         "text": [LONG.upper(), " ".join(f"term{i}" for i in range(20)), "x", "y", "z"]}
    )  # fmt: skip
    check = CleanScore()
    made = asked(subject, train, test, text=("text",), entity="who")
    findings = run(check, made)
    assert pick(findings, "contaminated_accuracy").n == 3
    assert pick(findings, "clean_accuracy").value == 1 / 2
    context = check.measure(made)[0].context["overlap"]
    found = {way: seen["found"] for way, seen in context.items()}
    assert found == {"equal": 0, "near": 1, "contained": 2, "entity": 1}
    assert context["near"]["missed"] == pytest.approx((1 - 0.8**4) ** 16)


def test_a_record_id_stands_for_a_row_that_is_not_there(run: Any, subject: Any, pick: Any) -> None:
    train = TRAIN.assign(id=np.arange(100))
    predictions = MIXED.assign(id=np.arange(95, 195))[["id", "sex", "y", "p"]]
    findings = run(CleanScore(), asked(subject, train, predictions, roles={"record_id": "id"}))
    assert pick(findings, "contaminated_accuracy").n == 5


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"tables": {}}, NotApplicable, "no training data"),
        ({"predictions": None}, NotApplicable, "no training data"),
    ],
)
def test_what_is_not_there_is_not_applicable(
    subject: Any, change: Any, error: Any, reason: str
) -> None:
    made = replace(asked(subject, TRAIN, MIXED), **change)
    with pytest.raises(error, match=reason):
        CleanScore().measure(made)


def test_predictions_that_cannot_be_compared_have_their_reason(subject: Any) -> None:
    made = asked(subject, TRAIN, MIXED[["sex", "y", "p"]])
    with pytest.raises(NotMeasurable, match="do not hold the training columns 'x'"):
        CleanScore().measure(made)
    weighted = asked(subject, TRAIN, MIXED, roles={"weight": "x"})
    with pytest.raises(NotMeasurable, match="weighted"):
        CleanScore().measure(weighted)
