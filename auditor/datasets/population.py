"""The reference population: what share of it each group has, read from the user's table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import Family

__all__ = ["Population", "read_population"]

_NAMES = ("share", "count", "population", "n")
_ROUNDING = 0.01

Levels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """The shares of groups, for each set of attributes that the table gave rows for.

    ``shares[family]`` maps the levels, in the order of the family's attributes, to a share; the
    shares of a family add up to 1.
    """

    shares: Mapping[Family, Mapping[Levels, float]]

    def levels(self, attribute: str) -> tuple[str, ...]:
        """Return the levels of an attribute that the population names, in its order."""
        found: dict[str, None] = {}
        for family, rows in self.shares.items():
            if attribute in family:
                found |= dict.fromkeys(key[family.index(attribute)] for key in rows)
        return tuple(found)

    def of(self, family: Family) -> Mapping[Levels, float] | None:
        """Return the shares of a family: as given, or added up from the smallest wider one.

        ``None`` where the table says nothing of it.
        """
        if not family:
            return None
        wider = [given for given in self.shares if set(family) <= set(given)]
        if not wider:
            return None
        given = min(wider, key=len)
        places = [given.index(name) for name in family]
        out: dict[Levels, float] = {}
        for key, share in self.shares[given].items():
            part = tuple(key[i] for i in places)
            out[part] = out.get(part, 0.0) + share
        return out


def read_population(
    table: Table, attributes: Sequence[str], *, column: str | None = None
) -> Population:
    """Read the population; raises :class:`InputError` for numbers that are no shares or counts.

    A row is one group: the attributes that it has values for. Rows over different attributes are
    different families, so that one table may give race, sex, and race × sex. The numbers of a
    family are counts where all are whole, and shares otherwise: these must add up to 1, or to 100
    as percentages, within rounding.
    """
    named = [name for name in attributes if name in table.types]
    where = f"{table.name}, --population"
    if not named:
        raise InputError("the population names no sensitive attribute", where=where,
                         valid="a column named " + " or ".join(attributes))  # fmt: skip
    number = column or _column(table, named, where)
    table.require([number], option="--population-column")
    table.require_numbers(number, option="--population-column")
    texts = ", ".join(f"{table.text(name)} as a{i}" for i, name in enumerate(named))
    rows = table.query(f"select {texts}, {table.number(number)} as share from data").to_pylist()
    where = f"{table.name}, column {number!r}"
    bad = [r for r in rows if r["share"] is None or r["share"] < 0 or math.isinf(r["share"])]
    if bad:
        what = f"{len(bad):,} of {len(rows):,} values are missing, negative or infinite"
        raise InputError(what, where=where, valid="shares or counts from 0")
    given: dict[Family, dict[Levels, float]] = {}
    for row in rows:
        values = [row[f"a{i}"] for i in range(len(named))]
        family = tuple(n for n, v in zip(named, values, strict=True) if v is not None)
        key = tuple(str(v) for v in values if v is not None)
        if not family:
            raise InputError("a row of the population is of no group", where=table.name,
                             valid="a value of " + " or ".join(named))  # fmt: skip
        if key in given.setdefault(family, {}):
            raise InputError(f"the population names {' × '.join(key)} twice", where=table.name,
                             valid="one row for each group")  # fmt: skip
        given[family][key] = float(row["share"])
    return Population({f: _normalised(shares, f, where) for f, shares in given.items()})


def _column(table: Table, named: Sequence[str], where: str) -> str:
    others = [name for name in table.columns if name not in named]
    known = [name for name in others if name.lower() in _NAMES]
    for names in (known, others):
        if len(names) == 1:
            return names[0]
    raise InputError(
        "it is not clear which column holds the shares or counts", where=where,
        valid="--population-column, one of " + ", ".join(others) if others else "such a column",
    )  # fmt: skip


def _normalised(shares: Mapping[Levels, float], family: Family, where: str) -> dict[Levels, float]:
    total = math.fsum(shares.values())
    counts = all(value.is_integer() for value in shares.values())
    adds_up = any(abs(total / whole - 1) <= _ROUNDING for whole in (1, 100))
    if not total or not (counts or adds_up):
        raise InputError(
            f"the shares of {' × '.join(family)} add up to {total:g}", where=where,
            valid="shares that add up to 1, or whole numbers that count people",
        )  # fmt: skip
    return {key: value / total for key, value in shares.items()}
