"""What two models make of the same records, counted by slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable
from auditor.stats.vectors import to_numbers

__all__ = ["PAIRED", "PAIRED_COLUMNS", "paired_outcomes", "paired_zero"]

PAIRED = "paired-outcomes"

PAIRED_COLUMNS = (
    "records", "both_right", "only_base_right", "only_tuned_right", "both_wrong",
    "both_selected", "only_base_selected", "only_tuned_selected", "neither_selected",
    "compared", "sum:base", "squares:base", "sum:tuned", "squares:tuned", "sum:change",
    "squares:change",
)  # fmt: skip
"""Records; those with a label and two predictions, by whether they are right; in a binary task
those with two predictions, by whether they are the positive class; and, over those with two finite
losses, the losses and their change (tuned − base)."""


def paired_zero(groups: Groups, context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty sums over the declared groups."""
    return SliceTable.zero(PAIRED, groups, PAIRED_COLUMNS, sums=True, context=context)


def paired_outcomes(
    groups: Groups,
    codes: NDArray[np.int32],
    base: Mapping[str, ArrayLike],
    tuned: Mapping[str, ArrayLike],
    *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count one batch of records that both models predicted.

    Parameters
    ----------
    codes:
        Group codes, shape ``[rows, attributes]``, from :meth:`Groups.encode`.
    base, tuned:
        What each model made of the records, each of shape ``[rows]`` and NaN where missing:
        ``wrong`` (0 or 1), ``selected`` (0 or 1, in a binary task), ``loss``. What is not given is
        missing.

    >>> from auditor.stats.groups import Attribute
    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> codes = groups.encode({"sex": ["F", "M"]})
    >>> found = paired_outcomes(groups, codes, {"wrong": [0, 0]}, {"wrong": [0, 1]})
    >>> found.values[:3, found.column("only_base_right")].tolist()  # everybody, F, M
    [1.0, 0.0, 1.0]
    """
    rows = codes.shape[0]
    mine, theirs = (_read(side, rows) for side in (base, tuned))
    columns: dict[str, NDArray[Any]] = {"records": np.ones(rows)}
    for quantity, names in (
        ("wrong", ("both_wrong", "only_tuned_right", "only_base_right", "both_right")),
        ("selected", ("both_selected", "only_base_selected", "only_tuned_selected",
                      "neither_selected")),
    ):  # fmt: skip
        b, t = mine[quantity], theirs[quantity]
        for name, (first, second) in zip(names, ((1, 1), (1, 0), (0, 1), (0, 0)), strict=True):
            columns[name] = (b == first) & (t == second)
    b, t = mine["loss"], theirs["loss"]
    known = np.isfinite(b) & np.isfinite(t)
    columns["compared"] = known
    b, t = np.where(known, b, 0.0), np.where(known, t, 0.0)
    for name, values in (("base", b), ("tuned", t), ("change", t - b)):
        columns[f"sum:{name}"], columns[f"squares:{name}"] = values, values * values
    table = paired_zero(groups, context)
    flat = groups.flat(codes)
    for column, name in enumerate(PAIRED_COLUMNS):
        weights = columns[name].astype(np.float64)
        for position in range(flat.shape[1]):
            table.values[:, column] += np.bincount(
                flat[:, position], weights, minlength=groups.total
            )
    return table


def _read(side: Mapping[str, ArrayLike], rows: int) -> dict[str, NDArray[np.float64]]:
    unknown = sorted(set(side) - {"wrong", "selected", "loss"})
    if unknown:
        raise InputError(f"{unknown[0]!r} is not compared", valid="wrong, selected, loss")
    return {
        name: to_numbers(side[name], rows, name, valid="numbers, or missing")
        if name in side else np.full(rows, np.nan)
        for name in ("wrong", "selected", "loss")
    }  # fmt: skip
