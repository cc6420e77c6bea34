"""The confident joint of given and likely classes, counted by slice on drawn rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.options import DataOptions
from auditor.datasets.out_of_fold import assign_folds, out_of_fold
from auditor.datasets.roles import Roles
from auditor.datasets.scan_sample import (
    draw_rows,
    entity_codes,
    feature_fields,
    feature_matrix,
    model_features,
)
from auditor.datasets.table import Table
from auditor.datasets.target import class_sql
from auditor.metrics.label_noise import LABEL_NOISE
from auditor.stats import Groups, SliceTable

__all__ = ["Confident", "joint_counts", "scan_labels_out_of_fold"]

Confident = NDArray[np.int64]


def scan_labels_out_of_fold(
    table: Table, groups: Groups, roles: Roles, options: DataOptions, classes: tuple[str, ...], *,
    most: int, folds: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:  # fmt: skip
    """Return the group codes, given classes and out-of-fold probabilities of drawn rows.

    Shapes ``[rows, attributes]``, ``[rows]`` and ``[rows, classes]``; a class of ``len(classes)``
    is a missing label, and its record has no probabilities (zeros). Folds keep the records of an
    entity together where ``options.entity`` names its column.
    """
    features = model_features(table, roles, options)
    fields = {"y": class_sql(table, str(roles.target)), **feature_fields(features)}
    if options.entity is not None:
        fields["entity"] = table.text(options.entity)
    rows = draw_rows(table, groups, roles, fields, most=most, seed=options.seed)
    y = rows.codes_of("y", classes)
    x, categorical = feature_matrix(rows, features)
    known = np.flatnonzero(y < len(classes))
    entity = None if options.entity is None else entity_codes(rows, "entity")[known]
    fold = assign_folds(y[known], folds=folds, seed=options.seed, entity=entity)
    probabilities = np.zeros((y.size, len(classes)))
    probabilities[known] = out_of_fold(
        x[known], y[known], fold, classes=len(classes), categorical=categorical, seed=options.seed
    )
    return rows.codes, y, probabilities


def joint_counts(
    groups: Groups, codes: NDArray[np.int32], given: NDArray[np.int64], likely: Confident,
    classes: int, *, context: Mapping[str, Any] | None = None,
) -> SliceTable:  # fmt: skip
    """Count records by slice, given class, and the class that they confidently are of.

    Parameters
    ----------
    given:
        The class of each label, ``classes`` where it is missing, shape ``[rows]``.
    likely:
        The confident class, −1 where there is none, shape ``[rows]``.

    The columns are ``records``, ``unlabelled``, the labels of each class, and the joint.
    """
    columns = (
        "records", "unlabelled", *(f"label:{i}" for i in range(classes)),
        *(f"joint:{i}:{j}" for i in range(classes) for j in range(classes)),
    )  # fmt: skip
    counts = SliceTable.zero(LABEL_NOISE, groups, columns,
                             context={"classes": classes, **(context or {})})  # fmt: skip
    label = np.where(given < classes, 2 + given, 1)
    known = (given < classes) & (likely >= 0)
    cell = 2 + classes + given * classes + likely
    for family in groups.families:
        flat = groups.family_codes(codes, family)
        counts.values[:, 0] += np.bincount(flat, minlength=groups.total)
        np.add.at(counts.values, (flat, label), 1)
        np.add.at(counts.values, (flat[known], cell[known]), 1)
    return counts
