"""What several ranks saw, made one: by plain states, wherever they come from.

The states are those of :meth:`auditor.loop.observer.Observer.state_dict`: of ranks that meet, of a
checkpoint that had other ranks, or of workers that reported them to another process. Nothing here
knows of ``torch.distributed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.loop.harvest import Harvested
from auditor.loop.observer import Observer
from auditor.loop.steps import Alignment, StepLog, merged_steps
from auditor.loop.visits import Visits

__all__ = ["MergedRanks"]


class MergedRanks:
    """The states of all ranks since they met, in their order.

    A rank that consumed exactly the batches of another one, as ranks do that share a model by
    tensor parallelism, is a replica and counts once. A record that a sampler gave twice to the
    same epoch, to fill the last batches up, counts once too.

    Attributes: ``steps``, those that ended, with the records of all ranks; ``alignment``, which
    steps are the same; ``open``, the batches of each rank whose step has not ended.
    """

    def __init__(self, states: Sequence[Mapping[str, Any]]) -> None:
        self._states = states
        logs = [StepLog() for _ in states]
        for log, state in zip(logs, states, strict=True):
            log.load_state_dict(state["log"])
        self._ranks = _without_replicas([log.fingerprint() for log in logs])
        self.alignment = Alignment(
            [[(int(e), int(s)) for e, s in state["marks"]] for state in states],
            [int(state["step"]) for state in states],
        )
        ended = [
            [replace(step, number=int(self.alignment(rank, np.array([step.number]))[0]))
             for step in logs[rank].take()]
            for rank in self._ranks
        ]  # fmt: skip
        self.steps = merged_steps(ended)
        for log, state in zip(logs, states, strict=True):
            log.renumber(self.alignment.end - int(state["step"]))
        self.open = {rank: logs[rank].state_dict() for rank in self._ranks}

    def into(self, observer: Observer, *, holds_first: bool = True) -> None:
        """Add everything to an observer, which ``holds_first``: it is that of the first rank.

        Raises :class:`InputError` where groups or records differ.
        """
        for rank in self._ranks:
            if holds_first and rank == 0:
                continue
            state = self._states[rank]
            for name, sums in state["sums"].items():
                observer.sums[name].merge(sums)
            observer.dynamics.merge(state["dynamics"])
            for name in observer.COUNTS:
                setattr(observer, name, getattr(observer, name) + state["counts"][name])
        visits = [self._visits(rank) for rank in self._ranks]
        shared, observer.shared = observer.shared, True
        observer.visits = Visits()
        try:
            self._take_held(observer, visits)
        finally:
            observer.shared = shared
        found = Visits.merged([*visits, observer.visits.state_dict()])
        observer.visits.clear()
        observer.dynamics.add(*(found[n] for n in ("rows", "steps", "confidence", "error")))

    def _visits(self, rank: int) -> dict[str, NDArray[Any]]:
        found = dict(self._states[rank]["visits"])
        found["steps"] = self.alignment(rank, np.asarray(found["steps"], np.int64))
        return found

    def _take_held(self, observer: Observer, visits: Sequence[Mapping[str, Any]]) -> None:
        """Add the batches that were held back, but for records that their epoch saw before.

        An epoch whose other batches hold a record twice, too, is of a sampler that draws records
        more than once: there every visit counts.
        """
        seen: dict[int, NDArray[np.int64]] = {}
        for rows_by_epoch in (observer.seen_rows, *(s["seen_rows"] for s in self._states)):
            for epoch, rows in rows_by_epoch.items():
                seen[int(epoch)] = np.union1d(seen.get(int(epoch), _NONE), rows)
        repeating: set[int] = set()
        for epoch, rows in _rows_by_epoch(visits):
            before, once = seen.get(epoch, _NONE), np.unique(rows)
            if len(once) < len(rows) or len(np.intersect1d(before, once)):
                repeating.add(epoch)
            seen[epoch] = np.union1d(before, once)
        held: list[tuple[int, int, Harvested]] = []
        for rank in self._ranks:
            for part in map(Harvested.of_state, self._states[rank]["held"]):
                batches = tuple(
                    replace(b, step=int(self.alignment(rank, np.array([b.step]))[0]))
                    for b in part.batches
                )
                held.append((batches[0].step, rank, Harvested(batches)))
        for _, _, part in sorted(held, key=lambda item: item[:2]):
            before = seen.get(part.epochs, _NONE)
            kept = part if part.epochs in repeating else part.without(before)
            rows = kept.observed_rows()
            seen[part.epochs] = np.union1d(before, rows[rows >= 0])
            observer.take(kept)
        # An epoch that goes on may meet the same records again on another rank.
        observer.seen_rows = {e: rows for e, rows in seen.items() if e == self.alignment.epoch}


_NONE = np.zeros(0, np.int64)


def _rows_by_epoch(
    visits: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Give the registered rows that every epoch visited, as often as it did."""
    joined = Visits.merged(visits)
    known = joined["rows"] >= 0
    for epoch in np.unique(joined["epochs"][known]):
        yield int(epoch), joined["rows"][known & (joined["epochs"] == epoch)]


def _without_replicas(fingerprints: Sequence[bytes]) -> list[int]:
    """Return the ranks that consumed something of their own, or nothing that is known."""
    return [
        rank for rank, found in enumerate(fingerprints)
        if not found or found not in fingerprints[:rank]
    ]  # fmt: skip
