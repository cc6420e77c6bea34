"""What records of unknown groups could change: the worst cases, without any assumption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from auditor.checks.bias.families import parted
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import METRICS, Absent, Measured, Outcome, disaggregate, estimate
from auditor.metrics.slices import slice_rows
from auditor.metrics.unknown import UNKNOWN_RATE, WORST_CASES, with_extremes
from auditor.stats import CONFUSION, Family, SliceTable, Statistic
from auditor.stats.unknown_counts import UNKNOWN, unknown_counts

__all__ = ["UnknownAttributes"]


@register
class UnknownAttributes(Check):
    """How many records lack an attribute, and the worst that these could do to rates and gaps.

    For each attribute by itself: any subset of its unknown records may belong to any group. The
    interval runs over all such subsets, and over the sampling error at both ends; the interval
    without the latter stands beside it. Attributes that are known of everybody have their
    ``unknown_rate`` of 0 and nothing else.
    """

    id: ClassVar[str] = "bias.unknown-attributes"
    title: ClassVar[str] = "Records of unknown groups, and what they could change"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (UNKNOWN_RATE.id, *WORST_CASES)

    sensitive: tuple[str, ...] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count labels by group, and beside them those of the unknown records."""
        from auditor.datasets import scan_labels

        counted = subject.counted.get(CONFUSION)
        if isinstance(counted, SliceTable):
            return [unknown_counts(counted)]
        table, groups, roles = subject.predictions, subject.groups, subject.roles
        if table is None or roles.task != "binary" or not groups.attributes:
            raise NotApplicable("there are no binary predictions with sensitive attributes")
        if roles.weighting in {"weight", "cluster"}:
            raise NotMeasurable("worst cases of weighted or clustered records are not measured")
        return [unknown_counts(scan_labels(table, groups, roles))]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the share of unknown records, and the worst cases where there are any."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            names = WORST_CASES
            if statistic.context.get("target", "") is None:
                names = tuple(n for n in names if n.startswith("selection_rate"))
            _, large = parted(statistic, statistic.groups.families)
            for family in statistic.groups.families:
                if not family or (self.sensitive is not None and family[0] not in self.sensitive):
                    continue
                unknown = _unknown_rate(statistic, family, self.confidence)
                measured: list[Measured] = [(UNKNOWN_RATE.id, Slice(), None, family, unknown)]
                if family in large:
                    measured += [(name, Slice(), None, family, large[family]) for name in names]
                elif getattr(unknown, "value", 0):
                    found = disaggregate(
                        names, statistic, families=[family], reference=self.reference,
                        confidence=self.confidence,
                    )  # fmt: skip
                    found = [m for m in found if m[1].known]
                    measured += with_extremes(found, statistic, family)
                findings += self.place(measured, stage, [item.digest])
        return findings


def _unknown_rate(statistic: SliceTable, family: Family, confidence: float) -> Outcome:
    rows = slice_rows(statistic, family)
    known = {where: row for where, row in rows.rows.items() if where.known}
    if not known:
        return Absent("no group was declared")
    return estimate(METRICS.get(UNKNOWN_RATE.id).aggregates[UNKNOWN](known), confidence=confidence)
