"""A loader that yields exactly what the given one would, and tells the observer who is in it.

Ids that items carry are attached to them inside the dataset, ride through workers, collation and
pinning with their batch, and are taken off before the user's loop sees it. Positions are kept as
the sampler draws them, in a queue of which every batch that is yielded takes its own: loaders
prefetch, so that what was drawn last is of no batch that anybody has seen. Where a framework
fetches ahead of the model, the rows ride on in the batch under :data:`ROWS`, and whoever taps the
model takes them off.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, default_convert

from auditor.errors import InputError
from auditor.loop.compute import positions_of
from auditor.loop.content import CONTENT_SIZE, item_digest
from auditor.loop.records import RecordIndex

__all__ = ["ROWS", "Carried", "Listener", "identified", "identify_in_place", "released"]

ROWS = "auditor_rows"
"""The key under which rows ride in a batch that is a mapping."""


class Listener(Protocol):
    """Who is told about batches and epochs."""

    def announce(
        self,
        rows: torch.Tensor,
        content: torch.Tensor | None = None,
        tokens: int | None = None,
    ) -> None:
        """Take the rows of a batch just before it is yielded.

        ``rows`` has shape ``[batch]`` (int64), −1 for a record that is not registered; ``content``
        are digests of such records, ``[batch, 16]`` (uint8); ``tokens`` the number of positions
        where the batch holds token ids.
        """

    def begin_epoch(self) -> None:
        """Begin a pass over the loader."""

    def end_epoch(self) -> None:
        """End a pass that was not broken off."""


class Carried(NamedTuple):
    """A batch with its rows beside it, on its way through what fetches ahead of the model."""

    rows: torch.Tensor
    content: torch.Tensor
    batch: Any

    def told(self, listener: Listener) -> Any:
        """Tell a listener who is in the batch, and return it."""
        content = self.content.cpu() if self.content.numel() else None
        listener.announce(self.rows, content, positions_of(self.batch))
        return self.batch


class _Identified:
    """A map-style dataset whose items come with the row that they are."""

    def __init__(self, dataset: Any, index: RecordIndex, *, by_id: bool) -> None:
        self.dataset, self.index, self.by_id = dataset, index, by_id
        if by_id:
            _ = index.positions  # made once here, and not in every worker
        if hasattr(dataset, "__getitems__"):
            self.__getitems__ = self._getitems

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, position: Any) -> tuple[int, None, Any]:
        item = self.dataset[position]
        return self._row(item, position), None, item

    def _getitems(self, positions: Sequence[int]) -> list[tuple[int, None, Any]]:
        items = self.dataset.__getitems__(positions)
        return [(self._row(i, p), None, i) for p, i in zip(positions, items, strict=True)]

    def _row(self, item: Any, position: Any) -> int:
        return self.index.row_of(item) if self.by_id and self.index.carried(item) else int(position)


class _IdentifiedStream(IterableDataset[Any]):
    """An iterable-style dataset whose items come with their row, or with a digest of themselves."""

    def __init__(self, dataset: Any, index: RecordIndex) -> None:
        self.dataset, self.index = dataset, index

    def __getattr__(self, name: str) -> Any:
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __iter__(self) -> Iterator[tuple[int, bytes | None, Any]]:
        for item in self.dataset:
            if self.index.carried(item):
                yield self.index.row_of(item), None, item
            else:
                yield -1, item_digest(item), item


class _SizedStream(_IdentifiedStream):
    """The same of a dataset that knows its length."""

    def __len__(self) -> int:
        return len(self.dataset)


class _Collate:
    """The user's collation, with the rows of the batch carried beside or in its result."""

    def __init__(self, collate: Callable[[Any], Any], *, batched: bool, ride: bool) -> None:
        self.collate, self.batched, self.ride = collate, batched, ride

    def __getattr__(self, name: str) -> Any:
        if name == "collate" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.collate, name)

    def __call__(self, items: Any) -> Any:
        items = items if self.batched else [items]
        rows = torch.tensor([row for row, _, _ in items])
        digests = [digest for _, digest, _ in items]
        content = _nothing(rows) if None in digests or not digests else _bytes_tensor(digests)
        given = [item for _, _, item in items]
        batch = self.collate(given if self.batched else given[0])
        if not self.ride:
            return Carried(rows, content, batch)
        if not isinstance(batch, MutableMapping):
            raise InputError(
                f"the collation gives a {type(batch).__name__}", valid="a mapping of tensors"
            )
        batch[ROWS] = rows
        return batch


def _nothing(rows: torch.Tensor) -> torch.Tensor:
    # Not None: frameworks concatenate and slice what travels beside a batch.
    return torch.zeros((len(rows), 0), dtype=torch.uint8)


def _bytes_tensor(digests: Sequence[bytes]) -> torch.Tensor:
    data = np.frombuffer(b"".join(digests), np.uint8).copy()
    return torch.from_numpy(data).reshape(-1, CONTENT_SIZE)


class _Recorded:
    """A sampler that keeps what it drew until its batch is yielded.

    Loaders draw ahead of their workers, and yield batches in the order in which they were drawn.
    Where items are matched by position that is all there is to know, and nothing has to be done
    for every item.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self.drawn: deque[Any] = deque()

    def __iter__(self) -> Iterator[Any]:
        return self._record(iter(self.given), self.drawn)

    @staticmethod
    def _record(drawing: Iterator[Any], drawn: deque[Any]) -> Iterator[Any]:
        for positions in drawing:
            drawn.append(positions)
            yield positions

    def __len__(self) -> int:
        return len(self.given)

    def __getattr__(self, name: str) -> Any:
        if name == "given" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.given, name)


class _DrawnIterator:
    """The iterator of a loader whose sampler is recorded."""

    def __init__(
        self, loader: Any, base: Any, sampler: _Recorded, listener: Listener, *, strip: bool
    ) -> None:
        # A fresh queue for every pass: one that was broken off leaves draws behind.
        self._drawn = sampler.drawn = deque()
        self._inner = base.__iter__(loader)
        self._listener, self._strip = listener, strip
        listener.begin_epoch()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._inner)
        except StopIteration:
            self._listener.end_epoch()
            raise
        rows = torch.tensor(self._drawn.popleft()).reshape(-1)
        carried = Carried(rows, _nothing(rows), batch)
        return carried.told(self._listener) if self._strip else carried

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)


class _Iterator:
    """The iterator of an audited loader; anything else is asked of the original iterator."""

    def __init__(self, inner: Iterator[Any], listener: Listener, *, strip: bool) -> None:
        self._inner, self._listener, self._strip = inner, listener, strip
        listener.begin_epoch()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            found = next(self._inner)
        except StopIteration:
            self._listener.end_epoch()
            raise
        if not self._strip:
            return found
        return Carried(*found).told(self._listener)

    def __len__(self) -> int:
        return len(self._inner)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)


def identified(
    loader: DataLoader[Any],
    index: RecordIndex,
    listener: Listener,
    *,
    ride: bool = False,
    carry: bool = False,
) -> DataLoader[Any]:
    """Return a loader of the same type over the same sampler, generator and workers.

    With ``ride`` the rows stay in the batch, which is a mapping, under :data:`ROWS`. With ``carry``
    the loader yields :class:`Carried`: whoever fetches from it takes the batch out. Items of an
    iterable-style dataset are matched by the id that they carry; without one they are records of
    which nothing is known but a digest of their content.

    Raises :class:`InputError` for a loader that is no ``DataLoader``, and where dataset and table
    differ in length.
    """
    return identify_in_place(copy.copy(_checked(loader)), index, listener, ride=ride, carry=carry)


def identify_in_place(
    loader: DataLoader[Any],
    index: RecordIndex,
    listener: Listener,
    *,
    ride: bool = False,
    carry: bool = False,
    outer: Any = None,
) -> DataLoader[Any]:
    """Make the very loader tell who is in its batches; :func:`released` undoes it.

    ``outer`` is a loader of a framework that iterates over this one, and whose passes are the
    epochs; rows are then taken off there, unless they ``ride``.
    """
    _checked(loader)
    dataset: Any = loader.dataset
    stream = isinstance(dataset, IterableDataset)
    if stream:
        wrapped: Any = (_SizedStream if hasattr(dataset, "__len__") else _IdentifiedStream)(
            dataset, index
        )
    else:
        by_id = index.ids is not None and _carries_ids(dataset, index)
        if not by_id and len(dataset) != index.rows:
            raise InputError(
                f"the dataset has {len(dataset):,} items and the table of {index.split}= has "
                f"{index.rows:,} rows; items are matched to rows by position",
                valid="equal lengths, or items that carry the record id",
            )
        if not by_id and not ride and outer is None and getattr(loader, "in_order", True):
            return _record_sampler(loader, listener, strip=not carry)
        wrapped = _Identified(dataset, index, by_id=by_id)
    batched = loader.batch_sampler is not None if not stream else loader.batch_size is not None
    given = loader.collate_fn or (default_collate if batched else default_convert)
    # A DataLoader forbids to set these after its construction, since its samplers were made for
    # them; the samplers stay valid here, because length and order are unchanged.
    loader.__dict__["dataset"] = wrapped
    loader.__dict__["collate_fn"] = _Collate(given, batched=batched, ride=ride)
    telling: Any = outer if outer is not None else loader
    base = type(telling)

    def __iter__(self: Any) -> Iterator[Any]:  # noqa: N807 -- becomes the method
        return _Iterator(base.__iter__(self), listener, strip=not (ride or carry))

    _become(telling, type(base.__name__, (base,), {"__iter__": __iter__}))
    return loader


def _record_sampler(loader: Any, listener: Listener, *, strip: bool) -> DataLoader[Any]:
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"
    recorded = _Recorded(getattr(loader, name))
    loader.__dict__[name] = recorded
    base = type(loader)

    def __iter__(self: Any) -> Iterator[Any]:  # noqa: N807 -- becomes the method
        return _DrawnIterator(self, base, recorded, listener, strip=strip)

    _become(loader, type(base.__name__, (base,), {"__iter__": __iter__}))
    return loader


def released(loader: Any, *, outer: Any = None) -> None:
    """Undo :func:`identify_in_place`; a loader that is as it was is left alone."""
    telling = outer if outer is not None else loader
    if isinstance(loader.__dict__.get("collate_fn"), _Collate):
        loader.__dict__["dataset"] = loader.dataset.dataset
        loader.__dict__["collate_fn"] = loader.collate_fn.collate
        _become(telling, type(telling).__mro__[1])
    for name in ("sampler", "batch_sampler"):
        if isinstance(loader.__dict__.get(name), _Recorded):
            loader.__dict__[name] = loader.__dict__[name].given
            _become(loader, type(loader).__mro__[1])


def _become(instance: Any, kind: type) -> None:
    """Set the class of an object, also where it tells that it were of another one (accelerate)."""
    object.__dict__["__class__"].__set__(instance, kind)


def _checked(loader: Any) -> DataLoader[Any]:
    if not isinstance(loader, DataLoader):
        raise InputError(
            f"the loader is a {type(loader).__name__}", valid="a torch.utils.data.DataLoader"
        )
    kept = loader.__dict__
    recorded = any(isinstance(kept.get(n), _Recorded) for n in ("sampler", "batch_sampler"))
    if recorded or isinstance(kept.get("collate_fn"), _Collate):
        raise InputError("the loader is audited already", valid="the loader as it was made")
    return loader


def _carries_ids(dataset: Any, index: RecordIndex) -> bool:
    if not len(dataset):
        return False
    # Looking at an item must leave no trace in the random state that a transform may use.
    with torch.random.fork_rng(devices=[]):
        item = dataset[0]
    if not index.carried(item):
        return False
    index.row_of_id(item[index.record_id])  # ids of another form: then nobody would be known
    return True
