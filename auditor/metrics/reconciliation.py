"""Whether the totals of published tables agree with one another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.evidence import Slice
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Census, Sample
from auditor.stats import CELLS, SliceTable

__all__ = ["MARGINAL_TOTALS", "RECONCILED", "marginal_totals"]

MARGINAL_TOTALS = "marginal-totals"

_COLUMNS = ("records", "family_total", "family_selected", "total", "selected")


def marginal_totals(counts: SliceTable) -> SliceTable:
    """Add up each family of a table of counts, beside everybody.

    Everybody is the row of everybody where one was published, and otherwise the family that counts
    most persons (see ``scan_counts``). Each slice that holds records carries its own, the
    sums of its family, and everybody's, so that a rule on one family finds them there.

    >>> from auditor.stats import CONFUSION, Attribute, Groups
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> counts = SliceTable.zero(CONFUSION, groups, CELLS)
    >>> counts.values[:, CELLS.index("unlabelled_predicted_positive")] = [9, 4, 4, 0]
    >>> marginal_totals(counts).family(("sex",)).tolist()
    [[4, 8, 8, 9, 9], [4, 8, 8, 9, 9], [0, 0, 0, 0, 0]]
    """
    chosen = CELLS.index("unlabelled_predicted_positive")
    groups = counts.groups
    everybody = counts.family(()).sum(axis=0)
    sums = counts.values.dtype.kind == "f"
    out = SliceTable.zero(MARGINAL_TOTALS, groups, _COLUMNS, sums=sums, context=counts.context)
    for family in groups.families:
        mine = counts.family(family)
        added = mine.sum(axis=0)
        numbers = [added.sum(), added[chosen], everybody.sum(), everybody[chosen]]
        rows = np.tile(np.array([0, *numbers], counts.values.dtype), (len(mine), 1))
        rows[:, 0] = mine.sum(axis=1)
        out.family(family)[:] = np.where(rows[:, :1] > 0, rows, 0)
    return out


def _total(rows: Mapping[Slice, Row]) -> Sample:
    row = next(iter(rows.values()))
    n = row.column("family_total")
    return Census(n - row.column("total"), n, "reconciliation")


def _selected(rows: Mapping[Slice, Row]) -> Sample:
    row = next(iter(rows.values()))
    difference = row.column("family_selected") - row.column("selected")
    return Census(difference, row.column("family_total"), "reconciliation")


RECONCILED: tuple[str, ...] = (
    add_metric(
        Metric(
            "marginal_total_difference", "Persons counted here and not elsewhere", low=None,
            high=None, ideal=0.0, aggregates={MARGINAL_TOTALS: _total},
            formula="sum over the categories − everybody: the row of everybody, or the largest "
            "sum of any published family",
            source="counted",
        )
    ).id,
    add_metric(
        Metric(
            "marginal_selected_difference", "Selected persons counted here and not elsewhere",
            low=None, high=None, ideal=0.0, aggregates={MARGINAL_TOTALS: _selected},
            formula="selected over the categories − selected of everybody", source="counted",
        )
    ).id,
)  # fmt: skip
"""What says whether the published families agree."""
