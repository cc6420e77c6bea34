"""One way in: explain a model's outputs, by the method that fits the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from auditor.errors import InputError
from auditor.explain.attributions import Attributions

if TYPE_CHECKING:
    from auditor.explain.gradients import Output

__all__ = ["explain"]


def explain(
    model: Any,
    x: Any,
    background: Any,
    *,
    method: Literal["auto", "expected-gradients"] = "auto",
    samples: int = 200,
    output: Output | None = None,
    seed: int = 0,
) -> Attributions:
    """Explain a model's output on some records.

    Parameters
    ----------
    model:
        A ``torch.nn.Module`` that takes one float tensor.
    x:
        The records, ``[records, *features]``: a tensor, an array or a DataFrame of numbers.
    background:
        The records against which they are explained, same features.
    samples:
        Gradient evaluations per record.
    output:
        Reads the explained number off the outputs; the log-odds of the positive class by default.

    The model's mode and the random state are left as they were. Raises :class:`InputError`.
    """
    import torch

    from auditor.explain.gradients import as_tensor, expected_gradients, log_odds

    if method not in ("auto", "expected-gradients"):
        raise InputError(f"unknown method {method!r}", valid="auto, expected-gradients")
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"the model is a {type(model).__name__}", valid="a torch.nn.Module")
    like = next(iter(model.parameters()), None)
    records, reference = as_tensor(x), as_tensor(background)
    if like is not None and records.is_floating_point() and reference.is_floating_point():
        records, reference = as_tensor(records, like), as_tensor(reference, like)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return expected_gradients(
            model, records, reference, samples=samples, output=output or log_odds, seed=seed
        )
    finally:
        for module, training in modes:
            module.training = training
