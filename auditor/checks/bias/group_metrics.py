"""Rates, ranking quality, calibration and disparities of binary predictions, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.bias.families import chosen_families, listed, parted
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Estimate, Finding, Slice, Stage
from auditor.metrics import METRICS, Absent, Measured, with_parameter
from auditor.metrics.bands import joint_intervals
from auditor.metrics.between_groups import BETWEEN_GROUPS
from auditor.metrics.detectable import DETECTABLE
from auditor.metrics.inequality import INEQUALITY_OF_SLICES, INEQUALITY_OVER_GROUPS
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.metrics.score_means import SCORE_MEANS
from auditor.metrics.score_quality import QUANTILES, SCORE_METRICS
from auditor.stats import CONFUSION, SCORE_SUMS, SCORES, WEIGHTED, SliceTable, Statistic

__all__ = ["GroupMetrics"]

_COUNTED = (CONFUSION, WEIGHTED, SCORES, SCORE_SUMS)
_OF_SCORES = ("auc", "bpsn_auc", "bnsp_auc", *SCORE_METRICS)
_RATES = (*BINARY_METRICS, *INEQUALITY_OF_SLICES, DETECTABLE)
_AT_A_LOOK = (
    "count", "base_rate", "selection_rate", "true_positive_rate", "false_positive_rate",
    "true_negative_rate", "false_negative_rate", "precision", "accuracy", "f1_score", "auc",
    *SCORE_MEANS,
)  # fmt: skip
_OVER = (*EXTREMES, *INEQUALITY_OVER_GROUPS, *BETWEEN_GROUPS)


@register
class GroupMetrics(Check):
    """Every measure of a binary prediction and its score, for everybody, group and intersection.

    ``sensitive`` and ``intersections`` narrow the declared groups; ``reference`` is the group
    against which differences and ratios are taken. ``metrics_of`` names the metrics of slices, in
    place of all of them; without it a look during training keeps to the main ones. With ``bands:
    max-t`` every rate has, beside its own interval, the one that holds for all slices of all
    families together.
    """

    id: ClassVar[str] = "bias.group-metrics"
    title: ClassVar[str] = "Error rates, selection, ranking and calibration by group"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage.TRAINING, Stage.FINE_TUNING, Stage.EVALUATION, Stage.MONITORING,
    )  # fmt: skip
    metrics: ClassVar[tuple[str, ...]] = (
        *_RATES, *EXTREMES, *INEQUALITY_OVER_GROUPS, "bias_corrected_gap", "between_group_variance",
        *_OF_SCORES, *SCORE_MEANS,
    )  # fmt: skip

    sensitive: tuple[str, ...] | None = None
    intersections: Annotated[int, Field(ge=1)] | None = None
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"
    metrics_of: tuple[str, ...] | None = None
    bands: Literal["family", "max-t"] = "family"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count labels, and scores where there are any, by slice."""
        from auditor.datasets import (
            scan_counts,
            scan_frequency_scores,
            scan_labels,
            scan_score_sums,
            scan_scores,
        )

        counted = [subject.counted[k] for k in _COUNTED if k in subject.counted]
        if counted:
            return counted
        if subject.predictions is None:
            raise NotMeasurable("no predictions were given")
        table, groups, roles = subject.predictions, subject.groups, subject.roles
        if roles.task == "counts":
            return [scan_counts(table, groups, roles)]
        if roles.task != "binary":
            raise NotApplicable(f"the task is {roles.task}")
        statistics: list[Statistic] = [scan_labels(table, groups, roles)]
        weighted = statistics[0].kind == WEIGHTED
        if roles.score is not None and roles.target is not None and not weighted:
            if roles.frequency is not None:
                statistics.append(scan_frequency_scores(table, groups, roles))
            else:
                statistics.append(scan_scores(table, groups, roles))
                statistics.append(scan_score_sums(table, groups, roles))
        return statistics

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive rates and disparities from confusion counts, the rest from counts of scores."""
        findings: list[Finding] = []
        for item in evidence:
            names = self._names(item.statistic, stage)
            labels = item.statistic.kind in (CONFUSION, WEIGHTED)
            measured = listed(
                names,
                item.statistic,
                chosen_families(item.statistic.groups, self.sensitive, self.intersections),
                reference=self.reference,
                confidence=self.confidence,
                extremes=_over_groups(item.statistic, stage) if labels else (),
                between=() if stage is Stage.TRAINING else None,
            )
            context = item.statistic.context
            if context.get("target", "") is None:
                # Without a target only selection is measured; one reason stands for the rest.
                measured = [m for m in measured if _needs_no_target(m[0])]
            for names_of in context.get("uncounted", ()):
                reason = Absent("too many combinations of this family and the scores to be counted")
                over = tuple(str(name) for name in names_of)
                measured += [(name, Slice(), None, over, reason) for name in names]
            measured = self._banded(measured, item.statistic)
            findings += self.place(measured, stage, [item.digest])
        return findings + self._missing(evidence, stage)

    def _names(self, statistic: Statistic, stage: Stage) -> tuple[str, ...]:
        if statistic.kind == SCORE_SUMS:
            names: tuple[str, ...] = SCORE_MEANS
        elif statistic.kind == SCORES:
            names = (
                *(name for name in _OF_SCORES if name != "score_quantile"),
                *(with_parameter("score_quantile", share) for share in QUANTILES),
            )
        elif statistic.kind == WEIGHTED:
            names = BINARY_METRICS
        else:
            names = _RATES
        wanted = self.metrics_of
        if wanted is None and stage is Stage.TRAINING:
            wanted = _AT_A_LOOK
        return tuple(n for n in names if wanted is None or n.partition("[")[0] in wanted)

    def _banded(self, measured: list[Measured], statistic: Statistic) -> list[Measured]:
        """Put the bounds for all slices of all families beside each rate, where they are wanted."""
        if self.bands != "max-t" or statistic.kind != CONFUSION:
            return measured
        assert isinstance(statistic, SliceTable)
        families = chosen_families(statistic.groups, self.sensitive, self.intersections)
        families, _ = parted(statistic, families)
        names = {name for name, _, reference, over, _ in measured if reference is over is None}
        found = {
            name: joint_intervals(
                name, statistic, families=families, confidence=self.confidence
            )
            for name in names if CONFUSION in METRICS.get(name.partition("[")[0]).readers
        }  # fmt: skip
        return [
            (name, where, reference, over, outcome.with_also(found[name][where]))
            if reference is over is None and isinstance(outcome, Estimate)
            and where in found.get(name, {})
            else (name, where, reference, over, outcome)
            for name, where, reference, over, outcome in measured
        ]  # fmt: skip

    def _missing(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Name what could not be measured at all, once each, with the reason."""
        counts = next((e for e in evidence if e.statistic.kind in (CONFUSION, WEIGHTED)), None)
        context = counts.statistic.context if counts else {}
        kinds = {e.statistic.kind for e in evidence}
        absent: list[tuple[str, str]] = []
        if context.get("target", "") is None:
            absent += [(m, "no target column") for m in self.metrics if not _needs_no_target(m)]
        else:
            why = "no score column"
            if context.get("score") and WEIGHTED in kinds:
                why = "scores of weighted or clustered records are not measured"
            if SCORES not in kinds:
                absent += [(m, why) for m in _OF_SCORES]
            if SCORE_SUMS not in kinds:
                if context.get("score") and CONFUSION in kinds:
                    why = "not measured for frequencies"
                absent += [(m, why) for m in SCORE_MEANS]
        if WEIGHTED in kinds:
            reason = "inequality of weighted or clustered records is not measured"
            absent += [(m, reason) for m in (*INEQUALITY_OF_SLICES, *INEQUALITY_OVER_GROUPS)]
            reason = "gaps of weighted or clustered records are not corrected"
            absent += [(m, reason) for m in ("bias_corrected_gap", "between_group_variance")]
            absent.append((DETECTABLE, "not measured for weighted or clustered records"))
        first = dict(reversed(absent))
        measured = [(m, Slice(), None, None, Absent(first[m])) for m in dict(absent)]
        return self.place(measured, stage, [])


_FREE = (
    "count", "selection_rate", "rejection_rate", "demographic_parity", "differential_fairness",
    DETECTABLE,
)  # fmt: skip


def _over_groups(statistic: Statistic, stage: Stage) -> tuple[str, ...]:
    """Return the metrics over all groups; a look during training keeps to the named extremes."""
    return EXTREMES if stage is Stage.TRAINING or statistic.kind != CONFUSION else _OVER


def _needs_no_target(metric: str) -> bool:
    return metric.startswith(_FREE) or metric.endswith("[selection_rate]")
