"""Records of a test set or a benchmark that were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from auditor.checks.check import Evidence, NotMeasurable, register
from auditor.checks.provenance.comparison import (
    Comparing,
    Marked,
    contained_in,
    entities_in,
    equal_to,
    near_to,
)
from auditor.checks.provenance.counting import (
    absent_counts,
    count_rows,
    derive_shares,
    flat_slices,
)
from auditor.checks.subject import Subject
from auditor.errors import InputError
from auditor.evidence import Finding, Stage
from auditor.metrics.overlap import CONTAINED, ENTITIES, NEAR_OVERLAP
from auditor.metrics.proportions import OVERLAP
from auditor.stats import SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Table
    from auditor.provenance.entities import EntityOverlap

__all__ = ["Overlap"]

_METRICS = {
    OVERLAP: ("overlap_rate",),
    NEAR_OVERLAP: ("near_overlap_rate",),
    CONTAINED: ("contained_rate",),
    ENTITIES: ("entity_overlap_rate", "shared_entity_rate"),
}
_FOUND: tuple[str, ...] = ("records", "compared", "found")
_OF_ENTITIES: tuple[str, ...] = (*_FOUND, "entities", "shared")


@register
class Overlap(Comparing):
    """The share of records of every other split, and of each benchmark, that were trained on.

    A record was trained on where it equals a training row in all columns that both have; where it
    is near one (Jaccard similarity of at least ``similarity``, as in ``provenance.duplicates``);
    where at least the share ``contained`` of its ``ngram``-grams occurs in the training text; or
    where its entity (a patient, a user, a source) has training records too. All of these compare
    words: a paraphrase or a translation is not seen, and a rate of 0 does not exclude it.
    """

    id: ClassVar[str] = "provenance.overlap"
    title: ClassVar[str] = "Records of the test data that were trained on"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = tuple(m for names in _METRICS.values() for m in names)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count, by slice, the records that overlap the training data."""
        train = subject.tables.get("train")
        splits = {k: t for k, t in subject.tables.items() if k != "train"}
        benchmarks = subject.options.benchmarks
        if train is None or not (splits or benchmarks):
            raise NotMeasurable("overlap needs training data and a second table")
        for name in benchmarks:
            if name in subject.tables:
                raise InputError(
                    f"a benchmark has the name {name!r}, as a split has", where="benchmarks=",
                    valid="a name of its own",
                )  # fmt: skip
        tables = {**splits, **benchmarks}
        statistics: list[Statistic] = []
        for split, table in tables.items():
            try:
                found = equal_to(table, train, subject)
            except NotMeasurable as error:
                if split in splits:
                    raise
                statistics.append(
                    absent_counts(OVERLAP, ("records", split), split, table, str(error))
                )
                continue
            marks = {"records": np.ones(table.rows, bool), split: found}
            statistics.append(count_rows(OVERLAP, table, subject, marks, {"split": split}))
        near = near_to(tables, train, subject, self)
        contained = contained_in(tables, train, subject, self)
        for split, table in tables.items():
            statistics.append(_count(NEAR_OVERLAP, split, table, subject, near[split]))
            statistics.append(_count(CONTAINED, split, table, subject, contained[split]))
        for split, table in splits.items():
            overlap = entities_in(table, train, subject)
            statistics.append(_count_entities(split, table, subject, overlap))
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the shares of overlapping records."""
        findings = derive_shares(self, _METRICS, evidence, stage)
        if not any(item.statistic.kind == ENTITIES for item in evidence):
            why = "no second split was given"
            findings += [
                one for one in self.unmeasured(why, stage) if one.metric in _METRICS[ENTITIES]
            ]
        return findings


def _count(
    kind: str, split: str, table: Table, subject: Subject, found: Marked | str
) -> SliceTable:
    if isinstance(found, str):
        return absent_counts(kind, _FOUND, split, table, found)
    every = np.ones(table.rows, bool)
    marks = {"records": every, "compared": found.compared, "found": found.found}
    return count_rows(kind, table, subject, marks, {"split": split, **found.context})


def _count_entities(
    split: str, table: Table, subject: Subject, found: EntityOverlap | str
) -> SliceTable:
    if isinstance(found, str):
        return absent_counts(ENTITIES, _OF_ENTITIES, split, table, found)
    groups, flat = flat_slices(table, subject)
    known = found.numbers >= 0
    context: Mapping[str, str] = {
        "split": split, "method": "entities", "entity": str(subject.options.entity),
    }  # fmt: skip
    counts = SliceTable.zero(ENTITIES, groups, _OF_ENTITIES, context=context)
    for position in range(flat.shape[1]):
        slices = flat[:, position]
        one = found.distinct(slices)
        marks = (np.ones(table.rows, bool), known, found.shared, one, one & found.shared)
        for column, marked in enumerate(marks):
            counts.values[:, column] += np.bincount(slices[marked], minlength=groups.total)
    return counts
