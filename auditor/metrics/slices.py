"""The samples of one metric for every slice of a statistic, and their complements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import AuditorError
from auditor.evidence import Slice
from auditor.metrics.metric import METRICS, Metric, split_parameter
from auditor.metrics.samples import Absent, Sample
from auditor.stats import Family, ScoreCounts, Statistic

__all__ = ["SliceSamples", "records_by_slice", "rest_sample", "slice_samples"]


@dataclass(frozen=True, slots=True)
class SliceSamples:
    """The samples of one metric over one family, slice by slice, in the declared order."""

    metric: Metric
    family: Family
    samples: dict[Slice, Sample]
    records: dict[Slice, int]

    def known(self) -> list[Slice]:
        """Return the slices without a missing value that hold records."""
        return [where for where in self.samples if where.known and self.records[where] > 0]


def slice_samples(name: str, statistic: Statistic, family: Family) -> SliceSamples:
    """Read a metric (``selection_rate``, ``missing_rate[age]``) for each slice of a family."""
    base, parameter = split_parameter(name)
    metric = METRICS.get(base)
    if metric.read is None or metric.kind != statistic.kind:
        raise AuditorError(f"{name} cannot be read off {statistic.kind}")
    records = records_by_slice(statistic, family)
    samples: dict[Slice, Sample] = {}
    counted: dict[Slice, int] = {}
    start = statistic.groups.offset(family)
    for number, where in statistic.groups.slices(family, records > 0):
        row, columns = _row(statistic, start + number)
        counted[where] = int(records[number])
        sample = metric.read(row, columns, parameter)
        if isinstance(sample, Absent) and not records[number]:
            sample = Absent("no records")
        samples[where] = sample
    return SliceSamples(metric, family, samples, counted)


def rest_sample(name: str, statistic: Statistic, family: Family, where: Slice) -> Sample:
    """Read the metric for everybody outside the slice: the total less the slice."""
    base, parameter = split_parameter(name)
    read = METRICS.get(base).read
    if read is None:
        raise AuditorError(f"{name} cannot be read off a statistic")
    groups = statistic.groups
    everybody, columns = _row(statistic, groups.offset(()))
    mine, _ = _row(statistic, groups.offset(family) + groups.number_of(family, where))
    return read(everybody - mine, columns, parameter)


def records_by_slice(statistic: Statistic, family: Family) -> NDArray[np.int64]:
    """Return the number of records in each slice of a family."""
    start = statistic.groups.offset(family)
    stop = start + statistic.groups.size(family)
    if isinstance(statistic, ScoreCounts):
        scored = np.zeros(statistic.groups.total, np.int64)
        np.add.at(scored, statistic.keys // (statistic.grid.size * 2), statistic.counts)
        return (scored + statistic.unscored)[start:stop]
    if "records" in statistic.columns:
        return statistic.values[start:stop, statistic.column("records")].astype(np.int64)
    return statistic.values[start:stop].sum(axis=1).astype(np.int64)


def _row(statistic: Statistic, flat_slice: int) -> tuple[NDArray[Any], tuple[str, ...]]:
    if isinstance(statistic, ScoreCounts):
        return statistic.by_label(flat_slice), ("exact",) if statistic.grid.exact else ("binned",)
    return statistic.values[flat_slice], statistic.columns
