"""How often the annotators of a record agree, counted by DuckDB in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.datasets.grouping import grouped
from auditor.datasets.roles import Roles
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import Groups, SliceTable
from auditor.stats.disagreement import disagreement_zero

__all__ = ["check_annotators", "scan_disagreement"]

_MOST_ANNOTATORS = 100


def check_annotators(tables: Sequence[Table], annotators: Sequence[str]) -> None:
    """Raise :class:`InputError` unless two or more different annotators are in some table."""
    if len(set(annotators)) != len(annotators) or not 2 <= len(annotators) <= _MOST_ANNOTATORS:
        raise InputError(f"{len(set(annotators))} different annotators", where="--annotators",
                         valid=f"2 to {_MOST_ANNOTATORS} columns")  # fmt: skip
    if not any(set(annotators) <= set(table.columns) for table in tables):
        tables[0].require(annotators, option="--annotators")


def scan_disagreement(
    table: Table,
    groups: Groups,
    roles: Roles,
    annotators: Sequence[str],
    *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count, by slice, records with two or more labels and how many of their pairs differ."""
    labels = [_label_sql(table, name) for name in annotators]
    given = " + ".join(f"cast(({sql}) is not null as integer)" for sql in labels)
    # NULL <> x is NULL, so that a pair with a missing label counts as no difference.
    differ = " + ".join(
        f"coalesce(cast(({a}) <> ({b}) as integer), 0)"
        for a, b in itertools.combinations(labels, 2)
    )
    share = f"(({differ}) / (({given}) * (({given}) - 1) / 2.0))"
    judged = f"({given}) >= 2"
    aggregates = {
        "judged": f"count(*) filter ({judged})",
        "split": f"count(*) filter ({judged} and ({differ}) > 0)",
        "sum": f"sum({share}) filter ({judged})",
        "squares": f"sum({share} * {share}) filter ({judged})",
    }
    found = grouped(table, groups, roles, {}, aggregates=aggregates)
    counts = disagreement_zero(groups, {"annotators": list(annotators), **(context or {})})
    values = [found.counts, *(found.sums[name] for name in aggregates)]
    np.add.at(counts.values, found.slices, np.stack(values, axis=1).astype(np.float64))
    return counts


def _label_sql(table: Table, column: str) -> str:
    """Return SQL of a label; equal numbers are equal labels, however they are written."""
    text = f"nullif(trim({table.text(column)}), '')"
    number = f"try_cast({text} as double)"
    # One missing label makes floats of a frame's integers: 1 and 1.0 are one label.
    return f"case when {number} is not null then cast({number} as varchar) else {text} end"
