"""What overlap with the training data changes in the score of a test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.check import Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.provenance.comparison import (
    Comparing,
    Marked,
    contained_in,
    entities_in,
    equal_to,
    near_to,
)
from auditor.checks.provenance.documents import content
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.clean_scores import CLEAN, CLEAN_COLUMNS, CLEAN_SCORES
from auditor.stats import CELLS, SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Table

__all__ = ["CleanScore"]


@register
class CleanScore(Comparing):
    """Accuracy, selection and error rates on the records that do not overlap the training data.

    A record of the predictions overlaps where it equals a training row (or has its record id),
    where its text is near a training text or contained in the training text, or where its entity
    has training records: as in ``provenance.overlap``. The scores on the clean and on the
    contaminated records, and what the contaminated ones change of the score on all; by group where
    there are any. Overlap that words do not show (a paraphrase, a translation) counts as clean.
    """

    id: ClassVar[str] = "provenance.clean-score"
    title: ClassVar[str] = "Scores without the records that were trained on"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION,)
    metrics: ClassVar[tuple[str, ...]] = CLEAN_SCORES

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count labels and predictions by slice, clean and contaminated records apart."""
        from auditor.datasets import group_codes
        from auditor.datasets.roles import cell_sql

        train, roles, predicted = subject.tables.get("train"), subject.roles, subject.predicted
        table = subject.predictions
        if table is None and predicted is not None:
            table = subject.tables.get(predicted.split)
        if train is None or table is None:
            raise NotApplicable("there are no training data beside predictions")
        if roles.task != "binary":
            raise NotApplicable(f"the task is {roles.task}")
        if roles.weighting is not None:
            raise NotMeasurable("clean scores of weighted or clustered records are not measured")
        marked, context = self._marked(table, train, subject)
        groups = subject.groups
        context = {**roles.context(), **context}
        both = SliceTable.zero(CLEAN, groups, CLEAN_COLUMNS, context=context)
        flat = groups.flat(group_codes(table, groups, roles)).astype(np.int64)
        if subject.predictions is None and predicted is not None:
            flat, marked, cells = flat[predicted.rows], marked[predicted.rows], predicted.cells
        else:
            cells = table.query(f"select {cell_sql(table, roles)} as c from data")["c"].to_numpy()
        width = len(CELLS)
        for position in range(flat.shape[1]):
            place = (flat[:, position] * 2 + marked) * width + cells
            count = np.bincount(place, minlength=groups.total * 2 * width)
            both.values[:] += count.reshape(groups.total, 2 * width)
        return [both]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the scores on the clean and on the contaminated records."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            contaminated = statistic.values[0, len(CELLS) :].sum()
            families = [f for f in statistic.groups.families if len(f) <= bool(contaminated)]
            measured = disaggregate(
                CLEAN_SCORES, statistic, families=families, compared=(),
                confidence=self.confidence,
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings

    def _marked(
        self, table: Table, train: Table, subject: Subject
    ) -> tuple[NDArray[np.bool_], dict[str, Any]]:
        """Mark the records that overlap in any way that can be looked at, and say in which."""
        named = {"predictions": table}
        ways: dict[str, Marked | str] = {"equal": _equal(table, train, subject)}
        if subject.options.text:
            ways["near"] = near_to(named, train, subject, self)["predictions"]
            ways["contained"] = contained_in(named, train, subject, self)["predictions"]
        if subject.options.entity is not None:
            found = entities_in(table, train, subject)
            ways["entity"] = (
                found if isinstance(found, str) else Marked(found.shared, found.numbers >= 0, {})
            )
        usable = {way: marked for way, marked in ways.items() if isinstance(marked, Marked)}
        if not usable:
            reasons = dict.fromkeys(reason for reason in ways.values() if isinstance(reason, str))
            raise NotMeasurable("; ".join(reasons))
        found_by = {
            way: {"found": int(marked.found.sum()), **marked.context}
            for way, marked in usable.items()
        }
        return np.any([m.found for m in usable.values()], axis=0), {"overlap": found_by}


def _equal(table: Table, train: Table, subject: Subject) -> Marked | str:
    """Compare whole rows where the predictions hold them, else record ids."""
    from auditor.provenance import seen_in

    every = np.ones(table.rows, bool)
    columns = content(train, subject)
    if all(column in table.columns for column in columns):
        return Marked(equal_to(table, train, subject), every, {"by": "row"})
    name = subject.roles.record_id
    if name is not None and name in table.columns and name in train.columns:
        found = seen_in(table.row_hashes([name]), train.row_hashes([name]))
        return Marked(found, every, {"by": "record id"})
    absent = [column for column in columns if column not in table.columns]
    return f"the predictions do not hold the training columns {', '.join(map(repr, absent[:5]))}"
