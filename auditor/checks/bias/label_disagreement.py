"""Whether annotators disagree more about some groups than about others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families
from auditor.checks.bias.splits import of_split
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.disagreement import DISAGREEMENT_METRICS
from auditor.stats import Statistic

__all__ = ["LabelDisagreement"]


@register
class LabelDisagreement(Check):
    """How often those who labelled the same record disagree, by group.

    A missing label of an annotator is no disagreement. Splits without the annotators' columns take
    no part; those of the training data carry no name in brackets.
    """

    id: ClassVar[str] = "bias.label-disagreement"
    title: ClassVar[str] = "Disagreement of annotators by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = DISAGREEMENT_METRICS

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count records and pairs of labels by slice, in every split that has the columns."""
        from auditor.datasets.scan_disagreement import check_annotators, scan_disagreement

        annotators = subject.options.annotators
        if not annotators:
            raise NotApplicable("no annotators were named")
        if not subject.tables:
            raise NotMeasurable("no data set was given")
        check_annotators(list(subject.tables.values()), annotators)
        return [
            scan_disagreement(
                table, subject.groups, subject.roles, annotators, context={"split": split}
            )
            for split, table in subject.tables.items()
            if set(annotators) <= set(table.columns)
        ]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the rates of disagreement, and their comparisons."""
        findings: list[Finding] = []
        for item in evidence:
            measured = disaggregate(
                DISAGREEMENT_METRICS, item.statistic,
                families=chosen_families(item.statistic.groups, self.sensitive, self.intersections),
                reference=self.reference, confidence=self.confidence,
                between=DISAGREEMENT_METRICS,
            )  # fmt: skip
            findings += self.place(of_split(measured, item.statistic), stage, [item.digest])
        return findings
