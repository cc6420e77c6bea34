"""Which records every step consumed, with its loss and the random state: kept until written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Alignment", "ConsumedStep", "Step", "StepLog", "merged_steps"]


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
        self._whole_steps: list[ConsumedStep] = []

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
        found = [*self._whole_steps, *found]
        self._whole_steps = []
        return found

    def put_back(self, steps: Sequence[ConsumedStep]) -> None:
        """Take whole steps, those of other ranks among them, to be given by the next :meth:`take`.

        They come before all others.
        """
        self._whole_steps += steps

    def renumber(self, by: int) -> None:
        """Add to the numbers of the batches whose step has not ended."""
        kept = [b for batches in self._batches.values() for b in batches]
        self._batches.clear()
        for batch in kept:
            self.consume(replace(batch, number=batch.number + by))

    def fingerprint(self) -> bytes:
        """Return a digest of the records of every batch in order; nothing where none is known."""
        kept = [b for number in sorted(self._batches) for b in self._batches[number]]
        if not any(b.content or (b.rows >= 0).any() for b in kept):
            return b""
        hasher = hashlib.sha256()
        for batch in kept:
            hasher.update(f"{batch.number} {len(batch.rows)} {len(batch.content)}\n".encode())
            hasher.update(np.ascontiguousarray(batch.rows).tobytes() + batch.content)
        return hasher.digest()

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
            "whole": [
                {"number": w.number, "rows": w.rows, "loss": w.loss,
                 "random_state": w.random_state, "content": w.content}
                for w in self._whole_steps
            ],
            "batches": [
                {"number": b.number, "rows": b.rows, "loss": b.loss, "content": b.content}
                for batches in self._batches.values() for b in batches
            ],
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what was kept."""
        self._batches.clear()
        self._ended = {int(n): bytes(d) for n, d in state["ended"].items()}
        self._whole_steps = [
            ConsumedStep(int(w["number"]), np.asarray(w["rows"], np.int64), float(w["loss"]),
                         bytes(w["random_state"]), bytes(w["content"]))
            for w in state["whole"]
        ]  # fmt: skip
        self.load_more(state)

    def load_more(self, state: Mapping[str, Any]) -> None:
        """Take up the batches that another rank kept."""
        for kept in state["batches"]:
            self.consume(
                Step(int(kept["number"]), np.asarray(kept["rows"], np.int64),
                     float(kept["loss"]), bytes(kept["content"]))
            )  # fmt: skip


class Alignment:
    """Which steps of ranks are the same one, from what each of them counted since they met.

    Ranks that made equally many steps made them together. Where they did not (the inputs were
    uneven, and a rank that ran out of them waited for the others, as ``Join`` does), steps are the
    same that have the same place in their epoch.

    Parameters
    ----------
    marks:
        Of every rank the epochs that it began, with the number of steps before: the first one
        since the ranks met.
    ends:
        The number of the last step of every rank.
    """

    def __init__(self, marks: Sequence[Sequence[tuple[int, int]]], ends: Sequence[int]) -> None:
        self._ends = list(ends)
        self._starts = [np.array([step for _, step in rank], np.int64) for rank in marks]
        self._even = len(set(ends)) == 1
        size = max(map(len, self._starts))
        longest = np.zeros(size, np.int64)
        for starts, end in zip(self._starts, ends, strict=True):
            lengths = np.diff(np.r_[starts, end])
            longest[: len(lengths)] = np.maximum(longest[: len(lengths)], lengths)
        first = max(int(starts[0]) for starts in self._starts)
        self._places = first + np.r_[0, np.cumsum(longest)]
        self.end = ends[0] if self._even else int(self._places[-1])
        self.epoch = max(rank[-1][0] for rank in marks)

    def __call__(self, rank: int, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the common numbers of a rank's steps."""
        if self._even:
            return steps
        starts = self._starts[rank]
        at = np.searchsorted(starts[1:], steps, side="left")
        found = self._places[at] + steps - starts[at]
        return np.where(steps > self._ends[rank], self.end + steps - self._ends[rank], found)


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
        # A rank that consumed nothing has no loss.
        losses = np.where(weights > 0, [part.loss for part in parts], 0.0)
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
