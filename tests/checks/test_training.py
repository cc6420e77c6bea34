"""Findings of the training loop from the sums that it accumulates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.checks import Subject
from auditor.checks.bias.evaluation_loss import EvaluationLoss
from auditor.checks.bias.training_dynamics import TrainingDynamics
from auditor.checks.bias.training_loss import TrainingLoss
from auditor.evidence import Stage
from auditor.loop.dynamics import Dynamics
from auditor.loop.readings import COLUMNS
from auditor.loop.sums import TrainingSums
from auditor.metrics.training import DYNAMICS, EVALUATED, LOSSES, SERIES
from auditor.stats import Attribute, Groups, SliceTable

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
CODES = GROUPS.encode({"sex": ["F", "F", "F", "M", "M", "M"]})
ROWS = np.arange(6)


def block(**columns: list[float]) -> np.ndarray:
    out = np.full((6, len(COLUMNS)), np.nan)
    out[:, COLUMNS.index("weight")] = 1.0
    for name, values in columns.items():
        out[:, COLUMNS.index(name)] = values
    return out


READ = block(
    label=[0, 0, 1, 0, 1, 1], prediction=[0, 1, 1, 0, 0, 0], score=[0.1, 0.9, 0.8, 0.2, 0.3, 0.4],
    loss=[1, 2, 3, 4, 5, 6], confidence=[0.9, 0.1, 0.8, 0.8, 0.3, 0.4],
    gradient=[0.1, 0.9, 0.2, 0.2, 0.7, 0.6], error=[0, 1, 0, 0, 1, 1],
)  # fmt: skip


def measured(*parts: np.ndarray) -> dict[str, SliceTable]:
    sums = TrainingSums(GROUPS, CODES)
    for number, part in enumerate(parts, start=1):
        sums.add(ROWS, np.full(6, number), part)
    return sums.statistics({"split": "train"})


def test_loss_errors_confidence_and_gradient_of_every_group(run: Any, pick: Any) -> None:
    counted = measured(READ)
    findings = run(
        TrainingLoss(), Subject(Stage.TRAINING, GROUPS, counted=counted),
        without={"mean_part_loss"},
    )  # fmt: skip
    assert pick(findings, "mean_loss", sex="M").value == 5
    assert pick(findings, "training_error_rate", sex="M").value == pytest.approx(2 / 3)
    assert pick(findings, "mean_true_class_probability", sex="F").value == pytest.approx(0.6)
    assert pick(findings, "mean_gradient_norm").value == pytest.approx(0.45)
    false_negatives = pick(findings, "training_false_negative_rate", sex="M")
    assert (false_negatives.value, false_negatives.n) == (1.0, 2)
    assert pick(findings, "training_false_positive_rate", sex="F").value == 0.5


def test_weights_make_the_mean_that_of_the_criterion(run: Any, pick: Any) -> None:
    weights = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0]
    part = block(loss=[1, 2, 15, 4, 25, 30], weight=weights)
    found = pick(
        run(
            TrainingLoss(), Subject(Stage.TRAINING, GROUPS, counted=measured(part)),
            without={"mean_part_loss", "training_false_positive_rate",
                     "training_false_negative_rate"},
        ),
        "mean_loss",
    )  # fmt: skip
    assert found.value == pytest.approx(77 / 18)
    residuals = np.array([1, 2, 15, 4, 25, 30]) - 77 / 18 * np.array(weights)
    error = np.sqrt((residuals**2).sum() * 6 / 5) / 18
    assert found.high - found.value == pytest.approx(1.959964 * error, rel=1e-6)


def test_one_of_several_losses_carries_its_name(pick: Any) -> None:
    sums = TrainingSums(GROUPS, CODES)
    sums.add(ROWS, np.ones(6, int), READ)
    named = sums.statistics({"split": "train", "loss": "auxiliary"})
    counted = {**measured(READ), f"{LOSSES}:auxiliary": named[LOSSES]}
    subject = Subject(Stage.TRAINING, GROUPS, counted=counted)
    assert [s.kind for s in TrainingLoss().measure(subject)] == [LOSSES, LOSSES, SERIES]


def test_the_series_adds_up_to_the_whole(run: Any) -> None:
    counted = measured(*[READ] * 100)
    series, total = counted[SERIES], counted[LOSSES]
    spans = series.context["steps"]
    assert len(spans) <= 24
    assert (spans[0][0], spans[-1][1]) == (1, 100)
    losses = [i for i, name in enumerate(series.columns) if name.startswith("sum:loss@")]
    assert len(losses) == len(spans)
    np.testing.assert_allclose(
        series.values[:, losses].sum(axis=1), total.values[:, total.column("sum:loss")]
    )


def test_dynamics_of_records_by_group(run: Any, pick: Any) -> None:
    dynamics = Dynamics(6)
    right = [[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0]]
    for number, visit in enumerate(right):
        correct = np.array(visit, float)
        dynamics.add(ROWS, np.full(6, number), 0.25 + 0.5 * correct, 1 - correct)
    table = dynamics.statistic(GROUPS, CODES, {"split": "train"})
    assert table is not None
    findings = run(TrainingDynamics(), Subject(Stage.TRAINING, GROUPS, counted={DYNAMICS: table}))
    confidence = 0.25 + 0.5 * np.array(right).mean(axis=0)
    assert pick(findings, "mean_confidence", sex="F").value == pytest.approx(confidence[:3].mean())
    spread = (0.25 + 0.5 * np.array(right)).std(axis=0)
    assert pick(findings, "mean_variability").value == pytest.approx(spread.mean())
    forgotten = pick(findings, "forgetting_rate")
    assert (forgotten.value, forgotten.n) == (3 / 5, 5)
    assert pick(findings, "never_learned_rate", sex="M").value == pytest.approx(1 / 3)


def test_a_language_model_on_held_out_records(run: Any, pick: Any) -> None:
    part = block(loss=[4, 6, 8, 10, 12, 14], weight=[2, 3, 4, 5, 6, 7], error=[0.5] * 6,
                 confidence=[0.5] * 6)  # fmt: skip
    total = measured(part)[LOSSES]
    table = SliceTable(EVALUATED, GROUPS, total.columns, total.values, total.context)
    findings = run(EvaluationLoss(), Subject(Stage.EVALUATION, GROUPS, counted={EVALUATED: table}))
    found = pick(findings, "evaluation_loss", sex="M")
    assert (found.value, found.low, found.n) == (2.0, 2.0, 3)
