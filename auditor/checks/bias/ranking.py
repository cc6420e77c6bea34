"""Exposure, top places and their disparities in ranked lists, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, listed
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import METRICS, with_parameter
from auditor.metrics.ranking import RANKING_METRICS, RANKING_OVER_GROUPS, RANKING_TOP_METRICS
from auditor.stats import Statistic

__all__ = ["RankingMetrics"]


@register
class RankingMetrics(Check):
    """Who is seen in ranked lists: for everybody, group and intersection.

    A list is what one query gave; without queries the whole table is one list, and the intervals
    speak of other records like these, not of this list, which is known. Each length k of a top list
    stands in brackets: ``top_k_rate[10]``. The fields are those of ``bias.group-metrics``.
    """

    id: ClassVar[str] = "bias.ranking"
    title: ClassVar[str] = "Exposure and top places of ranked lists by group"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION, Stage.MONITORING)
    metrics: ClassVar[tuple[str, ...]] = (
        *RANKING_METRICS, *RANKING_TOP_METRICS, *RANKING_OVER_GROUPS
    )  # fmt: skip

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Rank the records of every list and add up exposure and top places by slice."""
        from auditor.datasets.scan_ranking import scan_ranking

        roles = subject.roles
        if subject.predictions is None or roles.task != "ranking":
            raise NotApplicable("the task is not ranking")
        if roles.weighting is not None:
            raise NotMeasurable(f"ranked lists are not measured with a {roles.weighting}")
        return [scan_ranking(subject.predictions, subject.groups, roles)]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive exposure, shares of the top, skew and divergence."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            lengths = [str(k) for k in statistic.context["top"]]
            names = [
                *(n for n in ("count", *RANKING_METRICS) if statistic.kind in METRICS.get(n).kinds),
                *(with_parameter(name, k) for name in RANKING_TOP_METRICS for k in lengths),
            ]
            measured = listed(
                names,
                statistic,
                chosen_families(statistic.groups, self.sensitive, self.intersections),
                reference=self.reference,
                confidence=self.confidence,
                extremes=RANKING_OVER_GROUPS,
            )
            findings += self.place(measured, stage, [item.digest])
        return findings
