"""The impact ratio and the four-fifths screen, as employment regulators ask for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from auditor.checks.bias.families import chosen_families, parted
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Estimate, Finding, Slice, Stage
from auditor.metrics import Absent, Measured, disaggregate
from auditor.metrics.adverse_impact import AGAINST_THE_MOST_SELECTED, adverse_impact
from auditor.metrics.reconciliation import MARGINAL_TOTALS, RECONCILED, marginal_totals
from auditor.stats import CONFUSION, SliceTable, Statistic, with_unknown

__all__ = ["AdverseImpact"]


@register
class AdverseImpact(Check):
    """The rate of each category over that of the most selected one, and how sure that is.

    ``unknown`` names levels that mean that nobody knows (``Unknown``, ``Not disclosed``): they are
    counted and have their rate, and are compared with nobody. Categories of less than
    ``exclude_under`` of the records are left out of the ratios, with the stated
    ``exclusion_reason``; they keep their counts and rates. ``reference`` is a named comparator, as
    in ``{"race": "White"}``, in place of the most selected category; the words that other checks
    take (``largest``, ``best``, ``rest``) leave it at that. ``sensitive`` and ``intersections``
    narrow the declared groups.

    Where there are scores, and neither predictions nor a threshold, the scoring rate takes the
    place of the selection rate. Where to be selected is the bad outcome (``unfavourable``), the
    ratio is that of the rates of not being selected, and its method says so.
    """

    id: ClassVar[str] = "bias.adverse-impact"
    title: ClassVar[str] = "Impact ratios against the most selected category"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION,)
    metrics: ClassVar[tuple[str, ...]] = (
        "impact_ratio", "favourable_rate", "scoring_rate", *AGAINST_THE_MOST_SELECTED, *RECONCILED,
    )  # fmt: skip

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: dict[str, str] | None = None
    unknown: tuple[str, ...] = ()
    exclude_under: Annotated[float, Field(gt=0, lt=1)] | None = None
    exclusion_reason: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("reference", mode="before")
    @classmethod
    def _named_only(cls, value: Any) -> Any:
        return None if value in ("largest", "best", "rest") else value

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.exclude_under is not None and self.exclusion_reason is None:
            raise ValueError("exclude_under needs an exclusion_reason")
        return self

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the selected by slice; of published counts, also how their totals agree."""
        from auditor.datasets import scan_counts, scan_labels, weighted_median

        counted = subject.counted.get(CONFUSION)
        if isinstance(counted, SliceTable):
            return [self._settled(counted, subject.roles.unfavourable)]
        if subject.predictions is None:
            raise NotMeasurable("no predictions were given")
        table, groups, roles = subject.predictions, subject.groups, subject.roles
        if roles.task == "counts":
            counts = self._settled(scan_counts(table, groups, roles), roles.unfavourable)
            return [counts, marginal_totals(counts)]
        if roles.task != "binary":
            raise NotApplicable(f"the task is {roles.task}")
        roles = replace(roles, target=None)
        settings: dict[str, Any] = {}
        if roles.prediction is None and roles.threshold is None:
            if roles.score is None:
                raise NotMeasurable("neither predictions nor scores were given")
            median = weighted_median(table, roles.score, weight=roles.weight or roles.frequency)
            # At or above the next number is strictly above this one.
            roles = replace(roles, threshold=math.nextafter(median, math.inf))
            settings = {"prediction": f"{roles.score} > {median:g}", "median": median}
        counts = scan_labels(table, groups, roles, context=settings)
        return [self._settled(counts, roles.unfavourable)]

    def _settled(self, counts: SliceTable, unfavourable: bool) -> SliceTable:
        """Write into the statistic what its ratios depend on, so that rules judge the same."""
        settings: dict[str, Any] = {"unfavourable": True} if unfavourable else {}
        if self.unknown:
            settings["unknown"] = list(self.unknown)
        if self.exclude_under is not None:
            settings |= {
                "exclude_under": self.exclude_under, "exclusion_reason": self.exclusion_reason
            }  # fmt: skip
        return with_unknown(replace(counts, context={**counts.context, **settings}), self.unknown)

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive rates, ratios and tests from counts, and the agreement of totals."""
        findings: list[Finding] = []
        for item in evidence:
            measured = self._measured(item.statistic)
            findings += self.place(measured, stage, [item.digest])
        return findings

    def _measured(self, statistic: Statistic) -> list[Measured]:
        assert isinstance(statistic, SliceTable)
        families = chosen_families(statistic.groups, self.sensitive, self.intersections)
        if statistic.kind == MARGINAL_TOTALS:
            return disaggregate(
                (), statistic, extremes=RECONCILED, families=families, confidence=self.confidence
            )
        scored = "median" in statistic.context
        names = ("favourable_rate", "scoring_rate") if scored else ("favourable_rate",)
        usual, large = parted(statistic, families)
        measured = disaggregate(names, statistic, families=usual, confidence=self.confidence)
        compared = ("impact_ratio", *AGAINST_THE_MOST_SELECTED)
        for family, reason in large.items():
            measured += [(name, Slice(), None, family, reason) for name in (*names, *compared)]
        for family in usual:
            if family:
                measured += adverse_impact(
                    statistic, family, reference=self.reference, confidence=self.confidence
                )
        if not any(families):
            why = Absent("no groups to compare")
            measured += [(name, Slice(), None, None, why) for name in compared]
        return _named(measured, statistic.context)


def _named(measured: Sequence[Measured], context: Mapping[str, Any]) -> list[Measured]:
    """Let every method say where the rates are those of not being selected."""
    if not context.get("unfavourable"):
        return list(measured)
    return [
        (metric, where, reference, over, outcome.model_copy(
            update={"method": f"{outcome.method}-of-not-being-selected"}
        ) if isinstance(outcome, Estimate) and metric != "scoring_rate" else outcome)
        for metric, where, reference, over, outcome in measured
    ]  # fmt: skip
