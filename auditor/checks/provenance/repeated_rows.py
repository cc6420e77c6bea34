"""Rows that occur more than once, and rows of a test set that were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.datasets import Table, group_codes
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.proportions import OVERLAP, REPEATED
from auditor.provenance import repeated, seen_in
from auditor.stats import SliceTable, Statistic

__all__ = ["Duplicates", "Overlap"]


@register
class Duplicates(Check):
    """The share of rows that equal an earlier row of the same table, by group.

    The record id does not count as part of a row. Equal rows are a fact, not yet a fault: two
    people may give the same answers.
    """

    id: ClassVar[str] = "provenance.duplicates"
    title: ClassVar[str] = "Repeated rows"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("duplicate_rate",)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the repeated rows of every split by slice."""
        if not subject.tables:
            raise NotMeasurable("no data set was given")
        return [
            _count(REPEATED, table, subject, repeated(table.row_hashes(_content(table, subject))),
                   split)
            for split, table in subject.tables.items()
        ]  # fmt: skip

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of repeated rows."""
        return _derive(self, "duplicate_rate", evidence, stage)


@register
class Overlap(Check):
    """The share of rows of validation and test data that also occur in the training data."""

    id: ClassVar[str] = "provenance.overlap"
    title: ClassVar[str] = "Rows of the test data that were trained on"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("overlap_rate",)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count, by slice, the rows of every other split that equal a training row."""
        train = subject.tables.get("train")
        others = {k: t for k, t in subject.tables.items() if k != "train"}
        if train is None or not others:
            raise NotMeasurable("overlap needs training data and a second table")
        statistics: list[Statistic] = []
        for split, table in others.items():
            shared = [c for c in _content(train, subject) if c in table.columns]
            if not shared:
                raise NotMeasurable(f"train and {split} have no column in common")
            found = seen_in(table.row_hashes(shared), train.row_hashes(shared))
            statistics.append(_count(OVERLAP, table, subject, found, split))
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of overlapping rows."""
        return _derive(self, "overlap_rate", evidence, stage)


def _content(table: Table, subject: Subject) -> list[str]:
    columns = [column for column in table.columns if column != subject.roles.record_id]
    if not columns:
        raise NotMeasurable(f"{table.name} has no column but the record id")
    return columns


def _count(
    kind: str, table: Table, subject: Subject, marked: NDArray[np.bool_], split: str
) -> SliceTable:
    groups = subject.groups
    counts = SliceTable.zero(kind, groups, ("records", split), context={"split": split})
    flat = groups.flat(group_codes(table, groups, subject.roles))
    for position in range(flat.shape[1]):
        counts.values[:, 0] += np.bincount(flat[:, position], minlength=groups.total)
        counts.values[:, 1] += np.bincount(flat[marked, position], minlength=groups.total)
    return counts


def _derive(check: Check, metric: str, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
    findings: list[Finding] = []
    for item in evidence:
        groups = item.statistic.groups
        single = [family for family in groups.families if len(family) <= 1]
        split = item.statistic.context["split"]
        measured = disaggregate(
            [f"{metric}[{split}]"], item.statistic, families=single, confidence=check.confidence
        )
        findings += check.place(measured, stage, [item.digest])
    return findings
