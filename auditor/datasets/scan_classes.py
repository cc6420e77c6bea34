"""One pass over a table for its true and predicted classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.roles import Roles
from auditor.datasets.stream import stream
from auditor.datasets.table import Table
from auditor.datasets.tasks import classes_of
from auditor.stats import Groups, SliceTable, class_zero

__all__ = ["scan_classes"]


def scan_classes(
    table: Table, groups: Groups, roles: Roles, *, context: Mapping[str, Any] | None = None
) -> SliceTable:
    """Count (true class, predicted class) by slice."""
    classes = classes_of([table], roles)
    counts = class_zero(groups, classes, {**roles.context(), **(context or {})})
    fields = {"true": table.text(str(roles.target)), "predicted": table.text(str(roles.prediction))}
    for batch in stream(table, groups, roles, fields):
        cells = (len(classes) + 1) * batch.codes_of("true", classes)
        cells = cells + batch.codes_of("predicted", classes)
        flat = groups.flat(batch.codes)
        for position in range(flat.shape[1]):
            np.add.at(counts.values, (flat[:, position], cells), 1)
    return counts
