"""What each column of a table is for, and how its values become labels, scores and groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from auditor.datasets.columns import (
    attribute_key,
    attribute_sql,
    bin_labels,
    label_key,
    label_sql,
    labels_of,
    score_sql,
    threshold_key,
)
from auditor.datasets.table import Profile, Table, quoted
from auditor.datasets.tally import MOST_CELLS, Key, estimate_cells, find_tally, tallies, tally
from auditor.errors import InputError
from auditor.stats import Attribute, Groups

__all__ = [
    "Roles",
    "Task",
    "attribute_sql",
    "bin_labels",
    "cell_sql",
    "declare_groups",
    "label_sql",
    "prediction_sql",
    "score_sql",
    "survey",
]

Task = Literal["binary", "multiclass", "regression", "ranking", "counts"]

_COLUMNS = ("target", "prediction", "score", "record_id", "weight", "frequency", "cluster", "query",
            "total", "selected")  # fmt: skip
_MOST_LEVELS = 1 << 22


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of an audited table.

    ``positive`` is the value of target and prediction that counts as positive; it may be left out
    where they hold 0 and 1, or booleans. ``threshold`` turns a score into a prediction
    (``score >= threshold``). ``bins`` cuts a number into groups at ascending edges.

    ``task`` is what is predicted. ``weight`` holds the weight of a record, ``frequency`` for how
    many equal records a row stands, ``cluster`` what records share (a person, a template).
    ``strata`` are the columns within which selection is compared. For ``ranking``, ``query`` holds
    the list that a record belongs to and ``top`` the lengths k of top lists. For ``counts``,
    ``total`` and ``selected`` hold a group's numbers. ``membership`` maps an attribute that nobody
    knows to the columns with the probability of each of its levels. ``unfavourable`` says that to
    be selected is the bad outcome. With ``resolution="exact"`` every distinct score is counted.
    """

    sensitive: tuple[str, ...] = ()
    target: str | None = None
    prediction: str | None = None
    score: str | None = None
    threshold: float | None = None
    positive: str | None = None
    record_id: str | None = None
    bins: Mapping[str, Sequence[float]] = field(default_factory=dict)
    task: Task = "binary"
    weight: str | None = None
    frequency: str | None = None
    cluster: str | None = None
    strata: tuple[str, ...] = ()
    query: str | None = None
    top: tuple[int, ...] = (10, 100)
    total: str | None = None
    selected: str | None = None
    membership: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unfavourable: bool = False
    resolution: Literal["auto", "exact"] = "auto"

    def check(self, table: Table) -> None:
        """Check that the table can play these roles; raises :class:`InputError`."""
        table.require(self.sensitive, option="--sensitive")
        for option in _COLUMNS:
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
        if self.task != "binary":
            from auditor.datasets.tasks import check_task

            check_task(table, self)
            return
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
        survey(table, self)
        for column in self.bins:
            table.require_numbers(column, option="--bins")
        for column in (self.target, self.prediction):
            if column is not None:
                labels_of(table, column, self.positive)
        if self.score is not None:
            score_sql(table, self.score)

    @property
    def weighting(self) -> str | None:
        """``weight``, ``cluster`` or ``frequency``: the first that is given, of these."""
        options = ("weight", "cluster", "frequency")
        return next((option for option in options if getattr(self, option) is not None), None)

    def context(self) -> dict[str, Any]:
        """Return what a statistic must know of how it was counted."""
        return {
            "target": self.target,
            "prediction": self.prediction
            or (f"{self.score} >= {self.threshold:g}" if self.threshold is not None else None),
            "score": self.score,
            **({} if self.task == "binary" else {"task": self.task}),
        }


def prediction_sql(table: Table, roles: Roles) -> str:
    """Return SQL giving the prediction as 1, 0, or 2 for a missing one."""
    if roles.prediction is not None:
        return label_sql(table, roles.prediction, roles.positive)
    if roles.score is not None and roles.threshold is not None:
        score_sql(table, roles.score)
        return threshold_key(table, roles.score, roles.threshold).by
    return "2"


def cell_sql(table: Table, roles: Roles) -> str:
    """Return SQL giving the cell of the confusion table, ``3 · true + predicted``."""
    true = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    return f"3 * ({true}) + ({prediction_sql(table, roles)})"


def survey(table: Table, roles: Roles) -> None:
    """Read the columns of these roles once; the table keeps the counts of what they hold.

    Where the combinations of all attributes and labels are few, they are counted, and every scan
    and every check after this one is served by the counts. Where they are many, each column's own
    values are counted. The bounds of the scores come out of the same pass.
    """
    attributes = [attribute_key(table, name, roles.bins.get(name)) for name in roles.sensitive]
    keys = list(dict.fromkeys([*attributes, *_label_keys(table, roles)]))
    profiled = [name for name in (roles.score, *roles.bins)
                if name is not None and name not in table.profiles]  # fmt: skip
    if find_tally(table, keys) is not None:
        return
    sums = {
        f"{position} {name}": sql
        for position, column in enumerate(profiled)
        for name, sql in Profile.sums(table, column).items()
    }
    made = tally(table, keys, sums=sums) if estimate_cells(table, keys) <= MOST_CELLS else None
    if made is None:
        _count_alone(table, keys)
        return
    for position, column in enumerate(profiled):
        start = f"{position} "
        table.profiles[column] = Profile.merged(
            {k.removeprefix(start): v for k, v in made.sums.items() if k.startswith(start)}
        )


def _label_keys(table: Table, roles: Roles) -> list[Key]:
    keys = [label_key(table, column) for column in (roles.target, roles.prediction)
            if column is not None]  # fmt: skip
    if roles.prediction is None and roles.score is not None and roles.threshold is not None:
        keys.append(threshold_key(table, roles.score, roles.threshold))
    return keys


def _count_alone(table: Table, keys: Sequence[Key]) -> None:
    """Count the values of each key in one pass, of those that have fewer than there are rows."""
    few = [key for key in keys if find_tally(table, [key]) is None
           and estimate_cells(table, [key]) <= MOST_CELLS]  # fmt: skip
    if few:
        for _ in tallies(table, [[key] for key in few]):
            pass


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
    bins = bins or {}
    roles = Roles(
        sensitive=tuple(sensitive), bins={n: e for n, e in bins.items() if n in sensitive}
    )
    for table in tables:
        table.require(sensitive, option="--sensitive")
        survey(table, roles)
    attributes: list[Attribute] = []
    for name in sensitive:
        edges = bins.get(name)
        levels: dict[str, None] = {}
        for table in tables:
            if edges is not None:
                table.require_numbers(name, option="--bins")
                levels |= dict.fromkeys(bin_labels(edges))
                continue
            levels |= dict.fromkeys(table.declared_levels.get(name, ()))
            levels |= dict.fromkeys(_levels(table, name))
        if not levels:
            raise InputError(
                f"sensitive attribute {name!r} is missing in every row",
                where=", ".join(table.name for table in tables),
                valid="a column with at least one value",
            )
        ordered = tuple(levels) if edges is not None else tuple(sorted(levels))
        attributes.append(Attribute(name=name, levels=ordered))
    return Groups.declare(attributes, intersections=intersections)


def _levels(table: Table, name: str) -> list[str]:
    key = attribute_key(table, name, None)
    made = find_tally(table, [key])
    if made is None:
        distinct = int(table.scalar(f"select approx_count_distinct({quoted(name)}) from data"))
        if distinct > _MOST_LEVELS:
            raise InputError(
                f"sensitive attribute {name!r} has about {distinct:,} values", where=table.name,
                valid="bins, or coarser values",
            )  # fmt: skip
        (made,) = tallies(table, [[key]])
    return [value for value, _ in made.distinct(key) if value is not None]
