"""The nine cells of a binary confusion table, whatever statistic they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.intervals import student_factor
from auditor.metrics.metric import SampleReader
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Proportion, Sample
from auditor.stats import CELLS, CLASSES, CONFUSION, PRODUCTS, WEIGHTED

__all__ = ["Cells", "CellsReader", "delta", "from_cells", "one_class", "positions", "share"]

Array = NDArray[np.float64]

_WIDTH = len(CELLS)
_I = np.array([i for i, _ in PRODUCTS])
_J = np.array([j for _, j in PRODUCTS])


@dataclass(frozen=True, slots=True)
class Cells:
    """Totals by cell, and what their variance needs.

    Parameters
    ----------
    totals:
        Records, or their weight, by cell, shape ``[9]``.
    records:
        Records by cell, shape ``[9]``.
    products:
        Σ over clusters of the products of their totals, shape ``[9, 9]``; ``None`` for independent
        records of weight 1, for which it is the diagonal of ``totals``.
    clusters:
        The number of clusters.
    design:
        What the variance is named after: ``weighted`` or ``clustered``.
    """

    totals: NDArray[Any]
    records: NDArray[Any]
    products: Array | None = None
    clusters: float = math.inf
    design: str | None = None

    @property
    def widening(self) -> float:
        """By how much an interval is wider because the variance comes from few clusters."""
        return student_factor(max(self.clusters - 1, 1)) if self.design == "clustered" else 1.0

    def variance(self, gradient: Array) -> float:
        """Return gᵀ P g · C / (C − 1): the variance of a scale-free function by linearisation."""
        if self.products is None:
            return float((gradient**2 * self.totals).sum())
        factor = self.clusters / (self.clusters - 1) if math.isfinite(self.clusters) else 1.0
        return float(gradient @ self.products @ gradient) * factor


CellsReader = Callable[[Cells], Sample]


def from_cells(read: CellsReader, *, classes: bool = True) -> Mapping[str, SampleReader]:
    """Read a function of cells off every statistic that has them.

    With ``classes`` the metric speaks of one class against the others, named by its parameter.
    """

    def plain(row: Row) -> Sample:
        return read(Cells(row.values, row.values))

    def weighted(row: Row) -> Sample:
        return read(_weighted_cells(row))

    def one(row: Row) -> Sample:
        cells = one_class(row)
        return cells if isinstance(cells, Absent) else read(cells)

    readers: dict[str, SampleReader] = {CONFUSION: plain, WEIGHTED: weighted}
    return {**readers, CLASSES: one} if classes else readers


def one_class(row: Row) -> Cells | Absent:
    """Collapse class counts to one class against the others."""
    classes = [str(name) for name in row.context["classes"]]
    if row.parameter is None:
        return Absent("a class has to be named, as in true_positive_rate[class]")
    if row.parameter not in classes:
        return Absent(f"there is no class {row.parameter!r}")
    size, place = len(classes) + 1, classes.index(row.parameter)
    table = np.asarray(row.values).reshape(size, size)
    # Missing labels stay apart; all other classes together are the negative one.
    fold = np.zeros((size, 3), table.dtype)
    fold[:-1, 0] = 1
    fold[place] = (0, 1, 0)
    fold[-1] = (0, 0, 1)
    values = (fold.T @ table @ fold).reshape(-1)
    return Cells(values, values)


def positions(cells: Sequence[str]) -> list[int]:
    """Return the positions of named cells."""
    return [CELLS.index(cell) for cell in cells]


def share(cells: Cells, over: Sequence[int], under: Sequence[int]) -> Proportion | None:
    """Return the share of the cells ``over`` in the cells ``under``; ``None`` if these are empty.

    With weights it is the ratio estimator, with the variance by linearisation over the clusters
    (Särndal, Swensson and Wretman 1992, section 5.6), put as the effective counts of independent
    records (Korn and Graubard 1998). Where the variance is 0 (a share of 0 or 1), Kish's effective
    size takes its place; the effective size never exceeds the number of records. That the variance
    of few clusters is itself uncertain takes off as much again as Student's t is wider (Korn and
    Graubard 1998, section 3).
    """
    hits, total = _sum(cells.totals, over), _sum(cells.totals, under)
    if total <= 0:
        return None
    p = hits / total
    if cells.products is None:
        whole = hits.is_integer() and total.is_integer()
        return Proportion(int(hits), int(total)) if whole else Proportion(hits, total)
    records = float(cells.records[under].sum())
    gradient = np.zeros(_WIDTH)
    gradient[list(over)] = 1.0
    gradient[list(under)] -= p
    variance = cells.variance(gradient) / total**2
    block = cells.products[np.ix_(list(under), list(under))]
    kish = total**2 / float(block.sum())
    # One cluster, or clusters that are all alike, show no variance; rounding may leave a trace.
    shown = 0 < p < 1 and variance > 1e-12 * p * (1 - p)
    n = min((p * (1 - p) / variance if shown else kish) / cells.widening**2, records)
    return Proportion(p * n, n, records, cells.design)


def _sum(totals: NDArray[Any], places: Sequence[int]) -> float:
    if totals.dtype.kind == "i":  # whole numbers add up the same in any order, and faster so
        return float(sum([totals.item(place) for place in places]))
    return float(totals[places].sum())


def delta(
    cells: Cells, function: Callable[[NDArray[Any]], Any], *, low: float, high: float, n: float
) -> Sample:
    """Return a smooth, scale-free function of the totals with its standard error (delta method).

    Where a cell is empty the gradient is taken with half a record more in each, so that a perfect
    score of few records is not certain. The derivative is by a complex step, exact to rounding.
    """
    value = float(np.real(function(cells.totals.astype(np.complex128))))
    scale = cells.totals.sum() / max(cells.records.sum(), 1)
    at = cells.totals + (0.5 * scale if (cells.totals[[0, 1, 3, 4]] <= 0).any() else 0.0)
    step = 1e-30
    gradient = np.zeros(_WIDTH)
    for i in (0, 1, 3, 4):
        moved = at.astype(np.complex128)
        moved[i] += 1j * step
        gradient[i] = float(np.imag(function(moved))) / step
    if cells.products is None:
        variance = float((gradient**2 * at).sum())
    else:
        variance = cells.variance(gradient)
    method = "delta" if cells.design is None else f"delta-{cells.design}"
    error = math.sqrt(max(variance, 0.0)) * cells.widening
    return Mean(value, error, n, method, low, high)


def _weighted_cells(row: Row) -> Cells:
    values = np.asarray(row.values, np.float64)
    clusters = float(values[1])
    records, totals = values[2 : 2 + _WIDTH], values[2 + _WIDTH : 2 + 2 * _WIDTH]
    products = np.zeros((_WIDTH, _WIDTH))
    products[_I, _J] = products[_J, _I] = values[2 + 2 * _WIDTH :]
    design = "clustered" if row.context.get("cluster") else "weighted"
    return Cells(totals, records, products, max(clusters, 2.0), design)
