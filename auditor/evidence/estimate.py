"""An estimate: a value with its interval, its own denominator and its method."""

from __future__ import annotations

from auditor.evidence.value import Value

__all__ = ["Estimate", "Interval"]


class Interval(Value):
    """A confidence interval; ``None`` is a side without a finite bound."""

    low: float | None
    high: float | None
    confidence: float
    method: str


class Estimate(Value):
    """A measured number: no bare floats leave the metrics.

    ``n`` is the denominator of this very number (a true positive rate counts positives only).
    ``bound`` is the certified numerical error where the value comes from binned scores.
    ``effective_n`` is the number of independent records with the same variance, where records
    carry weights or share a cluster.
    ``also`` holds other intervals of the same number.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    method: str
    bound: float | None = None
    effective_n: float | None = None
    also: tuple[Interval, ...] = ()

    def with_also(self, *intervals: Interval) -> Estimate:
        """Return the same number with further intervals beside its own."""
        return self.model_copy(update={"also": (*self.also, *intervals)})
