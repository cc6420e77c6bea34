"""The ranks of a distributed training: what they tell each other when they meet, and only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["World"]


@dataclass(frozen=True, slots=True)
class World:
    """The rank of this process and how many there are; one where nothing is distributed.

    :meth:`gather` and :meth:`broadcast` are collectives: every rank must come to them. The audit
    calls them at looks, checkpoints and gates, never in a hook.
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

    def gather(self, value: Any) -> list[Any] | None:
        """Return what all ranks gave, in their order, on rank 0; ``None`` on the others."""
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.leads else None
        dist.gather_object(value, found, dst=0)
        return found

    def broadcast(self, value: Any) -> Any:
        """Return on every rank what rank 0 gave."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=_device())
        return box[0]


def _device() -> torch.device | None:
    """Return where objects travel: the accelerator, where the backend knows no other."""
    if "gloo" in str(dist.get_backend_config()) or dist.get_backend() in ("gloo", "mpi"):
        return torch.device("cpu")
    return None
