"""What fine-tuning changed for each group: the base model and the tuned one on the same records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, listed
from auditor.checks.check import Check, Evidence, NotApplicable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics.base_against_tuned import BASE_AGAINST_TUNED
from auditor.stats import Statistic
from auditor.stats.paired import PAIRED

__all__ = ["BaseAgainstTuned"]


@register
class BaseAgainstTuned(Check):
    """Errors, selection and loss before and after fine-tuning, by group and intersection.

    Both models predict the same records, and the changes are paired: their intervals are narrower
    than those of a difference of two independent rates. The difference of a change between two
    groups says whether tuning did more for one of them.
    """

    id: ClassVar[str] = "bias.base-against-tuned"
    title: ClassVar[str] = "Base model against tuned model by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.FINE_TUNING,)
    metrics: ClassVar[tuple[str, ...]] = BASE_AGAINST_TUNED

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the paired counts."""
        if PAIRED not in subject.counted:
            raise NotApplicable("no base model was compared")
        return [subject.counted[PAIRED]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive rates, paired changes, and their differences between groups."""
        findings: list[Finding] = []
        for item in evidence:
            names = [
                name for name in BASE_AGAINST_TUNED
                if name != "selection_rate_change" or item.statistic.context.get("task") == "binary"
            ]  # fmt: skip
            measured = listed(
                names, item.statistic,
                chosen_families(item.statistic.groups, self.sensitive, self.intersections),
                reference=self.reference, confidence=self.confidence,
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        return findings
