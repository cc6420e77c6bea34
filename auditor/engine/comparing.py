"""A base model and a tuned one, scored on the same records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.engine.datasets import RegisteredData
from auditor.engine.ranks import Ranks
from auditor.errors import InputError
from auditor.loop.evaluation import Evaluated, device_of, evaluate_model
from auditor.loop.outputs import Reader
from auditor.loop.readings import COLUMNS
from auditor.stats import SliceTable
from auditor.stats.paired import paired_outcomes

__all__ = ["Base", "compare_models"]

Base = torch.nn.Module | Mapping[str, torch.Tensor] | Callable[[], AbstractContextManager[Any]]
"""A base model: a module, the weights of one, or what makes the tuned one the base for a while."""

_SMALLEST = np.finfo(np.float64).tiny


class _WithWeights(torch.nn.Module):
    """A model with other weights, without a copy of it."""

    def __init__(self, module: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.module = module
        device = device_of(module)
        self._weights = {name: tensor.to(device) for name, tensor in weights.items()}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model with these weights."""
        return torch.func.functional_call(self.module, self._weights, args, kwargs)


def compare_models(
    base: Base,
    tuned: Any,
    loader: Any,
    data: RegisteredData,
    split: str,
    reader: Reader,
    ranks: Ranks,
) -> tuple[SliceTable, Evaluated] | None:
    """Score both models on the records of a split; return paired outcomes and the tuned readings.

    In a distributed training every rank scores its own loader and the first one counts; the
    others get ``None``. Raises :class:`InputError`.
    """
    if not isinstance(tuned, torch.nn.Module):
        raise InputError(f"the model is a {type(tuned).__name__}", valid="a torch.nn.Module")
    index = data.index(split)
    model, during, name = _base(base, tuned)

    def score() -> tuple[Evaluated, Evaluated]:
        with during:
            before = evaluate_model(model, loader, index, reader)
        return before, evaluate_model(tuned, loader, index, reader)

    parts = ranks.meet("scoring base and tuned model", score, list)
    if parts is None:
        return None
    before, after = parts[0]
    for other_before, other_after in parts[1:]:
        before.merge(other_before)
        after.merge(other_after)
    rows, first, second = _matched(before, after)
    context = {
        "split": split, "task": index.task, "base": name, "tuned": type(tuned).__name__,
        "target": data.roles.target or "labels of the loader",
    }  # fmt: skip
    sides = [_outcomes(block, index.task) for block in (first, second)]
    return paired_outcomes(data.groups, data.codes(split)[rows], *sides, context=context), after


def _base(
    base: Any, tuned: torch.nn.Module
) -> tuple[torch.nn.Module, AbstractContextManager[Any], str]:
    if isinstance(base, torch.nn.Module):
        return base, nullcontext(), type(base).__name__
    if isinstance(base, Mapping):
        weights = cast("Mapping[str, torch.Tensor]", base)
        own = tuned.state_dict()
        for key, tensor in weights.items():
            if key not in own or own[key].shape != tensor.shape:
                raise InputError(
                    f"the weights {key!r} are not those of the model",
                    valid="base=model.state_dict() of before, copied",
                )
        same = bool(weights) and all(t.data_ptr() == own[k].data_ptr() for k, t in weights.items())
        if same:
            raise InputError(
                "the weights of the base are the very tensors of the tuned model",
                valid="copies, made before the training: copy.deepcopy(model.state_dict())",
            )
        return _WithWeights(tuned, weights), nullcontext(), f"weights of {type(tuned).__name__}"
    if callable(base):
        switch = cast("Callable[[], AbstractContextManager[Any]]", base)
        return tuned, switch(), f"{type(tuned).__name__}, {getattr(base, '__name__', 'switched')}"
    raise InputError(
        f"the base is a {type(base).__name__}", valid="a module, its weights, or a context manager"
    )


def _matched(
    before: Evaluated, after: Evaluated
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the registered records that both models predicted, and the readings of each."""
    (rows, first), (others, second) = before.parts(), after.parts()
    both, here, there = np.intersect1d(rows, others, return_indices=True)
    kept = both >= 0
    if not kept.any():
        raise InputError("no record is known to both passes", valid="a loader over registered rows")
    return both[kept], first[here[kept]], second[there[kept]]


def _outcomes(block: NDArray[np.float64], task: str) -> dict[str, NDArray[np.float64]]:
    """Return what one model made of the records: wrong, selected, loss."""
    read = {name: block[:, i] for i, name in enumerate(COLUMNS)}
    several = (read["weight"] > 0).any()
    if several:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"loss": np.where(read["weight"] > 0, read["loss"] / read["weight"], np.nan)}
    if task == "regression":
        return {"loss": (read["prediction"] - read["label"]) ** 2}
    found = {"wrong": read["error"], "loss": -np.log(np.maximum(read["confidence"], _SMALLEST))}
    if task == "binary":
        predicted = read["prediction"]
        found["selected"] = np.where(predicted >= 0, predicted, np.nan)
    return found
