"""Features counted by group: numbers by rank, everything else by category and half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.options import DataOptions
from auditor.datasets.roles import Roles
from auditor.datasets.stream import Batch, stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import MOST_DISTINCT, Groups, SliceTable
from auditor.stats.proxies import proxy_counts, proxy_zero

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Feature", "features_of", "read_feature", "scan_proxies"]

TOGETHER = "all"
_FEW_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """A column, and how its values become positions.

    ``edges`` are the numbers, or the upper ends of the bins, in ascending order; ``categories``
    the values, the most frequent first. One of the two is ``None``.
    """

    name: str
    sql: str
    edges: NDArray[np.float64] | None = None
    categories: tuple[str, ...] | None = None
    exact: bool = True

    @property
    def size(self) -> int:
        """The number of positions; beyond the categories there is one for all others."""
        return len(self.edges) if self.edges is not None else len(self.categories or ()) + 1

    def places(self, batch: Batch, name: str) -> NDArray[np.int64]:
        """Return the position of each value, −1 where it is missing."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.edges is not None:
            values = batch.numbers(name)
            known = ~np.isnan(values)
            places = np.full(values.size, -1, np.int64)
            places[known] = np.searchsorted(self.edges, values[known])
            return np.minimum(places, len(self.edges) - 1)
        column: pa.Array = batch.columns[name]
        listed = pa.array(list(self.categories or ()), pa.string())
        found = pc.fill_null(pc.index_in(column, value_set=listed), self.size - 1)  # type: ignore[attr-defined]
        places = np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
        empty = np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), bool)  # type: ignore[attr-defined]
        return np.where(empty, -1, places)


def features_of(table: Table, roles: Roles, options: DataOptions) -> tuple[str, ...]:
    """Return the columns that are features; raises :class:`InputError` for one that is not there.

    By default these are all columns without another role.
    """
    if options.features:
        table.require(options.features, option="--features")
        named = options.features
    else:
        taken = {
            *roles.sensitive, *options.annotators, roles.target, roles.record_id, roles.weight,
            roles.frequency, roles.cluster, roles.prediction, roles.score,
        }  # fmt: skip
        named = tuple(name for name in table.columns if name not in taken)
    wrong = [name for name in named if name in (*roles.sensitive, TOGETHER)]
    if wrong:
        what = "is sensitive itself" if wrong[0] in roles.sensitive else "is reserved"
        raise InputError(f"the feature {wrong[0]!r} {what}", where=f"{table.name}, --features",
                         valid="other columns, or another name for this one")  # fmt: skip
    return named


def read_feature(table: Table, name: str) -> Feature:
    """Look at the values of a column once: which they are, or where to cut them.

    Numbers of more than 20 distinct values are ranked: exactly up to 1,024, and in so many bins of
    about equal size beyond. Everything else is a category, the 1,023 most frequent by themselves.
    """
    numeric = not table.profile(name).other
    if numeric:
        number = table.number(name)
        known = f"from data where ({number}) is not null"
        found = table.query(f"select distinct {number} as v {known} limit {MOST_DISTINCT + 1}")
        values = np.sort(found.column("v").to_numpy())
        if values.size > MOST_DISTINCT:
            shares = ", ".join(repr((i + 1) / MOST_DISTINCT) for i in range(MOST_DISTINCT))
            cut = table.query(f"select unnest(quantile_disc({number}, [{shares}])) as v {known}")
            edges = np.unique(cut.column("v").to_numpy())
            return Feature(name, number, edges=edges, exact=False)
        if values.size > _FEW_NUMBERS:
            return Feature(name, number, edges=values)
    text = table.text(name)
    rows = table.query(
        f"select {text} as v, count(*) as n from data where {text} is not null "
        f"group by 1 order by n desc, v limit {MOST_DISTINCT - 1}"
    )
    return Feature(name, text, categories=tuple(rows.column("v").to_pylist()))


def scan_proxies(
    table: Table,
    groups: Groups,
    roles: Roles,
    features: Sequence[Feature],
    *,
    seed: int,
    context: Mapping[str, Any] | None = None,
) -> list[SliceTable]:
    """Count every feature by the groups of each attribute, in one pass.

    Which half a record falls into, for the scores of categories, is drawn by ``seed``.
    """
    alone = Groups.declare(groups.attributes, intersections=1)
    settings = [
        {"feature": f.name, "type": "numbers" if f.edges is not None else "categories",
         "exact": f.exact, **(context or {})}
        for f in features
    ]  # fmt: skip
    sizes = [f.size if f.edges is not None else 2 * f.size for f in features]
    counts = [proxy_zero(alone, n, context=c) for n, c in zip(sizes, settings, strict=True)]
    random = np.random.default_rng([seed, 1])
    fields = {f"f{i}": feature.sql for i, feature in enumerate(features)}
    for batch in stream(table, alone, roles, fields):
        half = random.integers(0, 2, batch.rows)
        for i, feature in enumerate(features):
            places = feature.places(batch, f"f{i}")
            if feature.edges is None:
                places = np.where(places < 0, -1, places + half * feature.size)
            part = proxy_counts(alone, batch.codes, places, sizes[i], context=settings[i])
            counts[i] = counts[i].merge(part)
    return counts
