"""What a metric sees of one slice: its row of the statistic, and everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from auditor.stats import ScoreGrid

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """The numbers of one slice.

    Parameters
    ----------
    values:
        The counts or sums of the slice: shape ``[columns]``, or ``[positions, 2]`` (negatives,
        positives) of score counts.
    everybody:
        The same of all records together.
    columns:
        The names of the columns.
    parameter:
        What the metric's name carries in brackets (a class, a feature, a threshold).
    grid:
        The scores that the positions stand for, in score counts.
    context:
        Under which settings it was counted.
    """

    values: NDArray[Any]
    everybody: NDArray[Any]
    columns: tuple[str, ...]
    parameter: str | None
    context: Mapping[str, Any]
    grid: ScoreGrid | None = None

    @property
    def rest(self) -> NDArray[Any]:
        """The numbers of everybody outside the slice."""
        return self.everybody - self.values

    def column(self, name: str) -> float:
        """Return one number by the name of its column."""
        return float(self.values[self.columns.index(name)])

    def of(self, values: NDArray[Any]) -> Row:
        """Return the same row with other numbers."""
        return replace(self, values=values)
