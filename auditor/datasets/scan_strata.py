"""One pass over a table for totals and selected by group and stratum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles, prediction_sql
from auditor.datasets.scan_weights import weight_sql
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import Groups, SliceTable, strata_counts, strata_zero

__all__ = ["MOST_STRATA", "scan_strata"]

MOST_STRATA = 1_000
_BETWEEN = "\x1f"


def scan_strata(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count the selected by slice within the strata that the values of ``roles.strata`` make.

    A row with a missing value of a stratum column belongs to no stratum; it is counted as
    ``unplaced``. With ``roles.frequency`` a row stands for so many records. Raises
    :class:`InputError` for a column that is not there, and for more than 1,000 strata.
    """
    table.require(roles.strata, option="--strata")
    texts = [table.text(column) for column in roles.strata]
    whole = " and ".join(f"{text} is not null" for text in texts)
    joined = f" || '{_BETWEEN}' || ".join(f"({text})" for text in texts)
    stratum = f"case when {whole} then {joined} end"
    found = table.query(
        f"select distinct {stratum} as s from data where {whole} limit {MOST_STRATA + 1}"
    ).column("s")
    written = sorted(found.to_pylist())
    where = f"{table.name}, columns {', '.join(map(repr, roles.strata))}"
    if not written:
        raise InputError(f"a stratum is missing in each of {table.rows:,} rows", where=where,
                         valid="columns with values")  # fmt: skip
    if len(written) > MOST_STRATA:
        raise InputError(f"more than {MOST_STRATA:,} strata in {table.rows:,} rows", where=where,
                         valid="fewer columns, or coarser values")  # fmt: skip
    levels = [
        ", ".join(f"{name}={value}" for name, value in zip(roles.strata, values, strict=True))
        for values in (text.split(_BETWEEN, len(texts) - 1) for text in written)
    ]
    settings = {**roles.context(), "strata": list(roles.strata), "frequency": roles.frequency}
    settings |= context or {}
    counts = strata_zero(groups, levels, settings)
    fields = {"stratum": stratum, "predicted": prediction_sql(table, roles)}
    if roles.frequency is not None:
        fields["f"] = weight_sql(table, roles.frequency, "--frequency", whole=True)
    for batch in stream(table, groups, roles, fields):
        part = strata_counts(
            groups, batch.codes, batch.codes_of("stratum", tuple(written)),
            batch.numbers("predicted").astype(np.int64), levels=levels,
            frequency=batch.numbers("f").astype(np.int64) if "f" in fields else None,
            context=settings,
        )  # fmt: skip
        counts.values[:] += part.values
    return counts
