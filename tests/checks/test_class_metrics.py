"""Measures of several classes, and which families and metrics are listed at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.bias import families as listing
from auditor.checks.bias.class_metrics import ClassMetrics
from auditor.checks.bias.families import chosen_families, listed
from auditor.checks.bias.group_metrics import GroupMetrics
from auditor.evidence import Slice, Stage
from auditor.metrics import Absent
from auditor.stats import Attribute, Groups, confusion_counts

ANIMALS = {"sensitive": ("sex",), "target": "y", "prediction": "p", "task": "multiclass"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """300 animals; men's cats are often taken for dogs."""
    rng = np.random.default_rng(0)
    sex, y = rng.choice(["F", "M"], 300, p=[0.4, 0.6]), rng.choice(["bird", "cat", "dog"], 300)
    wrong = (sex == "M") & (y == "cat") & (rng.random(300) < 0.5)
    return pd.DataFrame({"sex": sex, "y": y, "p": np.where(wrong, "dog", y), "w": 1.0, "n": 1})


def test_classes_are_measured_by_group(run: Any, subject: Any, pick: Any, frame: Any) -> None:
    findings = run(ClassMetrics(), subject(Stage.EVALUATION, predictions=frame, **ANIMALS))
    men = frame[frame.sex == "M"]
    cats = men[men.y == "cat"]
    rate = pick(findings, "true_positive_rate[cat]", sex="M")
    assert (rate.value, rate.n) == ((cats.p == "cat").mean(), len(cats))
    assert pick(findings, "true_positive_rate[cat]", sex="F").value == 1
    (gap,) = [
        f for f in findings
        if f.metric == "true_positive_rate_difference[cat]" and f.slice == {"sex": "F"}
    ]  # fmt: skip
    assert gap.value == pytest.approx(1 - rate.value)
    assert gap.reference == {"sex": "M"}
    (over,) = [
        f for f in findings if f.metric == "accuracy_difference" and f.over == ("sex",)
    ]  # fmt: skip
    assert over.value == pytest.approx(1 - (men.y == men.p).mean())


def test_only_the_named_classes_are_listed(run: Any, subject: Any, frame: Any) -> None:
    findings = run(
        ClassMetrics(classes=("cat",)), subject(Stage.EVALUATION, predictions=frame, **ANIMALS)
    )
    assert {f.metric.partition("[")[2] for f in findings} == {"", "cat]"}


def test_another_task_is_not_applicable_and_a_weight_not_measurable(
    subject: Any, frame: Any
) -> None:
    binary = frame.assign(y=frame.y == "cat", p=frame.p == "cat")
    roles = {"sensitive": ("sex",), "target": "y", "prediction": "p"}
    with pytest.raises(NotApplicable, match="the task is not multiclass"):
        ClassMetrics().measure(subject(Stage.EVALUATION, predictions=binary, **roles))
    with pytest.raises(NotApplicable, match="the task is multiclass"):
        GroupMetrics().measure(subject(Stage.EVALUATION, predictions=frame, **ANIMALS))
    for option, column in (("weight", "w"), ("frequency", "n"), ("cluster", "n")):
        made = subject(Stage.EVALUATION, predictions=frame, **ANIMALS, **{option: column})
        with pytest.raises(NotMeasurable, match=f"not measured with a {option}"):
            ClassMetrics().measure(made)


def test_families_are_those_asked_for() -> None:
    groups = Groups.declare([Attribute(name=n, levels=("x", "y")) for n in ("a", "b", "c")])
    assert chosen_families(groups, None, None) == list(groups.families)
    assert chosen_families(groups, ("a", "c"), None) == [(), ("a",), ("c",), ("a", "c")]
    assert chosen_families(groups, ("a", "c"), 1) == [(), ("a",), ("c",)]


def test_of_a_large_family_only_the_main_metrics_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_SLICES", 5)
    levels = tuple(f"g{i}" for i in range(8))
    groups = Groups.declare([Attribute(name="g", levels=levels)])
    codes = groups.encode({"g": list(levels) * 4})
    table = confusion_counts(groups, codes, [0, 1] * 16, [1, 0] * 16)
    names = ("selection_rate", "f1_score")
    found = listed(
        names, table, groups.families, reference="largest", confidence=0.95,
        extremes=("demographic_parity_difference",),
    )  # fmt: skip
    by_slice = [m for m in found if m[0] == "selection_rate" and m[1]]
    assert len(by_slice) == 8
    assert [m for m in found if m[0] == "f1_score" and m[1]] == []
    (left_out,) = [m for m in found if m[0] == "f1_score" and m[3] == ("g",)]
    assert left_out[1] == Slice()
    assert isinstance(left_out[4], Absent)
    assert left_out[4].reason.startswith("8 slices: beyond 5 only records and selection are listed")
    assert [m for m in found if m[0] == "f1_score" and not m[1] and m[3] is None]
    extreme = [m[4] for m in found if m[0] == "demographic_parity_difference" and m[3] == ("g",)]
    assert extreme == [left_out[4]]


WEIGHTED = {"sensitive": ("sex",), "target": "y", "prediction": "p"}


@pytest.fixture(scope="module")
def predicted() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    s = rng.integers(1, 100, 200) / 100
    y = (rng.random(200) < s).astype(int)
    return pd.DataFrame(
        {"sex": rng.choice(["F", "M"], 200), "y": y, "s": s, "p": (s > 0.5).astype(int),
         "w": rng.integers(1, 9, 200) / 2, "c": rng.integers(0, 40, 200), "f": 2}
    )  # fmt: skip


def test_weighted_records_have_their_rates_and_reasons(
    run: Any, subject: Any, pick: Any, predicted: Any
) -> None:
    made = subject(Stage.EVALUATION, predictions=predicted, **WEIGHTED, score="s", weight="w")
    findings = run(GroupMetrics(), made)
    women = predicted[predicted.sex == "F"]
    rate = pick(findings, "selection_rate", sex="F")
    assert rate.value == pytest.approx((women.w * women.p).sum() / women.w.sum())
    assert rate.n == len(women)
    assert rate.effective_n < len(women)
    assert rate.method == "wilson-weighted"
    reason = "scores of weighted or clustered records are not measured"
    for metric in ("auc", "brier_score"):
        assert pick(findings, metric).reason == reason
    for metric in ("theil_index", "between_group_theil_index", "differential_fairness"):
        assert pick(findings, metric).reason.startswith("inequality of weighted")
    assert pick(findings, "bias_corrected_gap").reason.startswith("gaps of weighted")
    untold = subject(Stage.EVALUATION, predictions=predicted, sensitive=("sex",), prediction="p",
                     cluster="c")  # fmt: skip
    found = run(GroupMetrics(), untold)
    assert pick(found, "theil_index").reason == "no target column"
    assert pick(found, "selection_rate", sex="F").method == "wilson-clustered"


def test_frequencies_are_repeated_rows_for_every_measure(
    run: Any, subject: Any, predicted: Any
) -> None:
    options = {**WEIGHTED, "score": "s"}
    once = run(
        GroupMetrics(),
        subject(Stage.EVALUATION, predictions=predicted, **options, frequency="f"),
    )
    twice = run(
        GroupMetrics(),
        subject(Stage.EVALUATION, predictions=pd.concat([predicted] * 2), **options),
    )
    found = {f.key: (f.value, f.low, f.high, f.n) for f in twice if f.status == "measured"}
    same = {f.key: (f.value, f.low, f.high, f.n) for f in once if f.status == "measured"}
    missing = {key for key in found if key not in same}
    assert {key[1].partition("[")[0] for key in missing} <= {
        f"{name}{suffix}" for name in ("mean_score", "brier_score", "log_loss")
        for suffix in ("", "_difference", "_ratio")
    }  # fmt: skip
    assert {key: found[key] for key in same} == same


def test_without_a_target_only_selection_is_measured(
    run: Any, subject: Any, pick: Any, predicted: Any
) -> None:
    made = subject(Stage.EVALUATION, predictions=predicted, sensitive=("sex",), prediction="p")
    findings = run(GroupMetrics(), made)
    measured = {f.base_metric for f in findings if f.status == "measured"}
    assert "selection_rate" in measured
    assert "differential_fairness" in measured
    assert "true_positive_rate" not in measured
    for metric in ("true_positive_rate", "matthews_corrcoef", "auc", "brier_score"):
        assert pick(findings, metric).reason == "no target column"
