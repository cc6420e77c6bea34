"""One pass of a model over a loader, as if nobody had looked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from auditor.errors import InputError
from auditor.loop.loader import identified
from auditor.loop.outputs import Reader, logits_of
from auditor.loop.readings import COLUMNS
from auditor.loop.records import RecordIndex
from auditor.loop.world import World

__all__ = [
    "BatchRows",
    "Evaluated",
    "bare",
    "device_of",
    "evaluate_model",
    "name_of",
    "next_token",
    "quietly",
    "split_batch",
]


class Evaluated:
    """The readings of every record of a pass: rows, and a block ``[records, columns]``."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.int64]] = []
        self._blocks: list[NDArray[np.float64]] = []

    def add(self, rows: torch.Tensor | NDArray[np.int64], block: torch.Tensor) -> None:
        """Add a batch; it is copied to the host."""
        self._rows.append(np.asarray(rows.cpu() if isinstance(rows, torch.Tensor) else rows))
        self._blocks.append(block.double().cpu().numpy())

    def __len__(self) -> int:
        return sum(map(len, self._rows))

    def merge(self, other: Evaluated) -> None:
        """Add what another rank read."""
        self._rows += other._rows
        self._blocks += other._blocks

    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return rows and block, each registered record once (the first time)."""
        if not self._rows:
            raise InputError("the loader yields no batch", valid="a loader with records")
        rows, block = np.concatenate(self._rows), np.concatenate(self._blocks)
        _, first = np.unique(rows, return_index=True)
        kept = np.sort(np.concatenate([first[rows[first] >= 0], np.flatnonzero(rows < 0)]))
        return rows[kept], block[kept]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one column of :meth:`parts`."""
        return self.parts()[1][:, COLUMNS.index(name)]


def evaluate_model(
    model: torch.nn.Module, loader: DataLoader[Any], index: RecordIndex, reader: Reader
) -> Evaluated:
    """Run the model over the loader in evaluation mode and read its outputs.

    Random state and train mode are as before. Raises :class:`InputError` where the labels of the
    loader are not those of the registered rows: then items and rows are not in the same order, and
    every group would be wrong.
    """
    evaluated = Evaluated()
    with _in_step(model) as together:
        listener = BatchRows()
        audited = identified(loader, index, listener)
        device, module = device_of(model), bare(model)
        with quietly(module):
            for batch, counts in together(iter(audited)):
                inputs, targets = split_batch(batch, device)
                outputs = call_model(module, inputs)
                if counts:
                    rows = listener.rows
                    evaluated.add(rows, _read_batch(module, outputs, targets, reader, len(rows)))
        check_labels(evaluated, index)
    return evaluated


@contextmanager
def _in_step(model: torch.nn.Module) -> Generator[Callable[[Iterator[Any]], Iterator[Any]]]:
    """Give what goes through batches: ranks that share a model's parameters keep together."""
    world = World.current()
    if world.size > 1:
        from auditor.loop.sharded import InStep, is_sharded

        if is_sharded(model):
            with InStep(world) as together:
                yield together.batches
            return
    yield lambda batches: ((batch, True) for batch in batches)


def _read_batch(
    model: torch.nn.Module, outputs: Any, targets: Any, reader: Reader, records: int
) -> torch.Tensor:
    if isinstance(targets, torch.Tensor) and reader.predict is None and targets.ndim > 1:
        logits = logits_of(outputs)
        if logits.ndim == targets.ndim + 1 and hasattr(outputs, "logits"):
            logits, targets = next_token(model, logits, targets)
            return reader.read(logits, targets, records, classes_last=True).block()
    return reader.read(outputs, targets, records).block()


def next_token(
    model: torch.nn.Module, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and the labels that they predict: the next ones, in a causal language model.

    transformers names the kind of loss in ``loss_type``; its causal models shift the labels inside
    the loss.
    """
    kind = getattr(getattr(model, "module", model), "loss_type", None)
    return (logits[:, :-1], labels[:, 1:]) if kind == "ForCausalLM" else (logits, labels)


def check_labels(evaluated: Evaluated, index: RecordIndex) -> None:
    """Raise :class:`InputError` where labels differ from those of the registered rows."""
    if index.labels is None or index.task == "regression" or not len(evaluated):
        return
    rows, _ = evaluated.parts()
    labels = evaluated.column("label")
    registered = index.labels[np.maximum(rows, 0)]
    known = (rows >= 0) & (registered >= 0) & (labels >= 0)
    differing = int((registered[known] != labels[known]).sum())
    if differing:
        raise InputError(
            f"the loader's labels differ from the target in {differing:,} of "
            f"{int(known.sum()):,} records: items are matched to rows by position",
            where=f"{index.split}=",
            valid="the rows in the order of the dataset, or items that carry the record id",
        )


class BatchRows:
    """Keeps the rows of the last batch, of a loader that nobody trains on."""

    def __init__(self) -> None:
        self.rows = torch.zeros(0, dtype=torch.int64)

    def announce(
        self,
        rows: torch.Tensor,
        content: torch.Tensor | None = None,  # noqa: ARG002
        tokens: int | None = None,  # noqa: ARG002
    ) -> None:
        """Keep them; what is known by its content alone is of unknown groups."""
        self.rows = rows

    def begin_epoch(self) -> None:
        """A pass is one epoch."""

    def end_epoch(self) -> None:
        """A pass is one epoch."""


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


def bare(model: torch.nn.Module) -> torch.nn.Module:
    """Return the module inside ``DistributedDataParallel``, which ranks may call by themselves.

    The wrapper brings buffers together at every call, so that a rank with more batches than the
    others would wait for them forever.
    """
    return model.module if isinstance(model, DistributedDataParallel) else model


def name_of(model: torch.nn.Module) -> str:
    """Return the name of a model's class, as the record has it."""
    return type(bare(model)).__name__


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
