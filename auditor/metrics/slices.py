"""The samples of one metric for every slice of a statistic, and their complements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import AuditorError
from auditor.evidence import Slice
from auditor.metrics.metric import METRICS, Metric, split_parameter
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Sample
from auditor.stats import Family, ScoreCounts, Statistic

__all__ = [
    "SliceRows",
    "SliceSamples",
    "aggregate_sample",
    "pair_sample",
    "records_by_slice",
    "rest_sample",
    "slice_rows",
    "slice_samples",
]


@dataclass(frozen=True, slots=True)
class SliceRows:
    """The rows of one family, slice by slice, in the declared order, and how many records each."""

    family: Family
    rows: dict[Slice, Row]
    records: dict[Slice, int]

    def known(self) -> list[Slice]:
        """Return the slices without a missing value that hold records."""
        return [where for where in self.rows if where.known and self.records[where] > 0]


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


def slice_rows(statistic: Statistic, family: Family) -> SliceRows:
    """Read the rows of a family once, for all metrics."""
    groups = statistic.groups
    records = records_by_slice(statistic, family)
    start = groups.offset(family)
    everybody = _values(statistic, groups.offset(())) if () in groups.families else None
    scores = isinstance(statistic, ScoreCounts)
    empty = Row(
        np.zeros(0), np.zeros(0), () if scores else statistic.columns, None, statistic.context,
        statistic.grid if scores else None,
    )  # fmt: skip
    rows: dict[Slice, Row] = {}
    counted: dict[Slice, int] = {}
    for number, where in groups.slices(family, records > 0):
        values = _values(statistic, start + number)
        rows[where] = replace(
            empty, values=values, everybody=values if everybody is None else everybody
        )
        counted[where] = int(records[number])
    return SliceRows(family, rows, counted)


def slice_samples(
    name: str, statistic: Statistic, family: Family, *, rows: SliceRows | None = None
) -> SliceSamples:
    """Read a metric (``selection_rate``, ``missing_rate[age]``) for each slice of a family."""
    base, parameter = split_parameter(name)
    metric = METRICS.get(base)
    read = metric.readers.get(statistic.kind)
    if read is None:
        raise AuditorError(f"{name} cannot be read off {statistic.kind}")
    rows = rows or slice_rows(statistic, family)
    samples: dict[Slice, Sample] = {}
    for where, row in rows.rows.items():
        sample = read(row if parameter is None else replace(row, parameter=parameter))
        if isinstance(sample, Absent) and not rows.records[where]:
            sample = Absent("no records")
        samples[where] = sample
    return SliceSamples(metric, family, samples, rows.records)


def rest_sample(name: str, statistic: Statistic, family: Family, where: Slice) -> Sample:
    """Read the metric for everybody outside the slice: the total less the slice."""
    base, parameter = split_parameter(name)
    read = METRICS.get(base).readers.get(statistic.kind)
    if read is None:
        raise AuditorError(f"{name} cannot be read off a statistic")
    row = replace(_row(statistic, family, where), parameter=parameter)
    return read(row.of(row.rest))


def pair_sample(
    name: str, statistic: Statistic, family: Family, where: Slice, reference: Slice | str,
    *, rows: SliceRows | None = None,
) -> Sample:  # fmt: skip
    """Read a metric of a slice against a reference (another slice, or ``"rest"``)."""
    base, parameter = split_parameter(name)
    read = METRICS.get(base).pairs.get(statistic.kind)
    if read is None:
        raise AuditorError(f"{name} cannot be read off {statistic.kind}")
    rows = rows or slice_rows(statistic, family)
    mine = replace(rows.rows[where], parameter=parameter)
    if isinstance(reference, str):
        return read(mine, mine.of(mine.rest))
    return read(mine, replace(rows.rows[reference], parameter=parameter))


def aggregate_sample(
    name: str, statistic: Statistic, family: Family, *, rows: SliceRows | None = None
) -> Sample:
    """Read one number over all groups of a family; the unknown groups take no part."""
    base, parameter = split_parameter(name)
    read = METRICS.get(base).aggregates.get(statistic.kind)
    if read is None:
        raise AuditorError(f"{name} cannot be read off {statistic.kind}")
    rows = rows or slice_rows(statistic, family)
    known = rows.known()
    if not known or (family and len(known) < 2):
        return Absent("only one group holds records" if known else "no group holds records")
    return read({where: replace(rows.rows[where], parameter=parameter) for where in known})


def records_by_slice(statistic: Statistic, family: Family) -> NDArray[np.int64]:
    """Return the number of records in each slice of a family."""
    start = statistic.groups.offset(family)
    stop = start + statistic.groups.size(family)
    if isinstance(statistic, ScoreCounts):
        scored = np.zeros(statistic.groups.total, np.int64)
        np.add.at(scored, statistic.keys // (statistic.grid.size * 2), statistic.counts)
        return (scored + statistic.unscored)[start:stop]
    if "records" in statistic.columns:
        records = statistic.values[start:stop, statistic.column("records")]
    else:
        records = statistic.values[start:stop].sum(axis=1)
    return np.ceil(records).astype(np.int64) if records.dtype.kind == "f" else records


def _row(statistic: Statistic, family: Family, where: Mapping[str, str | None]) -> Row:
    groups = statistic.groups
    scores = isinstance(statistic, ScoreCounts)
    return Row(
        _values(statistic, groups.offset(family) + groups.number_of(family, where)),
        _values(statistic, groups.offset(())),
        () if scores else statistic.columns,
        None,
        statistic.context,
        statistic.grid if scores else None,
    )


def _values(statistic: Statistic, flat_slice: int) -> NDArray[Any]:
    if isinstance(statistic, ScoreCounts):
        return statistic.by_label(flat_slice)
    return statistic.values[flat_slice]
