"""One pass over a table for the counts of every slice, done by DuckDB where the table lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.columns import (
    attribute_sql,
    label_key,
    label_sql,
    labels_of,
    score_sql,
    threshold_key,
)
from auditor.datasets.grouping import Grouped, grouped, grouped_if_few
from auditor.datasets.roles import Roles, cell_sql, survey
from auditor.datasets.stream import stream
from auditor.datasets.table import Table, number_sql, quoted
from auditor.datasets.tally import Key, find_tally
from auditor.errors import InputError
from auditor.stats import (
    MOST_DISTINCT,
    Family,
    Groups,
    ScoreCounts,
    ScoreGrid,
    SliceTable,
    confusion_zero,
    score_counts,
)
from auditor.stats.cover import count_cells

__all__ = ["group_codes", "grouped", "scan_confusion", "scan_missing", "scan_scores"]

_SAMPLE = 1 << 14
_BATCH = 1 << 18
_MOST_KEYS = 1 << 22


def scan_confusion(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count true and predicted labels by slice; the same counts as :func:`confusion_counts`."""
    survey(table, replace(roles, sensitive=tuple(a.name for a in groups.attributes)))
    fields: dict[str, Key] = {}
    meant: dict[str, Mapping[Any, int]] = {}
    for name, column in (("true", roles.target), ("predicted", roles.prediction)):
        if column is not None:
            fields[name] = label_key(table, column)
            meant[name] = labels_of(table, column, roles.positive)
    if roles.prediction is None and roles.score is not None and roles.threshold is not None:
        score_sql(table, roles.score)
        fields["predicted"] = threshold_key(table, roles.score, roles.threshold)
        meant["predicted"] = {0: 0, 1: 1, 2: 2}
    counts = confusion_zero(groups, {**roles.context(), **(context or {})})
    found = grouped_if_few(table, groups, roles, fields)
    if found is None:
        for batch in stream(table, groups, roles, {"cell": cell_sql(table, roles)}, rows=_BATCH):
            cells = batch.numbers("cell").astype(np.int64)
            count_cells(groups, batch.codes, cells, counts.values)
        return counts
    true, predicted = (_labels(found, name, meant) for name in ("true", "predicted"))
    np.add.at(counts.values, (found.slices, 3 * true + predicted), found.counts)
    return counts


def _labels(found: Grouped, name: str, meant: Mapping[str, Mapping[Any, int]]) -> NDArray[np.int64]:
    if name not in meant:
        return np.full(found.counts.size, 2, np.int64)
    column = found.columns[name]
    return np.array([meant[name].get(value, 2) for value in column.values], np.int64)[column.codes]


def scan_scores(
    table: Table,
    groups: Groups,
    roles: Roles,
    *,
    resolution: Literal["auto", "exact"] = "auto",
    context: Mapping[str, Any] | None = None,
) -> ScoreCounts:
    """Count scores by slice and label; exact up to 1,024 distinct scores, binned beyond.

    With ``resolution="exact"``, here or in the roles, every distinct score is a position of its
    own, however many there are: the scores are sorted, and memory grows with the rows.
    """
    if roles.score is None:
        raise InputError("no score column", where=table.name)
    score = score_sql(table, roles.score)
    given = {**roles.context(), **(context or {})}
    distinct = _distinct_scores(table, score)
    if distinct is None and "exact" in (resolution, roles.resolution):
        return _every_score(table, groups, roles, score, given)
    if distinct is not None:
        grid = ScoreGrid(values=distinct)
        place = Key(score)
    else:
        profile = table.profile(roles.score)
        assert profile.low is not None and profile.high is not None  # noqa: PT018 -- some are known
        grid = ScoreGrid.spanning(profile.low, profile.high)
        low, high = number_sql(grid.low), number_sql(grid.high)
        # A missing score has no place; least() alone would pass over it and give the last bin.
        place = Key(
            f"case when ({score}) is not null then least({grid.bins - 1}, "
            f"cast(floor((({score}) - {low}) / ({high} - {low}) * {grid.bins}) as integer)) end"
        )
    fields = {"place": place}
    if roles.target is not None:
        fields["label"] = label_key(table, roles.target)
        meant = {"label": labels_of(table, roles.target, roles.positive)}
    else:
        meant = {}
    found = grouped_if_few(table, groups, roles, fields)
    if found is None:
        return _streamed_scores(table, groups, roles, score, grid, given)
    labels = _labels(found, "label", meant)
    places = _places(found.columns["place"].values, grid)[found.columns["place"].codes]
    return _score_counts(groups, grid, found, places, labels, given)


def _distinct_scores(table: Table, score: str) -> tuple[float, ...] | None:
    """Return the distinct scores in order, ``None`` where they are more than 1,024."""
    made = find_tally(table, [Key(score)])
    if made is not None:
        values = [value for value in made.columns[Key(score)].values if value is not None]
    else:
        for rows in (f"(select * from data limit {_SAMPLE})", "data"):
            distinct = table.query(
                f"select distinct {score} as s from {rows} limit {MOST_DISTINCT + 2}"
            )
            values = [value for value in distinct.column("s").to_pylist() if value is not None]
            if len(values) > MOST_DISTINCT:
                break
    return tuple(sorted(map(float, values))) if len(values) <= MOST_DISTINCT else None


def _places(values: Sequence[Any], grid: ScoreGrid) -> NDArray[np.int64]:
    """Return the position of each value of the key, -1 for a missing score."""
    if not grid.exact:
        return np.array([-1 if value is None else int(value) for value in values], np.int64)
    known = np.array([np.nan if value is None else value for value in values], np.float64)
    places = np.full(known.size, -1, np.int64)
    places[~np.isnan(known)] = grid.position(known[~np.isnan(known)])
    return places


def _score_counts(
    groups: Groups,
    grid: ScoreGrid,
    found: Grouped,
    places: NDArray[np.int64],
    labels: NDArray[np.int64],
    context: dict[str, Any],
) -> ScoreCounts:
    zero = ScoreCounts.zero(groups, grid, context)
    scored = (places >= 0) & (labels < 2)
    np.add.at(zero.unscored, found.slices[~scored], found.counts[~scored])
    keys = (found.slices[scored] * grid.size + places[scored]) * 2 + labels[scored]
    return zero.adding(keys, found.counts[scored])


def _streamed_scores(
    table: Table, groups: Groups, roles: Roles, score: str, grid: ScoreGrid, context: dict[str, Any]
) -> ScoreCounts:
    """Count batch by batch; families that would take as much room as the rows are left out.

    The context names these under ``uncounted``.
    """
    left = _MOST_KEYS
    kept: list[Family] = []
    for family in groups.families:
        keys = min(table.rows, groups.size(family) * grid.size * 2)
        if not family or keys <= min(left, _MOST_KEYS // 4):
            kept.append(family)
            left -= keys
    if len(kept) < len(groups.families):
        uncounted = [list(family) for family in groups.families if family not in kept]
        context = {**context, "uncounted": uncounted}
    some = Groups(attributes=groups.attributes, families=tuple(kept))
    label = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    total = ScoreCounts.zero(some, grid, context)
    for batch in stream(table, groups, roles, {"s": score, "y": label}, rows=_BATCH):
        labels = batch.numbers("y")
        labels = np.where(labels == 2, np.nan, labels)
        total = total.merge(
            score_counts(some, batch.codes, labels, batch.numbers("s"), grid=grid, context=context)
        )
    return total


def _every_score(
    table: Table, groups: Groups, roles: Roles, score: str, context: dict[str, Any]
) -> ScoreCounts:
    label = "2" if roles.target is None else label_sql(table, roles.target, roles.positive)
    found = table.query(f"select {score} as s, cast({label} as double) as y from data")
    labels = found.column("y").to_numpy()
    scores = found.column("s").to_numpy()
    codes = group_codes(table, groups, roles)
    grid = ScoreGrid(values=np.unique(scores[~np.isnan(scores)]))
    labels = np.where(labels == 2, np.nan, labels)
    return score_counts(groups, codes, labels, scores, grid=grid, context=context)


def scan_missing(
    table: Table,
    groups: Groups,
    roles: Roles,
    columns: Sequence[str],
    *,
    split: str,
    splits: Sequence[str] = (),
    absent: Sequence[str] = (),
) -> SliceTable:
    """Count missing values of each column by slice; the first column is ``records``.

    ``splits`` are all splits that are counted, and ``absent`` the columns that were asked for and
    that this one does not have.
    """
    names = ("records", *columns)
    context: dict[str, object] = {"split": split}
    if len(splits) > 1:
        context["splits"] = list(splits)
    if absent:
        context["absent"] = list(absent)
    counts = SliceTable.zero("missing-counts", groups, names, context=context)
    missing = {
        f"m{position}": f"count(*) filter ({_is_missing(table, column)})"
        for position, column in enumerate(columns)
    }
    found = grouped(table, groups, roles, {}, aggregates=missing)
    values = [found.counts, *(found.sums[name] for name in missing)]
    np.add.at(counts.values, found.slices, np.stack(values, axis=1))
    return counts


def _is_missing(table: Table, column: str) -> str:
    table.require([column])
    name = quoted(column)
    floating = table.types[column] in {"DOUBLE", "FLOAT"}
    return f"{name} is null or isnan({name})" if floating else f"{name} is null"


def group_codes(table: Table, groups: Groups, roles: Roles) -> NDArray[np.int32]:
    """Return the group codes of every row, shape ``[rows, attributes]``, in the table's order."""
    out = np.zeros((table.rows, len(groups.attributes)), np.int32)
    for position, attribute in enumerate(groups.attributes):
        sql = attribute_sql(table, attribute.name, roles.bins.get(attribute.name))
        coded = table.query(f"select {sql} as a from data")["a"].combine_chunks()
        coded = coded.dictionary_encode()
        if not hasattr(coded, "indices"):
            coded = coded.combine_chunks()
        levels = attribute.encode([*coded.dictionary.to_pylist(), None])
        out[:, position] = levels[coded.indices.fill_null(len(levels) - 1).to_numpy()]
    return out
