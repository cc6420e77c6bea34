"""Labels and groups of the records, as numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.stats import as_label

__all__ = ["Groupings", "groupings", "labels"]


class Groupings(NamedTuple):
    """The groups of the training records in order, and the number of each record's group."""

    slices: tuple[Slice, ...]
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def labels(y: ArrayLike, *, where: str) -> NDArray[np.int64]:
    """Read labels as 0 and 1; raises :class:`InputError` for anything else."""
    found = np.asarray(y).reshape(-1)
    if found.dtype.kind not in "biuf" or not np.isin(found, (0, 1)).all():
        raise InputError(
            "the labels are not 0 and 1", where=where, valid="0 and 1, as (y == 'yes') gives"
        )
    return found.astype(np.int64)


def groupings(train: Any, test: Any) -> Groupings:
    """Number the groups, one or several columns making them.

    ``train`` and ``test`` are sequences, or tables with equal columns. Raises :class:`InputError`
    where a value is missing, where there is one group, or where a test group was not trained on.
    """
    names, ours = _columns(train, "sensitive_train")
    others, theirs = _columns(test, "sensitive_test")
    if names != others:
        raise InputError(
            f"the columns are {', '.join(others)}", where="sensitive_test", valid=", ".join(names)
        )
    codes, levels = _encode(ours, "sensitive_train")
    if len(levels) < 2:
        raise InputError(
            "there is only one group" if levels else "there are no records",
            where="sensitive_train", valid="at least two groups",
        )  # fmt: skip
    other_codes, other_levels = _encode(theirs, "sensitive_test")
    new = [level for level in other_levels if level not in levels]
    if new:
        raise InputError(
            f"the group {', '.join(new[0])} has no training records", where="sensitive_test",
            valid="groups of the training records",
        )  # fmt: skip
    place = np.array([levels.index(level) for level in other_levels], np.intp)
    slices = tuple(Slice(dict(zip(names, level, strict=True))) for level in levels)
    return Groupings(slices, codes, place[other_codes])


def _columns(values: Any, where: str) -> tuple[list[str], list[Any]]:
    if hasattr(values, "columns"):
        names = [str(name) for name in values.columns]
        if not names:
            raise InputError("the table has no columns", where=where)
        return names, [values.iloc[:, i] for i in range(len(names))]
    name = getattr(values, "name", None)
    return [str(name) if name is not None else "group"], [values]


def _encode(columns: list[Any], where: str) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    import pandas as pd

    parts: list[NDArray[np.intp]] = []
    written: list[list[str]] = []
    for column in columns:
        codes, values = pd.factorize(pd.Series(column).reset_index(drop=True))
        texts = [as_label(value) for value in values]
        if (codes < 0).any() or None in texts:
            raise InputError(
                f"{int((codes < 0).sum()):,} records have no group", where=where,
                valid="a group for each, or the records left out",
            )  # fmt: skip
        parts.append(np.asarray(codes, np.intp))
        written.append([text for text in texts if text is not None])
    if not parts[0].size:
        return parts[0], []
    joint, inverse = np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)
    rows = [
        tuple(texts[code] for texts, code in zip(written, row, strict=True))
        for row in joint.tolist()
    ]
    levels = sorted(set(rows))
    place = np.array([levels.index(row) for row in rows], np.intp)
    return place[np.asarray(inverse).reshape(-1)], levels
