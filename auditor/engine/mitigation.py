"""Mitigations compared on a table of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.datasets import Roles, Table, declare_groups, stream
from auditor.datasets.roles import label_sql, score_sql
from auditor.errors import InputError
from auditor.mitigation import Comparison, compare_thresholds

__all__ = ["MOST_GROUPS", "mitigate_table"]

MOST_GROUPS = 200
"""Beyond so many groups the comparison of all their pairs takes minutes."""


def mitigate_table(
    table: Table,
    *,
    target: str,
    score: str,
    sensitive: Sequence[str],
    threshold: float = 0.5,
    positive: str | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    constraint: str = "demographic-parity",
    recipes: Sequence[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare the post-processing recipes on the records that have a label, a score and groups.

    Several sensitive attributes make one group of each combination. Raises :class:`InputError`
    where no record can be used, and where all of them have one label, are of one group or of more
    than 200.
    """
    import pandas as pd

    if not sensitive:
        raise InputError("no sensitive attribute was named", where="--sensitive",
                         valid="one or more columns")  # fmt: skip
    if not math.isfinite(threshold):
        raise InputError(f"the threshold is {threshold}", where="--threshold", valid="a number")
    roles = Roles(
        sensitive=tuple(sensitive), target=target, score=score, positive=positive,
        bins=dict(bins or {}),
    )  # fmt: skip
    roles.check(table)
    groups = declare_groups([table], roles.sensitive, bins=roles.bins, intersections=1)
    fields = {"y": label_sql(table, target, positive), "s": score_sql(table, score)}
    parts: list[tuple[Any, ...]] = [
        (batch.codes, batch.numbers("y"), batch.numbers("s"))
        for batch in stream(table, groups, roles, fields)
    ]
    codes, labels, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    sizes = np.array([len(attribute.levels) for attribute in groups.attributes])
    usable = (labels < 2) & ~np.isnan(scores) & (codes < sizes).all(axis=1)
    if not usable.any():
        raise InputError(
            f"none of {table.rows:,} rows has a label, a score and every group", where=table.name,
            valid="rows with all of them",
        )  # fmt: skip
    if len(np.unique(labels[usable])) < 2:
        raise InputError(
            f"all {usable.sum():,} usable records of {table.rows:,} have one label",
            where=f"{table.name}, --target", valid="both labels",
        )  # fmt: skip
    count = len(np.unique(codes[usable], axis=0))
    if count > MOST_GROUPS:
        raise InputError(
            f"{count:,} groups of {usable.sum():,} usable records",
            where=f"{table.name}, --sensitive",
            valid=f"at most {MOST_GROUPS} groups, whose pairs are all compared: bins or coarser "
            "attributes",
        )  # fmt: skip
    if count < 2:
        raise InputError(
            f"all {usable.sum():,} usable records of {table.rows:,} are of one group",
            where=f"{table.name}, --sensitive", valid="at least two groups",
        )  # fmt: skip
    people = pd.DataFrame(
        {
            attribute.name: np.array(attribute.levels, object)[codes[usable, position]]
            for position, attribute in enumerate(groups.attributes)
        }
    )
    return compare_thresholds(
        scores[usable], labels[usable].astype(np.int64), people, threshold=threshold,
        constraint=constraint, recipes=recipes, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip
