"""Marked rows of a table become counts by slice, and counts become findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.checks.check import Check, Evidence
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate, with_parameter
from auditor.stats import Groups, SliceTable

if TYPE_CHECKING:
    from auditor.datasets import Table

__all__ = ["absent_counts", "count_rows", "derive_shares", "flat_slices"]


def flat_slices(table: Table, subject: Subject) -> tuple[Groups, NDArray[np.int64]]:
    """Return the groups, and the slice of each family that a row is in, shape ``[rows, families]``.

    A table without the sensitive attributes (a public benchmark) is counted as a whole.
    """
    from auditor.datasets import group_codes

    groups = subject.groups
    if any(attribute.name not in table.columns for attribute in groups.attributes):
        groups = Groups.declare([])
    return groups, groups.flat(group_codes(table, groups, subject.roles)).astype(np.int64)


def count_rows(
    kind: str, table: Table, subject: Subject, marks: Mapping[str, NDArray[np.bool_]],
    context: Mapping[str, Any],
) -> SliceTable:  # fmt: skip
    """Count the marked rows of each column by slice."""
    groups, flat = flat_slices(table, subject)
    counts = SliceTable.zero(kind, groups, list(marks), context=context)
    for column, marked in enumerate(marks.values()):
        for position in range(flat.shape[1]):
            counts.values[:, column] += np.bincount(flat[marked, position], minlength=groups.total)
    return counts


def absent_counts(
    kind: str, columns: Sequence[str], split: str, table: Table, reason: str
) -> SliceTable:
    """Return counts of the records alone, which say why nothing else was counted."""
    context = {"split": split, "reason": reason}
    counts = SliceTable.zero(kind, Groups.declare([]), columns, context=context)
    counts.values[:, counts.column("records")] = table.rows
    return counts


def derive_shares(
    check: Check, metrics: Mapping[str, Sequence[str]], evidence: Sequence[Evidence], stage: Stage
) -> list[Finding]:
    """Derive the metrics of each kind of statistic, for everybody and for the single groups."""
    findings: list[Finding] = []
    for item in evidence:
        groups = item.statistic.groups
        single = [family for family in groups.families if len(family) <= 1]
        split = item.statistic.context["split"]
        measured = disaggregate(
            [with_parameter(metric, split) for metric in metrics[item.statistic.kind]],
            item.statistic, families=single, confidence=check.confidence,
        )  # fmt: skip
        findings += check.place(measured, stage, [item.digest])
    return findings
