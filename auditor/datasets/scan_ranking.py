"""A scan of ranked records: every list is put in order by its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.stats import Groups, SliceTable
from auditor.stats.ranks import rank_sums

__all__ = ["scan_ranking"]


def scan_ranking(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Add up exposure and top places by slice, over the lists of ``roles.query``.

    A record without a score has no rank; one without a query is in no list, and has none either.
    Scores, lists and group codes of all rows are held in memory at once.
    """
    fields = {"s": table.number(str(roles.score)), "q": "0"}
    if roles.query is not None:
        query = table.text(roles.query)
        fields["q"] = (
            f"case when ({query}) is null then -1 else dense_rank() over (order by {query}) end"
        )
    batches = list(stream(table, groups, roles, fields))
    return rank_sums(
        groups,
        np.concatenate([batch.codes for batch in batches]),
        np.concatenate([batch.numbers("s") for batch in batches]),
        np.concatenate([batch.numbers("q") for batch in batches]).astype(np.int64),
        top=tuple(sorted(set(roles.top))),
        context={**roles.context(), "query": roles.query, **(context or {})},
    )
