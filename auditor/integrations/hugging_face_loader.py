"""The Trainer's loader of training batches, made to carry rows and labels to the model."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from auditor.engine.training import Training
from auditor.errors import InputError
from auditor.integrations.hugging_face_model import LABELS
from auditor.loop.loader import ROWS, identify_in_place, released

__all__ = ["carry", "plain_loader"]


class _Carrying:
    """A collation that leaves the labels in its batch twice, and rows of nobody if asked."""

    def __init__(self, collate: Any, *, unknown: bool) -> None:
        self.collate, self.unknown = collate, unknown

    def __getattr__(self, name: str) -> Any:
        if name == "collate" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.collate, name)

    def __call__(self, items: Any) -> Any:
        batch = self.collate(items)
        if isinstance(batch, MutableMapping):
            if "labels" in batch:
                batch[LABELS] = batch["labels"]
            if self.unknown:
                batch[ROWS] = torch.full((len(items),), -1)
        return batch


class _Silent:
    """Hears of batches and passes; the Trainer's own events tell of epochs."""

    def announce(self, rows: torch.Tensor, content: torch.Tensor | None = None) -> None:
        """Rows ride in the batch."""

    def begin_epoch(self) -> None:
        """The Trainer tells."""

    def end_epoch(self) -> None:
        """The Trainer tells."""


def plain_loader(loader: Any) -> DataLoader[Any]:
    """Return the loader of torch inside one of accelerate, or the loader itself."""
    return getattr(loader, "base_dataloader", loader)


def carry(training: Training, loader: Any, *, unknown: bool = False) -> None:
    """Let rows and labels ride in the batches of a loader, until the training is detached.

    With ``unknown`` the items of the loader are not the rows of ``train=`` (they were packed of
    several), and belong to nobody who is known.
    """
    inner = plain_loader(loader)
    collate = inner.__dict__.get("collate_fn")
    if collate is None or isinstance(collate, _Carrying):
        raise InputError("the loader has no collation of its own", valid="the Trainer's loader")
    inner.__dict__["collate_fn"] = _Carrying(collate, unknown=unknown)

    def undo() -> None:
        if not unknown:
            released(inner)
        inner.__dict__["collate_fn"] = collate

    training.on_detach(undo)
    if not unknown:
        identify_in_place(inner, training.index, _Silent(), ride=True)
    training.given(inner)
