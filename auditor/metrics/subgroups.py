"""Errors and calibration of discovered subgroups: inside against outside, and the worst of all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.evidence import Estimate, Slice
from auditor.metrics.estimates import Outcome
from auditor.metrics.intervals import newcombe, normal_quantile
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.multiplicity import bonferroni_level
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Projected, Proportion, Sample
from auditor.metrics.simultaneous import difference_limits, guarded_limits

__all__ = [
    "SUBGROUP",
    "SUBGROUPS",
    "SUBGROUP_COLUMNS",
    "ErrorSums",
    "Weighting",
    "cell_columns",
    "error_difference",
    "error_sums",
    "worst_calibration",
]

SUBGROUPS = "subgroup-errors"
SUBGROUP = "subgroup"
"""The attribute of which the discovered conjunctions are the levels."""

SUBGROUP_COLUMNS = ("records", "judged", "errors", "discovery:judged", "discovery:errors")
"""Records of the confirmation half, those with label and prediction, their errors; the same of the
discovery half. Columns of :func:`cell_columns` follow where there is a score."""

Weighting = Literal["slice", "everybody"]
"""Whether a slice's calibration error is the mean over its records, or its share of all."""


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """Records, the sum of their errors, and the sum of the squares."""

    n: int
    total: float
    squares: float

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> Self:
        """Add up errors."""
        return cls(errors.size, float(errors.sum()), float(errors @ errors))

    @property
    def mean(self) -> float:
        """The mean error; raises :class:`ZeroDivisionError` for no records."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The unbiased variance of an error, 0 for a single record."""
        spread = self.squares - self.total * self.total / self.n
        return max(spread, 0.0) / (self.n - 1) if self.n > 1 else 0.0


def error_difference(
    inside: ErrorSums, outside: ErrorSums, *, confidence: float, tests: int = 1, binary: bool
) -> Outcome:
    """Estimate the mean error inside less that outside, as one of ``tests`` that hold together.

    Each interval has the level 1 − (1 − confidence)/tests (Bonferroni). Errors of 0 and 1
    (``binary``): Newcombe's hybrid, out of exact limits where counts are too small for Wilson's so
    far out (:func:`~auditor.metrics.simultaneous.difference_limits`); other errors: normal, with
    Welch's standard error √(s₁²/n₁ + s₂²/n₂), and without bounds where a side has one record. No
    records on a side give the reason.

    >>> a, b = ErrorSums(1795, 805, 805), ErrorSums(1488, 349, 349)
    >>> found = error_difference(a, b, confidence=0.95, binary=True)
    >>> round(found.value, 5), round(found.low, 5), round(found.high, 5), found.method
    (0.21392, 0.18205, 0.24502, 'newcombe')
    """
    level = bonferroni_level(confidence, tests)
    for side, where in ((inside, "in"), (outside, "outside")):
        if not side.n:
            return Absent(f"no records {where} the subgroup")
    value = inside.mean - outside.mean
    if binary:
        low, high = _binary_limits(inside, outside, level, guarded=tests > 1)
        method = "newcombe"
    else:
        low, high = _welch_limits(inside, outside, level)
        method = "welch"
    return Estimate(
        value=value, low=None if low == -math.inf else low, high=None if high == math.inf else high,
        confidence=confidence, n=inside.n + outside.n,
        method=method if tests == 1 else f"{method}-bonferroni",
    )  # fmt: skip


def worst_calibration(
    records: ArrayLike, positives: ArrayLike, scores: ArrayLike, *, weighting: Weighting = "slice"
) -> Projected | Absent:
    """Return the largest calibration error of any slice, from sums by slice and score bin.

    Parameters
    ----------
    records, positives, scores:
        Records, positive labels and sums of the scores, shape ``[slices, bins]``.
    weighting:
        ``"slice"``: the expected calibration error within each slice, max over S of
        Σ_b |Σ_{i in S, b} (y_i − s_i)| / n(S), as Hansen, Devic, Nakkiran and Sharan (2024), "When
        is multicalibration post-processing necessary?", measure multicalibration.
        ``"everybody"``: divided by the number of records of the largest slice (everybody, where it
        is given) instead, so that small slices may err more, as the guarantee of Hébert-Johnson,
        Kim, Reingold and Rothblum (2018) has it.

    The plain number is biased upward: noise alone moves every cell off 0, and the worst slice is
    chosen by it. The interval is honest about both. The sum of labels of a cell is one of
    independent, not identical Bernoulli trials, whose tails the binomial's bound (Hoeffding 1956,
    Annals of Mathematical Statistics 27), so limits of the mean of y in each of the m cells that
    hold records come from the binomial at the level 1 − α/m
    (:func:`~auditor.metrics.simultaneous.guarded_limits`); all cells hold together. In each slice
    the distances of these limits from the mean score add up, the least and the greatest; the
    bounds are the largest over slices of each. They are of the calibration error given these
    scores, and conservative: a lower bound over 0 says that some slice is not calibrated.

    No records at all are a reason. Raises :class:`InputError` where positives exceed records.

    >>> found = worst_calibration([[2, 2]], [[0, 2]], [[0.5, 1.5]])  # |0−.5|/4 + |2−1.5|/4
    >>> found.value
    0.25
    """
    n, y = np.asarray(records, np.float64), np.asarray(positives, np.float64)
    s = np.asarray(scores, np.float64)
    if n.shape != y.shape or n.shape != s.shape or bool(np.any((y < 0) | (y > n))):
        raise InputError("positives that are none of the records", valid="0 ≤ positives ≤ records")
    of_slice = n.sum(axis=-1)
    if not of_slice.size or not of_slice.max():
        return Absent("no records with a score")
    used = n[of_slice > 0], y[of_slice > 0], s[of_slice > 0]
    size = of_slice[of_slice > 0] if weighting == "slice" else of_slice.max()
    value = float((np.abs(used[1] - used[2]).sum(axis=-1) / size).max())

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        records, positives, scores = (part * factor for part in used)
        occupied = records > 0
        level = bonferroni_level(confidence, int(occupied.sum()))
        low, high = guarded_limits(positives[occupied], records[occupied], confidence=level)
        mean = scores[occupied] / records[occupied]
        least, most = np.zeros(records.shape), np.zeros(records.shape)
        least[occupied] = np.maximum(0.0, np.maximum(low - mean, mean - high))
        most[occupied] = np.maximum(high - mean, mean - low)
        ends = [((part * records).sum(axis=-1) / (size * factor)).max() for part in (least, most)]
        return min(float(ends[0]), value), min(max(float(ends[1]), value), 1.0)

    return Projected(value, float(of_slice.max()), "hoeffding-bonferroni", bounds)


def cell_columns(bins: int) -> tuple[str, ...]:
    """Name the columns of records, positives and sums of scores by score bin."""
    return tuple(
        f"{what}:{index}" for what in ("scored", "positives", "scores") for index in range(bins)
    )


def error_sums(row: Row) -> ErrorSums:
    """Read the errors, each 0 or 1, of the confirmation half."""
    errors = row.column("errors")
    return ErrorSums(int(row.column("judged")), errors, errors)


def _binary_limits(
    inside: ErrorSums, outside: ErrorSums, level: float, *, guarded: bool, factor: float = 1.0
) -> tuple[float, float]:
    counts = [np.array([v * factor]) for v in (inside.total, inside.n, outside.total, outside.n)]
    x1, n1, x2, n2 = counts
    low, high = (
        difference_limits(x1, n1, x2, n2, confidence=level)
        if guarded
        else newcombe(x1, n1, x2, n2, confidence=level)
    )
    return float(low[0]), float(high[0])


def _welch_limits(inside: ErrorSums, outside: ErrorSums, level: float) -> tuple[float, float]:
    if min(inside.n, outside.n) < 2:
        return -math.inf, math.inf
    error = math.sqrt(inside.variance / inside.n + outside.variance / outside.n)
    value, half = inside.mean - outside.mean, normal_quantile(level) * error
    return value - half, value + half


def _rate(row: Row) -> Sample:
    sums = error_sums(row)
    return Proportion(sums.total, sums.n) if sums.n else Absent("no records with a prediction")


def _difference(ours: Row, theirs: Row) -> Sample:
    """Read the difference to the rest; two subgroups may share records and are not compared."""
    inside, outside = error_sums(ours), error_sums(theirs)
    whole = ours.everybody[ours.columns.index("records")]
    if ours.column("records") + theirs.column("records") != whole:
        return Absent("subgroups may share records, so each is compared with the rest only")
    if not inside.n or not outside.n:
        return Absent("no records with a prediction")

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        return _binary_limits(inside, outside, confidence, guarded=True, factor=factor)

    n = inside.n + outside.n
    return Projected(inside.mean - outside.mean, n, "newcombe", bounds)


def _calibration(rows: Mapping[Slice, Row]) -> Sample:
    """Read the worst calibration of everybody and of all subgroups."""
    one = next(iter(rows.values()))
    bins = int(one.context.get("score_bins", 0))
    if not bins:
        return Absent(str(one.context.get("without_scores", "no score column")))
    names = cell_columns(bins)
    places = [one.columns.index(name) for name in names]
    cells = np.stack([one.everybody[places], *(row.values[places] for row in rows.values())])
    return worst_calibration(*np.split(cells, 3, axis=1))


add_metric(
    Metric(
        "subgroup_error_rate", "Error rate of a discovered subgroup", ideal=0.0, better="lower",
        readers={SUBGROUPS: _rate},
        formula="errors / records of the subgroup, on the half that did not discover it",
        source="Sagadeeva and Boehm (2021), SliceLine, SIGMOD",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "subgroup_error_difference", "Error rate of a subgroup less that of the rest",
        low=-1.0, high=1.0, ideal=0.0, pairs={SUBGROUPS: _difference},
        formula="error rate of the subgroup − error rate of the rest, on the half that did not "
        "discover it",
        source="Newcombe (1998), at Bonferroni's level",
    )
)  # fmt: skip
add_metric(
    Metric(
        "multicalibration_error", "Largest calibration error of any subgroup", ideal=0.0,
        better="lower", aggregates={SUBGROUPS: _calibration},
        formula="max over subgroups and everybody of Σ over score bins |Σ (y − score)| / n",
        source="Hansen, Devic, Nakkiran and Sharan (2024), arXiv 2406.06487; Hébert-Johnson et al. "
        "(2018)",
    )
)  # fmt: skip
