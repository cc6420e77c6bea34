"""Reading outputs and targets as binary labels and scores."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from auditor import InputError
from auditor.loop.criterion import as_criterion, record_losses
from auditor.loop.outputs import Reader
from auditor.loop.readings import MISSING


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
    readings = Reader().read(outputs, torch.tensor([0, 1]), 2).readings
    assert readings.predictions.tolist() == [0, 1]
    assert readings.scores.tolist() == pytest.approx([0.268941, 0.880797], abs=1e-6)
    assert readings.confidence.tolist() == pytest.approx([0.731059, 0.880797], abs=1e-6)
    assert readings.error.tolist() == [0, 0]


def test_probabilities_are_not_squashed_again() -> None:
    reader = Reader(probabilities=True)
    readings = reader.read(torch.tensor([0.2, 0.7]), torch.tensor([0, 1]), 2).readings
    assert readings.scores.tolist() == pytest.approx([0.2, 0.7])


@pytest.mark.parametrize("outputs", [[float("nan"), 1.0], [[float("nan"), 0.0], [0.0, 1.0]]])
def test_a_nan_is_a_missing_prediction(outputs: Any) -> None:
    readings = Reader().read(torch.tensor(outputs), torch.tensor([1, 1]), 2).readings
    assert readings.predictions.tolist() == [MISSING, 1]
    assert readings.error.isnan().tolist() == [True, False]


def test_the_gradient_norm_is_that_of_the_cross_entropy_at_the_outputs() -> None:
    for shape in ((6,), (6, 2), (6, 5)):
        logits = torch.randn(shape, requires_grad=True)
        binary = len(shape) == 1
        labels = torch.arange(6) % (2 if binary else shape[1])
        loss = (
            functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum")
            if binary else functional.cross_entropy(logits, labels, reduction="sum")
        )  # fmt: skip
        loss.backward()
        assert logits.grad is not None
        norms = logits.grad.reshape(6, -1).norm(dim=1)
        found = Reader("multiclass").read(logits, labels, 6).readings.gradient
        assert torch.allclose(found, norms, atol=1e-6)


def test_a_matrix_of_outputs_and_of_labels_is_several_labels_a_record() -> None:
    logits, labels = torch.tensor([[2.0, -2.0, 0.1]]), torch.tensor([[1.0, 1.0, 1.0]])
    readings = Reader().read(logits, labels, 1).readings
    assert readings.error.tolist() == pytest.approx([1 / 3])
    assert readings.labels.tolist() == [MISSING]
    assert readings.confidence.item() == pytest.approx(logits.sigmoid().mean().item())


@pytest.mark.parametrize("layout", ["flat", "classes last", "classes first"])
def test_positions_of_records_are_averaged_before_records_are(layout: str) -> None:
    logits = torch.randn(3, 5, 7)
    labels = torch.randint(0, 7, (3, 5))
    labels[0, 2:] = -100
    given = {
        "flat": (logits.reshape(-1, 7), labels.reshape(-1)),
        "classes last": (logits, labels),
        "classes first": (logits.movedim(-1, 1), labels),
    }[layout]
    reading = Reader().read(*given, 3, classes_last=layout == "classes last")
    losses = functional.cross_entropy(logits.movedim(-1, 1), labels, reduction="none").sum(dim=1)
    assert reading.losses is not None
    assert reading.weights is not None
    assert torch.allclose(reading.losses, losses, atol=1e-5)
    assert reading.weights.tolist() == [2, 5, 5]
    wrong = (logits.argmax(-1) != labels).float()
    assert reading.readings.error[0].item() == pytest.approx(wrong[0, :2].mean().item())
    mean = functional.cross_entropy(logits.movedim(-1, 1), labels).item()
    assert (reading.losses.sum() / reading.weights.sum()).item() == pytest.approx(mean, abs=1e-5)


def test_what_cannot_be_read_asks_for_predict() -> None:
    with pytest.raises(InputError, match=r"shape \[2, 3, 4, 5\].*predict="):
        Reader().read(torch.zeros(2, 3, 4, 5), torch.zeros(2), 2)
    with pytest.raises(InputError, match=r"targets have shape \[2, 4\]"):
        Reader().read(torch.zeros(2, 3), torch.zeros(2, 4), 2)


def test_a_users_own_reading_is_used() -> None:
    reader = Reader(predict=lambda out: (out[:, 0], torch.tensor([1.0, float("nan")])))
    readings = reader.read(torch.zeros(2, 3), torch.tensor([1, 0]), 2).readings
    assert readings.predictions.tolist() == [1, MISSING]


def test_labels_that_are_no_class_are_missing() -> None:
    readings = Reader().read(torch.zeros(3), torch.tensor([0, 1, -100]), 3).readings
    assert readings.labels.tolist() == [0, 1, MISSING]


def test_a_number_of_classes_is_read_as_a_regression_where_that_is_the_task() -> None:
    readings = Reader("regression").read(torch.tensor([[0.5], [2.0]]), torch.ones(2, 1), 2).readings
    assert readings.predictions.tolist() == [0.5, 2.0]
    assert readings.confidence.isnan().all()


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
    found = record_losses(criterion, (outputs, targets), {}, targets, 6)
    assert found is not None
    losses, weights = found
    assert losses.shape == (6,)
    assert not fired
    kwargs = {k: getattr(criterion, k) for k in ("weight", "label_smoothing", "ignore_index")
              if hasattr(criterion, k) and getattr(criterion, k) is not None}  # fmt: skip
    expected = functional.cross_entropy(outputs, targets, reduction="none", **kwargs)
    assert torch.equal(losses, expected)
    assert torch.allclose(losses.sum() / weights.sum(), criterion(outputs, targets))


def test_a_function_with_its_weights_bound_is_averaged_by_them() -> None:
    outputs, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, -100, 2])
    function = functools.partial(functional.cross_entropy, weight=torch.tensor([1.0, 2.0, 5.0]))
    found = record_losses(as_criterion(function), (outputs, targets), {}, targets, 6)
    assert found is not None
    assert torch.allclose(found[0].sum() / found[1].sum(), function(outputs, targets))
    assert found[1].tolist() == [1, 2, 5, 1, 0, 5]


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (a - b).sum(),
        lambda a, b, reduction="mean": (a - b).mean(),
        lambda a, b, reduction="mean": (a - b).mean().expand(2),
    ],
)
def test_a_scalar_is_no_loss_of_records(function: Any) -> None:
    pair = (torch.ones(2), torch.ones(2))
    assert record_losses(as_criterion(function), pair, {}, pair[1], 2) is None
