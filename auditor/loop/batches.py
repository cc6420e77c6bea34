"""What a hook keeps of a batch until it is read: copies of outputs and targets, several at once.

Reading every batch by itself would cost the same few microseconds for each of some thirty
operations, every time. So the hook only copies, and sixteen batches are read as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from auditor.errors import InputError
from auditor.loop.criterion import record_losses
from auditor.loop.outputs import Reader
from auditor.loop.readings import MISSING, Readings

__all__ = ["MOST_KEPT", "Batch", "Seen", "on_this_rank", "read_seen", "seen_now"]

MOST_KEPT = 1 << 18
"""The largest number of outputs of a batch that is kept to be read later; larger ones are read."""

_TARGETS = ("target", "targets", "labels", "label", "y")


@dataclass(slots=True)
class Seen:
    """One call of a criterion: what it was given, detached, or the block that was read of it."""

    name: str
    criterion: torch.nn.Module | None
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    block: torch.Tensor | None = None
    classes_last: bool = False

    @property
    def key(self) -> tuple[Any, ...] | None:
        """What two calls share that can be read as one; ``None`` where it must stand alone."""
        if self.block is not None or self.options:
            return None
        shapes = tuple((tuple(a.shape[1:]), a.dtype, a.device) for a in self.args)
        return (self.name, id(self.criterion), self.classes_last, shapes)


@dataclass(slots=True)
class Batch:
    """A batch that was worked on: its rows, its loss, and what was seen of it, if observed."""

    rows: torch.Tensor
    epoch: int
    step: int
    loss: torch.Tensor | None = None
    content: bytes = b""
    seen: list[Seen] = field(default_factory=list[Seen])
    skipped: bool = False
    tokens: int | None = None


def seen_now(
    name: str,
    criterion: torch.nn.Module,
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    reader: Reader,
    records: int,
) -> Seen:
    """Return copies of a call's arguments, or, where they are large or odd, what is read of them.

    The copies are needed: outputs may be changed in place afterwards, or belong to a graph that
    is replayed.
    """
    if len(args) == 2 and reader.predict is None:
        outputs, targets = args
        if _is_small(outputs, records) and _is_small(targets, records):
            kept = (outputs.detach().clone(), targets.detach().clone())
            held = {k: _detached(v) for k, v in options.items()} if options else options
            return Seen(name, criterion, kept, held)
    detached = tuple(_detached(a) for a in args)
    found = Seen(name, criterion, detached, {k: _detached(v) for k, v in options.items()})
    found.block = _read(found, reader, records)
    found.args, found.options = (), {}
    return found


def _is_small(value: Any, records: int) -> bool:
    tensor = isinstance(value, torch.Tensor) and value.ndim > 0
    return tensor and len(value) == records and value.numel() <= MOST_KEPT


def read_seen(seen: Sequence[tuple[Seen, int]], reader: Reader) -> list[torch.Tensor]:
    """Return the block of every call, given with its number of records; equal ones read as one."""
    blocks: list[torch.Tensor] = []
    start = 0
    while start < len(seen):
        first, key = seen[start][0], seen[start][0].key
        end = start + 1
        while key is not None and end < len(seen) and seen[end][0].key == key:
            end += 1
        run = seen[start:end]
        sizes = [records for _, records in run]
        if first.block is not None:
            blocks.append(first.block)
        elif len(run) == 1:
            blocks.append(_read(first, reader, sizes[0]))
        else:
            args = tuple(torch.cat(parts) for parts in zip(*(s.args for s, _ in run), strict=True))
            whole = Seen(first.name, first.criterion, args, classes_last=first.classes_last)
            blocks += _read(whole, reader, sum(sizes)).split(sizes)
        start = end
    return blocks


def _read(seen: Seen, reader: Reader, records: int) -> torch.Tensor:
    """Read one call: losses by the criterion, everything else by the reader."""
    outputs, targets = _outputs_and_targets(seen.args, seen.options)
    losses = None
    if seen.criterion is not None:
        args = tuple(_widened(a) for a in seen.args)
        options = {k: _widened(v) for k, v in seen.options.items()}
        losses = record_losses(seen.criterion, args, options, targets, records)
    if seen.name:
        return _losses_alone(losses, records, targets)
    reading = reader.read(outputs, targets, records, classes_last=seen.classes_last)
    if seen.criterion is None:
        return reading.block()
    return reading.readings.block(*(losses or (None, None)))


def _losses_alone(
    losses: tuple[torch.Tensor, torch.Tensor] | None, records: int, like: Any
) -> torch.Tensor:
    """Return a block that holds nothing but losses: those of one of several criteria."""
    device = like.device if isinstance(like, torch.Tensor) else torch.device("cpu")
    nan = torch.full((records,), torch.nan, device=device)
    absent = torch.full((records,), MISSING, device=device)
    readings = Readings(absent, absent, nan, nan, nan, nan)
    return readings.block(*(losses or (None, None)))


def _outputs_and_targets(args: Sequence[Any], options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what a criterion was called with, by place or by the names that losses use."""
    given = dict(options)
    outputs = args[0] if args else given.pop("input", None)
    targets = args[1] if len(args) > 1 else next((given[n] for n in _TARGETS if n in given), None)
    if outputs is None or targets is None:
        raise InputError("the criterion was called with one value", valid="outputs, targets")
    return outputs, targets


def _detached(value: Any) -> Any:
    return on_this_rank(value.detach()) if isinstance(value, torch.Tensor) else value


def on_this_rank(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as it lies on this rank; raises :class:`InputError` for a part of one.

    An operation on a ``DTensor`` may be a collective, which a hook must not begin.
    """
    placements = getattr(tensor, "placements", None)
    if placements is None:
        return tensor
    if not all(placement.is_replicate() for placement in placements):
        raise InputError("outputs, targets or losses are spread over ranks", valid="whole tensors")
    return tensor.to_local()  # type: ignore[attr-defined]


def _widened(value: Any) -> Any:
    """Return half-precision values in single precision, as autocast gives them to a loss."""
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
