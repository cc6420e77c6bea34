"""A loader that yields exactly what the given one would, and tells the observer who is in it.

Ids are attached to the items inside the dataset, ride through samplers, workers, collation and
pinning with their batch, and are taken off before the user's loop sees it. Nothing is inferred
from the sampler: loaders prefetch, and the trainer may be batches ahead.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, default_convert

from auditor.errors import InputError
from auditor.loop.records import RecordIndex

__all__ = ["Announce", "identified"]

Announce = Callable[[torch.Tensor], None]
"""Called with the rows of a batch, shape ``[batch]`` (int64), just before it is yielded."""


class _Identified:
    """A map-style dataset whose items come with the row that they are."""

    def __init__(self, dataset: Any, index: RecordIndex) -> None:
        self.dataset = dataset
        self.index = index
        self.by_id = index.positions() if index.ids is not None else {}
        if hasattr(dataset, "__getitems__"):
            self.__getitems__ = self._getitems

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> tuple[int, Any]:
        item = self.dataset[position]
        return self.index.position_of(item, int(position), self.by_id), item

    def _getitems(self, positions: Sequence[int]) -> list[tuple[int, Any]]:
        items = self.dataset.__getitems__(positions)
        return [
            (self.index.position_of(item, int(position), self.by_id), item)
            for position, item in zip(positions, items, strict=True)
        ]


class _Collate:
    """The user's collation, with the rows of the batch carried beside its result."""

    def __init__(self, collate: Callable[[Any], Any], *, batched: bool) -> None:
        self.collate, self.batched = collate, batched

    def __call__(self, items: Any) -> tuple[torch.Tensor, Any]:
        if not self.batched:
            row, item = items
            return torch.tensor([row]), self.collate(item)
        return torch.tensor([row for row, _ in items]), self.collate([item for _, item in items])


class _Iterator:
    """The iterator of an audited loader; anything else is asked of the original iterator."""

    def __init__(self, inner: Iterator[Any], announce: Announce) -> None:
        self._inner, self._announce = inner, announce

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        rows, batch = next(self._inner)
        self._announce(rows)
        return batch

    def __len__(self) -> int:
        return len(self._inner)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def identified(loader: DataLoader[Any], index: RecordIndex, announce: Announce) -> DataLoader[Any]:
    """Return a loader of the same type over the same sampler, generator and workers.

    Raises :class:`InputError` for a loader that is no ``DataLoader``, for an iterable-style
    dataset, and where dataset and table differ in length.
    """
    if not isinstance(loader, DataLoader):
        raise InputError(
            f"the loader is a {type(loader).__name__}", valid="a torch.utils.data.DataLoader"
        )
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset):
        raise InputError(
            "the loader reads an iterable-style dataset, whose items cannot be matched to rows",
            valid="a map-style dataset",
        )
    carries_ids = index.ids is not None and _carries_ids(dataset, index)
    if not carries_ids and len(dataset) != index.rows:
        raise InputError(
            f"the dataset has {len(dataset):,} items and the table of {index.split}= has "
            f"{index.rows:,} rows; items are matched to rows by position",
            valid="equal lengths, or items that carry the record id",
        )
    audited = copy.copy(loader)
    batched = loader.batch_sampler is not None
    given = loader.collate_fn or (default_collate if batched else default_convert)
    # A DataLoader forbids to set these after its construction, since its samplers were made for
    # them; the samplers stay valid here, because length and order are unchanged.
    audited.__dict__["dataset"] = _Identified(dataset, index)
    audited.__dict__["collate_fn"] = _Collate(given, batched=batched)
    base = type(loader)

    def __iter__(self: DataLoader[Any]) -> Iterator[Any]:  # noqa: N807 -- becomes the method
        return _Iterator(base.__iter__(self), announce)

    audited.__class__ = type(base.__name__, (base,), {"__iter__": __iter__})
    return audited


def _carries_ids(dataset: Any, index: RecordIndex) -> bool:
    if not len(dataset):
        return False
    # Looking at an item must leave no trace in the random state that a transform may use.
    with torch.random.fork_rng(devices=[]):
        item = dataset[0]
    return isinstance(item, Mapping) and index.record_id in item
