"""How unequally benefits fall on people and groups: generalised entropy, Theil, and ε."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Slice
from auditor.metrics.cells import Cells, delta, positions
from auditor.metrics.extremes import extreme
from auditor.metrics.intervals import wilson
from auditor.metrics.metric import METRICS, Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Projected, Proportion, Sample, scaled
from auditor.stats import CONFUSION

__all__ = ["INEQUALITY_OF_SLICES", "INEQUALITY_OVER_GROUPS"]

Array = NDArray[np.float64]

_FEW_GROUPS = 8
_TN, _FP, _FN, _TP = positions(("tn", "fp", "fn", "tp"))
_SPEICHER = (
    "Speicher et al. (2018), A unified approach to quantifying algorithmic unfairness: the benefit "
    "of a record is prediction − label + 1"
)
_FOULDS = "Foulds et al. (2020), An intersectional definition of fairness"


def _squared(r: Any) -> Any:
    return (r * r - 1) / 2


def _theil(r: Any) -> Any:
    """Return r ln r, which is 0 at 0."""
    safe = np.where(np.real(r) > 0, r, 1.0)
    return np.where(np.real(r) > 0, safe * np.log(safe), 0.0)


def _within(index: Callable[[Any], Any]) -> Callable[[Row], Sample]:
    """Return the reader of an index over the records of one slice."""

    def read(row: Row) -> Sample:
        cells = Cells(row.values, row.values)
        n = float(cells.totals[[_TN, _FP, _FN, _TP]].sum())
        if not n:
            return Absent("no records with label and prediction")
        if cells.totals[_FN] == n:
            return Absent("nobody has a benefit, so there is nothing to share")

        def function(m: NDArray[Any]) -> Any:
            total = m[_TN] + m[_TP] + m[_FP] + m[_FN]
            mean = (m[_TN] + m[_TP] + 2 * m[_FP]) / total
            parts = (m[_TN] + m[_TP]) * index(1 / mean) + m[_FP] * index(2 / mean)
            return (parts + m[_FN] * index(0 / mean)) / total

        return delta(cells, function, low=0.0, high=math.inf, n=n)

    return read


def _between(index: Callable[[Any], Any]) -> Callable[[Mapping[Slice, Row]], Sample]:
    """Return the reader of the part of an index that lies between the groups."""

    def read(rows: Mapping[Slice, Row]) -> Sample:
        cells = np.array([row.values[[_TN, _FP, _FN, _TP]] for row in rows.values()], np.float64)
        cells = cells[cells.sum(axis=1) > 0]
        if len(cells) < 2:
            return Absent("fewer than two groups have records with label and prediction")
        sizes = cells.sum(axis=1)
        weights = sizes / sizes.sum()
        means = 1 + (cells[:, 1] - cells[:, 2]) / sizes

        def value(benefit: Array) -> float:
            mean = float(weights @ benefit)
            return float(weights @ index(benefit / mean)) if mean > 0 else 0.0

        def bounds(confidence: float, factor: float) -> tuple[float, float]:
            # (benefit = 1 + fp/n − fn/n): each mean from the simultaneous bounds of its two rates.
            level = 1 - (1 - confidence) / len(sizes)
            n = sizes * factor
            above = wilson(cells[:, 1] * factor, n, confidence=level)
            below = wilson(cells[:, 2] * factor, n, confidence=level)
            fp, fn = cells[:, 1] / sizes, cells[:, 2] / sizes
            low = means - np.hypot(fp - above[0], below[1] - fn)
            high = means + np.hypot(above[1] - fp, fn - below[0])
            return _over_box(value, np.clip(low, 0, 2), np.clip(high, 0, 2))

        return Projected(value(means), float(sizes.sum()), "simultaneous-box", bounds)

    return read


def _over_box(value: Callable[[Array], float], low: Array, high: Array) -> tuple[float, float]:
    """Return the least and the greatest value of an index of inequality over a box of means.

    It is least where all means are as near to one level as the box lets them, and greatest at a
    corner (it is quasi-convex). Of up to eight groups every corner is tried; of more those where
    all above some level are at their upper bounds and the others at their lower ones, from where
    single means are turned over as long as that helps.
    """
    levels = np.unique(np.concatenate([low, high, (low + high) / 2]))
    fine = np.linspace(levels[0], levels[-1], 201)
    least = min(value(np.clip(t, low, high)) for t in np.concatenate([levels, fine]))
    if low.size <= _FEW_GROUPS:
        every = np.arange(1 << low.size)[:, None] >> np.arange(low.size) & 1
        return max(least, 0.0), max(value(np.where(corner, high, low)) for corner in every)
    rank = np.argsort(np.argsort(low + high, kind="stable"))
    corners = [rank >= k for k in range(low.size + 1)]
    values = [value(np.where(corner, high, low)) for corner in corners]
    corner, most = corners[int(np.argmax(values))], max(values)
    turned = True
    while turned:
        turned = False
        for place in range(low.size):
            other = corner.copy()
            other[place] = not other[place]
            if (found := value(np.where(other, high, low))) > most + 1e-15:
                corner, most, turned = other, found, True
    return max(least, 0.0), most


def _differential(rows: Mapping[Slice, Row]) -> Sample:
    rates = [METRICS.get(name).readers[CONFUSION] for name in ("selection_rate", "rejection_rate")]
    samples = [[s for s in map(read, rows.values()) if isinstance(s, Proportion)] for read in rates]
    if len(samples[0]) < 2:
        return Absent("fewer than two groups have predictions")
    # Smoothed as by a symmetric Dirichlet prior of total weight 1, so that an empty cell is finite.
    smooth = np.log([[(s.x + 0.5) / (s.n + 1) for s in part] for part in samples])
    value = float((smooth.max(axis=1) - smooth.min(axis=1)).max())

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        grown = [[scaled(s, factor) for s in part] for part in samples]
        found = extreme("ratio", grown, confidence=confidence)
        if not isinstance(found, Estimate):
            return 0.0, math.inf
        low = 0.0 if found.high is None or found.high >= 1 else -math.log(found.high)
        high = -math.log(found.low) if found.low else math.inf
        return min(low, value), max(high, value)  # the value is smoothed, the bounds are not

    return Projected(value, sum(s.n for s in samples[0]), "all-pairs", bounds)


def _slice(identifier: str, title: str, index: Callable[[Any], Any], formula: str) -> str:
    add_metric(
        Metric(identifier, title, high=None, ideal=0.0, better="lower",
               readers={CONFUSION: _within(index)}, formula=formula, source=_SPEICHER),
        compared=False,
    )  # fmt: skip
    return identifier


def _over(identifier: str, title: str, read: Callable[[Mapping[Slice, Row]], Sample],
          formula: str, source: str) -> str:  # fmt: skip
    add_metric(
        Metric(identifier, title, high=None, ideal=0.0, better="lower",
               aggregates={CONFUSION: read}, formula=formula, source=source)
    )  # fmt: skip
    return identifier


INEQUALITY_OF_SLICES: tuple[str, ...] = (
    _slice("generalized_entropy_index", "Generalised entropy of benefits", _squared,
           "mean of ((b / mean b)² − 1) / 2 over records, b = prediction − label + 1"),
    _slice("theil_index", "Theil index of benefits", _theil,
           "mean of (b / mean b) ln (b / mean b) over records, b = prediction − label + 1"),
)  # fmt: skip

INEQUALITY_OVER_GROUPS: tuple[str, ...] = (
    _over("between_group_generalized_entropy_index", "Generalised entropy between groups",
          _between(_squared), "Σ n_g / n · ((mean b of g / mean b)² − 1) / 2", _SPEICHER),
    _over("between_group_theil_index", "Theil index between groups", _between(_theil),
          "Σ n_g / n · (mean b of g / mean b) ln (mean b of g / mean b)", _SPEICHER),
    _over("differential_fairness", "Differential fairness ε", _differential,
          "largest |ln P(ŷ | g) − ln P(ŷ | h)| over groups g, h and both decisions ŷ; rates "
          "smoothed as (x + ½) / (n + 1)", _FOULDS),
)  # fmt: skip
