"""What a training took: operations, device-hours, energy, emissions, and its share of the base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.check import Check, Evidence, NotApplicable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.compute import COMPUTE_METRICS
from auditor.stats import COMPUTE, Statistic

__all__ = ["Compute"]


@register
class Compute(Check):
    """The compute of a training, as far as it was metered, for everybody together.

    Each number says by its method whether it was measured or estimated. Operations that were
    counted at one step only, and those of a rule of thumb, have no interval. ``n`` is the number of
    sampled steps, of tokens for the rule of thumb, of devices, or of parts of the machine that were
    read.
    """

    id: ClassVar[str] = "provenance.compute"
    title: ClassVar[str] = "Compute, energy and emissions"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.TRAINING, Stage.FINE_TUNING)
    metrics: ClassVar[tuple[str, ...]] = COMPUTE_METRICS

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Take the sums that the loop's meter gave."""
        if COMPUTE not in subject.counted:
            raise NotApplicable("no meter ran beside this training")
        return [subject.counted[COMPUTE]]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive every number, or the reason why there is none."""
        return [
            finding
            for item in evidence
            for finding in self.place(
                disaggregate(
                    list(COMPUTE_METRICS), item.statistic, families=[()],
                    confidence=self.confidence,
                ),
                stage,
                [item.digest],
            )
        ]  # fmt: skip
