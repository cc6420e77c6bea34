"""How evenly the records lie over classes and over groups: counted over all there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Slice
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["BALANCE", "CLASS_BALANCE", "GROUP_BALANCE", "effective_number"]

BALANCE = "balance-counts"

Counts = NDArray[np.int64]
Measure = Callable[[Counts], float | None]


def effective_number(counts: Counts) -> float:
    """Return how many equally frequent kinds would be as diverse: 1 / Σ p².

    Parameters
    ----------
    counts:
        The records of each kind, shape ``[kinds]``, not all 0.

    >>> effective_number(np.array([5, 5])), effective_number(np.array([10, 0]))
    (2.0, 1.0)
    """
    exact = [int(count) for count in counts]
    return sum(exact) ** 2 / sum(count * count for count in exact)


def _imbalance(counts: Counts) -> float | None:
    return float(counts.max() / counts.min()) if counts.min() else None


def _smallest(counts: Counts) -> float:
    return float(counts.min() / counts.sum())


def _measure(counts: Counts, measure: Measure, kind: str) -> Sample:
    if not counts.sum():
        return Absent(f"no record has a {kind}")
    value = measure(counts)
    if value is None:
        return Absent(f"a {kind} has no record, so the ratio is undefined")
    return Census(value, int(counts.sum()))


def _classes(measure: Measure) -> Callable[[Row], Sample]:
    def read(row: Row) -> Sample:
        counts = np.asarray(row.values[2:], np.int64)
        if not counts.size:
            return Absent(str(row.context["classes"]))
        return _measure(counts, measure, "class")

    return read


def _groups(measure: Measure) -> Callable[[Mapping[Slice, Row]], Sample]:
    def read(rows: Mapping[Slice, Row]) -> Sample:
        counts = np.array([int(row.values[0]) for row in rows.values()], np.int64)
        return _measure(counts, measure, "group")

    return read


def _register(
    identifier: str, title: str, measure: Measure, *, classes: bool, formula: str,
    high: float | None, low: float = 0.0, better: str,
    source: str = "counted over the whole table",
) -> str:  # fmt: skip
    return add_metric(
        Metric(
            identifier, title, low=low, high=high, formula=formula, source=source,
            better="higher" if better == "higher" else "lower", parameter="split",
            readers={BALANCE: _classes(measure)} if classes else {},
            aggregates={} if classes else {BALANCE: _groups(measure)},
        ),
        compared=False,
    ).id  # fmt: skip


_HILL = "Hill (1973), Diversity and evenness: a unifying notation, order 2; Simpson (1949)"

CLASS_BALANCE: tuple[str, ...] = (
    _register("effective_classes", "Effective number of classes", effective_number, classes=True,
              low=1.0, high=None, better="higher", source=_HILL,
              formula="1 / Σ over classes (share among the labelled records)²"),
    _register("class_imbalance", "Largest class over smallest class", _imbalance, classes=True,
              low=1.0, high=None, better="lower",
              formula="records of the largest class / records of the smallest"),
    _register("smallest_class_share", "Share of the smallest class", _smallest, classes=True,
              high=1.0, better="higher",
              formula="records of the smallest class / labelled records; the classes are those of "
              "all splits together"),
)  # fmt: skip
"""Of one slice: for everybody, and within each group."""

GROUP_BALANCE: tuple[str, ...] = (
    _register("effective_groups", "Effective number of groups", effective_number, classes=False,
              low=1.0, high=None, better="higher", source=_HILL,
              formula="1 / Σ over groups (share among the records of known groups)²"),
    _register("group_imbalance", "Largest group over smallest group", _imbalance, classes=False,
              low=1.0, high=None, better="lower",
              formula="records of the largest group / records of the smallest that has any"),
    _register("smallest_group_share", "Share of the smallest group", _smallest, classes=False,
              high=1.0, better="higher",
              formula="records of the smallest group that has any / records of known groups"),
)  # fmt: skip
"""Over the groups of one family that hold records."""
