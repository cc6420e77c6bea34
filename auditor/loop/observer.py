"""The observer of a training loop: hooks on the loss and the optimizer, fed with the rows."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.loop.batches import Batch, on_this_rank, read_seen, seen_now
from auditor.loop.compute import ComputeMeter
from auditor.loop.dynamics import Dynamics
from auditor.loop.governor import Governor
from auditor.loop.harvest import Harvested, Harvester
from auditor.loop.outputs import Reader
from auditor.loop.readings import COLUMNS
from auditor.loop.records import RecordIndex
from auditor.loop.steps import Step, StepLog
from auditor.loop.sums import TrainingSums
from auditor.loop.visits import Visits

__all__ = ["Observer"]

_KEPT_BATCHES = 16
_TAIL = 2
_MOST_WAITING = 4096
_AT = {name: position for position, name in enumerate(COLUMNS)}


class Observer:
    """Sees the outputs and targets of every observed batch, and changes nothing.

    The hooks draw no random numbers, keep no graph, and never wait for the device: they keep
    copies, which are read sixteen batches at a time, copied to the host beside the training and
    added up there when they have arrived. What goes wrong is kept in ``fault`` and ends the
    observation, never the training; which records the steps consume is recorded on.

    Parameters
    ----------
    index:
        The registered rows of the training data.
    device:
        Where the model is.
    reader:
        How outputs are read.
    budget:
        The largest share of the loop's time that observing may take.
    shared:
        Whether other ranks work on the same epochs: the last two batches of every epoch are then
        held back until ranks meet, because samplers fill them up with records of others.
    """

    COUNTS: ClassVar[tuple[str, ...]] = (
        "unmatched", "unseen", "repeated", "skipped_steps", "differing_labels",
    )  # fmt: skip
    """The counts that ranks add up."""

    def __init__(
        self,
        index: RecordIndex,
        *,
        device: torch.device,
        reader: Reader,
        budget: float = 0.01,
        shared: bool = False,
    ) -> None:
        self.index, self.reader, self.shared = index, reader, shared
        self.governor = Governor(budget=budget)
        self.sums: dict[str, TrainingSums] = {"": TrainingSums(index.groups, index.codes)}
        self.dynamics = Dynamics(index.rows)
        self.log = StepLog()
        self.meter: ComputeMeter | None = None
        self.fault: str | None = None
        self.unmatched = self.repeated = self.skipped_steps = self.unseen = 0
        self.differing_labels = 0
        self.epoch = self.step = 0
        self.held: list[Harvested] = []
        self.visits = Visits()
        self.seen_rows: dict[int, NDArray[np.int64]] = {}
        self.marks = [(0, 0)]
        self._harvester = Harvester(device, self.governor)
        self._handles: list[Any] = []
        self._criteria: dict[int, str] = {}
        self._announced: Batch | None = None
        self._hidden: Batch | None = None
        self._waiting: deque[Batch] = deque(maxlen=_MOST_WAITING)
        self._done: set[str] = set()
        self._pending: deque[Batch] = deque()

    # -- what the loop tells --------------------------------------------------------------------

    def announce(
        self,
        rows: torch.Tensor,
        content: torch.Tensor | None = None,
        tokens: int | None = None,
    ) -> None:
        """Take the rows of the batch that the loop is about to work on."""
        began = self.governor.clock()
        held = b"" if content is None else content.numpy().tobytes()
        self.begin(Batch(rows, self.epoch, self.step + 1, content=held, tokens=tokens))
        self.governor.charge(self.governor.clock() - began, always=True)

    def begin(self, batch: Batch) -> None:
        """Begin to work on a batch: what is seen next is of it."""
        self._announced = batch
        if torch.is_grad_enabled():  # without gradients it is the user's own evaluation
            self._waiting.append(batch)
        self._done.clear()
        if self.meter is not None:
            self.meter.begin_step()

    def begin_epoch(self) -> None:
        """Begin a pass over the loader."""
        self.epoch += 1
        self.marks.append((self.epoch, self.step))

    def end_epoch(self) -> None:
        """End a pass over the loader."""

    def tap(self, criterion: torch.nn.Module, name: str = "") -> None:
        """Hook a criterion; the one without a name is that of the predictions."""
        self._criteria[id(criterion)] = name
        if name:
            self.sums[name] = TrainingSums(self.index.groups, self.index.codes)
        self._handles.append(criterion.register_forward_hook(self._after_loss, with_kwargs=True))

    def watch(self, optimizer: torch.optim.Optimizer) -> None:
        """Hook an optimizer: its steps are the steps of the training."""
        self._handles.append(optimizer.register_step_pre_hook(self.before_step))
        self._handles.append(optimizer.register_step_post_hook(self.after_step))

    def keep(self, handle: Any) -> None:
        """Take a handle that :meth:`detach` removes."""
        self._handles.append(handle)

    def detach(self) -> None:
        """Take every hook off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self.meter is not None:
            self.meter.stop()

    def before_step(self, *_: Any) -> None:
        """Say that the last backward pass of a step is done."""
        if self.meter is not None:
            self.meter.end_step()

    def after_step(self, *_: Any) -> None:
        """End a step: what was consumed since the last one belongs to it."""
        began = self.governor.clock()
        self.step += 1
        self._settle_waiting(consumed=True)
        self.log.end(self.step, random_digest())
        self.governor.charge(self.governor.clock() - began, always=True)

    def skip_step(self) -> None:
        """Say that the optimizer was not moved: its gradients were infinite, and nothing learnt."""
        self.skipped_steps += 1
        self.before_step()
        for batch in reversed(self._pending):
            if batch.step != self.step + 1:
                break
            batch.skipped = True
        self._settle_waiting(consumed=False)
        self.log.skip(self.step + 1)

    def _settle_waiting(self, *, consumed: bool) -> None:
        """Count the batches of which no loss was seen; a step that saw none consumed them."""
        self.unseen += len(self._waiting)
        if consumed and not self._seen:
            for batch in self._waiting:
                batch.step = self.step
                self._pending.append(batch)
        self._waiting.clear()
        self._seen = False

    def _after_loss(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        if torch.compiler.is_compiling():
            return  # out of the graph's way: its batches count as unseen
        # A loss without gradients is the user's own evaluation, or that of a forward which
        # (reentrant) checkpointing runs again, inside of backward.
        if not torch.is_grad_enabled():
            self._hidden = self._announced
            return
        name = self._criteria.get(id(module), "")
        if _inside_backward() and (self._hidden is not self._announced or name in self._done):
            return
        self.saw(args, kwargs, module, loss=out, name=name)

    def saw(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        criterion: torch.nn.Module | None,
        *,
        loss: Any = None,
        name: str = "",
        classes_last: bool = False,
        batch: Batch | None = None,
    ) -> None:
        """Take what a loss was computed of, for the batch that was announced or the one given.

        ``args`` are outputs and targets. It never raises.
        """
        first = not self._done
        observe = self.governor.take() if first else self._observing
        self._observing = observe
        try:
            self._take(args, kwargs, criterion, loss, name, classes_last, batch, observe=observe)
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self.fault = self.fault or f"{type(error).__name__}: {error}"
        finally:
            self.governor.done(observed=observe and first)
        if len(self._pending) >= _KEPT_BATCHES and first:
            self._fold(at_least=1)

    _observing = _seen = False

    def _take(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        criterion: torch.nn.Module | None,
        loss: Any,
        name: str,
        classes_last: bool,
        given: Batch | None,
        *,
        observe: bool,
    ) -> None:
        batch = given or self._announced
        if batch is None:
            # A batch that did not come from the audited loader belongs to nobody we know.
            self.unmatched += 1
            return
        if name in self._done:
            self.repeated += 1
            return
        batch.step = self.step + 1
        with torch.no_grad():
            if not self._done:
                self._pending.append(batch)
                if self.meter is not None:
                    self.meter.saw(len(batch.rows), batch.tokens)
                self._seen = True
                if self._waiting and self._waiting[-1] is batch:
                    self._waiting.pop()
            self._done.add(name)
            if not name and isinstance(loss, torch.Tensor):
                loss = on_this_rank(loss.detach())
                batch.loss = loss.mean() if loss.ndim else loss.clone()
            if not observe or self.fault:
                return
            records = len(batch.rows)
            if not _fits(args, kwargs, records):
                self.unmatched += 1
                return
            seen = seen_now(name, criterion, args, kwargs, self.reader, records)  # type: ignore[arg-type]
            seen.classes_last = classes_last
            batch.seen.append(seen)

    # -- from copies to sums --------------------------------------------------------------------

    def _fold(self, *, at_least: int = 0) -> None:
        """Read what is kept, but for the last ``at_least`` batches, and start it to the host."""
        began = self.governor.clock()
        # The newest batch may still get another loss, or be skipped by a scaler.
        batches = [self._pending.popleft() for _ in range(len(self._pending) - at_least)]
        try:
            self._harvester.send(batches, self._read(batches))
            for found in self._harvester.arrived():
                self._add(found)
        except Exception as error:  # noqa: BLE001 -- as above
            self.fault = self.fault or f"{type(error).__name__}: {error}"
        self.governor.charge(self.governor.clock() - began)
        self.governor.settle()

    def _read(self, batches: list[Batch]) -> list[list[tuple[str, torch.Tensor]]]:
        """Return the blocks of every batch, by the name of the criterion."""
        out: list[list[tuple[str, torch.Tensor]]] = [[] for _ in batches]
        if self.fault:
            return out
        flat = [(i, seen) for i, batch in enumerate(batches) for seen in batch.seen]
        flat.sort(key=lambda pair: pair[1].name)
        try:
            with torch.no_grad(), torch.autocast(self._harvester.device.type, enabled=False):
                blocks = read_seen([(s, len(batches[i].rows)) for i, s in flat], self.reader)
        except Exception as error:  # noqa: BLE001 -- the steps are recorded all the same
            self.fault = self.fault or f"{type(error).__name__}: {error}"
            return out
        for (i, seen), block in zip(flat, blocks, strict=True):
            out[i].append((seen.name, block))
        return out

    def _add(self, found: Harvested) -> None:
        """Add a harvest that has arrived on the host."""
        for part in found.batches:
            if not part.skipped:
                self.log.consume(Step(part.step, part.rows, part.loss, part.content))
        if not self.shared:
            self.take(found)
            return
        self.held += found.split()
        for epoch in {part.epochs for part in self.held}:
            mine = [part for part in self.held if part.epochs == epoch]
            for part in mine[:-_TAIL]:
                self.take(part)
                self.held.remove(part)

    def take(self, found: Harvested) -> None:
        """Add readings that have arrived on the host to the sums."""
        for name, (rows, steps, block) in found.columns().items():
            if not name:
                block = _without_repeated_means(block, rows, steps)
                self._compare_labels(rows, block[:, _AT["label"]])
                confidence, error = block[:, _AT["confidence"]], block[:, _AT["error"]]
                if self.shared:
                    self.visits.add(rows, found.epochs, steps, confidence, error)
                else:
                    self.dynamics.add(rows, steps, confidence, error)
            self.sums[name].add(rows, steps, block)

    def _compare_labels(self, rows: NDArray[np.int64], labels: NDArray[Any]) -> None:
        """Count the labels of the loop that are not those of the registered table."""
        if self.index.labels is None or not len(rows):
            return
        registered = self.index.labels[np.maximum(rows, 0)]
        known = (rows >= 0) & (registered >= 0) & (labels >= 0)
        self.differing_labels += int((registered[known] != labels[known]).sum())

    def drain(self) -> None:
        """Read, copy and add up everything; waits for the device. Not for use inside a step."""
        self._fold()
        for found in self._harvester.wait():
            self._add(found)

    # -- looks and checkpoints ------------------------------------------------------------------

    def reset(self) -> None:
        """Begin the sums of the next look."""
        for sums in self.sums.values():
            sums.reset(first=self.step + 1)

    def begin_anew(self, *, step: int, epoch: int, leads: bool) -> None:
        """Go on after a meeting of the ranks, all from the same step.

        What was brought together is kept by the rank that ``leads`` alone.
        """
        self.log.renumber(step - self.step)
        self.step, self.epoch = step, epoch
        self.marks = [(epoch, step)]
        self.held.clear()
        self.visits.clear()
        if not leads:
            self.dynamics.reset()
            for sums in self.sums.values():
                sums.clear()
            for name in self.COUNTS:
                setattr(self, name, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was seen; plain numbers and arrays of numpy."""
        self.drain()
        return {
            "sums": {name: sums.state_dict() for name, sums in self.sums.items()},
            "dynamics": self.dynamics.state_dict(),
            "log": self.log.state_dict(),
            "held": [part.state_dict() for part in self.held],
            "visits": self.visits.state_dict(),
            "seen_rows": dict(self.seen_rows),
            "marks": list(self.marks),
            "epoch": self.epoch,
            "step": self.step,
            "counts": {name: getattr(self, name) for name in self.COUNTS},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; raises :class:`InputError` where groups or records differ."""
        for name, sums in state["sums"].items():
            self.sums[name].load_state_dict(sums)
        self.dynamics.load_state_dict(state["dynamics"])
        self.log.load_state_dict(state["log"])
        self.held = [Harvested.of_state(part) for part in state["held"]]
        self.visits.load_state_dict(state["visits"])
        self.seen_rows = {int(e): np.asarray(r) for e, r in state["seen_rows"].items()}
        self.marks = [(int(e), int(s)) for e, s in state["marks"]]
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        for name in self.COUNTS:
            setattr(self, name, int(state["counts"][name]))

    def report(self) -> dict[str, Any]:
        """Return what the governor reached, and what was not seen."""
        return {
            **self.governor.report(),
            "steps": self.step,
            "skipped_steps": self.skipped_steps,
            "unmatched_batches": self.unmatched,
            "unseen_batches": self.unseen + len(self._waiting),
            "repeated_losses": self.repeated,
            "differing_labels": self.differing_labels,
            "fault": self.fault,
        }


def random_digest() -> bytes:
    """Return a digest (SHA-256) of the random state of torch on the host."""
    return hashlib.sha256(torch.get_rng_state().numpy().data).digest()


def _fits(args: tuple[Any, ...], kwargs: Mapping[str, Any], records: int) -> bool:
    """Whether the labels may be those of so many records, or of the positions in them."""
    labels = args[1] if len(args) > 1 else next(
        (kwargs[n] for n in ("target", "targets", "labels") if n in kwargs), None
    )  # fmt: skip
    if not isinstance(labels, torch.Tensor) or not labels.ndim:
        return True  # the reader says what is wrong
    return records > 0 and len(labels) % records == 0


def _without_repeated_means(
    block: NDArray[Any], rows: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[Any]:
    """Drop losses that are one number repeated for a batch: they are no losses of records."""
    loss, confidence = block[:, _AT["loss"]], block[:, _AT["confidence"]]
    if len(rows) < 4:
        return block
    starts = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    low, high = np.minimum.reduceat(loss, starts), np.maximum.reduceat(loss, starts)
    apart = np.fmax.reduceat(confidence, starts) - np.fmin.reduceat(confidence, starts)
    repeated = (low == high) & (apart > 1e-3)
    if not repeated.any():
        return block
    block = block.copy()
    block[np.repeat(repeated, np.diff(np.r_[starts, len(rows)])), _AT["weight"]] = 0.0
    return block


def _inside_backward() -> bool:
    # The only way to ask; torch's own checkpointing asks it like this.
    internals: Any = getattr(torch, "_C")  # noqa: B009
    return internals._current_graph_task_id() != -1
