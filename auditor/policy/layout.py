"""How the contrasts of a rule are laid out: by metric and family, and what is set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from auditor.evidence import Slice
from auditor.policy.bounds import Contrasts
from auditor.stats import Family

__all__ = ["Against", "Aside", "Block"]

Against = Literal["largest", "best", "rest"] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Aside:
    """A slice that decides nothing, and why: too ``small``, or ``listed`` for another reason."""

    metric: str
    slice: Slice
    n: int | None
    decision: Literal["small", "listed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """The contrasts of one metric over one family, whose slices come in the declared order.

    ``all_pairs`` holds every pair in both orders, so that one side of the region speaks of both
    groups. ``empty`` says why there is no contrast, where there is none.
    """

    family: Family
    slices: tuple[Slice, ...]
    contrasts: Contrasts
    asides: tuple[Aside, ...]
    all_pairs: bool
    empty: str

    @property
    def name(self) -> str:
        """What this block is about, for messages."""
        metric = self.contrasts.metric
        return f"{metric} over {' × '.join(self.family)}" if self.family else metric
