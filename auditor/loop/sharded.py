"""Models whose parameters are spread over ranks: all of them call the model, and equally often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor

from auditor.errors import InputError, RankError
from auditor.loop.world import World

__all__ = ["InStep", "is_sharded"]


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether parts of the model lie on other ranks: by ``fully_shard``, FSDP or a ``DTensor``."""
    kinds = (FSDPModule, FullyShardedDataParallel)
    return any(isinstance(module, kinds) for module in model.modules()) or any(
        isinstance(parameter, DTensor) for parameter in model.parameters()
    )


class InStep:
    """Goes through the batches of every rank until the last one has none left, as a context.

    A rank that has no more gets its last batch again, with the word that it does not count.
    An exception on one rank ends the pass on all of them, between two batches.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._last: Any = None

    def batches(self, batches: Iterator[Any]) -> Iterator[tuple[Any, bool]]:
        """Give every batch, and whether it counts; raises :class:`InputError`, :class:`RankError`.

        A rank without any batch cannot call the model with the others.
        """
        while True:
            batch = next(batches, None)
            empty = batch is None and self._last is None
            more, none, failed = self._world.most(batch is not None, empty, 0, place=_PLACE)
            if failed:
                raise RankError("another rank failed in its pass over the loader")
            if not more:
                return
            if none:
                raise InputError(
                    "a rank has no batch, and the parameters of the model are spread over ranks",
                    valid="a loader with records on every rank",
                )
            self._last = self._last if batch is None else batch
            yield self._last, batch is not None

    def __enter__(self) -> InStep:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None and not issubclass(kind, RankError) and not self._told(error):
            self._world.most(0, 0, 1, place=_PLACE)

    def _told(self, error: object) -> bool:
        return isinstance(error, InputError) and error.what.startswith("a rank has no batch")


_PLACE = "the pass over the loader"
