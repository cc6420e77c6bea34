"""Rows that the preparation of data dropped: the share of those that went in, by group."""

from __future__ import annotations

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["DROPPED"]

DROPPED = "dropped-row-counts"


def _dropped(row: Row) -> Sample:
    before, after = int(row.values[0]), int(row.values[1])
    if not before:
        return Absent("no records")
    if after > before:
        return Absent(f"the step adds rows: {before:,} before, {after:,} after")
    return Census(1 - after / before, before)


add_metric(
    Metric(
        "dropped_rate", "Share of rows dropped", better="lower", readers={DROPPED: _dropped},
        parameter="step", formula="1 − rows after / rows before",
        source="counted over the rows before and after the step",
    )
)  # fmt: skip
