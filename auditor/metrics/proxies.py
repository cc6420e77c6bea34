"""How well a feature tells the groups apart: areas under the curve, and shared information."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Estimate, Slice
from auditor.metrics.auc import auc_sample
from auditor.metrics.estimates import estimate
from auditor.metrics.intervals import normal_quantile
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.noncentrality import noncentralities
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Projected, Sample, scaled
from auditor.stats.proxies import PROXY

__all__ = ["LEAST_TO_LEARN", "halves_auc", "mutual_information"]

Array = NDArray[np.float64]

LEAST_TO_LEARN = 30
"""Groups of fewer sampled records are not learned from all features together."""

_MOST_BINS = 16
_LEAST_IN_A_CELL = 5


def _blocks(row: Row) -> tuple[Array, Array]:
    positions = (len(row.columns) - 2) // 2
    values = np.asarray(row.values, np.float64)
    return values[2 : 2 + positions], values[2 + positions :]


def _auc(row: Row) -> Sample:
    inside, outside = _blocks(row)
    if not inside.sum():
        if row.context["type"] == "together":
            return Absent(f"fewer than {LEAST_TO_LEARN} records of the group were sampled")
        return Absent("no record of the group has a value" if row.column("records")
                      else "no records")  # fmt: skip
    if not outside.sum():
        return Absent("no record of another group has a value")
    if row.context["type"] == "categories":
        return _cut(halves_auc(inside.reshape(2, -1), outside.reshape(2, -1)), fold=False)
    area = auc_sample(outside, inside, exact=bool(row.context["exact"]))
    return _cut(area, fold=row.context["type"] == "numbers")


def halves_auc(inside: Array, outside: Array) -> Sample:
    """Return the AUC of categories that are scored by the half that they are not measured in.

    Parameters
    ----------
    inside, outside:
        Records of the group, and of the others, by half and category, shape ``[2, categories]``.

    The score of a category is the share of the group among the records of the *other* half, with
    one record of the average share added, so that rare categories say little and none speaks for
    itself. The AUC is the mean of the two halves, each with DeLong's variance. Each half is scored
    by the other, so that of a weak feature the two areas rise and fall together: their mean is
    taken to vary as much as one of them.

    >>> inside, outside = np.array([[9.0, 1.0], [9.0, 1.0]]), np.array([[1.0, 9.0], [1.0, 9.0]])
    >>> round(halves_auc(inside, outside).value, 6)
    0.9
    """
    parts: list[Mean] = []
    for mine, other in ((0, 1), (1, 0)):
        there = inside[other] + outside[other]
        prior = inside[other].sum() / max(there.sum(), 1.0)
        scores = (inside[other] + prior) / (there + 1)
        _, place = np.unique(np.round(scores, 12), return_inverse=True)
        area = auc_sample(np.bincount(place, outside[mine]), np.bincount(place, inside[mine]))
        if not isinstance(area, Mean):
            return Absent("a half of the records has only one of the two sides")
        parts.append(area)
    a, b = parts
    error = math.hypot(a.standard_error, b.standard_error) / math.sqrt(2)
    floor = (a.floor or 0.0) + (b.floor or 0.0)
    return Mean((a.value + b.value) / 2, error, a.n + b.n, "delong-two-halves", 0.0, 1.0,
                floor=floor)  # fmt: skip


def _cut(area: Sample, *, fold: bool) -> Sample:
    """Fold an AUC at ½ (either direction tells the groups apart), or cut it there."""
    if not isinstance(area, Mean):
        return area
    folded = fold and area.value < 0.5

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        found = estimate(scaled(area, factor), confidence=confidence)
        assert isinstance(found, Estimate)
        low, high = found.low or 0.0, 1.0 if found.high is None else found.high
        if folded:
            low, high = 1 - high, 1 - low
        return max(low, 0.5), max(high, 1 - low if fold else 0.5, 0.5)

    value = 1 - area.value if folded else max(area.value, 0.5)
    return Projected(value, area.n, area.method + ("-folded" if fold else "-cut"), bounds)


def mutual_information(table: Array) -> Sample:
    """Return the share of the entropy of the groups that a feature explains.

    Parameters
    ----------
    table:
        Records by group and position, shape ``[groups, positions]``; at least two groups hold some.

    I(group; feature) / H(group), both with the correction of Miller and Madow (1955): entropy is
    estimated too low by (occupied cells − 1) / 2n. The interval is the wider, on each side, of two:
    the delta method (I away from 0), and the noncentrality λ = 2 n I of the χ² distribution that
    2 n Î has near 0, inverted. H is taken as known in the latter.

    >>> round(mutual_information(np.array([[500.0, 0.0], [0.0, 500.0]])).value, 2)
    1.0
    >>> mutual_information(np.array([[250.0, 250.0], [250.0, 250.0]])).value
    0.0
    """
    table = table[np.ix_(table.sum(axis=1) > 0, table.sum(axis=0) > 0)]
    n = float(table.sum())
    joint = table / n
    group, feature = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    occupied = joint > 0
    ratio = np.ones_like(joint)
    np.divide(joint, group * feature, out=ratio, where=occupied)
    logs = np.log(ratio)
    information = max(float((joint * logs).sum()), 0.0)
    entropy = float(-(group * np.log(group)).sum())
    cells = int(occupied.sum())
    corrected = information + (table.shape[0] + table.shape[1] - cells - 1) / (2 * n)
    whole = entropy + (table.shape[0] - 1) / (2 * n)
    value = min(max(corrected / whole, 0.0), 1.0)
    # The influence of a record on I / H, and its variance.
    influence = (logs - information) / entropy - information / entropy**2 * (
        -np.log(group) - entropy
    )
    variance = float((joint * influence**2).sum()) / n
    df = (table.shape[0] - 1) * (table.shape[1] - 1)

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        half = normal_quantile(confidence) * math.sqrt(variance / factor)
        low, high = value - half, value + half
        if df:
            records = n * factor
            near = noncentralities(max(2 * records * corrected + df, 0.0), df, confidence)
            low = min(low, near[0] / (2 * records) / whole)
            high = max(high, near[1] / (2 * records) / whole)
        return min(max(low, 0.0), value), max(min(high, 1.0), value)

    return Projected(value, n, "miller-madow", bounds)


def _information(rows: Mapping[Slice, Row]) -> Sample:
    some = next(iter(rows.values()))
    if some.context["type"] == "together":
        return Absent("measured for one feature at a time")
    table = np.stack([_blocks(row)[0] for row in rows.values()])
    missing = np.array([[row.column("missing")] for row in rows.values()])
    if some.context["type"] == "categories":
        table = table.reshape(len(table), 2, -1).sum(axis=1)
    else:
        table = _in_bins(table)
    table = np.concatenate([_without_rare(table), missing], axis=1)
    if (table.sum(axis=1) > 0).sum() < 2:
        return Absent("only one group holds records")
    return mutual_information(table)


def _in_bins(table: Array) -> Array:
    """Take neighbouring ranks together, about equally many records in each of up to 16 bins."""
    total = table.sum(axis=0)
    n = total.sum()
    bins = int(min(_MOST_BINS, max(2, n // (_LEAST_IN_A_CELL * len(table)))))
    place = np.minimum((np.cumsum(total) - total / 2) / max(n, 1) * bins, bins - 1).astype(np.int64)
    out = np.zeros((len(table), bins))
    np.add.at(out.T, place, table.T)
    return out


def _without_rare(table: Array) -> Array:
    """Take positions together that hold fewer than five records for each group."""
    rare = table.sum(axis=0) < _LEAST_IN_A_CELL * len(table)
    return np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)


PROXY_AUC = add_metric(
    Metric(
        "proxy_auc", "Area under the curve of a feature as a sign of the group",
        ideal=0.5, better="lower", readers={PROXY: _auc}, parameter="feature",
        formula="max(A, 1 − A), A = P(feature of a member > feature of a non-member) + ½ P(equal); "
        "of categories, and of all features together, max(A, ½) of scores that were learned "
        "from other records",
        source="DeLong, DeLong and Clarke-Pearson (1988); members of one group against those of "
        "the other known groups of the attribute",
    ),
    compared=False,
)  # fmt: skip

PROXY_INFORMATION = add_metric(
    Metric(
        "proxy_mutual_information", "Share of an attribute's entropy that a feature explains",
        ideal=0.0, better="lower", aggregates={PROXY: _information}, parameter="feature",
        formula="I(attribute; feature) / H(attribute), with the correction of Miller and Madow; "
        "numbers in up to 16 bins of equal size, rare values taken together, missing values a "
        "value: coarser values can only lower it",
        source="Miller (1955), Note on the bias of information estimates",
    ),
)  # fmt: skip
