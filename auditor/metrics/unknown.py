"""How far records of unknown groups could move a rate, a difference or a ratio: the worst cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Interval, Slice
from auditor.metrics.cells import positions
from auditor.metrics.disaggregate import Measured
from auditor.metrics.estimates import Comparison
from auditor.metrics.intervals import newcombe
from auditor.metrics.metric import METRICS, Metric, add_metric
from auditor.metrics.rates import BINARY_METRICS
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Bounded, Projected, Proportion, Sample
from auditor.metrics.score_ratio import miettinen_nurminen_ratio
from auditor.metrics.slices import slice_rows
from auditor.stats import CELLS, Family, SliceTable
from auditor.stats.membership import MEMBERSHIP
from auditor.stats.unknown_counts import UNKNOWN

__all__ = ["UNKNOWN_RATE", "WORST_CASES", "with_extremes", "worst_case"]

_WIDTH = len(CELLS)
_RATES = {
    "selection_rate": (
        positions(("fp", "tp", "unlabelled_predicted_positive")),
        positions(("tn", "fn", "unlabelled_predicted_negative")),
        "no predictions",
    ),
    "true_positive_rate": (positions(("tp",)), positions(("fn",)), "no positives"),
    "false_positive_rate": (positions(("fp",)), positions(("tn",)), "no negatives"),
}
_SOURCE = (
    "Gerchick et al. (2025), FAccT: missing demographics in 116 Local Law 144 audits; bounds "
    "without assumptions as in Manski (2003), Partial identification"
)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What counts and what does not: known in the group, and among the unknown records."""

    x: int
    miss: int
    unknown_x: int
    unknown_miss: int

    @property
    def n(self) -> int:
        return self.x + self.miss

    @property
    def lowest(self) -> tuple[int, int]:
        """Successes and trials where all unknown records that do not count join."""
        return self.x, self.n + self.unknown_miss

    @property
    def highest(self) -> tuple[int, int]:
        """Successes and trials where all unknown records that count join."""
        return self.x + self.unknown_x, self.n + self.unknown_x


def worst_case(known: tuple[int, int], unknown: tuple[int, int]) -> tuple[float, float]:
    """Return the least and the greatest rate that a group can have.

    Parameters
    ----------
    known:
        Records of the group that count, and that do not.
    unknown:
        The same of the records whose group is unknown: any of them may belong to it.

    The rate is least where those that do not count join, x / (n + m), and greatest where those that
    count do, (x + u) / (n + u). Any other subset gives a rate between the two. The two extremes of
    two groups are reached together, because they take different records.

    >>> worst_case((3, 1), (1, 2))
    (0.5, 0.8)
    """
    counts = _Counts(*known, *unknown)
    (a, b), (c, d) = counts.lowest, counts.highest
    return (a / b if b else math.nan), (c / d if d else math.nan)


def _counts(row: Row, name: str) -> _Counts | Absent:
    over, miss, empty = _RATES[name]
    values: NDArray[np.int64] = np.asarray(row.values)
    cells, unknown = values[1 : 1 + _WIDTH], values[1 + _WIDTH :]
    if (unknown < 0).any():  # everybody else: the unknown records are no part of it either
        cells, unknown = cells + unknown, -unknown
    found = _Counts(*(int(part[of].sum()) for part in (cells, unknown) for of in (over, miss)))
    if not found.n:
        return Absent(empty if cells.any() else "no records")
    return found


def _slice_reader(name: str) -> Callable[[Row], Sample]:
    def read(row: Row) -> Sample:
        found = _counts(row, name)
        if isinstance(found, Absent):
            return found
        return Bounded(found.x / found.n, Proportion(*found.lowest), Proportion(*found.highest),
                       found.n, "worst-case")  # fmt: skip

    return read


def _pair_reader(name: str, operation: Comparison) -> Callable[[Row, Row], Sample]:
    def read(ours: Row, theirs: Row) -> Sample:
        a, b = _counts(ours, name), _counts(theirs, name)
        if isinstance(a, Absent):
            return Absent(f"this slice: {a.reason}")
        if isinstance(b, Absent):
            return Absent(f"the reference: {b.reason}")
        if operation == "ratio" and not b.x:
            return Absent("the reference rate is 0, so the ratio is undefined")
        interval = newcombe if operation == "difference" else miettinen_nurminen_ratio

        def bounds(confidence: float, factor: float) -> tuple[float, float]:
            pairs = ((a.lowest, b.highest), (a.highest, b.lowest))
            (x1, n1), (x2, n2) = (np.array(side, np.float64).T * factor
                                  for side in zip(*pairs, strict=True))  # fmt: skip
            low, high = interval(x1, n1, x2, n2, confidence=confidence)
            return float(low[0]), float(high[1])

        p, q = a.x / a.n, b.x / b.n
        value = p - q if operation == "difference" else p / q
        return Projected(value, a.n + b.n, "worst-case", bounds)

    return read


def _share_unknown(rows: Mapping[Slice, Row]) -> Sample:
    row = next(iter(rows.values()))
    unknown = int(np.asarray(row.values)[1 + _WIDTH :].sum())
    everybody = int(np.asarray(row.everybody)[0])
    return Proportion(unknown, everybody) if everybody else Absent("no records")


def _share_unplaced(rows: Mapping[Slice, Row]) -> Sample:
    row = next(iter(rows.values()))
    everybody, unplaced = np.asarray(row.everybody)[:2]
    return Proportion(float(unplaced), float(everybody)) if everybody else Absent("no records")


UNKNOWN_RATE = add_metric(
    Metric(
        "unknown_rate", "Share of records whose group is unknown", ideal=0.0, better="lower",
        aggregates={UNKNOWN: _share_unknown, MEMBERSHIP: _share_unplaced},
        formula="records whose value is missing / records; of probabilities of membership, records "
        "without all of them / records",
        source="counted",
    )
)  # fmt: skip


def _add(name: str) -> tuple[str, str, str]:
    known = METRICS.get(name)
    title = known.title[0].lower() + known.title[1:]
    rate = f"{name}_worst_case"
    add_metric(
        Metric(rate, f"Worst cases of {title}", readers={UNKNOWN: _slice_reader(name)},
               formula="from x / (n + v) to (x + u) / (n + u), where u unknown records count and v "
               "do not; the value is the observed rate", source=_SOURCE),
        compared=False,
    )  # fmt: skip
    for operation, low, high, ideal in (("difference", -1.0, 1.0, 0.0), ("ratio", 0.0, None, 1.0)):
        add_metric(
            Metric(f"{name}_{operation}_worst_case", f"Worst cases of the {operation} of {title}",
                   low=low, high=high, ideal=ideal, source=_SOURCE,
                   pairs={UNKNOWN: _pair_reader(name, cast("Comparison", operation))},
                   formula="the lowest rate of the slice against the highest of the reference, and "
                   "the other way round; the value is the observed one"),
        )  # fmt: skip
    return rate, f"{name}_difference_worst_case", f"{name}_ratio_worst_case"


WORST_CASES: tuple[str, ...] = tuple(
    name for rate in BINARY_METRICS if rate in _RATES for name in _add(rate)
)
"""The worst cases of each rate, its difference and its ratio."""


def with_extremes(
    measured: Sequence[Measured], statistic: SliceTable, family: Family
) -> list[Measured]:
    """Put the worst cases of these very records, without any sampling error, into ``also``."""
    rows = slice_rows(statistic, family).rows
    out: list[Measured] = []
    for metric, where, reference, over, outcome in measured:
        bounds = None
        if isinstance(outcome, Estimate) and where in rows and metric in WORST_CASES:
            theirs = None
            if reference is not None:
                mine = rows[where]
                theirs = mine.of(mine.rest) if isinstance(reference, str) else rows[reference]
            bounds = _extremes(metric, rows[where], theirs)
        if isinstance(outcome, Estimate) and bounds is not None:
            beside = Interval(low=bounds[0], high=bounds[1], confidence=outcome.confidence,
                              method="worst-case-of-these-records")  # fmt: skip
            outcome = outcome.with_also(beside)
        out.append((metric, where, reference, over, outcome))
    return out


def _extremes(metric: str, ours: Row, theirs: Row | None) -> tuple[float, float | None] | None:
    name = next(rate for rate in _RATES if metric.startswith(rate))
    a = _counts(ours, name)
    if isinstance(a, Absent):
        return None
    low, high = (x / n for x, n in (a.lowest, a.highest))
    if theirs is None:
        return low, high
    b = _counts(theirs, name)
    if isinstance(b, Absent):
        return None
    least, most = (x / n for x, n in (b.lowest, b.highest))
    if "_difference_" in metric:
        return low - most, high - least
    return (low / most if most else 0.0), (high / least if least else None)
