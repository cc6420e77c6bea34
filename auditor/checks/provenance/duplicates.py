"""Records that occur more than once, exactly or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.provenance.counting import absent_counts, count_rows, derive_shares
from auditor.checks.provenance.documents import Texts, content, rows_of, text_columns
from auditor.checks.provenance.methods import near_rows_method, near_text_method
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics.overlap import NEAR_REPEATED
from auditor.metrics.proportions import REPEATED, REPEATED_TEXT
from auditor.stats import SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Table

__all__ = ["Duplicates"]


@register
class Duplicates(Check):
    """The share of records that equal, or are near, an earlier one of the same table, by group.

    The record id does not count as part of a row. Where columns of text are named, equal texts are
    counted as well, whatever stands in the other columns. Equal rows are a fact, not yet a fault:
    two people may give the same answers. Near means a Jaccard similarity of at least
    ``similarity``, exact duplicates included: of the normalised text columns, as runs of
    ``shingle`` tokens, or, where none is named, of the rows as sets of ``column=value``. Other
    words for the same (a paraphrase, a translation) are not seen.
    """

    id: ClassVar[str] = "provenance.duplicates"
    title: ClassVar[str] = "Repeated records"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = (
        "duplicate_rate", "duplicate_text_rate", "near_duplicate_rate",
    )  # fmt: skip

    similarity: Annotated[float, Field(ge=0.3, le=1)] = 0.8
    shingle: Annotated[int, Field(ge=1, le=20)] = 2

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the repeated and near-repeated records of every split by slice."""
        from auditor.provenance import repeated

        if not subject.tables:
            raise NotMeasurable("no data set was given")
        counted: list[SliceTable] = []
        for split, table in subject.tables.items():
            marked = repeated(table.row_hashes(content(table, subject)))
            marks = {"records": np.ones(table.rows, bool), split: marked}
            counted.append(count_rows(REPEATED, table, subject, marks, {"split": split}))
        counted += (_texts(split, table, subject) for split, table in subject.tables.items())
        return [*counted, *(self._near(split, t, subject) for split, t in subject.tables.items())]

    def _near(self, split: str, table: Table, subject: Subject) -> SliceTable:
        from auditor.provenance.near_duplicates import near_duplicates
        from auditor.provenance.near_rows import near_rows

        texts = text_columns(table, subject)
        columns = content(table, subject)
        context: dict[str, Any]
        if texts:
            found = near_duplicates(
                {split: Texts(table, texts)}, similarity=self.similarity, shingle=self.shingle,
                source=split,
            )[split]  # fmt: skip
            context = near_text_method(self.similarity, self.shingle, found.uncompared)
        else:
            found = near_rows(
                {split: rows_of(table, columns)}, similarity=self.similarity, source=split
            )[split]
            context = near_rows_method(len(columns), self.similarity, found.uncompared)
        marks = {
            "records": np.ones(table.rows, bool), "compared": ~found.empty, "found": found.repeated,
        }  # fmt: skip
        return count_rows(NEAR_REPEATED, table, subject, marks, {"split": split, **context})

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the shares of repeated and of near-repeated records."""
        metrics = {
            REPEATED: ("duplicate_rate",), REPEATED_TEXT: ("duplicate_text_rate",),
            NEAR_REPEATED: ("near_duplicate_rate",),
        }  # fmt: skip
        return derive_shares(self, metrics, evidence, stage)


def _texts(split: str, table: Table, subject: Subject) -> SliceTable:
    """Count the records whose text columns, as they stand, equal those of an earlier record."""
    from auditor.provenance import repeated

    columns = text_columns(table, subject)
    if not columns:
        reason = f"no column of text was named that {split} has"
        return absent_counts(REPEATED_TEXT, ("records", "compared", "found"), split, table, reason)
    written = _with_text(table, columns)
    marks = {
        "records": np.ones(table.rows, bool), "compared": written,
        "found": repeated(table.row_hashes(columns)) & written,
    }  # fmt: skip
    return count_rows(REPEATED_TEXT, table, subject, marks, {"split": split})


def _with_text(table: Table, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Return which records have more than white space in a column."""
    texts = ", ".join(table.text(column) for column in columns)
    sql = f"select regexp_matches(concat_ws('', {texts}), '\\S') as t from data"
    parts = [batch.column("t").to_numpy(zero_copy_only=False) for batch in table.batches(sql)]
    return np.concatenate(parts).astype(bool) if parts else np.zeros(0, bool)
