"""Reading outputs and targets as binary labels and scores."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from auditor import InputError
from auditor.loop.criterion import as_criterion, record_losses
from auditor.loop.outputs import read_labels, read_outputs


@pytest.mark.parametrize(
    "outputs",
    [
        torch.tensor([-1.0, 2.0]),
        torch.tensor([[-1.0], [2.0]]),
        torch.tensor([[0.0, -1.0], [0.0, 2.0]]),
        SimpleNamespace(logits=torch.tensor([-1.0, 2.0])),
        (torch.tensor([-1.0, 2.0]), "more"),
    ],
)
def test_logits_of_every_usual_shape_are_read_alike(outputs: Any) -> None:
    readings = read_outputs(outputs)
    assert readings.predictions.tolist() == [0, 1]
    assert readings.scores.tolist() == pytest.approx([0.268941, 0.880797], abs=1e-6)


def test_probabilities_are_not_squashed_again() -> None:
    readings = read_outputs(torch.tensor([0.2, 0.7]), probabilities=True)
    assert readings.scores.tolist() == pytest.approx([0.2, 0.7])


def test_a_nan_is_a_missing_prediction() -> None:
    assert read_outputs(torch.tensor([float("nan"), 1.0])).predictions.tolist() == [2, 1]


def test_many_classes_ask_for_predict() -> None:
    with pytest.raises(InputError, match=r"shape \[2, 3\].*predict="):
        read_outputs(torch.zeros(2, 3))


def test_a_users_own_reading_is_used() -> None:
    readings = read_outputs(
        torch.zeros(2, 3), predict=lambda out: (out[:, 0], torch.tensor([1.0, float("nan")]))
    )
    assert readings.predictions.tolist() == [1, 2]


def test_labels_other_than_0_and_1_are_missing() -> None:
    assert read_labels(torch.tensor([0, 1, -100])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "criterion",
    [
        torch.nn.CrossEntropyLoss(),
        torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]), label_smoothing=0.1),
        torch.nn.CrossEntropyLoss(ignore_index=0),
        as_criterion(torch.nn.functional.cross_entropy),
    ],
)
def test_losses_of_records_are_those_of_the_criterion_unreduced(criterion: Any) -> None:
    outputs, targets = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    fired: list[int] = []
    criterion.register_forward_hook(lambda *_: fired.append(1))
    losses = record_losses(criterion, (outputs, targets), {})
    assert losses is not None
    assert losses.shape == (6,)
    assert not fired
    kwargs = {k: getattr(criterion, k) for k in ("weight", "label_smoothing", "ignore_index")
              if hasattr(criterion, k) and getattr(criterion, k) is not None}  # fmt: skip
    expected = torch.nn.functional.cross_entropy(outputs, targets, reduction="none", **kwargs)
    assert torch.equal(losses, expected)


def test_a_criterion_without_reduction_has_no_losses_of_records() -> None:
    assert record_losses(as_criterion(lambda a, b: (a - b).sum()), (torch.ones(2),) * 2, {}) is None
