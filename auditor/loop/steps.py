"""Which records every step consumed, with its loss and the random state: kept until written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConsumedStep", "Step", "StepLog", "merged_steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """A batch of a step: its rows ``[records]``, its loss, and digests of records without ids."""

    number: int
    rows: NDArray[np.int64]
    loss: float
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class ConsumedStep:
    """A whole step: rows in the order of its batches, the mean of its losses, digests."""

    number: int
    rows: NDArray[np.int64]
    loss: float
    random_state: bytes
    content: bytes


class StepLog:
    """The steps that ended and whose batches have arrived on the host."""

    def __init__(self) -> None:
        self._batches: dict[int, list[Step]] = {}
        self._ended: dict[int, bytes] = {}

    def consume(self, batch: Step) -> None:
        """Take a batch of a step."""
        self._batches.setdefault(batch.number, []).append(batch)

    def end(self, number: int, random_state: bytes) -> None:
        """Say that a step ended, with the digest of the random state after it."""
        self._ended[number] = random_state

    def skip(self, number: int) -> None:
        """Forget the batches of a step that did not take place."""
        self._batches.pop(number, None)

    def take(self) -> list[ConsumedStep]:
        """Return the steps that ended, and keep the others; after all batches have arrived."""
        found = [self._whole(number, self._ended[number]) for number in sorted(self._ended)]
        for step in found:
            self._batches.pop(step.number, None)
        self._ended.clear()
        return found

    def _whole(self, number: int, random_state: bytes) -> ConsumedStep:
        batches = self._batches.get(number, [])
        return ConsumedStep(
            number,
            np.concatenate([np.zeros(0, np.int64), *(b.rows for b in batches)]),
            float(np.mean([b.loss for b in batches])) if batches else float("nan"),
            random_state,
            content_of([b.content for b in batches]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return {
            "ended": dict(self._ended),
            "batches": [
                {"number": b.number, "rows": b.rows, "loss": b.loss, "content": b.content}
                for batches in self._batches.values() for b in batches
            ],
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what was kept."""
        self._batches.clear()
        self._ended = {int(n): bytes(d) for n, d in state["ended"].items()}
        self.load_more(state)

    def load_more(self, state: Mapping[str, Any]) -> None:
        """Take up the batches that another rank kept."""
        for kept in state["batches"]:
            self.consume(
                Step(int(kept["number"]), np.asarray(kept["rows"], np.int64),
                     float(kept["loss"]), bytes(kept["content"]))
            )  # fmt: skip


def merged_steps(ranks: Sequence[Sequence[ConsumedStep]]) -> list[ConsumedStep]:
    """Return the steps of all ranks together: records in the order of the ranks.

    The loss is the mean over ranks, weighted by their records; digests are digests of theirs.
    """
    numbers = sorted({step.number for steps in ranks for step in steps})
    by_rank = [{step.number: step for step in steps} for steps in ranks]
    merged: list[ConsumedStep] = []
    for number in numbers:
        parts = [steps[number] for steps in by_rank if number in steps]
        weights = np.array([len(part.rows) for part in parts], np.float64)
        losses = np.array([part.loss for part in parts])
        total = float(weights.sum())
        merged.append(
            ConsumedStep(
                number,
                np.concatenate([part.rows for part in parts]),
                float((losses * weights).sum() / total) if total else float("nan"),
                hashlib.sha256(b"".join(part.random_state for part in parts)).digest(),
                content_of([part.content for part in parts]),
            )
        )
    return merged


def content_of(parts: Sequence[bytes]) -> bytes:
    """Return the digest of digests of contents, in their order; nothing where there are none."""
    joined = b"".join(parts)
    return hashlib.sha256(joined).digest() if joined else b""
