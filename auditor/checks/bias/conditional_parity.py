"""Selection by group among those who are alike: within strata, put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, parted
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import disaggregate
from auditor.metrics.conditional import CONDITIONAL, UNPLACED
from auditor.stats import Statistic

__all__ = ["ConditionalParity"]


@register
class ConditionalParity(Check):
    """The selection of each group against its reference within the strata of a table.

    A stratum that holds only one of the two groups compares nothing. ``sensitive`` and
    ``intersections`` narrow the declared groups; ``reference`` is the group against which a
    comparison is made.
    """

    id: ClassVar[str] = "bias.conditional-parity"
    title: ClassVar[str] = "Selection within strata"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION,)
    metrics: ClassVar[tuple[str, ...]] = (UNPLACED, *CONDITIONAL)

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the selected by slice and stratum."""
        from auditor.datasets import scan_strata

        if subject.predictions is None:
            raise NotApplicable("no table of predictions was given")
        roles = subject.roles
        if roles.task != "binary":
            raise NotApplicable(f"the task is {roles.task}")
        if not roles.strata:
            raise NotApplicable("no strata were named")
        if roles.prediction is None and (roles.score is None or roles.threshold is None):
            raise NotMeasurable("neither predictions nor a threshold of scores were given")
        if roles.weighting in {"weight", "cluster"}:
            raise NotMeasurable("weighted or clustered records are not compared within strata")
        return [scan_strata(subject.predictions, subject.groups, roles)]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the comparisons of each slice with its reference."""
        findings: list[Finding] = []
        for item in evidence:
            families = chosen_families(item.statistic.groups, self.sensitive, self.intersections)
            usual, large = parted(item.statistic, families)
            measured = disaggregate(
                (UNPLACED, *CONDITIONAL), item.statistic, families=usual, reference=self.reference,
                confidence=self.confidence,
            )  # fmt: skip
            measured += [
                (m, Slice(), None, f, why) for f, why in large.items() for m in CONDITIONAL
            ]
            findings += self.place(measured, stage, [item.digest])
        return findings
