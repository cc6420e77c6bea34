"""Shares of records that hold personal data, and columns whose names suggest it."""

from __future__ import annotations

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["PERSONAL_CATEGORIES", "PERSONAL_COLUMNS", "PERSONAL_DATA"]

PERSONAL_DATA = "personal-data-counts"
PERSONAL_COLUMNS = "personal-column-counts"
PERSONAL_CATEGORIES = (
    "secret", "email", "bank-account", "national-id", "payment-card", "phone", "network-address",
)  # fmt: skip
"""What kinds of personal data are counted together as; a finding is derived without the kinds."""


def _counted(row: Row) -> int | Absent:
    """Return the count that the parameter names; what was not looked for was not counted."""
    name = row.parameter or "any"
    split = str(row.context["split"])
    if split != "train":
        name = name.removeprefix(f"{split}/")
    if name not in row.columns[1:]:
        return Absent(f"{name} was not looked for")
    return int(row.values[1 + row.columns[1:].index(name)])


def _share(row: Row) -> Sample:
    n, found = int(row.values[0]), _counted(row)
    if isinstance(found, Absent):
        return found
    return Census(found / n, n) if n else Absent("no records")


def _columns(row: Row) -> Sample:
    found = _counted(row)
    return found if isinstance(found, Absent) else Census(float(found), int(row.values[0]))


add_metric(
    Metric(
        "personal_data_rate", "Share of records with personal data", ideal=0.0, better="lower",
        readers={PERSONAL_DATA: _share}, parameter="kind",
        formula="records in which a pattern matches and its check digits hold / records",
        source="counted over the whole table; names and free descriptions of people are not found",
    )
)  # fmt: skip
add_metric(
    Metric(
        "personal_column_count", "Columns whose name suggests personal data",
        counts="columns", high=None, ideal=0.0,
        better="lower", readers={PERSONAL_COLUMNS: _columns}, parameter="hint",
        formula="columns with a word of a list in their name; a hint, by the name alone",
        source="special categories: Article 9(1) GDPR",
    ),
    compared=False,
)  # fmt: skip
