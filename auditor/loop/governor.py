"""The governor: it measures what the audit costs and lowers its own sampling to the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

__all__ = ["Governor"]

_SMOOTHING = 0.1


@dataclass(slots=True)
class Governor:
    """Decides at which steps the loop is observed.

    ``budget`` is the largest share of the loop's time that observing may take. The cost of an
    observation and the time of a step are exponential averages; one step in ``every`` is observed,
    so that cost / (every · step) stays within the budget. The cost of asking is counted as well.
    """

    budget: float = 0.01
    clock: Callable[[], float] = perf_counter
    steps: int = 0
    observed: int = 0
    every: int = 1
    spent: float = 0.0
    _cost: float = 0.0
    _step: float = 0.0
    _began: float = field(default=0.0)
    _last: float = field(default=0.0)
    _own: float = field(default=0.0)
    _elapsed: float = field(default=0.0)

    def take(self) -> bool:
        """Begin a step; tell whether it is to be observed."""
        now = self.clock()
        if self.steps:
            passed = now - self._last
            self._elapsed += passed
            # A pause (an evaluation, a checkpoint) is not a step.
            alone = passed - self._own
            if self._step == 0.0 or alone < 20 * self._step:
                self._step += (alone - self._step) * (_SMOOTHING if self._step else 1.0)
        self._last, self._began, self._own = now, now, 0.0
        self.steps += 1
        return (self.steps - 1) % self.every == 0

    def done(self, *, observed: bool) -> None:
        """End what was done for a step."""
        own = self.clock() - self._began
        self._own = own
        self.spent += own
        if not observed:
            return
        self.observed += 1
        self._cost += (own - self._cost) * (_SMOOTHING if self._cost else 1.0)
        # The first steps are warm-up of device and caches: no decision before the tenth.
        if self.observed >= 3 and self._step > 0:
            self.every = max(1, math.ceil(self._cost / (self.budget * self._step)))

    def report(self) -> dict[str, Any]:
        """Return the budget, the cost that was reached, and the share of steps observed."""
        loop = self._elapsed - self.spent
        return {
            "budget": self.budget,
            "cost": self.spent / loop if loop > 0 else None,
            "fraction": self.observed / self.steps if self.steps else None,
            "steps": self.steps,
            "observed_steps": self.observed,
            "seconds": self.spent,
        }
