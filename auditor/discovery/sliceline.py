"""The slices of a table on which a model errs most: SliceLine, exact, over all conjunctions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.discovery.counting import NumpyCounter, TorchCounter, evaluate
from auditor.discovery.lattice import Level, join, literals_of
from auditor.errors import InputError

__all__ = ["Conjunction", "ErrorSlice", "members", "sliceline"]

Conjunction = tuple[tuple[int, int], ...]
"""Which codes of which features a slice fixes: ((feature, code), …), by feature."""

Array = NDArray[np.float64]

_ROUNDING = 1e-12
"""A score up to this is 0: everybody under another name is no slice."""


@dataclass(frozen=True, slots=True)
class ErrorSlice:
    """A slice with its records, the sum and the largest of their errors, and its score."""

    conjunction: Conjunction
    size: int
    error: float
    largest: float
    score: float


def sliceline(
    codes: ArrayLike,
    levels: Sequence[int],
    errors: ArrayLike,
    *,
    k: int = 10,
    support: int | None = None,
    alpha: float = 0.95,
    depth: int = 3,
    device: str | None = None,
) -> tuple[ErrorSlice, ...]:
    """Find the ``k`` slices of the highest score, best first.

    Parameters
    ----------
    codes:
        Levels of the features, shape ``[rows, features]``; integers from 0.
    levels:
        How many levels each feature has.
    errors:
        The error of each row, shape ``[rows]``: not negative, finite.
    support:
        The fewest records of a slice; the greater of 32 and a hundredth of the rows without it.
    alpha:
        How much the error counts against the size of a slice: over 0, up to 1.
    depth:
        The most features in a conjunction.
    device:
        A torch device (``"cuda"``) that counts in place of numpy. The sums of errors that are not
        whole numbers may then differ in the last digits.

    The score of a slice S of n records is α (ē(S)/ē − 1) − (1 − α) (n/|S| − 1) with mean errors ē;
    everybody has 0, and only slices above 0 are given (Sagadeeva and Boehm, SIGMOD 2021, section
    3). The lattice of conjunctions is enumerated level by level, and exactly: a candidate is left
    out where one of its parents was, or where no slice inside all parents, of any size from
    ``support`` up to the smallest of them, could beat the k-th best (section 4.1). Of slices with
    equal scores those of fewer features come first, then by feature and code. No rows, or no
    errors, give no slices. Raises :class:`InputError` for codes out of range, errors that are
    negative or not finite, and parameters out of range.

    >>> found = sliceline([[0, 0], [0, 1], [1, 0], [1, 1]], [2, 2], [0, 0, 0, 1], k=1, support=1)
    >>> found[0].conjunction, found[0].size
    (((0, 1), (1, 1)), 1)
    >>> round(found[0].score, 6)  # 0.95 (1/0.25 − 1) − 0.05 (4/1 − 1)
    2.7
    """
    table, e = _checked(codes, levels, errors)
    rows, total = e.size, float(e.sum())
    least = max(32, math.ceil(rows / 100)) if support is None else support
    for name, value, fine in (
        ("k", k, k >= 1), ("support", least, least >= 1), ("depth", depth, depth >= 1),
        ("alpha", alpha, 0 < alpha <= 1),
    ):  # fmt: skip
        if not fine:
            raise InputError(f"{name} is {value}", valid="from 1 on, alpha over 0 and up to 1")
    if not rows or total <= 0:
        return ()
    scale = _Scale(rows, total, alpha, least)
    literals, level = literals_of(table, levels, e, least=least)
    counter = NumpyCounter(literals, e) if device is None else TorchCounter(literals, e, device)
    best = _Best(k, scale)
    best.add(level)
    for _ in range(1, min(depth, table.shape[1])):
        level = level.take(scale.bound(level) > best.threshold)
        found: list[Level] = []
        for candidates in join(level, literals):
            kept = candidates.where(scale.bound(candidates.level) > best.threshold)
            found += evaluate(kept, counter, least=least)
        level = Level.together(found, width=level.width + 1)
        best.add(level)
        if len(level) < 2:
            break
    return tuple(best.slices(literals.features, literals.codes))


def members(codes: ArrayLike, conjunction: Conjunction) -> NDArray[np.bool_]:
    """Return which rows of ``codes``, shape ``[rows, features]``, a conjunction holds: ``[rows]``.

    >>> members([[0, 1], [1, 1]], ((0, 0), (1, 1))).tolist()
    [True, False]
    """
    table = np.asarray(codes)
    inside = np.ones(table.shape[0], bool)
    for feature, code in conjunction:
        inside &= table[:, feature] == code
    return inside


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the score of a slice is measured against."""

    rows: int
    total: float
    alpha: float
    least: int

    def score(self, sizes: ArrayLike, errors: ArrayLike) -> Array:
        size, error = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
        relative = error / size * (self.rows / self.total)
        return self.alpha * (relative - 1) - (1 - self.alpha) * (self.rows / size - 1)

    def bound(self, level: Level) -> Array:
        """Bound the scores of all slices inside slices of these sizes, errors and largest errors.

        With up to s records and an error of up to min(s m, t), the score grows in s while s m < t
        and is monotone beyond: its greatest value is at t/m, or at the largest size.
        """
        size = level.sizes.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            full = np.where(level.largest > 0, level.errors / level.largest, 0.0)
        bound = np.full(len(level), -np.inf)
        for at in (np.full(len(level), float(self.least)), full, size):
            s = np.clip(at, self.least, np.maximum(size, self.least))
            bound = np.maximum(bound, self.score(s, np.minimum(s * level.largest, level.errors)))
        return np.where((size >= self.least) & (level.errors > 0), bound, -np.inf)


class _Best:
    """The k best slices so far; ``threshold`` is the score that another one has to beat."""

    def __init__(self, k: int, scale: _Scale) -> None:
        self._k, self._scale = k, scale
        self._found: list[tuple[float, tuple[int, ...], int, float, float]] = []
        self.threshold = _ROUNDING

    def add(self, level: Level) -> None:
        score = self._scale.score(level.sizes, level.errors) if len(level) else np.zeros(0)
        for i in np.flatnonzero(score > self.threshold).tolist():
            literals = tuple(int(literal) for literal in level.literals[i])
            entry = (float(score[i]), literals, int(level.sizes[i]), float(level.errors[i]),
                     float(level.largest[i]))  # fmt: skip
            self._found.append(entry)
        # Sorting is stable, and levels come in the order of their features.
        self._found = sorted(self._found, key=lambda entry: -entry[0])[: self._k]
        if len(self._found) == self._k:
            self.threshold = max(_ROUNDING, self._found[-1][0])

    def slices(self, features: NDArray[Any], codes: NDArray[Any]) -> Iterator[ErrorSlice]:
        for score, literals, size, error, largest in self._found:
            conjunction = tuple((int(features[i]), int(codes[i])) for i in literals)
            yield ErrorSlice(conjunction, size, error, largest, score)


def _checked(
    codes: ArrayLike, levels: Sequence[int], errors: ArrayLike
) -> tuple[NDArray[np.int64], Array]:
    table, e = np.asarray(codes), np.asarray(errors, np.float64)
    if not table.size:
        table = table.reshape(e.size, len(levels)).astype(np.int64)
    if table.ndim != 2 or table.shape != (e.size, len(levels)) or e.ndim != 1:
        raise InputError(
            f"codes of shape {table.shape} for {e.size:,} errors and {len(levels)} features",
            valid="codes [rows, features], errors [rows]",
        )
    if table.dtype.kind not in "iu":
        raise InputError("the codes are not integers", valid="codes from 0 on")
    table = table.astype(np.int64)
    if table.size and bool(((table < 0) | (table >= np.asarray(levels, np.int64))).any()):
        raise InputError("a code is out of range", valid="0 to the number of levels − 1")
    if not bool(np.all(np.isfinite(e) & (e >= 0))):
        raise InputError("an error is negative or not finite", valid="errors from 0 on")
    return table, e
