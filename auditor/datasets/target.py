"""The target read as classes, however many there are and however they are written."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.datasets.table import Table

__all__ = ["class_names", "class_sql"]


def class_sql(table: Table, column: str) -> str:
    """Return SQL of the class of a row as text, NULL where it is missing or blank.

    Equal numbers are one class: a missing label makes floats of a frame's integers.
    """
    text = f"trim({table.text(column)})"
    number = f"try_cast({text} as double)"
    return (
        f"case when lower({text}) in ('', 'nan') then null "
        f"when {number} is not null then cast({number} as varchar) else {text} end"
    )


def class_names(tables: Sequence[Table], column: str, *, most: int) -> tuple[str, ...] | None:
    """Return the classes that the tables hold together, sorted; ``None`` for more than ``most``.

    Tables without the column are passed over.
    """
    found: set[str] = set()
    for table in tables:
        if column in table.types:
            name = class_sql(table, column)
            rows = table.query(
                f"select distinct {name} as v from data where ({name}) is not null limit {most + 1}"
            )
            found.update(rows.column("v").to_pylist())
    return tuple(sorted(found)) if len(found) <= most else None
