"""Columns that say nothing, that say the same as another, and that say too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, disaggregate, slice_samples, with_parameter
from auditor.metrics.feature_quality import (
    COLUMN_VALUES,
    EQUAL_COLUMNS,
    FEATURE_TARGET,
    LEAKING,
)
from auditor.stats import Groups, SliceTable, Statistic

__all__ = ["FeatureQuality"]

_MOST_CLASSES = 20


@register
class FeatureQuality(Check):
    """Constant, identifying, equal and leaking columns of the training data.

    ``feature_auc`` is measured for every feature, on up to ``most_rows`` drawn rows, with its
    interval; ``leaking_features`` counts those whose value is above ``auc``. A feature that alone
    tells the target was often made from it, or written after it was known.
    """

    id: ClassVar[str] = "provenance.feature-quality"
    title: ClassVar[str] = "Constant, equal and leaking features"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = (
        "distinct_share", "modal_share", "equal_columns", "agreement_rate", "feature_auc",
        "leaking_features",
    )  # fmt: skip

    auc: Annotated[float, Field(ge=0.5, le=1)] = 0.99
    most_rows: Annotated[int, Field(ge=100)] = 100_000
    most_columns: Annotated[int, Field(ge=1)] = 500

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the values of every column, and every feature by class."""
        from auditor.datasets.scan_columns import scan_column_values, scan_equal_columns

        if subject.roles.task == "counts":
            raise NotApplicable("the rows are groups, not records")
        table = subject.tables.get("train")
        if table is None:
            raise NotMeasurable("no training data was given")
        columns = [name for name in table.columns if name != subject.roles.record_id]
        if len(columns) > self.most_columns:
            raise NotMeasurable(
                f"{len(columns):,} columns are more than {self.most_columns:,} (most_columns)"
            )
        if not columns:
            raise NotMeasurable(f"{table.name} has no column but the record id")
        counted = scan_column_values(table, columns, split="train")
        equal = scan_equal_columns(table, counted, split="train")
        return [*counted, equal, *self._by_class(subject)]

    def _by_class(self, subject: Subject) -> list[SliceTable]:
        """Count the features by class; one statistic says how many of them leak, or why not."""
        from auditor.datasets.scan_features import scan_features
        from auditor.datasets.scan_proxies import features_of
        from auditor.datasets.target import class_names

        table, roles, options = subject.tables["train"], subject.roles, subject.options
        counts: list[SliceTable] = []
        reason = "no target was given"
        if roles.target is not None:
            classes = class_names([table], roles.target, most=_MOST_CLASSES)
            names = [n for n in features_of(table, roles, options) if n != roles.target]
            if classes is None:
                reason = f"the target has more than {_MOST_CLASSES} values"
            elif len(classes) < 2:
                reason = "the target has fewer than two classes"
            elif not names:
                reason = "no column is a feature"
            else:
                counts = scan_features(
                    table, roles, names, classes, most=self.most_rows, seed=options.seed
                )
        samples = [slice_samples("feature_auc", item, ()).samples[Slice()] for item in counts]
        measured = [sample.value for sample in samples if not isinstance(sample, Absent)]
        leaking = SliceTable.zero(
            LEAKING, Groups.declare(()), ("features", "above"),
            context={"auc": self.auc, "reason": "" if counts else reason},
        )  # fmt: skip
        leaking.values[0] = [len(measured), sum(value > self.auc for value in measured)]
        return [*counts, leaking]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the shares of each column, and the area under the curve of each feature."""
        findings: list[Finding] = []
        for item in evidence:
            statistic, context = item.statistic, item.statistic.context
            column: Any = context.get("column")
            names = {
                COLUMN_VALUES: [f"distinct_share[{column}]", f"modal_share[{column}]"],
                EQUAL_COLUMNS: [
                    "equal_columns",
                    *(with_parameter("agreement_rate", str(p)) for p in context.get("pairs", ())),
                ],
                FEATURE_TARGET: [f"feature_auc[{column}]"],
                LEAKING: ["leaking_features"],
            }[statistic.kind]  # fmt: skip
            measured = disaggregate(names, statistic, confidence=self.confidence)
            if statistic.kind == LEAKING and context["reason"]:
                why = Absent(str(context["reason"]))
                measured = [
                    (metric, where, None, None, why)
                    for _, where, *_ in measured for metric in ("feature_auc", "leaking_features")
                ]  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings
