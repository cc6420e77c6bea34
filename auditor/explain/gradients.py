"""Expected gradients, stratified and in one batched pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from auditor.errors import InputError
from auditor.explain.attributions import Attributions

__all__ = ["Output", "expected_gradients", "log_odds"]

Output = Callable[[Any], torch.Tensor]
"""Reads the explained scalar of each record off the model's outputs: ``outputs → [batch]``."""

_BATCHES = 8
_CHUNK_BYTES = 64 << 20


def log_odds(outputs: Any) -> torch.Tensor:
    """Read the log-odds of the positive class: a single logit, or the second less the first."""
    logits = getattr(outputs, "logits", outputs)
    if logits.ndim == 2 and logits.shape[1] == 2:
        return logits[:, 1] - logits[:, 0]
    if logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        return logits.reshape(-1)
    raise InputError(
        f"the model gives outputs of shape {list(logits.shape)}",
        valid="[batch], [batch, 1] or [batch, 2]; or output= that reads one number per record",
    )


def expected_gradients(
    model: torch.nn.Module,
    x: torch.Tensor,
    background: torch.Tensor,
    *,
    samples: int = 200,
    output: Output = log_odds,
    seed: int = 0,
) -> Attributions:
    """Attribute each record's output to its features by expected gradients.

    φᵢ(x) = E over background x′ and α ~ U(0, 1) of (xᵢ − x′ᵢ) ∂f/∂xᵢ (x′ + α (x − x′)); Erion,
    Janizek, Sturmfels, Lundberg and Lee (2021), Nature Machine Intelligence 3. It estimates
    Aumann–Shapley values along straight paths, not interventional Shapley values.

    The samples of each record form 8 batches. Within a batch α is stratified, and over all samples
    every background record occurs equally often; the spread of the batch means gives the standard
    error. All records and samples of a chunk are one pass through the model.

    Parameters
    ----------
    model:
        A module in evaluation mode that takes one float tensor.
    x, background:
        Records, shapes ``[records, *features]`` and ``[background, *features]``.
    samples:
        Gradient evaluations per record, rounded up to a multiple of 8.
    output:
        Reads the explained number off the model's outputs.

    Raises :class:`InputError` for other dtypes, other shapes, NaN, no background, or a model
    through which no gradient flows.
    """
    _check(x, background, samples)
    device = x.device
    per_batch = math.ceil(samples / _BATCHES)
    total = per_batch * _BATCHES
    generator = torch.Generator().manual_seed(seed)
    features = x[0].numel()
    chunk = max(1, _CHUNK_BYTES // (total * max(features, 64) * x.element_size()))
    with torch.no_grad():
        outputs = torch.cat([output(model(part)).detach() for part in x.split(chunk * total)])
        baseline = torch.cat(
            [output(model(part)).detach() for part in background.split(chunk * total)]
        )
    if outputs.shape != (len(x),):
        raise InputError(
            f"output= gives shape {list(outputs.shape)} for {len(x)} records", valid="[batch]"
        )
    values: list[torch.Tensor] = []
    errors: list[torch.Tensor] = []
    for part in x.split(chunk):
        alpha, rows = _design(len(part), per_batch, len(background), generator)
        start = background[rows.to(device)]
        delta = part[:, None] - start
        shape = (len(part), total) + (1,) * (x.ndim - 1)
        points = start + alpha.to(device, x.dtype).reshape(shape) * delta
        gradients = _gradients(model, points.flatten(0, 1), output).reshape(points.shape)
        contributions = (gradients * delta).double()
        batches = contributions.reshape(len(part), _BATCHES, per_batch, *x.shape[1:]).mean(dim=2)
        values.append(batches.mean(dim=1).cpu())
        errors.append((batches.std(dim=1) / math.sqrt(_BATCHES)).cpu())
    phi = torch.cat(values).numpy()
    explained = outputs.double().cpu().numpy()
    base = float(baseline.double().mean())
    return Attributions(
        values=phi,
        standard_error=torch.cat(errors).numpy(),
        residual=phi.reshape(len(x), -1).sum(axis=1) - (explained - base),
        output=explained,
        baseline=base,
        method=f"expected-gradients-stratified-{total}-background-{len(background)}",
    )


def _design(
    records: int, per_batch: int, background: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return α and background rows, shape ``[records, samples]``.

    α has one point in each of ``per_batch`` strata of every batch; strata and background rows are
    permuted against each other, so that neither is confounded with the other.
    """
    total = per_batch * _BATCHES
    uniform = torch.rand(records, _BATCHES, per_batch, generator=generator)
    alpha = (torch.arange(per_batch) + uniform) / per_batch
    cycle = torch.arange(total) % background
    if total < background:
        cycle = torch.randperm(background, generator=generator)[:total]
    order = torch.rand(records, total, generator=generator).argsort(dim=1)
    return alpha.reshape(records, total), cycle[order]


def _gradients(model: torch.nn.Module, points: torch.Tensor, output: Output) -> torch.Tensor:
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        total = output(model(leaf)).sum()
        if not total.requires_grad:
            raise InputError(
                "no gradient flows from the output to the input",
                valid="a model that is differentiable and not run under no_grad",
            )
        return torch.autograd.grad(total, leaf)[0]


def _check(x: torch.Tensor, background: torch.Tensor, samples: int) -> None:
    for name, tensor in (("x", x), ("background", background)):
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise InputError(f"{name} is {kind}", valid="a tensor of floats")
        if tensor.ndim < 2 or not len(tensor):
            raise InputError(
                f"{name} has shape {list(tensor.shape)}", valid="[records, *features], not empty"
            )
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name} holds NaN or infinite values", valid="finite values")
    if x.shape[1:] != background.shape[1:]:
        raise InputError(
            f"x has features {list(x.shape[1:])} and background {list(background.shape[1:])}",
            valid="equal shapes after the first dimension",
        )
    if samples < 1:
        raise InputError(f"samples is {samples}", valid="a whole number from 1")


def as_tensor(values: Any, like: torch.Tensor | None = None) -> torch.Tensor:
    """Return values as a tensor, on the device and in the dtype of ``like`` where given."""
    if isinstance(values, torch.Tensor):
        tensor = values
    else:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            raise InputError("the records hold objects", valid="numbers")
        tensor = torch.tensor(array)
    return tensor if like is None else tensor.to(like.device, like.dtype)
