"""Whether test and production data look like the training data, column by column and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import (
    Absent,
    Measured,
    Sample,
    disaggregate,
    estimate,
    slice_rows,
    slice_samples,
)
from auditor.metrics.drift import (
    DOMAIN,
    DRIFT,
    DRIFT_GROUPS,
    OF_CATEGORIES,
    OF_EVERY_COLUMN,
    OF_NUMBERS,
    largest_deviation,
    with_family,
)
from auditor.stats import SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Table

__all__ = ["Drift"]

_Member = tuple[str, str, Sample, float]
"""(metric, digest of the statistic, sample, standard deviation of its noisiest functional)."""


@register
class Drift(Check):
    """How far every other split, and production data, lie from the training data.

    Columns are compared on up to ``most_rows`` drawn rows of each table. Each interval stands
    beside the one, in ``also``, that holds for all columns of a table together. ``together`` says
    whether a model is fitted to tell the two tables apart (``drift_auc``), on up to
    ``most_together`` rows of each.
    """

    id: ClassVar[str] = "provenance.drift"
    title: ClassVar[str] = "Drift from the training data"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = (
        *dict.fromkeys((*OF_NUMBERS, *OF_CATEGORIES, *OF_EVERY_COLUMN)), "absent_columns",
        "drift_auc", "group_share_change",
    )  # fmt: skip

    columns: tuple[str, ...] | None = None
    together: bool = False
    most_rows: Annotated[int, Field(ge=100)] = 100_000
    most_together: Annotated[int, Field(ge=100)] = 5_000
    most_columns: Annotated[int, Field(ge=1)] = 500

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the columns of each pair of tables at the same positions."""
        if subject.roles.task == "counts":
            raise NotApplicable("the rows are groups, not records")
        train = subject.tables.get("train")
        others = {name: t for name, t in subject.tables.items() if name != "train"}
        if subject.options.production is not None:
            others["production"] = subject.options.production
        if train is None or not others:
            raise NotMeasurable("drift needs training data and a second table")
        statistics: list[Statistic] = []
        for split, later in others.items():
            statistics += self._against(train, later, split, subject)
        return statistics

    def _against(
        self, train: Table, later: Table, split: str, subject: Subject
    ) -> list[SliceTable]:
        from auditor.datasets.scan_domain import domain_counts
        from auditor.datasets.scan_drift import (
            draw_pairs,
            drift_counts,
            scan_absent,
            scan_group_shares,
        )

        roles, options = subject.roles, subject.options
        columns = self._shared(train, later, split, subject)
        pairs = draw_pairs(train, later, columns, most=self.most_rows, seed=options.seed)
        counts = [drift_counts(pair, split=split) for pair in pairs]
        counts.append(scan_absent(train, later, roles, split=split))
        if self.together:
            features = [pair for pair in pairs if pair.column != roles.target]
            counts.append(
                domain_counts(features, split=split, most=self.most_together, seed=options.seed)
            )
        if roles.sensitive:
            counts.append(scan_group_shares(train, later, roles, split=split))
        return counts

    def _shared(self, train: Table, later: Table, split: str, subject: Subject) -> list[str]:
        if self.columns is not None:
            train.require(self.columns)
            later.require(self.columns)
            return list(self.columns)
        left_out = {subject.roles.record_id, subject.options.entity, *subject.options.text}
        found = [c for c in train.columns if c in later.types and c not in left_out]
        if not found:
            raise NotMeasurable(f"train and {split} have no column in common")
        if len(found) > self.most_columns:
            raise NotMeasurable(
                f"{len(found):,} columns: beyond {self.most_columns:,} they have to be named"
            )
        later.require(found)
        return found

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the distances of each column, with the intervals of the family beside them."""
        findings: list[Finding] = []
        families: dict[tuple[str, str], list[_Member]] = {}
        for item in evidence:
            statistic, context = item.statistic, item.statistic.context
            split = str(context["split"])
            if statistic.kind == DRIFT:
                of = OF_NUMBERS if context["type"] == "numbers" else OF_CATEGORIES
                rows = slice_rows(statistic, ())
                for metric in (*of, *OF_EVERY_COLUMN):
                    name = f"{metric}[{context['column']}, {split}]"
                    sample = slice_samples(name, statistic, (), rows=rows).samples[Slice()]
                    sigma = largest_deviation(metric, rows.rows[Slice()])
                    member = (name, item.digest, sample, sigma)
                    families.setdefault((split, metric), []).append(member)
                continue
            name = {DOMAIN: "drift_auc", DRIFT_GROUPS: "group_share_change"}.get(
                statistic.kind, "absent_columns"
            )
            measured = disaggregate(
                [f"{name}[{split}]"], statistic, confidence=self.confidence,
                families=[f for f in statistic.groups.families
                          if f or statistic.kind != DRIFT_GROUPS or context["reason"]],
            )  # fmt: skip
            findings += self.place(measured, stage, [item.digest])
        if not self.together:
            absent = Absent("no model was asked to tell the tables apart: together is false")
            named: Measured = ("drift_auc", Slice(), None, None, absent)
            findings += self.place([named], stage, [])
        return [*self._columns(families, stage), *findings]

    def _columns(
        self, families: Mapping[tuple[str, str], list[_Member]], stage: Stage
    ) -> list[Finding]:
        findings: list[Finding] = []
        for members in families.values():
            outcomes = [
                (sample, estimate(sample, confidence=self.confidence), sigma)
                for _, _, sample, sigma in members
            ]
            found = with_family(outcomes, confidence=self.confidence)
            for (name, digest, _, _), outcome in zip(members, found, strict=True):
                measured: Measured = (name, Slice(), None, None, outcome)
                findings += self.place([measured], stage, [digest])
        return findings
