"""The way of the readings to the host: copied beside the training, taken when they are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.loop.batches import Batch
from auditor.loop.governor import Governor
from auditor.loop.readings import widest_float

__all__ = ["Harvested", "HarvestedBatch", "Harvester"]

_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class HarvestedBatch:
    """One batch on the host: ``blocks`` are readings ``[records, columns]`` by criterion."""

    epoch: int
    step: int
    rows: NDArray[np.int64]
    loss: float
    content: bytes
    skipped: bool
    blocks: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Harvested:
    """Batches that arrived together."""

    batches: tuple[HarvestedBatch, ...]

    @property
    def epochs(self) -> int:
        """The epoch of the first batch."""
        return self.batches[0].epoch

    def split(self) -> list[Harvested]:
        """Return every batch by itself, but for those that were not observed."""
        return [Harvested((batch,)) for batch in self.batches if batch.blocks]

    def observed_rows(self) -> NDArray[np.int64]:
        """Return the rows of the observed batches, one after the other."""
        rows = [batch.rows for batch in self.batches if batch.blocks]
        return np.concatenate([np.zeros(0, np.int64), *rows])

    def without(self, rows: NDArray[np.int64]) -> Harvested:
        """Return the same without some records."""
        kept: list[HarvestedBatch] = []
        for batch in self.batches:
            left = ~np.isin(batch.rows, rows) | (batch.rows < 0)
            blocks = {name: block[left] for name, block in batch.blocks.items()}
            kept.append(
                HarvestedBatch(batch.epoch, batch.step, batch.rows[left], batch.loss,
                               batch.content, batch.skipped, blocks)
            )  # fmt: skip
        return Harvested(tuple(kept))

    def columns(self) -> dict[str, _Columns]:
        """Return rows, steps and readings of all observed records, by criterion."""
        out: dict[str, _Columns] = {}
        for name in dict.fromkeys(n for batch in self.batches for n in batch.blocks):
            parts = [batch for batch in self.batches if name in batch.blocks]
            sizes = [len(batch.rows) for batch in parts]
            out[name] = (
                np.concatenate([batch.rows for batch in parts]),
                np.repeat(np.array([batch.step for batch in parts], np.int64), sizes),
                np.concatenate([batch.blocks[name] for batch in parts]),
            )
        return out

    def state_dict(self) -> list[dict[str, Any]]:
        """Return plain numbers and arrays."""
        return [
            {"epoch": b.epoch, "step": b.step, "rows": b.rows, "loss": b.loss,
             "content": b.content, "skipped": b.skipped, "blocks": dict(b.blocks)}
            for b in self.batches
        ]  # fmt: skip

    @classmethod
    def of_state(cls, state: Any) -> Harvested:
        """Return what :meth:`state_dict` gave."""
        return cls(tuple(HarvestedBatch(**part) for part in state))


@dataclass(slots=True, eq=False)
class _Sent:
    """Batches on their way."""

    batches: list[Batch]
    names: list[list[str]]
    rows: torch.Tensor
    losses: torch.Tensor | None
    blocks: torch.Tensor | None
    began: Any = None
    ended: Any = None


class Harvester:
    """Copies readings to the host without waiting, and gives them when they are there.

    On the host's own device they are there at once. On an accelerator the copy goes to pinned
    memory, an event marks its end, and it is taken at a later call; the same events tell what the
    readings cost there, which the governor is charged with.
    """

    def __init__(self, device: torch.device, governor: Governor) -> None:
        self.device = device
        self._governor = governor
        self._sent: deque[_Sent] = deque()
        self._far = device.type != "cpu"

    def send(self, batches: list[Batch], blocks: list[list[tuple[str, torch.Tensor]]]) -> None:
        """Start the batches to the host, with the blocks that were read of each."""
        if not batches:
            return
        with torch.no_grad():
            began = self._event()
            names = [[name for name, _ in found] for found in blocks]
            flat = [block for found in blocks for _, block in found]
            losses = [b.loss for b in batches if b.loss is not None]
            rows = [b.rows for b in batches]
            sent = _Sent(
                batches,
                names,
                self._copied(rows[0] if len(rows) == 1 else torch.cat(rows)),
                self._copied(_stacked(losses)) if losses else None,
                self._copied(torch.cat(flat)) if flat else None,
                began,
                self._event(),
            )
        for batch in batches:
            batch.seen.clear()
        self._sent.append(sent)

    def arrived(self) -> list[Harvested]:
        """Return what has arrived."""
        found: list[Harvested] = []
        while self._sent and (self._sent[0].ended is None or self._sent[0].ended.query()):
            found.append(self._open(self._sent.popleft()))
        return found

    def wait(self) -> list[Harvested]:
        """Return everything, waiting for the device."""
        for sent in self._sent:
            if sent.ended is not None:
                sent.ended.synchronize()
        return self.arrived()

    def _event(self) -> Any:
        if not self._far:
            return None
        event = torch.Event(self.device.type, enable_timing=True)  # type: ignore[arg-type]
        event.record()
        return event

    def _copied(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type == "cpu":
            return tensor
        there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return there.copy_(tensor, non_blocking=True)

    def _open(self, sent: _Sent) -> Harvested:
        if sent.ended is not None:
            self._governor.charge(sent.began.elapsed_time(sent.ended) / 1e3, on_device=True)
        rows = sent.rows.numpy()
        blocks = None if sent.blocks is None else sent.blocks.double().numpy()
        losses = iter([] if sent.losses is None else sent.losses.tolist())
        place = start = 0
        out: list[HarvestedBatch] = []
        for batch, names in zip(sent.batches, sent.names, strict=True):
            size = len(batch.rows)
            mine: dict[str, NDArray[np.float64]] = {}
            for name in names:
                assert blocks is not None
                mine[name] = blocks[start : start + size]
                start += size
            loss = float("nan") if batch.loss is None else next(losses)
            out.append(
                HarvestedBatch(batch.epoch, batch.step, rows[place : place + size], loss,
                               batch.content, batch.skipped, mine)
            )  # fmt: skip
            place += size
        return Harvested(tuple(out))


def _stacked(losses: list[torch.Tensor]) -> torch.Tensor:
    """Return the losses in one tensor; their bits are kept where all have the same type."""
    if len({loss.dtype for loss in losses}) > 1:
        losses = [loss.to(widest_float(loss.device)) for loss in losses]
    return torch.stack(losses)
