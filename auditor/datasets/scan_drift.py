"""The columns of two tables counted at the same positions, on drawn rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles, declare_groups
from auditor.datasets.scan_features import numbers_of
from auditor.datasets.scan_sample import draw_rows
from auditor.datasets.table import Table
from auditor.metrics.drift import DRIFT, DRIFT_COLUMNS, DRIFT_GROUPS
from auditor.stats import Groups, SliceTable

__all__ = ["Pair", "draw_pairs", "drift_counts", "pair_of", "scan_absent", "scan_group_shares"]

_EVERYBODY = Groups.declare(())
_MOST_POSITIONS = 512
_MOST_LEVELS = 100_000
_STEPS = 1024
_CUT = 0.001

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One column of two tables: both sides as numbers, NaN where missing, or as codes, −1.

    Codes count from 0, the most frequent value first; ``new`` tells for each code whether the
    training data lack it, ``None`` where they have too many values to tell.
    """

    column: str
    numeric: bool
    train: NDArray[Any]
    later: NDArray[Any]
    new: NDArray[np.bool_] | None = None


def draw_pairs(
    train: Table, later: Table, columns: Sequence[str], *, most: int, seed: int
) -> list[Pair]:
    """Return columns of up to ``most`` rows drawn from each of two tables.

    A column is of numbers where both sides hold nothing else. Levels are new where the whole
    training table lacks them, up to 100,000 levels.
    """
    as_numbers = {c: all(_number_type(t, c) for t in (train, later)) for c in columns}
    sides = [
        draw_rows(
            table, _EVERYBODY, Roles(),
            {f"f{i}": table.number(c) if as_numbers[c] else table.text(c)
             for i, c in enumerate(columns)},
            most=most, seed=seed,
        )
        for table in (train, later)
    ]  # fmt: skip
    pairs: list[Pair] = []
    for i, column in enumerate(columns):
        name = f"f{i}"
        if as_numbers[column]:
            a, b = (rows.numbers(name) for rows in sides)
            pairs.append(Pair(column, True, a, b))
        else:
            levels = None if train.rows <= most else _levels(train, column)
            a, b = (rows.columns[name] for rows in sides)
            pairs.append(pair_of(column, a, b, levels=levels))
    return pairs


def pair_of(column: str, train: Any, later: Any, *, levels: set[str] | None = None) -> Pair:
    """Put two Arrow arrays of text on common ground.

    ``levels`` are those of the whole training table, where ``train`` is drawn from it; an empty set
    says that there are too many.
    """
    numbers = [numbers_of(side) for side in (train, later)]
    if numbers[0] is not None and numbers[1] is not None:
        return Pair(column, True, numbers[0], numbers[1])
    texts = [side.to_pylist() for side in (train, later)]
    counts: dict[str, int] = {}
    for side in texts:
        for value in side:
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    index: dict[str | None, int] = {value: i for i, value in enumerate(ordered)}
    index[None] = -1
    known = set(texts[0]) if levels is None else levels
    new = np.array([value not in known for value in ordered], bool) if known else None
    a, b = (np.fromiter(map(index.__getitem__, side), np.int64, len(side)) for side in texts)
    return Pair(column, False, a, b, new)


def drift_counts(pair: Pair, *, split: str) -> SliceTable:
    """Count both sides at positions: of numbers, their ranks, and even steps between outer ones.

    Ranks are exact up to 512 distinct numbers, and bins of about equal size beyond. Of categories,
    the 511 most frequent have a position of their own.
    """
    context: dict[str, Any] = {
        "column": pair.column, "split": split, "type": "numbers" if pair.numeric else "categories",
        "exact": True, "step": None, "levels": "counted",
    }  # fmt: skip
    cells: list[tuple[Codes, Codes, int]] = []
    new = new_levels = 0
    if pair.numeric:
        *places, levels, context["exact"] = _rank_places(pair.train, pair.later)
        cells.append((places[0], places[1], max(levels, 1)))
        steps = _steps(pair.train, pair.later)
        if steps is not None:
            context["step"] = steps[2]
            cells.append((steps[0], steps[1], _STEPS + 1))
    else:
        levels = int(max(pair.train.max(initial=-1), pair.later.max(initial=-1))) + 1
        if pair.new is None:
            context["levels"] = "many"
        else:
            known = pair.later[pair.later >= 0]
            new = int(pair.new[known].sum())
            new_levels = int(np.unique(known[pair.new[known]]).size)
        size = max(min(levels, _MOST_POSITIONS), 1)
        cells.append((np.minimum(pair.train, size - 1), np.minimum(pair.later, size - 1), size))
    context["positions"] = cells[0][2]
    sides = ("a", "b")
    names = [f"{p}{s}:{i}" for (_, _, n), p in zip(cells, ("", "g"), strict=False)
             for s in sides for i in range(n)]  # fmt: skip
    head = ("records", "a:records", "a:missing", "b:records", "b:missing", "levels", "new",
            "new_levels")  # fmt: skip
    counts = SliceTable.zero(DRIFT, _EVERYBODY, (*head, *names), context=context)
    first_a, first_b, _ = cells[0]
    counts.values[0, : len(head)] = [
        first_a.size + first_b.size, first_a.size, int((first_a < 0).sum()),
        first_b.size, int((first_b < 0).sum()), levels, new, new_levels,
    ]  # fmt: skip
    counts.values[0, len(head) :] = np.concatenate(
        [np.bincount(side[side >= 0], minlength=n) for a, b, n in cells for side in (a, b)]
    )
    return counts


def scan_group_shares(train: Table, later: Table, roles: Roles, *, split: str) -> SliceTable:
    """Count the records of every group in both tables; groups that only one has included.

    Where the later table lacks an attribute, nothing is counted and the context says why.
    """
    from auditor.datasets.grouping import grouped

    lacks = [name for name in roles.sensitive if name not in later.types]
    reason = f"{split} has no column {lacks[0]!r}" if lacks else ""
    groups = _EVERYBODY
    if not lacks and roles.sensitive:
        groups = declare_groups([train, later], roles.sensitive, bins=roles.bins, intersections=1)
    counts = SliceTable.zero(DRIFT_GROUPS, groups, ("train", "later"),
                             context={"split": split, "reason": reason})  # fmt: skip
    if lacks:
        counts.values[0] = train.rows, later.rows
        return counts
    for position, table in enumerate((train, later)):
        found = grouped(table, groups, roles, {})
        np.add.at(counts.values[:, position], found.slices, found.counts)
    return counts


def scan_absent(train: Table, later: Table, roles: Roles, *, split: str) -> SliceTable:
    """Count the columns of the training data that the later table lacks; the target may be."""
    columns = [name for name in train.columns if name != roles.target]
    counts = SliceTable.zero(DRIFT_COLUMNS, _EVERYBODY, ("columns", "absent"),
                             context={"split": split})  # fmt: skip
    counts.values[0] = [len(columns), sum(name not in later.types for name in columns)]
    return counts


def _number_type(table: Table, column: str) -> bool:
    return table.is_numeric(column) and table.types[column] != "BOOLEAN"


def _levels(table: Table, column: str) -> set[str]:
    text = table.text(column)
    found = table.query(
        f"select distinct {text} as v from data where ({text}) is not null limit {_MOST_LEVELS + 1}"
    ).column("v")
    return set() if len(found) > _MOST_LEVELS else set(found.to_pylist())


def _rank_places(train: Numbers, later: Numbers) -> tuple[Codes, Codes, int, bool]:
    from auditor.datasets.scan_features import number_places

    places, size, exact = number_places(np.concatenate([train, later]))
    return places[: train.size], places[train.size :], size, exact


def _steps(train: Numbers, later: Numbers) -> tuple[Codes, Codes, float] | None:
    """Return the nearest even step of each number, and the step in standard deviations."""
    finite = [side[np.isfinite(side)] for side in (train, later)]
    if min(side.size for side in finite) < 2:
        return None
    cuts = np.array([np.quantile(side, (_CUT, 1 - _CUT)) for side in finite])
    low, high = float(cuts[:, 0].min()), float(cuts[:, 1].max())
    spread = float(np.std(np.clip(finite[0], low, high)))
    step = (high - low) / _STEPS
    if not np.isfinite(step) or not spread or not step / spread:
        return None
    places = [
        np.where(np.isnan(side), -1, np.rint((np.clip(side, low, high) - low) / step))
        for side in (train, later)
    ]
    a, b = (np.minimum(place, _STEPS).astype(np.int64) for place in places)
    return a, b, step / spread
