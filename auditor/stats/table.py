"""The mergeable statistic that most others are: named columns of counts or sums, by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.stats.groups import Family, Groups

__all__ = ["STATISTIC_SCHEMA", "SliceTable", "check_document", "whole_numbers"]

STATISTIC_SCHEMA = "auditor/statistic/v1"


@dataclass(frozen=True, slots=True, eq=False)
class SliceTable:
    """Counts (int64) or sums (float64) for every slice of every declared family.

    Parameters
    ----------
    kind:
        What is counted, kebab-case (``confusion-counts``).
    groups:
        The declared attributes and families.
    columns:
        The names of the columns.
    values:
        Shape ``[slices, columns]``; the rows run over the families as in :class:`Groups`.
    context:
        Settings under which it was counted (a threshold, a split); equal in all that merge.

    ``merge`` is addition: associative, commutative, with ``zero`` as its neutral element, so that
    batches, ranks, shards and restarts give the counts of one pass.
    """

    kind: str
    groups: Groups
    columns: tuple[str, ...]
    values: NDArray[Any]
    context: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def zero(
        cls,
        kind: str,
        groups: Groups,
        columns: Sequence[str],
        *,
        sums: bool = False,
        context: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the neutral element: counts, or ``sums`` of real numbers."""
        values = np.zeros((groups.total, len(columns)), np.float64 if sums else np.int64)
        return cls(kind, groups, tuple(columns), values, dict(context or {}))

    def merge(self, other: SliceTable) -> SliceTable:
        """Add two statistics of the same kind; raises :class:`InputError` where they differ."""
        for name in ("kind", "groups", "columns", "context"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(f"statistics with different {name} cannot be merged")
        return SliceTable(
            self.kind, self.groups, self.columns, self.values + other.values, self.context
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SliceTable):
            return NotImplemented
        same = (self.kind, self.groups, self.columns, self.context) == (
            other.kind, other.groups, other.columns, other.context
        )  # fmt: skip
        return same and np.array_equal(self.values, other.values)

    def family(self, family: Family) -> NDArray[Any]:
        """Return the rows of one family, shape ``[slices of the family, columns]``."""
        start = self.groups.offset(family)
        return self.values[start : start + self.groups.size(family)]

    def column(self, name: str) -> int:
        """Return the position of a column."""
        return self.columns.index(name)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the rows that are not all zero, as ``[number, *values]``."""
        occupied = np.flatnonzero(self.values.any(axis=1))
        rows = [[int(i), *self.values[i].tolist()] for i in occupied]
        return {
            "schema": STATISTIC_SCHEMA,
            "kind": self.kind,
            "groups": self.groups.model_dump(mode="json"),
            "columns": list(self.columns),
            "type": "sums" if self.values.dtype.kind == "f" else "counts",
            "rows": rows,
            "context": dict(self.context),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read the JSON form; raises :class:`InputError`."""
        groups = check_document(document, where=where)
        columns = tuple(map(str, document["columns"]))
        table = cls.zero(
            document["kind"],
            groups,
            columns,
            sums=document["type"] == "sums",
            context=document["context"],
        )
        sums = table.values.dtype.kind == "f"
        before = -1
        for number, *row in document["rows"]:
            (number,) = whole_numbers([number], where=where)
            if not before < number < groups.total or len(row) != len(columns):
                raise InputError(f"row {number} does not fit the declared groups", where=where)
            table.values[number] = row if sums else whole_numbers(row, where=where)
            before = number
        if not np.isfinite(table.values).all():
            raise InputError("a sum is not finite", where=where)
        return table


def check_document(document: Mapping[str, Any], *, where: str) -> Groups:
    """Check the envelope of a statistic and return its groups; raises :class:`InputError`."""
    if document.get("schema") != STATISTIC_SCHEMA:
        raise InputError("not a statistic", where=where, valid=f"schema {STATISTIC_SCHEMA!r}")
    missing = {"kind", "groups", "columns", "type", "rows", "context"} - set(document)
    if missing:
        raise InputError(f"{sorted(missing)[0]!r} is missing", where=where)
    return Groups.from_json(document["groups"], where=where)


def whole_numbers(row: Sequence[Any], *, where: str | None = None) -> NDArray[np.int64]:
    """Read counts from JSON; raises :class:`InputError` unless all are whole and not negative."""
    if not all(type(value) is int and 0 <= value < 1 << 63 for value in row):
        raise InputError("a count is not a whole number from 0", where=where)
    return np.array(row, np.int64)
