"""The governor: it measures what the audit costs and lowers its own sampling to the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

__all__ = ["Governor"]

_SMOOTHING = 0.1
_WARM_UP = 16
_MOST_SPARING = 4096


@dataclass(slots=True)
class Governor:
    """Decides which batches of the loop are observed.

    ``budget`` is the largest share of the loop's own time that the audit may take. What every
    batch costs, observed or not, and what an observation costs besides, are averaged, and one
    batch in ``every`` is observed, so that base + observation / every stays within the budget of a
    batch's time. Work that is done for several observations at once is shared among them; time on
    an accelerator, which comes in later, is charged in the same way.
    """

    budget: float = 0.01
    clock: Callable[[], float] = perf_counter
    batches: int = 0
    observed: int = 0
    every: int = 1
    spent: float = 0.0
    on_device: float = 0.0
    _base: float = 0.0
    _extra: float = 0.0
    _batch: float = 0.0
    _began: float = 0.0
    _last: float = 0.0
    _own: float = 0.0
    _elapsed: float = 0.0
    _always: float = 0.0
    _unshared: float = 0.0
    _since: int = 0

    def take(self) -> bool:
        """Begin a batch; tell whether it is to be observed."""
        now = self.clock()
        if self.batches:
            passed = now - self._last
            self._elapsed += passed
            alone = passed - self._own
            # A pause (an evaluation, a checkpoint) is no batch.
            if self._batch == 0.0 or alone < 20 * self._batch:
                self._batch += (alone - self._batch) * (_SMOOTHING if self._batch else 1.0)
            self._base += (self._always - self._base) * (_SMOOTHING if self._base else 1.0)
        self._last = self._began = now
        self._own = self._always = 0.0
        self.batches += 1
        return (self.batches - 1) % self.every == 0

    def done(self, *, observed: bool) -> None:
        """End what was done for a batch."""
        own = self.clock() - self._began
        self._own += own
        self.spent += own
        if observed:
            self.observed += 1
            self._since += 1
            self._extra += (own - self._extra) * (_SMOOTHING if self._extra else 1.0)
        else:
            self._always += own

    def charge(self, seconds: float, *, always: bool = False, on_device: bool = False) -> None:
        """Count time that the audit took: for several observations, or ``always``, for a batch.

        Time ``on_device`` runs beside the host; both count in full, as if the device had waited.
        """
        self.spent += seconds
        if on_device:
            self.on_device += seconds
        else:
            self._own += seconds
        if always:
            self._always += seconds
        else:
            self._unshared += seconds

    def settle(self) -> None:
        """Share what was charged among the observations since the last time, and decide anew."""
        if not self._since:
            return
        shared = self._unshared / self._since
        self._unshared, self._since = 0.0, 0
        # The first batches are warm-up of device and caches: they decide nothing.
        if self.batches <= _WARM_UP or self._batch <= 0:
            return
        left = self.budget * self._batch - self._base
        cost = max(self._extra, 0.0) + shared
        # A hair over the budget is not worth a batch less in so many.
        self.every = _MOST_SPARING if left <= 0 else max(1, math.ceil(0.98 * cost / left))

    def report(self) -> dict[str, Any]:
        """Return the budget, the cost that was reached, and the share of batches observed.

        ``cost`` is the audit's own time over the loop's; ``seconds`` its own time.
        """
        loop = self._elapsed - self.spent
        return {
            "budget": self.budget,
            "cost": self.spent / loop if loop > 0 else None,
            "fraction": self.observed / self.batches if self.batches else None,
            "batches": self.batches,
            "observed_batches": self.observed,
            "seconds": self.spent,
            "seconds_on_device": self.on_device,
        }
