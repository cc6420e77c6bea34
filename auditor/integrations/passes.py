"""A framework's own pass over the validation data, read while it happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from auditor.engine.scoring import Scored, count_all
from auditor.engine.training import Training
from auditor.loop.evaluation import Evaluated

__all__ = ["Pass"]

_TARGETS = ("target", "targets", "labels")


class Pass:
    """Listens to the loader of a split and reads the outputs of every batch, at the loss."""

    def __init__(self) -> None:
        self.begin_epoch()
        self.fault: str | None = None

    def begin_epoch(self) -> None:
        """Begin a pass."""
        self.evaluated, self.announced = Evaluated(), 0
        self.rows = torch.zeros(0, dtype=torch.int64)

    def end_epoch(self) -> None:
        """A pass ends where the framework says so."""

    def announce(self, rows: torch.Tensor, *_: Any) -> None:
        """Take the rows of the batch that is about to be worked on."""
        self.rows, self.announced = rows, self.announced + len(rows)

    def saw(self, training: Training, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Read the outputs and targets of the batch, once. It never raises."""
        targets = args[1] if len(args) > 1 else next(
            (options[name] for name in _TARGETS if name in options), None
        )  # fmt: skip
        outputs = args[0] if args else options.get("input")
        if not len(self.rows):
            return
        try:
            with torch.no_grad():
                read = training.reader.read(outputs, targets, len(self.rows))
            self.evaluated.add(self.rows, read.block())
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self.fault = f"{type(error).__name__}: {error}"
        self.rows = self.rows[:0]

    @property
    def whole(self) -> bool:
        """Whether every batch that was given out was read."""
        return self.announced > 0 and len(self.evaluated) == self.announced

    def counted(self, audit: Any, training: Training, name: str) -> Scored | None:
        """Count the pass of all ranks; ``None`` but for the first. A collective."""
        return count_all(lambda: self.evaluated, training.data, "validation", name, audit._ranks)
