"""How large slices are and how much they err: rows of their parents times the one-hot table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.discovery.lattice import Candidates, Level, Literals, blocks, within

__all__ = ["Counter", "NumpyCounter", "TorchCounter", "evaluate"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Sums = tuple[Integers, Array, Array]
"""Sizes, sums of errors and largest errors."""


class Counter(Protocol):
    """Counts the records and errors of slices, on whatever machine."""

    literals: Literals

    def rows(self, slices: Integers) -> tuple[Any, Any]:
        """Return the rows of slices, given by literals: which slice each is of, and which row."""
        ...

    def children(self, of: Any, rows: Any, count: int, feature: int) -> Sums:
        """Return sizes, sums and largest errors of ``count`` slices by the values of a feature.

        Shape ``[count, values + 1]``, the rare values last.
        """
        ...


def evaluate(candidates: Candidates, counter: Counter, *, least: int) -> Iterator[Level]:
    """Yield the candidates with their own sizes, sums and largest errors, block by block.

    The rows of a parent, times the one-hot matrix of the table, hold all its children at once;
    since each row has one value of a feature, that product is a count of values by parent. Slices
    of fewer than ``least`` records, or without an error, are gone.
    """
    literals = counter.literals
    used, position = np.unique(candidates.parent, return_inverse=True)
    parents = candidates.parents.take(used)
    last = candidates.level.literals[:, -1]
    feature = literals.features[last]
    order = np.lexsort((feature, position))
    bounds = np.searchsorted(position[order], np.arange(used.size + 1))
    # The rows of a slice are sought among those of its rarest value.
    sought = np.diff(literals.starts)[parents.literals].min(axis=1)
    for begin, end in blocks(sought):
        inside = order[bounds[begin] : bounds[end]]
        of, rows = counter.rows(parents.literals[begin:end])
        for f in np.unique(feature[inside]).tolist():
            mine = inside[feature[inside] == f]
            sizes, errors, largest = counter.children(of, rows, end - begin, f)
            at = (position[mine] - begin, last[mine] - literals.edges[f])
            found = Level(candidates.level.literals[mine], sizes[at], errors[at], largest[at])
            yield found.take((found.sizes >= least) & (found.errors > 0))


class NumpyCounter:
    """Counts with numpy."""

    def __init__(self, literals: Literals, errors: Array) -> None:
        self.literals, self._errors = literals, errors
        # Of errors that are 0 or one number, a slice that errs at all has that for its largest.
        values = np.unique(errors)
        self._one = values[-1] if values.size <= 2 and values[0] == 0 else None

    def rows(self, slices: Integers) -> tuple[Integers, Integers]:
        """Return the rows of slices; see :class:`Counter`."""
        at = self.literals
        sizes = np.diff(at.starts)
        smallest = np.argmin(sizes[slices], axis=1)
        first = slices[np.arange(slices.shape[0]), smallest]
        of = np.repeat(np.arange(slices.shape[0]), sizes[first])
        rows = at.rows[np.repeat(at.starts[first], sizes[first]) + within(sizes[first])]
        for column in slices.T if slices.shape[1] > 1 else ():
            feature = at.features[column]
            kept = at.of_rows[feature[of], rows] == (column - at.edges[feature])[of]
            of, rows = of[kept], rows[kept]
        return of, rows

    def children(self, of: Integers, rows: Integers, count: int, feature: int) -> Sums:
        """Return sums by the values of a feature; see :class:`Counter`."""
        start, stop = self.literals.edges[feature : feature + 2].tolist()
        shape = (count, stop - start + 1)
        cell = of * shape[1] + self.literals.of_rows[feature][rows]
        sizes = np.bincount(cell, minlength=shape[0] * shape[1])
        e = self._errors[rows]
        errors = np.bincount(cell, e, minlength=shape[0] * shape[1]).astype(np.float64)
        if self._one is not None:
            largest = np.where(errors > 0, self._one, 0.0)
        else:
            largest = np.zeros(errors.size)
            np.maximum.at(largest, cell, e)
        return sizes.reshape(shape), errors.reshape(shape), largest.reshape(shape)


class TorchCounter:
    """Counts with torch, on a device that holds the table."""

    def __init__(self, literals: Literals, errors: Array, device: str) -> None:
        import torch

        self.literals, self._device = literals, torch.device(device)
        self._errors = self._there(errors)
        self._features, self._edges = self._there(literals.features), self._there(literals.edges)
        self._of_rows, self._rows = self._there(literals.of_rows), self._there(literals.rows)
        self._starts = self._there(literals.starts)

    def rows(self, slices: Integers) -> tuple[Any, Any]:
        """Return the rows of slices; see :class:`Counter`."""
        import torch

        there = self._there(slices)
        sizes = self._starts.diff()
        first = there.gather(1, sizes[there].argmin(1, keepdim=True))[:, 0]
        counts = sizes[first]
        of = torch.repeat_interleave(counts)
        ends = counts.cumsum(0)
        inside = torch.arange(of.numel(), device=self._device) - (ends - counts)[of]
        rows = self._rows[self._starts[first][of] + inside]
        for column in there.T if slices.shape[1] > 1 else ():
            feature = self._features[column]
            kept = self._of_rows[feature[of], rows] == (column - self._edges[feature])[of]
            of, rows = of[kept], rows[kept]
        return of, rows

    def children(self, of: Any, rows: Any, count: int, feature: int) -> Sums:
        """Return sums by the values of a feature; see :class:`Counter`."""
        import torch

        start, stop = self.literals.edges[feature : feature + 2].tolist()
        shape = (count, stop - start + 1)
        cell = of * shape[1] + self._of_rows[feature][rows]
        e = self._errors[rows]
        sizes = torch.bincount(cell, minlength=shape[0] * shape[1])
        zeros = torch.zeros(shape[0] * shape[1], dtype=torch.float64, device=self._device)
        errors = zeros.scatter_add(0, cell, e)
        largest = zeros.scatter_reduce(0, cell, e, "amax")
        sums = (values.reshape(shape).cpu().numpy() for values in (sizes, errors, largest))
        return tuple(sums)  # type: ignore[return-value]

    def _there(self, values: NDArray[Any]) -> Any:
        import torch

        return torch.as_tensor(values, device=self._device)
