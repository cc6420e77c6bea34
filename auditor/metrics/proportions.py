"""Shares that are counted in tables of their own: missing values, duplicates, overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.errors import AuditorError
from auditor.metrics.metric import Metric, add_metric, with_parameter
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["MISSING", "OVERLAP", "REPEATED", "REPEATED_TEXT", "missing_rate_name"]

MISSING = "missing-counts"
REPEATED = "repeated-row-counts"
REPEATED_TEXT = "repeated-text-counts"
OVERLAP = "overlap-counts"


def _share_of_records(row: Row) -> Sample:
    """Read the share of the records of one column; these are counts of all there is.

    The first column counts the records; a table may have a column of the same name.
    """
    if "reason" in row.context:
        return Absent(str(row.context["reason"]))
    counted = row.columns[1:]
    name = counted[-1] if row.parameter is None else row.parameter
    if name not in counted:
        raise AuditorError(f"{name!r} was not counted; there are {', '.join(counted)}")
    n = int(row.values[0])
    if not n:
        return Absent("no records")
    return Census(int(row.values[1 + counted.index(name)]) / n, n)


def missing_rate_name(column: str, context: Mapping[str, Any]) -> str:
    """Return the name of the share of missing values of a column, by the context of its counts.

    The training data carry no name, unless a column ends as if it did: no two columns of any two
    splits that are counted together have the same name.

    >>> both = {"splits": ["train", "test"]}
    >>> missing_rate_name("age", {"split": "train", **both})
    'missing_rate[age]'
    >>> missing_rate_name("age", {"split": "test", **both})
    'missing_rate[age, test]'
    >>> missing_rate_name("age, test", {"split": "train", **both})
    'missing_rate[age, test, train]'
    """
    split = context.get("split", "train")
    taken = any(column.endswith(f", {name}") for name in context.get("splits", ()))
    plain = split == "train" and not taken
    return with_parameter("missing_rate", column if plain else f"{column}, {split}")


def _share_of_missing(row: Row) -> Sample:
    """Read the share of missing values of one column: ``age``, or ``age, test`` of a split."""
    columns, column = row.columns[1:], row.parameter or ""
    split = row.context.get("split", "train")
    if split != "train" or "splits" in row.context:
        column = column.removesuffix(f", {split}")
    if column in row.context.get("absent", ()):
        return Absent(f"{split} has no column {column!r}")
    if column not in columns:
        raise AuditorError(f"{column!r} was not counted; there are {', '.join(columns)}")
    n = int(row.values[0])
    if not n:
        return Absent("no records")
    return Census(int(row.values[1 + columns.index(column)]) / n, n)


def _share_of_texts(row: Row) -> Sample:
    """Read the share of the records with a text; those without one equal no other."""
    if "reason" in row.context:
        return Absent(str(row.context["reason"]))
    n = int(row.column("compared"))
    if not n:
        return Absent("no record has a text" if row.column("records") else "no records")
    return Census(int(row.column("found")) / n, n)


add_metric(
    Metric(
        "missing_rate", "Share of missing values", ideal=0.0, better="lower",
        readers={MISSING: _share_of_missing}, parameter="column",
        formula="missing values / records", source="counted over the whole table",
    )
)  # fmt: skip
add_metric(
    Metric(
        "duplicate_rate", "Share of repeated rows", ideal=0.0, better="lower",
        readers={REPEATED: _share_of_records}, parameter="table",
        formula="rows that equal an earlier row / rows", source="counted over the whole table",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "duplicate_text_rate", "Share of repeated texts", ideal=0.0, better="lower",
        readers={REPEATED_TEXT: _share_of_texts}, parameter="table",
        formula="records whose text columns equal those of an earlier record / records with a text",
        source="counted over the whole table",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "overlap_rate", "Share of rows also trained on", ideal=0.0, better="lower",
        readers={OVERLAP: _share_of_records}, parameter="table",
        formula="rows that equal a training row / rows", source="counted over the whole table",
    ),
    compared=False,
)  # fmt: skip
