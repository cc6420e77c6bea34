"""Who is seen in ranked lists: exposure, shares of the top, skew and divergence of the top.

A ranking of one list is a census of that list: its numbers are what they are. The intervals say
what a repetition would give if the records came independently from a larger population, and their
methods end in ``superpopulation``. Over several lists the lists are what was drawn (``by-list``):
variances are those of ratio estimators between lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from auditor.evidence import Slice
from auditor.metrics.intervals import student_factor
from auditor.metrics.means import mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Mean, Proportion, Sample, Transformed
from auditor.stats.ranks import RANKS, ndkl_columns

__all__ = ["RANKING_METRICS", "RANKING_OVER_GROUPS", "RANKING_TOP_METRICS"]

_SINGH = "Singh and Joachims (2018), Fairness of exposure in rankings"
_GEYIK = (
    "Geyik, Ambler and Kenthapadi (2019), Fairness-aware ranking in search and recommendation "
    "systems"
)
_WHOLE = 1 - 1e-9


def _between_lists(row: Row, quantity: str, value: float) -> float | None:
    """Return the variance of a mean over the ranked records, from list to list.

    The ratio estimator's Σ (Y − R n)² L / (L − 1) / (Σ n)² over the L lists that hold the slice
    (Cochran 1977, section 6.3). The places of a list are given out once: what one group gains
    another loses, so that a difference of two groups varies more than the two of them apart. Where
    all groups of a list may change places, the variances add up once each is divided by 1 − f, with
    f the slice's share of its lists; as if the records had been drawn, not the order. Small numbers
    of lists have Student's t, by its factor at 95 %. ``None``: one list tells nothing.
    """
    lists = row.column("lists")
    if lists < 2:
        return None
    n = row.column("ranked")
    squares = (
        row.column(f"products:{quantity}")
        - 2 * value * row.column(f"products:{quantity}·ranked")
        + value * value * row.column("products:ranked")
    )
    share = row.column("expected:ranked") / n
    variance = max(squares, 0.0) * lists / (lists - 1) / n**2 * student_factor(lists - 1) ** 2
    return variance if share > _WHOLE else variance / (1 - share)


def _unranked(row: Row) -> Absent:
    return Absent("no ranked records" if row.column("records") else "no records")


def _exposure(row: Row) -> Sample:
    n = row.column("ranked")
    if not n:
        return _unranked(row)
    value = row.column("sum:exposure") / n
    variance = _between_lists(row, "exposure", value)
    if variance is not None:
        return Mean(value, math.sqrt(variance), n, "normal-by-list", 0.0, 1.0, floor=n)
    squares = row.column("squares:exposure")
    sample = mean_of(row.column("sum:exposure"), squares, n, low=0.0, high=1.0)
    if not isinstance(sample, Mean):
        return sample
    error = sample.standard_error if sample.standard_error**2 * n > 1e-14 * squares else 0.0
    return replace(sample, standard_error=error, method="normal-superpopulation", floor=n)


def _top(row: Row) -> Proportion | Absent:
    counted = [str(k) for k in row.context["top"]]
    if row.parameter not in counted:
        listed = ", ".join(counted)
        return Absent(f"a length of a top list has to be named that was counted: {listed}")
    n = row.column("ranked")
    if not n:
        return _unranked(row)
    inside = min(row.column(f"top:{row.parameter}"), n)
    p = inside / n
    variance = _between_lists(row, f"top:{row.parameter}", p)
    if variance is None:
        return Proportion(inside, n, n, "superpopulation")
    # Where nothing varies, as many trials as there are lists (Kish's number of them).
    size = n**2 / row.column("products:ranked")
    if 0 < p < 1 and variance > 1e-14:
        size = min(p * (1 - p) / variance, n)
    return Proportion(p * size, size, n, "by-list")


def _skew(row: Row) -> Sample:
    rate = _top(row)
    if isinstance(rate, Absent):
        return rate
    everybody = row.of(row.everybody)
    n = everybody.column("ranked")
    if row.column("ranked") == n:
        return Absent("the slice is everybody, so its share is the same everywhere")
    if rate.x <= 0:
        return Absent(f"nobody of the slice is in the top {row.parameter}")
    share = everybody.column(f"top:{row.parameter}") / n

    def log_ratio(p: float) -> float:
        return math.log(p / share) if p > 0 else -math.inf

    return Transformed(rate, log_ratio, "log-ratio")


def _ndkl(rows: Mapping[Slice, Row]) -> Sample:
    """Return the mean over the lists.

    The first place holds one group only: a random order is above 0 too, most in short lists.
    """
    where, row = next(iter(rows.items()))
    names = ndkl_columns(where.attributes)
    if names[0] not in row.columns:
        return Absent("it was not counted over these attributes")
    lists, total, squares = (row.of(row.everybody).column(name) for name in names)
    if not lists:
        return Absent("no list holds two groups")
    if lists < 2:
        return Census(total, sum(other.column("ranked") for other in rows.values()), "one-list")
    sample = mean_of(total, squares, lists, low=0.0)
    if not isinstance(sample, Mean):
        return sample
    error = sample.standard_error * student_factor(lists - 1)
    return replace(sample, standard_error=error, method="normal-by-list")


def _add(identifier: str, title: str, read: SampleReader, **rest: object) -> str:
    add_metric(
        Metric(identifier, title, readers={RANKS: read}, **rest)  # type: ignore[arg-type]
    )
    return identifier


RANKING_METRICS: tuple[str, ...] = (
    _add("exposure", "Exposure", _exposure, better="higher",
         formula="mean of 1 / log₂(1 + rank) over the records, tied records with the mean of "
         "their ranks", source=_SINGH),
)  # fmt: skip
"""What is read off rank sums as a whole."""

RANKING_TOP_METRICS: tuple[str, ...] = (
    _add("top_k_rate", "Share in the top k", _top, better="higher", parameter="k",
         formula="records of the group in the top k of their lists / its ranked records",
         source="selection rate where the top k are selected; tied records share the last places"),
    _add("skew_at_k", "Skew in the top k", _skew, low=None, high=None, ideal=0.0, parameter="k",
         formula="ln (share of the group in the top k / its share in the lists)", source=_GEYIK),
)  # fmt: skip
"""What is read off rank sums for each length of top lists."""

add_metric(
    Metric(
        "ndkl", "Divergence of the top from the whole (NDKL)", high=None, ideal=0.0,
        better="lower", aggregates={RANKS: _ndkl},
        formula="mean over the lists of Σᵢ wᵢ KL(Dᵢ ‖ D) / Σᵢ wᵢ, wᵢ = 1 / log₂(i + 1), Dᵢ the "
        "groups' shares of the first i places and D those of the list", source=_GEYIK,
    )
)  # fmt: skip

RANKING_OVER_GROUPS: tuple[str, ...] = ("ndkl",)
"""What is read off rank sums over all groups of an attribute."""
