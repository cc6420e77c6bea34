"""Shares that are counted in tables of their own: missing values, duplicates, overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from auditor.errors import AuditorError
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["MISSING", "OVERLAP", "REPEATED"]

MISSING = "missing-counts"
REPEATED = "repeated-row-counts"
OVERLAP = "overlap-counts"


def _share_of_records(row: NDArray[Any], columns: Sequence[str], parameter: str | None) -> Sample:
    """Read the share of the records of one column; these are counts of all there is.

    The first column counts the records; a table may have a column of the same name.
    """
    counted = columns[1:]
    name = counted[-1] if parameter is None else parameter
    if name not in counted:
        raise AuditorError(f"{name!r} was not counted; there are {', '.join(counted)}")
    n = int(row[0])
    if not n:
        return Absent("no records")
    return Census(int(row[1 + counted.index(name)]) / n, n)


add_metric(
    Metric(
        "missing_rate", "Share of missing values", MISSING, ideal=0.0, better="lower",
        read=_share_of_records, parameter="column", formula="missing values / records",
        source="counted over the whole table",
    )
)  # fmt: skip
add_metric(
    Metric(
        "duplicate_rate", "Share of repeated rows", REPEATED, ideal=0.0, better="lower",
        read=_share_of_records, parameter="table",
        formula="rows that equal an earlier row / rows", source="counted over the whole table",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "overlap_rate", "Share of rows also trained on", OVERLAP, ideal=0.0, better="lower",
        read=_share_of_records, parameter="table",
        formula="rows that equal a training row / rows", source="counted over the whole table",
    ),
    compared=False,
)  # fmt: skip
