"""What a metric reads off a statistic for one slice, before any interval is put around it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Absent", "Census", "Mean", "Proportion", "Sample", "scaled"]


@dataclass(frozen=True, slots=True)
class Proportion:
    """``x`` successes in ``n`` independent trials, ``n > 0``."""

    x: float
    n: float

    @property
    def value(self) -> float:
        """The observed proportion."""
        return self.x / self.n


@dataclass(frozen=True, slots=True)
class Mean:
    """An approximately normal estimate with a standard error.

    ``low`` and ``high`` are the limits of the quantity itself (an AUC lies in 0 to 1). ``bound`` is
    the certified numerical error, by which intervals are widened. ``floor`` is a number of trials:
    where the standard error is 0 by accident (a perfect ranking of few records), the interval is
    the one of a proportion with so many trials.
    """

    value: float
    standard_error: float
    n: float
    method: str
    low: float | None = None
    high: float | None = None
    bound: float = 0.0
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Census:
    """A number counted over everything there is: no sampling error."""

    value: float
    n: float


@dataclass(frozen=True, slots=True)
class Absent:
    """No number, and the reason."""

    reason: str


Sample = Proportion | Mean | Census | Absent


def scaled(sample: Sample, factor: float) -> Sample:
    """Return the sample as if ``factor`` times as many records had shown the same value."""
    match sample:
        case Proportion(x, n):
            return Proportion(x * factor, n * factor)
        case Mean():
            return Mean(
                sample.value,
                sample.standard_error / factor**0.5,
                sample.n * factor,
                sample.method,
                sample.low,
                sample.high,
                sample.bound,
                None if sample.floor is None else sample.floor * factor,
            )
        case Census() | Absent():
            return sample
