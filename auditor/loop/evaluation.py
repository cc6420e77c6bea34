"""One pass of a model over a loader, as if nobody had looked."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from auditor.errors import InputError
from auditor.loop.loader import identified
from auditor.loop.outputs import Predict, read_labels, read_outputs
from auditor.loop.records import RecordIndex

__all__ = ["Evaluated", "device_of", "evaluate_model", "quietly", "split_batch"]


class Evaluated:
    """The readings of every record of a pass: rows, labels, predictions and scores."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[Any], ...]] = []

    def add(self, *columns: torch.Tensor) -> None:
        """Add a batch; the tensors are copied to the host."""
        self._parts.append(tuple(column.cpu().numpy() for column in columns))

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return rows, labels, predictions and scores, each record once (the first time)."""
        if not self._parts:
            raise InputError("the loader yields no batch", valid="a loader with records")
        rows, *others = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        _, first = np.unique(rows, return_index=True)
        return tuple(column[np.sort(first)] for column in (rows, *others))


def evaluate_model(
    model: torch.nn.Module,
    loader: DataLoader[Any],
    index: RecordIndex,
    *,
    predict: Predict | None = None,
    probabilities: bool = False,
) -> Evaluated:
    """Run the model over the loader in evaluation mode and read its outputs.

    Random state and train mode are as before. Raises :class:`InputError` where the labels of the
    loader are not those of the registered rows: then items and rows are not in the same order, and
    every group would be wrong.
    """
    seen: list[torch.Tensor] = []
    audited = identified(loader, index, seen.append)
    evaluated = Evaluated()
    device = device_of(model)
    differing = total = 0
    with quietly(model):
        for batch in audited:
            inputs, targets = split_batch(batch, device)
            readings = read_outputs(
                call_model(model, inputs), predict=predict, probabilities=probabilities
            )
            labels = read_labels(targets).cpu()
            rows = seen.pop()
            if index.labels is not None:
                registered = torch.from_numpy(index.labels)[rows]
                known = (registered < 2) & (labels < 2)
                differing += int((registered[known] != labels[known]).sum())
                total += int(known.sum())
            evaluated.add(rows, labels, readings.predictions, readings.scores.float())
    if differing:
        raise InputError(
            f"the loader's labels differ from the target in {differing:,} of {total:,} records: "
            "items are matched to rows by position",
            where=f"{index.split}=",
            valid="the rows in the order of the dataset, or items that carry the record id",
        )
    return evaluated


def call_model(model: torch.nn.Module, inputs: Any) -> Any:
    """Call the model with a tensor, a tuple of tensors or a mapping."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def split_batch(batch: Any, device: torch.device) -> tuple[Any, Any]:
    """Split a batch into inputs and targets: ``(x, y)``, or a mapping with ``labels``."""
    if isinstance(batch, Mapping):
        for key in ("labels", "label", "target"):
            if key in batch:
                inputs = {k: _to(v, device) for k, v in batch.items() if k != key}
                return inputs, _to(batch[key], device)
        raise InputError("the batch has no labels", valid="a key named labels, label or target")
    if isinstance(batch, (tuple, list)) and len(batch) >= 2:
        *inputs, targets = (_to(part, device) for part in batch)
        return inputs[0] if len(inputs) == 1 else tuple(inputs), targets
    raise InputError(f"the batch is a {type(batch).__name__}", valid="(inputs, targets)")


def device_of(model: torch.nn.Module) -> torch.device:
    """Return the device of the model's first parameter or buffer."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


@contextmanager
def quietly(model: torch.nn.Module) -> Generator[None]:
    """Evaluate without a trace: train mode of every module and random state are restored."""
    modes = [(module, module.training) for module in model.modules()]
    device = device_of(model)
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices, device_type=_rng_type(device)), torch.no_grad():
        model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training


def _rng_type(device: torch.device) -> str:
    return "cuda" if device.type == "cpu" else device.type


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value
