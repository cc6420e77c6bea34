"""Count the rows of a table by slice and by anything else: what every scan is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.columns import attribute_key
from auditor.datasets.roles import Roles
from auditor.datasets.table import Table
from auditor.datasets.tally import (
    MOST_CELLS,
    Column,
    Key,
    Tally,
    estimate_cells,
    find_tally,
    tallies,
    tally,
)
from auditor.errors import InputError, nearest
from auditor.stats import Attribute, Family, Groups
from auditor.stats.cover import cover

__all__ = ["Grouped", "grouped", "grouped_if_few"]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Counts by slice and fields: one row for each combination that occurs, in any order.

    ``slices`` are flat slice numbers, ``counts`` the records, ``sums`` the aggregates by name,
    each of shape ``[rows]``. ``columns[name]`` holds a field as distinct ``values`` and the
    ``codes`` of the rows into them; :meth:`field` writes it out.
    """

    slices: NDArray[np.int64]
    columns: Mapping[str, Column]
    counts: NDArray[np.int64]
    sums: Mapping[str, NDArray[Any]]

    def field(self, name: str) -> NDArray[Any]:
        """Return a field's values, shape ``[rows]``: numbers, NaN for NULL; or objects."""
        column = self.columns[name]
        present = [value for value in column.values if value is not None]
        if present and all(isinstance(value, (int, float)) for value in present):
            used = column.codes.size and column.codes.max() == len(column.values) - 1
            if not used and all(isinstance(value, int) for value in present):
                return np.array([*present, 0], np.int64)[column.codes]
            return np.array([*present, np.nan], np.float64)[column.codes]
        return np.array(column.values, object)[column.codes]


def grouped(
    table: Table,
    groups: Groups,
    roles: Roles,
    fields: Mapping[str, str | Key],
    *,
    aggregates: Mapping[str, str] | None = None,
    where: str | None = None,
) -> Grouped:
    """Count the rows of every slice of every declared family, by some fields.

    Parameters
    ----------
    groups, roles:
        The declared groups, and the bins that attributes are cut into.
    fields:
        Names to SQL over a row (``label_sql(...)``), or to a :class:`Key`, whose values are
        written once each and not for every row.
    aggregates:
        Names to SQL aggregates that add up over disjoint rows: ``sum(...)``, ``count(...)``.
        A sum over no value is NULL and counts as 0.
    where:
        SQL; rows for which it is not true are left out.

    The table is read once for all families where the combinations of attributes and fields are
    few, and not at all where they were counted before. Where they are too many to keep, sets of
    attributes that cover the families are counted instead, a few sets in each pass.

    Raises :class:`InputError` for a value that was not declared.
    """
    aggregates = aggregates or {}
    attributes, keys = _keys(table, groups, roles, fields)
    made = _joint(table, attributes, keys, aggregates, where)
    if made is not None:
        return _collected(table, groups, attributes, keys, aggregates, [(made, groups.families)])
    parts = _covering(table, groups, attributes, keys, aggregates, where)
    return _collected(table, groups, attributes, keys, aggregates, parts)


def grouped_if_few(
    table: Table, groups: Groups, roles: Roles, fields: Mapping[str, str | Key]
) -> Grouped | None:
    """Count as :func:`grouped` does, or give ``None`` where the combinations are too many."""
    attributes, keys = _keys(table, groups, roles, fields)
    made = _joint(table, attributes, keys, {}, None)
    if made is None:
        return None
    return _collected(table, groups, attributes, keys, {}, [(made, groups.families)])


def _keys(
    table: Table, groups: Groups, roles: Roles, fields: Mapping[str, str | Key]
) -> tuple[dict[str, Key], dict[str, Key]]:
    attributes = {
        a.name: attribute_key(table, a.name, roles.bins.get(a.name)) for a in groups.attributes
    }
    return attributes, {n: Key(sql) if isinstance(sql, str) else sql for n, sql in fields.items()}


def _joint(
    table: Table,
    attributes: Mapping[str, Key],
    fields: Mapping[str, Key],
    aggregates: Mapping[str, str],
    where: str | None,
) -> Tally | None:
    """Count all combinations, unless that was done before; ``None`` where they are too many."""
    keys = list(dict.fromkeys([*attributes.values(), *fields.values()]))
    made = None if aggregates or where else find_tally(table, keys)
    if made is None and estimate_cells(table, keys) <= MOST_CELLS:
        made = tally(table, keys, sums=aggregates, where=where)
    return made


def _collected(
    table: Table,
    groups: Groups,
    attributes: Mapping[str, Key],
    keys: Mapping[str, Key],
    aggregates: Mapping[str, str],
    found: Iterable[tuple[Tally, Sequence[Family]]],
) -> Grouped:
    parts: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("slices", "counts", *(f"s{i}" for i in range(len(aggregates))))
    }
    values: dict[str, dict[Any, int]] = {name: {} for name in keys}
    codes: dict[str, list[NDArray[np.int64]]] = {name: [] for name in keys}
    for made, families in found:
        place = _Place(table, groups, attributes, made)
        columns = {name: made.columns[key] for name, key in keys.items()}
        shared = {name: _shared(column, values[name]) for name, column in columns.items()}
        for family in families:
            rows, first = place.rows(family, list(columns.values()))
            parts["slices"].append(place.slices(family)[first])
            parts["counts"].append(_added(made.counts, rows))
            for index, name in enumerate(aggregates):
                parts[f"s{index}"].append(_added(_filled(made.sums[name]), rows))
            for name, column in columns.items():
                codes[name].append(shared[name][column.codes[first]])
    joined = {name: np.concatenate(each) for name, each in parts.items()}
    return Grouped(
        joined["slices"],
        {name: _column(codes[name], values[name]) for name in keys},
        joined["counts"],
        {name: joined[f"s{index}"] for index, name in enumerate(aggregates)},
    )


def _covering(
    table: Table,
    groups: Groups,
    attributes: Mapping[str, Key],
    keys: Mapping[str, Key],
    aggregates: Mapping[str, str],
    where: str | None,
) -> Iterator[tuple[Tally, Sequence[Family]]]:
    """Count sets of attributes that cover the families; yields every family once."""
    fields = list(dict.fromkeys(keys.values()))
    width = max(1, int(estimate_cells(table, fields))) if fields else 1
    blocks = cover(
        groups.families, {a.name: a.size for a in groups.attributes}, limit=MOST_CELLS // width
    )
    waiting: list[tuple[list[Key], list[Family]]] = []
    size = 0
    for names, families in blocks:
        both = list(dict.fromkeys([*(attributes[name] for name in names), *fields]))
        cells = groups.size(names) * width
        if waiting and size + cells > MOST_CELLS:
            yield from _together(table, waiting, aggregates, where)
            waiting, size = [], 0
        waiting.append((both, families))
        size += cells
    yield from _together(table, waiting, aggregates, where)


def _together(
    table: Table,
    waiting: Sequence[tuple[list[Key], list[Family]]],
    aggregates: Mapping[str, str],
    where: str | None,
) -> Iterator[tuple[Tally, Sequence[Family]]]:
    made = tallies(table, [keys for keys, _ in waiting], sums=aggregates, where=where)
    yield from zip(made, (families for _, families in waiting), strict=True)


class _Place:
    """Where the combinations of a tally belong among the slices."""

    def __init__(
        self, table: Table, groups: Groups, attributes: Mapping[str, Key], made: Tally
    ) -> None:
        self._groups, self._made = groups, made
        self._levels: dict[str, NDArray[np.int64]] = {}
        for attribute in groups.attributes:
            column = made.columns.get(attributes[attribute.name])
            if column is not None:
                self._levels[attribute.name] = _levels(table, attribute, column)

    def slices(self, family: Family) -> NDArray[np.int64]:
        """Return the flat slice number of each combination."""
        number = np.zeros(self._made.counts.size, np.int64)
        for name in family:
            number = number * self._groups.attribute(name).size + self._levels[name]
        return number + self._groups.offset(family)

    def rows(
        self, family: Family, fields: Sequence[Column]
    ) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.intp]]:
        """Return which combinations are one row of the result: an order with starts, and firsts."""
        key = self.slices(family)
        for column in fields:
            key = key * column.size + column.codes
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        return (order, starts), order[starts]


def _levels(table: Table, attribute: Attribute, column: Column) -> NDArray[np.int64]:
    index = attribute.index
    used = np.zeros(column.size, bool)
    used[column.codes] = True
    out = np.zeros(column.size, np.int64)
    for position in np.flatnonzero(used).tolist():
        value = column.values[position]
        if value not in index:
            raise InputError(
                f"attribute {attribute.name!r} has no value {value!r}", where=table.name,
                valid=nearest(value, attribute.levels),
            )  # fmt: skip
        out[position] = index[value]
    return out[column.codes]


def _added(values: NDArray[Any], rows: tuple[NDArray[np.intp], NDArray[np.intp]]) -> NDArray[Any]:
    order, starts = rows
    return np.add.reduceat(values[order], starts) if starts.size else values[:0]


def _filled(values: NDArray[Any]) -> NDArray[Any]:
    return np.nan_to_num(values) if values.dtype.kind == "f" else values


def _shared(column: Column, values: dict[Any, int]) -> NDArray[np.int64]:
    """Map the codes of one tally to codes that all tallies share."""
    return np.array([values.setdefault(value, len(values)) for value in column.values], np.int64)


def _column(codes: Sequence[NDArray[np.int64]], values: Mapping[Any, int]) -> Column:
    """Put NULL last, as in every column."""
    listed = [value for value in values if value is not None]
    places = np.zeros(len(values), np.int64)
    for position, value in enumerate(listed):
        places[values[value]] = position
    places[values[None]] = len(listed)
    return Column(places[np.concatenate(codes)], [*listed, None])
