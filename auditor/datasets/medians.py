"""The median of a column of scores, of records that may stand for several."""

from __future__ import annotations

import numpy as np

from auditor.datasets.columns import score_sql
from auditor.datasets.table import Table
from auditor.errors import InputError

__all__ = ["weighted_median"]


def weighted_median(table: Table, column: str, *, weight: str | None = None) -> float:
    """Return the median of a score: the middle one, or the mean of the two in the middle.

    With ``weight`` (or a frequency) it is the score up to which half of the weight lies. Missing
    scores, and those without a weight, take no part. Raises :class:`InputError` where none is
    left.
    """
    score = score_sql(table, column)
    if weight is None:
        return float(table.scalar(f"select median({score}) from data"))
    table.require_numbers(weight)
    number = table.number(weight)
    found = table.query(
        f"select s, sum(w) over (order by s) as upto from ("
        f"select {score} as s, sum({number}) as w from data "
        f"where ({score}) is not null and ({number}) > 0 group by 1)"
    )
    if not found.num_rows:
        raise InputError("no score has a weight", where=f"{table.name}, column {weight!r}",
                         valid="numbers above 0")  # fmt: skip
    order = np.argsort(found.column("s").to_numpy())
    scores, upto = (found.column(name).to_numpy()[order] for name in ("s", "upto"))
    half = upto[-1] / 2
    first = int(np.searchsorted(upto, half))
    pair = scores[first : first + 2] if upto[first] == half else scores[first : first + 1]
    return float(pair.mean())
