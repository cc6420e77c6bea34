"""How scores are distributed over labels: exact while few values are distinct, binned beyond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.cover import count_cells
from auditor.stats.groups import Groups
from auditor.stats.table import STATISTIC_SCHEMA, check_document, whole_numbers
from auditor.stats.vectors import to_numbers, to_small_ternary

__all__ = [
    "HISTOGRAMS",
    "MOST_DISTINCT",
    "PREDICTIONS",
    "RESIDUALS",
    "SCORES",
    "ScoreCounts",
    "ScoreGrid",
    "score_counts",
]

SCORES = "score-counts"
PREDICTIONS = "prediction-counts"
RESIDUALS = "residual-counts"
HISTOGRAMS = (SCORES, PREDICTIONS, RESIDUALS)
"""The kinds of statistics that :class:`ScoreCounts` holds."""

MOST_DISTINCT = 1_024
_MOST_DENSE = 1 << 23
_SAMPLE = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class ScoreGrid:
    """The positions at which scores are counted.

    With ``values`` every position is one distinct score, ascending, and nothing is lost. Otherwise
    the range ``low`` to ``high`` is cut into ``bins`` of equal width; a score outside is refused.
    """

    values: Sequence[float] | NDArray[np.float64] | None = None
    low: float = 0.0
    high: float = 1.0
    bins: int = MOST_DISTINCT
    _points: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = np.array(() if self.values is None else self.values, np.float64)
        points.flags.writeable = False
        object.__setattr__(self, "_points", points)
        if self.values is not None:  # a million Python floats would take ten times the memory
            object.__setattr__(self, "values", points)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreGrid):
            return NotImplemented
        mine, theirs = ((g.exact, g.low, g.high, g.bins) for g in (self, other))
        return mine == theirs and np.array_equal(self._points, other._points)

    def __hash__(self) -> int:
        return hash((self.low, self.high, self.bins, self._points.tobytes()))

    @property
    def exact(self) -> bool:
        """Whether a position is a single score, so that nothing is lost by counting."""
        return self.values is not None

    @property
    def size(self) -> int:
        """The number of positions."""
        return self._points.size if self.exact else self.bins

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the distinct values, or the range and the number of bins."""
        if self.exact:
            return {"values": self._points.tolist()}
        return {"low": self.low, "high": self.high, "bins": self.bins}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read the JSON form; raises :class:`InputError` where scores do not ascend."""
        if "values" in document:
            grid = cls(values=[float(value) for value in document["values"]])
            edges = grid._points
        else:
            low, high = float(document["low"]), float(document["high"])
            grid = cls(low=low, high=high, bins=int(whole_numbers([document["bins"]])[0]))
            edges = np.asarray([low, high])
        if (
            not np.isfinite(edges).all()
            or (np.diff(edges) <= 0).any()
            or (grid.size < 1 and not grid.exact)
        ):
            raise InputError("the scores of the grid do not ascend", where=where)
        return grid

    @classmethod
    def covering(cls, scores: NDArray[np.float64]) -> Self:
        """Choose the grid for scores that are all at hand: exact where that is possible."""
        known = scores[~np.isnan(scores)]
        few = np.unique(known[:_SAMPLE]).size <= MOST_DISTINCT  # else there is no need to sort all
        if few and (distinct := np.unique(known)).size <= MOST_DISTINCT:
            return cls(values=distinct)
        return cls.spanning(float(known.min()), float(known.max()))

    @classmethod
    def spanning(cls, low: float, high: float) -> Self:
        """Return the binned grid: the unit interval where it holds all scores, else their range.

        Raises :class:`InputError` for a range that is too wide for a double.
        """
        if not math.isfinite(high - low):
            raise InputError(f"the scores span {low:g} to {high:g}", valid="a narrower range")
        return cls() if low >= 0 and high <= 1 else cls(low=low, high=high)

    def position(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """Map scores to positions; raises :class:`InputError` for a score off the grid."""
        if self.exact:
            values = self._points
            if values.size > _SAMPLE:  # a search that jumps about in memory is ten times slower
                order = np.argsort(scores)
                index = np.empty(scores.size, np.intp)
                index[order] = np.searchsorted(values, scores[order])
            else:
                index = np.searchsorted(values, scores)
            index = np.minimum(index, max(len(values) - 1, 0))
            if scores.size and not np.array_equal(values[index], scores):
                raise InputError("a score is not among the declared distinct values")
            return index.astype(np.int64)
        if scores.size and (scores.min() < self.low or scores.max() > self.high):
            raise InputError(f"a score lies outside [{self.low:g}, {self.high:g}]")
        scaled = (scores - self.low) / (self.high - self.low) * self.bins
        return np.minimum(scaled.astype(np.int64), self.bins - 1)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """Sparse counts of (slice, grid position, label); merges by addition on an equal grid.

    ``keys`` are sorted and unique: ``(slice · size + position) · 2 + label``. ``unscored`` counts
    records without a score or without a label, by flat slice number.
    """

    groups: Groups
    grid: ScoreGrid
    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    unscored: NDArray[np.int64]
    context: Mapping[str, Any] = field(default_factory=dict)
    kind: str = SCORES

    @classmethod
    def zero(
        cls,
        groups: Groups,
        grid: ScoreGrid,
        context: Mapping[str, Any] | None = None,
        *,
        kind: str = SCORES,
    ) -> Self:
        """Return the neutral element of ``merge``."""
        empty = np.zeros(0, np.int64)
        unscored = np.zeros(groups.total, np.int64)
        return cls(groups, grid, empty, empty, unscored, dict(context or {}), kind)

    def adding(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> Self:
        """Return these counts with others added to them, whose keys come in any order."""
        added = np.concatenate([self.keys, keys]), np.concatenate([self.counts, counts])
        return replace(self, **dict(zip(("keys", "counts"), _collect(*added), strict=True)))

    def merge(self, other: ScoreCounts) -> ScoreCounts:
        """Add two statistics over the same groups and grid; raises :class:`InputError`."""
        if self._settings() != other._settings():
            raise InputError("score counts with different groups or grids cannot be merged")
        unscored = self.unscored + other.unscored
        return replace(self.adding(other.keys, other.counts), unscored=unscored)

    def _settings(self) -> tuple[Any, ...]:
        return self.kind, self.groups, self.grid, self.context

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreCounts):
            return NotImplemented
        return self._settings() == other._settings() and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("keys", "counts", "unscored")
        )

    def by_label(self, flat_slice: int) -> NDArray[np.int64]:
        """Return the counts of one slice, shape ``[positions, 2]`` (negatives, positives)."""
        width = self.grid.size * 2
        start, stop = np.searchsorted(self.keys, [flat_slice * width, (flat_slice + 1) * width])
        out = np.zeros(width, np.int64)
        out[self.keys[start:stop] - flat_slice * width] = self.counts[start:stop]
        return out.reshape(-1, 2)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        occupied = np.flatnonzero(self.unscored)
        return {
            "schema": STATISTIC_SCHEMA,
            "kind": self.kind,
            "groups": self.groups.model_dump(mode="json"),
            "columns": ["key", "count"],
            "type": "counts",
            "grid": self.grid.to_json(),
            "rows": [self.keys.tolist(), self.counts.tolist()],
            "unscored": [[int(i), int(self.unscored[i])] for i in occupied],
            "context": dict(self.context),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read the JSON form; raises :class:`InputError`."""
        groups = check_document(document, where=where)
        grid = ScoreGrid.from_json(document["grid"], where=where)
        keys, counts = (whole_numbers(row, where=where) for row in document["rows"])
        limit = groups.total * grid.size * 2
        if keys.shape != counts.shape:
            raise InputError("there are not as many counts as keys", where=where)
        if keys.size and (keys.max() >= limit or (np.diff(keys) <= 0).any()):
            raise InputError("the keys do not fit the declared groups", where=where)
        zero = cls.zero(groups, grid, document["context"], kind=document["kind"])
        for number, count in (whole_numbers(row, where=where) for row in document["unscored"]):
            if number >= groups.total:
                raise InputError(f"slice {number} is not one of the declared groups", where=where)
            zero.unscored[number] = count
        return replace(zero, keys=keys, counts=counts)


def score_counts(
    groups: Groups,
    codes: NDArray[np.int32],
    y_true: ArrayLike | None,
    scores: ArrayLike,
    *,
    grid: ScoreGrid | None = None,
    context: Mapping[str, Any] | None = None,
) -> ScoreCounts:
    """Count scores by slice and label.

    ``scores`` has shape ``[rows]``, higher means more positive; NaN is a missing score. Infinite
    scores raise :class:`InputError`. Without a ``grid`` the scores at hand choose one.
    """
    rows = codes.shape[0]
    labels = to_small_ternary(y_true, rows, "y_true")
    values = to_numbers(scores, rows, "scores", valid="numbers, or missing")
    if np.isinf(values).any():
        raise InputError("a score is infinite", valid="finite numbers, or missing")
    grid = grid or ScoreGrid.covering(values)
    zero = ScoreCounts.zero(groups, grid, context)
    known = ~np.isnan(values) & (labels < 2)
    if max(groups.joint, groups.total) * grid.size * 2 <= _MOST_DENSE:
        return _count_densely(zero, codes, known, grid.position(values[known]), labels[known])
    width = grid.size * 2
    if groups.total * width <= _MOST_DENSE:
        dense = np.zeros((groups.total, width + 1), np.int64)  # the last cell is that of no score
        cells = np.full(rows, width, np.int64)
        cells[known] = grid.position(values[known]) * 2 + labels[known]
        count_cells(groups, codes, cells, dense)
        counted = dense[:, :width].reshape(-1)
        keys = np.flatnonzero(counted)
        return replace(zero, keys=keys, counts=counted[keys], unscored=dense[:, width].copy())
    groups.check_codes(codes)
    place = grid.position(values[known]) * 2 + labels[known]
    found: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    for family in groups.families:  # their keys lie one family behind the other
        numbers = groups.family_codes(codes, family)
        zero.unscored[:] += np.bincount(numbers[~known], minlength=groups.total)
        unique, counted = np.unique(numbers[known] * width + place, return_counts=True)
        found.append(unique)
        counts.append(counted.astype(np.int64))
    return replace(zero, keys=np.concatenate(found), counts=np.concatenate(counts))


def _count_densely(
    zero: ScoreCounts,
    codes: NDArray[np.int32],
    known: NDArray[np.bool_],
    place: NDArray[np.int64],
    labels: NDArray[np.int8],
) -> ScoreCounts:
    """Count in the joint table of attributes, positions and labels, and add up its marginals."""
    groups, width = zero.groups, zero.grid.size * 2
    joint = groups.joint_codes(codes)
    unscored = np.bincount(joint[~known], minlength=groups.joint)
    cells = np.bincount(joint[known] * width + place * 2 + labels, minlength=groups.joint * width)
    counts = groups.marginals(cells.reshape(groups.joint, width)).reshape(-1)
    keys = np.flatnonzero(counts)
    return replace(zero, keys=keys, counts=counts[keys], unscored=groups.marginals(unscored))


def _collect(
    keys: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: keys.size])
    total = np.add.reduceat(counts[order], starts) if starts.size else counts
    return ordered[starts], total
