"""What each column of a table is for, and how its values become labels, scores and groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from auditor.datasets.table import Table, number_sql, string_sql
from auditor.errors import InputError
from auditor.stats import Attribute, Groups

__all__ = ["Roles", "attribute_sql", "bin_labels", "declare_groups", "label_sql", "score_sql"]

_MOST_SPELLINGS = 20


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of an audited table.

    ``positive`` is the value of target and prediction that counts as positive; it may be left out
    where they hold 0 and 1, or booleans. ``threshold`` turns a score into a prediction
    (``score >= threshold``). ``bins`` cuts a number into groups at ascending edges.
    """

    sensitive: tuple[str, ...] = ()
    target: str | None = None
    prediction: str | None = None
    score: str | None = None
    threshold: float | None = None
    positive: str | None = None
    record_id: str | None = None
    bins: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def check(self, table: Table) -> None:
        """Check that the table can play these roles; raises :class:`InputError`."""
        table.require(self.sensitive, option="--sensitive")
        for option in ("target", "prediction", "score", "record_id"):
            column = getattr(self, option)
            if column is not None:
                table.require([column], option=f"--{option.replace('_', '-')}")
        for column, edges in self.bins.items():
            if column not in self.sensitive:
                raise InputError(
                    f"bins are given for {column!r}, which is not sensitive", where=table.name,
                    valid=f"one of {', '.join(self.sensitive)}",
                )  # fmt: skip
            bin_labels(edges)
            table.require_numbers(column, option="--bins")
        if self.threshold is not None:
            if self.score is None:
                raise InputError(
                    "a threshold without a score", where="--threshold", valid="--score, a column"
                )
            if not math.isfinite(self.threshold):
                raise InputError(
                    f"the threshold is {self.threshold}", where="--threshold", valid="a number"
                )
            if self.prediction is not None:
                raise InputError(
                    "a prediction column and a threshold are both given", where="--threshold",
                    valid="one of them",
                )  # fmt: skip
        for column in (self.target, self.prediction):
            if column is not None:
                label_sql(table, column, self.positive)
        if self.score is not None:
            score_sql(table, self.score)

    def context(self) -> dict[str, Any]:
        """Return what a statistic must know of how it was counted."""
        return {
            "target": self.target,
            "prediction": self.prediction
            or (f"{self.score} >= {self.threshold:g}" if self.threshold is not None else None),
            "score": self.score,
        }


def label_sql(table: Table, column: str, positive: str | None) -> str:
    """Return SQL giving 1, 0, or 2 for a missing label.

    Raises :class:`InputError` where there are more than two values, no value at all, or no way to
    know which of two is the positive one.
    """
    text = table.text(column)
    found = table.query(
        f"select {text} as v, count(*) as n from data where {text} is not null "
        f"group by 1 order by n desc, v limit {_MOST_SPELLINGS + 1}"
    ).to_pylist()
    values = [row["v"] for row in found if row["v"].strip().lower() not in {"nan", ""}]
    blank = [row["v"] for row in found if row["v"].strip().lower() in {"nan", ""}]
    where = f"{table.name}, column {column!r}"
    if len(found) > _MOST_SPELLINGS:  # a value beyond these would count as negative, unseen
        raise InputError(_too_many(table, column, values), where=where,
                         valid="two values (make the column binary first)")  # fmt: skip
    if not values:
        raise InputError(f"all {table.rows:,} values are missing", where=where,
                         valid="two values, missing ones beside them")  # fmt: skip
    if positive is not None:
        same = [value for value in values if _same(value, positive)]
        if not same and len(values) > 1:
            raise InputError(f"the positive value {positive!r} does not occur", where=where,
                             valid="one of " + ", ".join(values[:6]))  # fmt: skip
        positives = same
        negatives = [value for value in values if value not in same]
        if len(negatives) > 1:
            raise InputError(_too_many(table, column, values), where=where,
                             valid="two values (make the column binary first)")  # fmt: skip
    elif all(_is_one(value) is not None for value in values):
        positives = [value for value in values if _is_one(value)]
    elif len(values) > 2:
        raise InputError(_too_many(table, column, values), where=where,
                         valid="0 and 1, or two values with --positive")  # fmt: skip
    else:
        raise InputError(
            f"which of {' and '.join(map(repr, values))} is the positive value is not said",
            where=where, valid=f"--positive {values[-1]}",
        )  # fmt: skip
    missing = f"{text} is null" + (f" or {text} in ({_strings(blank)})" if blank else "")
    selected = f"when {text} in ({_strings(positives)}) then 1 " if positives else ""
    return f"case when {missing} then 2 {selected}else 0 end"


def score_sql(table: Table, column: str) -> str:
    """Return SQL giving the score as a number or NULL; raises :class:`InputError`."""
    table.require_numbers(column, option="--score")
    number = table.number(column)
    known, infinite = (
        int(table.scalar(f"select count(*) from data where {condition}"))
        for condition in (f"({number}) is not null", f"isinf({number})")
    )
    where = f"{table.name}, column {column!r}"
    if not known:
        raise InputError(f"all {table.rows:,} scores are missing", where=where, valid="numbers")
    if infinite:
        raise InputError(f"{infinite:,} scores are infinite", where=where, valid="finite numbers")
    return number


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Name the bins between ascending edges; raises :class:`InputError` for other edges.

    >>> bin_labels([25, 45])
    ('<25', '[25, 45)', '>=45')
    """
    shown = [str(int(edge)) if float(edge).is_integer() else repr(float(edge)) for edge in edges]
    if not (shown and all(map(math.isfinite, edges)) and all(a < b for a, b in pairwise(edges))):
        raise InputError(
            f"the edges {', '.join(shown) or 'of the bins'} do not ascend", where="--bins",
            valid="for example age=25,45,65",
        )  # fmt: skip
    middle = [f"[{a}, {b})" for a, b in pairwise(shown)]
    return (f"<{shown[0]}", *middle, f">={shown[-1]}")


def attribute_sql(table: Table, name: str, edges: Sequence[float] | None) -> str:
    """Return SQL giving the level of an attribute as text, or NULL."""
    if edges is None:
        return table.text(name)
    number = table.number(name)
    *below, above = bin_labels(edges)
    arms = " ".join(
        f"when ({number}) < {number_sql(edge)} then {string_sql(label)}"
        for edge, label in zip(edges, below, strict=True)
    )
    return f"case when ({number}) is null then null {arms} else {string_sql(above)} end"


def declare_groups(
    tables: Sequence[Table],
    sensitive: Sequence[str],
    *,
    bins: Mapping[str, Sequence[float]] | None = None,
    intersections: int = 2,
) -> Groups:
    """Declare the groups that the tables hold, together: before the first batch.

    Levels are the categories that a table declares and the values that any of them holds, sorted;
    bins keep their order, the empty ones included.
    """
    attributes: list[Attribute] = []
    for name in sensitive:
        edges = (bins or {}).get(name)
        levels: dict[str, None] = {}
        for table in tables:
            table.require([name], option="--sensitive")
            if edges is not None:
                table.require_numbers(name, option="--bins")
                levels |= dict.fromkeys(bin_labels(edges))
                continue
            text = table.text(name)
            found = table.query(
                f"select distinct {text} as v from data where {text} is not null"
            ).to_pylist()
            levels |= dict.fromkeys(table.declared_levels.get(name, ()))
            levels |= dict.fromkeys(row["v"] for row in found)
        if not levels:
            raise InputError(
                f"sensitive attribute {name!r} is missing in every row",
                where=", ".join(table.name for table in tables),
                valid="a column with at least one value",
            )
        ordered = tuple(levels) if edges is not None else tuple(sorted(levels))
        attributes.append(Attribute(name=name, levels=ordered))
    return Groups.declare(attributes, intersections=intersections)


def _same(value: str, positive: str) -> bool:
    if value == positive:
        return True
    try:
        return float(value) == float(positive)
    except ValueError:
        return False


def _is_one(value: str) -> bool | None:
    """Whether a label is 1 or true; ``None`` where it is neither that nor 0 or false."""
    known = {"true": True, "false": False, "1": True, "0": False}
    if value.lower() in known:
        return known[value.lower()]
    try:
        return {1.0: True, 0.0: False}.get(float(value))
    except ValueError:
        return None


def _too_many(table: Table, column: str, values: Sequence[str]) -> str:
    text = table.text(column)
    distinct = table.scalar(f"select count(distinct {text}) from data")
    shown = ", ".join(map(repr, values[:3])) + (", …" if distinct > 3 else "")
    return f"{distinct} values ({shown}) in {table.rows:,} rows where two are meant"


def _strings(values: Sequence[str]) -> str:
    return ", ".join(map(string_sql, values))
