"""Features counted by class of the target, on drawn rows: numbers by rank, others by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.roles import Roles
from auditor.datasets.scan_sample import draw_rows
from auditor.datasets.table import Table
from auditor.datasets.target import class_sql
from auditor.metrics.feature_quality import FEATURE_TARGET
from auditor.stats import Groups, SliceTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "category_places",
    "feature_counts",
    "number_places",
    "numbers_of",
    "scan_features",
]

_EVERYBODY = Groups.declare(())
_FEW_NUMBERS = 20
_MOST_POSITIONS = 512

Places = NDArray[np.int64]


def scan_features(
    table: Table, roles: Roles, features: Sequence[str], classes: tuple[str, ...], *,
    most: int, seed: int,
) -> list[SliceTable]:  # fmt: skip
    """Count each feature by class, half and position, on up to ``most`` drawn rows.

    Numbers of more than 20 distinct values are ranked, exactly up to 512 and in so many bins of
    about equal size beyond; everything else is a category, the 511 most frequent by themselves.
    """
    fields = {"y": class_sql(table, str(roles.target))}
    for i, name in enumerate(features):
        fields[f"f{i}"] = table.number(name) if table.is_numeric(name) else table.text(name)
    rows = draw_rows(table, _EVERYBODY, roles, fields, most=most, seed=seed)
    y = rows.codes_of("y", classes)
    half = np.random.default_rng([seed, 5]).integers(0, 2, y.size)
    counts: list[SliceTable] = []
    for i, name in enumerate(features):
        column = rows.columns[f"f{i}"]
        values = rows.numbers(f"f{i}") if table.is_numeric(name) else numbers_of(column)
        ranks = None if values is None else number_places(values)
        context: dict[str, Any] = {"column": name, "type": "numbers"}
        if ranks is None or ranks[1] <= _FEW_NUMBERS:
            context |= {"type": "categories", "exact": True}
            places, size = category_places(column)
        else:
            places, size, context["exact"] = ranks
        counts.append(feature_counts(y, half, places, size, len(classes), context=context))
    return counts


def numbers_of(column: pa.Array) -> NDArray[np.float64] | None:
    """Return a column of text as numbers, NaN where missing or blank; ``None`` for other text.

    >>> import pyarrow as pa
    >>> numbers_of(pa.array(["1", " 2.5", "", None])).tolist(), numbers_of(pa.array(["1", "x"]))
    ([1.0, 2.5, nan, nan], None)
    """
    codes, values = _encoded(column)
    numbers = np.full(len(values) + 1, np.nan)
    for i, value in enumerate(values):
        try:
            numbers[i] = float(value) if value.strip() else np.nan
        except ValueError:
            return None
    return numbers[codes]


def feature_counts(
    y: Places, half: Places, places: Places, positions: int, classes: int, *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:  # fmt: skip
    """Count records by class, half and position.

    Parameters
    ----------
    y:
        The class of each record, ``classes`` where the label is missing, shape ``[rows]``.
    half:
        0 or 1, by lot, shape ``[rows]``.
    places:
        The position of the feature's value, −1 where it is missing, shape ``[rows]``.
    """
    width = positions + 1
    names = [f"{k}:{h}:{p}" for k in range(classes) for h in range(2) for p in range(width)]
    counts = SliceTable.zero(FEATURE_TARGET, _EVERYBODY, ("records", "unlabelled", *names),
                             context={"classes": classes, **(context or {})})  # fmt: skip
    known = y < classes
    place = np.where(places < 0, positions, places)
    cells = (y * 2 + half) * width + place
    counts.values[0, :2] = y.size, int((~known).sum())
    counts.values[0, 2:] = np.bincount(cells[known], minlength=classes * 2 * width)
    return counts


def number_places(values: NDArray[np.float64]) -> tuple[Places, int, bool]:
    """Return the rank of each number, −1 for NaN, how many ranks there are, and if one is one.

    >>> number_places(np.array([0.5, np.nan, -1.0, 0.5]))[0].tolist()
    [1, -1, 0, 1]
    """
    known = ~np.isnan(values)
    distinct, place = np.unique(values[known], return_inverse=True)
    exact = distinct.size <= _MOST_POSITIONS
    if not exact:
        n = np.bincount(place)
        middle = (np.cumsum(n) - n / 2) / n.sum()
        block = np.minimum((middle * _MOST_POSITIONS).astype(np.int64), _MOST_POSITIONS - 1)
        used = np.unique(block, return_inverse=True)[1]
        place = used[place]
    out = np.full(values.size, -1, np.int64)
    out[known] = place
    return out, int(place.max()) + 1 if place.size else 0, exact


def category_places(column: pa.Array) -> tuple[Places, int]:
    """Return the rank by frequency of each value, −1 where missing, all beyond 511 as one."""
    codes, values = _encoded(column)
    n = np.bincount(codes, minlength=len(values) + 1)[: len(values)]
    rank = np.empty(n.size + 1, np.int64)
    rank[np.argsort(-n, kind="stable")] = np.minimum(np.arange(n.size), _MOST_POSITIONS - 1)
    rank[-1] = -1
    return rank[codes], min(n.size, _MOST_POSITIONS)


def _encoded(column: pa.Array) -> tuple[Places, list[Any]]:
    """Return the number of each value among the distinct ones, the next one where missing."""
    encoded = column.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), values
