"""How many labels of the training data are likely wrong, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.label_noise import MOST_JOINT_CLASSES
from auditor.stats import Statistic

__all__ = ["LabelNoise"]

_LEAST = 50


@register
class LabelNoise(Check):
    """The share of label errors by confident learning, for everybody and by group.

    It fits models, and so runs where ``estimate`` is true. Each of up to ``most_rows`` drawn
    records gets its probabilities from models that have seen neither it nor, where the entity is
    named, any record of its entity. The thresholds are those of the classes over all groups.
    """

    id: ClassVar[str] = "provenance.label-noise"
    title: ClassVar[str] = "Labels that are likely wrong"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("label_error_rate",)

    estimate: bool = False
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    most_rows: Annotated[int, Field(ge=_LEAST)] = 20_000

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the confident joint by slice."""
        from auditor.datasets.scan_label_noise import joint_counts, scan_labels_out_of_fold
        from auditor.datasets.target import class_names
        from auditor.provenance.label_noise import class_thresholds, confident_classes

        if not self.estimate:
            raise NotApplicable("label noise was not asked for")
        table, roles = subject.tables.get("train"), subject.roles
        if table is None or roles.target is None:
            raise NotMeasurable("no training data with a target were given")
        if subject.options.entity is not None:
            table.require([subject.options.entity], option="--entity")
        classes = class_names([table], roles.target, most=MOST_JOINT_CLASSES)
        if classes is None or len(classes) < 2:
            found = "one class" if classes else "no class" if classes is not None else "more"
            raise NotMeasurable(f"the target has {found}; 2 to {MOST_JOINT_CLASSES} are needed")
        codes, given, p = scan_labels_out_of_fold(
            table, subject.groups, roles, subject.options, classes,
            most=self.most_rows, folds=self.folds,
        )  # fmt: skip
        known = given < len(classes)
        if known.sum() < _LEAST:
            raise NotMeasurable(f"{known.sum():,} records have a label; {_LEAST} are needed")
        thresholds = class_thresholds(given[known], p[known])
        likely = confident_classes(p, thresholds)
        return [
            joint_counts(
                subject.groups, codes, given, likely, len(classes), context={"rows": table.rows}
            )
        ]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the estimated share of label errors by group."""
        findings: list[Finding] = []
        for item in evidence:
            measured = disaggregate(
                ["label_error_rate"], item.statistic, confidence=self.confidence,
                families=[f for f in item.statistic.groups.families if len(f) <= 1],
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings
