"""Checks that read sums which were accumulated elsewhere: losses and attributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.checks import NotMeasurable, Subject
from auditor.checks.bias.training_loss import TrainingLoss
from auditor.checks.explainability.attributions import AttributionsByGroup
from auditor.evidence import Stage
from auditor.metrics.attributions import ATTRIBUTIONS, columns_of
from auditor.metrics.training import LOSSES
from auditor.stats import Attribute, Groups, SliceTable

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
SEX = ["F", "F", "F", "M", "M", None]


def sums(kind: str, quantities: dict[str, list[float]]) -> SliceTable:
    columns = ["records", *(c for name in quantities for c in columns_of(name))]
    table = SliceTable.zero(kind, GROUPS, columns, sums=True)
    flat = GROUPS.flat(GROUPS.encode({"sex": SEX}))
    for row, slices in enumerate(flat):
        values = [v[row] for v in quantities.values()]
        table.values[slices] += [1, *(x for v in values for x in (v, v * v))]
    return table


def subject(stage: Stage, *statistics: SliceTable) -> Subject:
    return Subject(stage, GROUPS, counted={s.kind: s for s in statistics})


def test_the_loss_of_every_group_with_its_gap(run: Any, pick: Any) -> None:
    losses = [1.0, 2.0, 3.0, 5.0, 7.0, 0.0]
    alone = subject(Stage.TRAINING, sums(LOSSES, {"loss": losses}))
    findings = run(TrainingLoss(), alone, without=set(TrainingLoss.metrics) - {"mean_loss"})
    everybody = pick(findings, "mean_loss")
    error = np.std(losses, ddof=1) / np.sqrt(6)
    assert everybody.value == 3
    assert everybody.high - 3 == pytest.approx(1.959964 * error, rel=1e-6)
    assert pick(findings, "mean_loss", sex="F").value == 2
    assert pick(findings, "mean_loss", sex=None).reason == "one record has no standard error"
    gap = pick(findings, "mean_loss_difference", sex="M")
    assert (gap.value, gap.reference) == (4, {"sex": "F"})


def test_attributions_by_feature_and_group(run: Any, pick: Any) -> None:
    quantities = {
        "feature:age": [1.0, 2.0, 3.0, 4.0, 6.0, 0.5],
        "feature:a[b]": [0.0] * 6,
        "protected": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        "residual": [0.01] * 6,
        "error": [0.02] * 6,
    }
    made = subject(Stage.EVALUATION, sums(ATTRIBUTIONS, quantities))
    findings = run(AttributionsByGroup(), made)
    assert pick(findings, "mean_absolute_attribution[age]", sex="F").value == 2
    assert pick(findings, "mean_absolute_attribution_difference[age]", sex="M").value == 3
    assert pick(findings, "mean_absolute_attribution[a[b]]").value == 0
    assert pick(findings, "protected_reliance").value == pytest.approx(0.35)
    residual = pick(findings, "completeness_residual")
    assert residual.value == pytest.approx(0.01)
    assert residual.low >= 0


def test_reliance_needs_a_protected_feature(run: Any, pick: Any) -> None:
    quantities = {name: [0.1] * 6 for name in ("feature:age", "residual", "error")}
    made = subject(Stage.EVALUATION, sums(ATTRIBUTIONS, quantities))
    reliance = pick(run(AttributionsByGroup(), made), "protected_reliance")
    assert reliance.reason == "no sensitive attribute is among the model's named features"


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (TrainingLoss(), "no training batch was observed since the last look"),
        (AttributionsByGroup(), "nothing was explained"),
    ],
)
def test_without_sums_there_is_nothing_to_measure(check: Any, reason: str) -> None:
    with pytest.raises(NotMeasurable, match=reason):
        check.measure(subject(Stage.TRAINING))
