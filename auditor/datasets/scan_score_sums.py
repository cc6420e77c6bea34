"""One pass over a table for the errors of scores that are probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles, label_sql, score_sql
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.stats import Groups, SliceTable, score_sums, score_sums_zero

__all__ = ["scan_score_sums"]


def scan_score_sums(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Add up the squared and logarithmic errors of scores that are probabilities."""
    true = label_sql(table, str(roles.target), roles.positive)
    sums = score_sums_zero(groups, {**roles.context(), **(context or {})})
    fields = {"y": f"({true})", "s": score_sql(table, str(roles.score))}
    for batch in stream(table, groups, roles, fields):
        labels = batch.numbers("y")
        part = score_sums(
            groups, batch.codes, np.where(labels == 2, np.nan, labels), batch.numbers("s"),
            context=sums.context,
        )  # fmt: skip
        sums.values[:] += part.values
    return sums
