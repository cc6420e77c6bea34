"""Who is in the data, against who is in the population: differences, ratios, a distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Slice
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Noisy, Proportion, Sample, Transformed
from auditor.stats.representation import REPRESENTATION

__all__ = ["REPRESENTATION_METRICS", "REPRESENTATION_OVER", "total_variation"]

_REPLICATES = 1_000
_SOURCE = (
    "the population's shares are taken as known; Shahbazi et al. (2023), Representation bias in "
    "data: a survey"
)


def _share(row: Row) -> Proportion | Absent:
    if not row.column("of"):
        return Absent("the population says nothing of these attributes")
    if not row.column("listed"):
        records = int(row.column("records"))
        return Absent(f"the population has no such group; the data have {records:,} records of it")
    compared = row.column("compared")
    if not compared:
        return Absent("no record is of a group that the population has")
    return Proportion(int(row.column("records")), int(compared))


def _population(row: Row) -> float:
    return row.column("population") / row.column("of")


def _difference(row: Row) -> Sample:
    share = _share(row)
    if isinstance(share, Absent):
        return share
    q = _population(row)
    return Transformed(share, lambda p: p - q, "less-population")


def _ratio(row: Row) -> Sample:
    share = _share(row)
    if isinstance(share, Absent):
        return share
    q = _population(row)
    if q <= 0:
        return Absent("the group's share of the population is 0, so the ratio is undefined")
    return Transformed(share, lambda p: p / q, "per-population")


def total_variation(
    counts: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return ½ Σ |p − q| and sorted replicates of the distance that chance alone makes.

    Parameters
    ----------
    counts:
        The records of each group, shape ``[groups]``, not all 0.
    shares:
        The shares of the population, shape ``[groups]``.

    By the triangle inequality |TV(p̂, q) − TV(p, q)| ≤ TV(p̂, p), which in the limit is
    ½ Σ |√p z − p Σ √p z| / √n with independent standard normal z; the replicates come from one
    fixed table. A group without a record has no noise in the limit, so it is given that of half a
    record.

    >>> value, noise = total_variation(np.array([50.0, 50.0]), np.array([0.3, 0.7]))
    >>> round(value, 6)
    0.2
    """
    n = float(counts.sum())
    value = float(np.abs(counts / n - shares).sum() / 2)
    smooth = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    z = np.random.default_rng(20260102).standard_normal((_REPLICATES, counts.size))
    root = np.sqrt(smooth) * z
    noise = np.abs(root - smooth * root.sum(axis=1, keepdims=True)).sum(axis=1) / 2 / np.sqrt(n)
    return value, np.sort(noise)


def _distance(rows: Mapping[Slice, Row]) -> Sample:
    some = next(iter(rows.values()))
    if not some.column("of"):
        return Absent("the population says nothing of these attributes")
    listed = [row for row in rows.values() if row.column("listed")]
    if not listed:
        return Absent("no record is of a group that the population has")
    counts = np.array([row.column("records") for row in listed])
    shares = np.array([_population(row) for row in listed])
    absent = max(1 - float(shares.sum()), 0.0)  # groups of the population without a record
    if absent > 1e-12:
        counts, shares = np.append(counts, 0.0), np.append(shares, absent)
    value, noise = total_variation(counts, shares)
    return Noisy(value, noise, float(counts.sum()), "multinomial-noise", 0.0, 1.0)


def _slice(
    identifier: str, title: str, read: Callable[[Row], Sample], formula: str, *,
    low: float | None = 0.0, high: float | None = 1.0, ideal: float | None = None,
) -> str:  # fmt: skip
    add_metric(
        Metric(identifier, title, low=low, high=high, ideal=ideal, formula=formula,
               source=_SOURCE, readers={REPRESENTATION: read}),
        compared=False,
    )  # fmt: skip
    return identifier


REPRESENTATION_METRICS: tuple[str, ...] = (
    _slice("representation_share", "Share of the group in the data", _share,
           "records of the group / records of all groups that the population has"),
    _slice("representation_difference", "Share in the data less share in the population",
           _difference, "share in the data − share in the population", low=-1.0, ideal=0.0),
    _slice("representation_ratio", "Share in the data over share in the population", _ratio,
           "share in the data / share in the population", high=None, ideal=1.0),
)  # fmt: skip

REPRESENTATION_OVER: tuple[str, ...] = (
    add_metric(
        Metric("representation_distance", "Total variation distance from the population",
               ideal=0.0, better="lower", aggregates={REPRESENTATION: _distance},
               formula="½ Σ over groups |share in the data − share in the population|",
               source=_SOURCE),
    ).id,
)  # fmt: skip
