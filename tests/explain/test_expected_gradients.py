"""Expected gradients: exact where they can be, with an error that covers, and honest refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shap
import torch

from auditor import InputError
from auditor.explain import explain


def linear(weights: list[float]) -> torch.nn.Module:
    model = torch.nn.Linear(len(weights), 1)
    with torch.no_grad():
        model.weight[:] = torch.tensor(weights)
    return model


def mlp(width: int = 5, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(width, 16), torch.nn.SiLU(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 1)
    )


def data(rows: int, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_a_linear_model_is_explained_exactly() -> None:
    x, background = data(7, 3, 1), data(20, 3, 2)
    found = explain(linear([1.0, -2.0, 0.5]), x, background, samples=40)
    expected = torch.tensor([1.0, -2.0, 0.5]) * (x - background.mean(dim=0))
    np.testing.assert_allclose(found.values, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.residual, 0, atol=1e-5)


def test_a_feature_that_is_not_used_gets_nothing() -> None:
    found = explain(linear([1.0, 0.0]), data(5, 2), data(10, 2, 3))
    assert np.abs(found.values[:, 1]).max() == 0


def test_attributions_add_up_to_the_output_within_their_error() -> None:
    x, background = data(50), data(100, seed=9)
    found = explain(mlp(), x, background, samples=800)
    assert found.relative_residual.max() < 0.1
    total_error = np.sqrt((found.standard_error**2).sum(axis=1))
    assert np.mean(np.abs(found.residual) <= 4 * total_error + 1e-6) > 0.95


def test_the_standard_error_covers_the_truth() -> None:
    x, background = data(40), data(16, seed=9)
    truth = explain(mlp(), x, background, samples=20_000, seed=123).values
    found = explain(mlp(), x, background, samples=160, seed=5)
    inside = np.abs(found.values - truth) <= 2.365 * found.standard_error + 1e-7  # t of 7 df
    assert inside.mean() > 0.88


def test_values_agree_with_shap_within_their_errors() -> None:
    model, x, background = mlp(), data(10), data(50, seed=4)
    theirs = np.asarray(
        shap.GradientExplainer(model, background).shap_values(x, nsamples=3_000, rseed=0)
    ).reshape(10, 5)
    ours = explain(model, x, background, samples=3_000).values
    assert np.abs(ours - theirs).max() < 0.1 * np.abs(ours).max()
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.995


def test_the_same_seed_gives_the_same_values_and_random_state_is_untouched() -> None:
    model, x, background = mlp(), data(5), data(30, seed=1)
    state = torch.get_rng_state()
    first = explain(model, x, background, seed=3)
    second = explain(model, x, background, seed=3)
    assert np.array_equal(first.values, second.values)
    assert torch.equal(torch.get_rng_state(), state)


def test_mode_and_gradients_of_the_model_are_left_alone() -> None:
    model = torch.nn.Sequential(mlp(), torch.nn.Dropout(0.5)).train()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    explain(model, data(4), data(8, seed=2))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_two_logits_are_explained_by_their_difference() -> None:
    model = torch.nn.Linear(2, 2)
    x, background = data(4, 2), data(9, 2, 5)
    found = explain(model, x, background, samples=72)
    with torch.no_grad():
        logits = model(x)
    np.testing.assert_allclose(found.output, (logits[:, 1] - logits[:, 0]).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "background", "message"),
    [
        (torch.ones(3, 5, dtype=torch.long), data(4), "x is torch.int64"),
        (data(3), data(0), "background has shape"),
        (data(3), data(4, 6), r"x has features \[5\] and background \[6\]"),
        (torch.full((3, 5), float("nan")), data(4), "x holds NaN"),
        (np.array([["a"]], object), data(4), "hold objects"),
    ],
)
def test_bad_input_is_refused(x: Any, background: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(mlp(), x, background)


def test_models_that_cannot_be_explained_are_refused() -> None:
    class Cut(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().sum(dim=1)

    with pytest.raises(InputError, match="no gradient flows"):
        explain(Cut(), data(3), data(4))
    with pytest.raises(InputError, match="outputs of shape"):
        explain(torch.nn.Linear(5, 3), data(3), data(4))
    with pytest.raises(InputError, match="the model is a str"):
        explain("model", data(3), data(4))
    with pytest.raises(InputError, match="unknown method"):
        explain(mlp(), data(3), data(4), method="deep")  # type: ignore[arg-type]
