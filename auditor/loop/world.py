"""The ranks of a distributed training: what they tell each other when they meet, and only then."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from auditor.errors import RankError

__all__ = ["LostRankError", "World"]


class LostRankError(RankError):
    """A rank did not come to a collective; nothing more can be told to it."""

    lost = True


@dataclass(frozen=True, slots=True)
class World:
    """The rank of this process and how many there are; one where nothing is distributed.

    :meth:`gather` and :meth:`broadcast` are collectives: every rank must come to them. The audit
    calls them at looks, checkpoints and gates, never in a hook. They have a process group of their
    own (gloo), with the timeout of the training's group, so that they neither wait for the
    collectives of the training nor take memory of an accelerator.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """Return the world of ``torch.distributed``, or of this process alone."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def gather(self, value: Any, *, place: str = "the meeting") -> list[Any] | None:
        """Return what all ranks gave, in their order, on rank 0; ``None`` on the others.

        Raises :class:`LostRankError` where a rank does not come in the time of the process group.
        """
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.leads else None
        with _explained(place):
            group = _group()
            # It says who is missing.
            dist.monitored_barrier(group, _timeout(dist.group.WORLD), wait_all_ranks=True)
            dist.gather_object(value, found, dst=0, group=group)
        return found

    def broadcast(self, value: Any, *, place: str = "the meeting") -> Any:
        """Return on every rank what rank 0 gave; raises as :meth:`gather`."""
        if self.size == 1:
            return value
        box = [value]
        with _explained(place):
            dist.broadcast_object_list(box, src=0, group=_group(), device=torch.device("cpu"))
        return box[0]

    def most(self, *values: int, place: str = "the meeting") -> list[int]:
        """Return on every rank the largest of each number that ranks gave."""
        if self.size == 1:
            return list(values)
        found = torch.tensor(values)
        with _explained(place):
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=_group())
        return found.tolist()


_made: list[tuple[Any, Any]] = []


def _group() -> Any:
    """Return the audit's own group, made when all ranks meet for the first time."""
    training = dist.group.WORLD
    if not _made or _made[0][0] is not training:
        own = dist.new_group(backend="gloo", timeout=_timeout(training))
        _made[:] = [(training, own)]
    return _made[0][1]


def _timeout(group: Any) -> timedelta | None:
    """Return the timeout with which the training's process group was made."""
    for device in ("cpu", "cuda"):
        try:
            return group._get_backend(torch.device(device)).options._timeout
        except (RuntimeError, AttributeError):
            continue
    return None


@contextmanager
def _explained(place: str) -> Generator[None]:
    """Say of a collective that fails what was waited for."""
    try:
        yield
    except RuntimeError as error:
        raise LostRankError(
            f"not every rank came to {place} in the time of the process group: {error}",
            valid="every rank to call what looks, judges, reports or closes",
        ) from error
