"""What the model's output is made of: attributions by feature and group, and their quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, disaggregate
from auditor.metrics.attributions import ATTRIBUTIONS
from auditor.stats import Statistic

__all__ = ["AttributionsByGroup"]


@register
class AttributionsByGroup(Check):
    """Mean absolute attribution by feature and group, reliance on protected attributes, quality.

    The quality of an explanation stands beside it: ``completeness_residual`` (what the
    attributions leave unexplained, in standard deviations of the output) and
    ``attribution_error`` (the Monte-Carlo error, as a share of the mean attribution).
    """

    id: ClassVar[str] = "explainability.attributions"
    title: ClassVar[str] = "Attributions by feature and group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION,)
    metrics: ClassVar[tuple[str, ...]] = (
        "mean_absolute_attribution", "protected_reliance", "completeness_residual",
        "attribution_error",
    )  # fmt: skip

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums over the explained records."""
        if ATTRIBUTIONS not in subject.counted:
            raise NotMeasurable("nothing was explained")
        return [subject.counted[ATTRIBUTIONS]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive attributions by feature and group, and the quality of the explanations."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            families = [family for family in statistic.groups.families if len(family) <= 1]
            columns: Sequence[str] = statistic.columns  # type: ignore[union-attr]
            features = [c.partition("sum:feature:")[2] for c in columns if c.startswith("sum:f")]
            measured = disaggregate(
                [f"mean_absolute_attribution[{feature}]" for feature in features], statistic,
                families=families, confidence=self.confidence,
            )  # fmt: skip
            if "sum:protected" in columns:
                measured += disaggregate(
                    ["protected_reliance"], statistic, families=families,
                    confidence=self.confidence,
                )  # fmt: skip
            else:
                reason = "no sensitive attribute is among the model's named features"
                measured.append(("protected_reliance", Slice(), None, None, Absent(reason)))
            measured += disaggregate(
                ["completeness_residual", "attribution_error"], statistic, families=families[:1],
                confidence=self.confidence,
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings
