"""A table read batch by batch: group codes, and columns as arrays, for statistics that merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles, attribute_sql
from auditor.datasets.table import Table, quoted
from auditor.errors import InputError
from auditor.stats import Groups

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batch", "stream"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: their group codes, shape ``[rows, attributes]``, and the columns asked for."""

    codes: NDArray[np.int32]
    columns: Mapping[str, pa.Array]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.codes.shape[0]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN where missing."""
        import pyarrow as pa

        return self.columns[name].cast(pa.float64()).to_numpy(zero_copy_only=False)

    def texts(self, name: str) -> list[str | None]:
        """Return a column as text, ``None`` where missing."""
        return self.columns[name].to_pylist()

    def codes_of(self, name: str, levels: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the position of each value among the levels; ``len(levels)`` is a missing one.

        Raises :class:`InputError` for a value that is not among them.
        """
        return _codes(self.columns[name], levels, name)


def stream(
    table: Table,
    groups: Groups,
    roles: Roles,
    columns: Mapping[str, str],
    *,
    rows: int = 1 << 18,
    order: str | None = None,
) -> Iterator[Batch]:
    """Read a table batch by batch.

    Parameters
    ----------
    columns:
        What is read beside the group codes: names and the SQL that gives them.
    rows:
        The rows of a batch.
    order:
        SQL to order by, where the order of the rows matters.

    Raises :class:`InputError` for a value of an attribute that was not declared.
    """
    names = [attribute.name for attribute in groups.attributes]
    fields = [
        f"{attribute_sql(table, name, roles.bins.get(name))} as g{position}"
        for position, name in enumerate(names)
    ]
    fields += [f"{sql} as {quoted(name)}" for name, sql in columns.items()]
    sql = f"select {', '.join(fields) or '1 as one'} from data"
    if order is not None:
        sql += f" order by {order}"
    for batch in table.batches(sql, rows=rows):
        codes = np.empty((batch.num_rows, len(names)), np.int32)
        for position, attribute in enumerate(groups.attributes):
            codes[:, position] = _codes(batch.column(f"g{position}"), attribute.levels,
                                        attribute.name)  # fmt: skip
        yield Batch(codes, {name: batch.column(name) for name in columns})


def _codes(values: Any, levels: tuple[str, ...], name: str) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=pa.array(list(levels), pa.string()))  # type: ignore[attr-defined]
    unknown = pc.and_(pc.is_null(found), pc.is_valid(values))  # type: ignore[attr-defined]
    if pc.any(unknown).as_py():  # type: ignore[attr-defined]
        value = values.filter(unknown)[0].as_py()
        raise InputError(f"value {value!r} of {name!r} was not declared",
                         valid="a value that the table had when it was opened")  # fmt: skip
    return np.asarray(pc.fill_null(found, len(levels)).to_numpy(zero_copy_only=False), np.int64)  # type: ignore[attr-defined]
