"""The observer of a training loop: a hook on the loss, fed with the rows of the batch."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from auditor.errors import InputError
from auditor.loop.accumulator import Accumulator
from auditor.loop.criterion import record_losses
from auditor.loop.governor import Governor
from auditor.loop.outputs import Predict, read_labels, read_outputs
from auditor.loop.records import RecordIndex

__all__ = ["Observer"]


class Steps(Protocol):
    """What keeps which records each step consumed; see ``auditor.ledger.steps``."""

    def add(self, rows: Any) -> None:
        """Take the rows of a batch."""

    def step(self) -> None:
        """End a step."""


class Observer:
    """Sees the outputs and targets of every observed step, and changes nothing.

    The hook draws no random numbers, keeps no graph, and never waits for the device. What goes
    wrong inside it is kept in ``fault`` and ends the observation, never the training.
    """

    def __init__(
        self,
        index: RecordIndex,
        criterion: torch.nn.Module,
        *,
        device: torch.device,
        predict: Predict | None = None,
        budget: float = 0.01,
    ) -> None:
        self.index = index
        self.accumulator = Accumulator(index.groups, device)
        self.governor = Governor(budget=budget)
        self.fault: str | None = None
        self.recorder: Steps | None = None
        self.unmatched = 0
        self._cells = torch.from_numpy(self.accumulator.cells_of(index.codes))
        self._predict = predict
        self._probabilities = isinstance(criterion, torch.nn.BCELoss)
        self._rows: torch.Tensor | None = None
        self._handle = criterion.register_forward_hook(self._after_loss, with_kwargs=True)

    def announce(self, rows: torch.Tensor) -> None:
        """Take the rows of the batch that the loop is about to work on."""
        self._rows = rows

    def after_step(self, *_: Any) -> None:
        """End a step: what was consumed since the last one belongs to it."""
        if self.recorder is not None and not self.fault:
            self.recorder.step()

    def detach(self) -> None:
        """Take the hook off."""
        self._handle.remove()

    def _after_loss(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any
    ) -> None:
        # A loss without gradients is the user's own evaluation; inside backward, activation
        # checkpointing runs the forward again.
        if self.fault or not torch.is_grad_enabled() or _inside_backward():
            return
        observe = self.governor.take()
        try:
            if self.recorder is not None and self._rows is not None:
                self.recorder.add(self._rows.numpy())
            if observe:
                with torch.no_grad():
                    self._observe(module, args, kwargs)
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self.fault = f"{type(error).__name__}: {error}"
        finally:
            self._rows = None
            self.governor.done(observed=observe)

    def _observe(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        values = [*args, *kwargs.values()]
        if len(values) < 2:
            raise InputError("the criterion was called with one value", valid="outputs, targets")
        readings = read_outputs(values[0], predict=self._predict, probabilities=self._probabilities)
        labels = read_labels(values[1])
        rows = self._rows
        if rows is None or len(rows) != len(labels):
            # A batch that did not come from the audited loader belongs to nobody we know.
            self.unmatched += 1
            return
        device = self.accumulator.device
        cells = self._cells[rows.cpu() if rows.device.type != "cpu" else rows]
        self.accumulator.update(
            cells.to(device, non_blocking=True), labels, readings.predictions, readings.scores,
            record_losses(module, args, kwargs),
        )  # fmt: skip


def _inside_backward() -> bool:
    # The only way to ask; torch's own checkpointing asks it like this.
    internals: Any = getattr(torch, "_C")  # noqa: B009
    return internals._current_graph_task_id() != -1
