"""Tables of counts, whose rows are groups with their numbers, as regulators publish them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import CELLS, CONFUSION, Attribute, Family, Groups, SliceTable

__all__ = ["scan_counts"]

_SELECTED = CELLS.index("unlabelled_predicted_positive")
_REJECTED = CELLS.index("unlabelled_predicted_negative")
_GRID = float(1 << 20)


def scan_counts(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Read ``roles.total`` and ``roles.selected`` of groups as confusion counts without labels.

    - A missing or empty value of an attribute says that the row is a marginal over it: one table
      may stack rows by sex, rows by race, their intersections, and a row of everybody. A level
      such as ``Unknown`` is a level like any other. Rows of the same group add up.
    - A family of rows is taken as published, and not computed from another one. A family that is
      not there is the sum of a published one that is crossed with more attributes: of several, the
      one that counts most persons, then the least crossed one. Everybody is the row of everybody,
      or such a sum. A family that no published one contains is left out of the statistic:
      that sex × race was not published does not mean that nobody is there.
    - Fractions of persons occur in published audits (a rate times a total). They are kept to
      2⁻²⁰, so that sums are exact in any order; a number of records is rounded up.

    The context says which families were ``published``. Raises :class:`InputError`, with the column
    and the number of rows, for a number that is missing, negative or infinite, and for more
    selected than there are.
    """
    total, selected = _number_sql(table, roles)
    codes: list[NDArray[np.int32]] = []
    persons: list[NDArray[np.float64]] = []
    for batch in stream(table, groups, roles, {"total": total, "selected": selected}):
        codes.append(batch.codes)
        n, k = (np.round(batch.numbers(name) * _GRID) / _GRID for name in ("total", "selected"))
        persons.append(np.stack([k, n - k], axis=1))
    named, placed = _without_blanks(groups, np.concatenate(codes))
    rows = _Rows(named, placed, np.concatenate(persons))
    sources = {family: rows.source(family) for family in named.families}
    families = tuple(family for family, source in sources.items() if source is not None)
    kept = Groups(attributes=named.attributes, families=families)
    values = np.zeros((kept.total, len(CELLS)))
    for family in families:
        mine = rows.of(sources[family])
        numbers = kept.family_codes(rows.codes[mine], family)
        for column, cell in enumerate((_SELECTED, _REJECTED)):
            np.add.at(values[:, cell], numbers, rows.persons[mine, column])
    if bool(np.all(values == np.floor(values))):
        values = values.astype(np.int64)
    published = [list(family) for family in rows.published if family in families]
    given = {"total": roles.total, "selected": roles.selected, "published": published}
    return SliceTable(
        CONFUSION, kept, CELLS, values, {**roles.context(), **given, **(context or {})}
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows: their codes, ``[rows, attributes]``, and persons, ``[rows, 2]``, selected first."""

    groups: Groups
    codes: NDArray[np.int32]
    persons: NDArray[np.float64]

    @property
    def published(self) -> list[Family]:
        """The families that have rows, in the declared order of attributes."""
        known = self._known()
        names = [attribute.name for attribute in self.groups.attributes]
        patterns = np.unique(known, axis=0)[::-1]
        families = [
            tuple(name for name, here in zip(names, pattern, strict=True) if here)
            for pattern in patterns.tolist()
        ]
        return sorted(families, key=len)

    def of(self, family: Family | None) -> NDArray[np.bool_]:
        """Return which rows belong to a family."""
        wanted = [a.name in (family or ()) for a in self.groups.attributes]
        return (self._known() == np.array(wanted, bool)).all(axis=1)

    def source(self, family: Family) -> Family | None:
        """Return the published family that gives the numbers of this one."""
        published = self.published
        if family in published:
            return family
        wider = [other for other in published if set(family) < set(other)]
        return max(wider, key=lambda other: self.persons[self.of(other)].sum(), default=None)

    def _known(self) -> NDArray[np.bool_]:
        missing = np.array([len(a.levels) for a in self.groups.attributes])
        return self.codes < missing


def _without_blanks(groups: Groups, codes: NDArray[np.int32]) -> tuple[Groups, NDArray[np.int32]]:
    """Read blank text as a missing value."""
    attributes: list[Attribute] = []
    columns: list[NDArray[np.int64]] = []
    for position, attribute in enumerate(groups.attributes):
        kept = Attribute(
            name=attribute.name, levels=tuple(v for v in attribute.levels if v.strip())
        )
        places = [kept.index.get(level, len(kept.levels)) for level in (*attribute.levels, None)]
        attributes.append(kept)
        columns.append(np.array(places)[codes[:, position]])
    named = Groups(attributes=tuple(attributes), families=groups.families)
    return named, np.stack(columns, axis=1).astype(np.int32)


def _number_sql(table: Table, roles: Roles) -> tuple[str, str]:
    """Return SQL giving the two numbers; raises :class:`InputError` for one that is none."""
    for name in ("total", "selected"):
        column = getattr(roles, name)
        if column is None:
            raise InputError(f"the task counts needs --{name}", where=table.name,
                             valid="a column of numbers of persons")  # fmt: skip
        table.require([column], option=f"--{name}")
        table.require_numbers(column, option=f"--{name}")
    total, selected = table.number(str(roles.total)), table.number(str(roles.selected))
    for name, number in (("total", total), ("selected", selected)):
        odd = {
            "missing": f"({number}) is null", "negative": f"({number}) < 0",
            "infinite": f"isinf({number})",
        }  # fmt: skip
        for what, condition in odd.items():
            _refuse(table, f"({condition})", str(getattr(roles, name)), f"are {what}",
                    valid="a number from 0")  # fmt: skip
    _refuse(table, f"({selected}) > ({total})", str(roles.selected),
            f"are more than the total in {roles.total!r}",
            valid="0 ≤ selected ≤ total")  # fmt: skip
    return total, selected


def _refuse(table: Table, condition: str, column: str, what: str, *, valid: str) -> None:
    bad = int(table.scalar(f"select count(*) filter ({condition}) from data"))
    if bad:
        raise InputError(f"{bad:,} of {table.rows:,} values {what}",
                         where=f"{table.name}, column {column!r}", valid=valid)  # fmt: skip
