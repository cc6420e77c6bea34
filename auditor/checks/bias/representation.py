"""Whether the groups have the shares in the data that they have in the population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from auditor.checks.bias.splits import of_split
from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, Measured, disaggregate
from auditor.metrics.representation import REPRESENTATION_METRICS, REPRESENTATION_OVER
from auditor.stats import SliceTable, Statistic

__all__ = ["Representation"]


@register
class Representation(Check):
    """The share of each group in the data against its share in a reference population.

    Shares are those among the records whose group the population has. Every split is compared; the
    training data carry no name in brackets.
    """

    id: ClassVar[str] = "bias.representation"
    title: ClassVar[str] = "Representation against a reference population"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = (*REPRESENTATION_METRICS, *REPRESENTATION_OVER)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count records by slice in every split, with the population's shares beside them."""
        from auditor.datasets.population import read_population
        from auditor.datasets.scan_representation import scan_representation

        options = subject.options
        if options.population is None:
            raise NotApplicable("no reference population was given")
        if not subject.tables:
            raise NotMeasurable("no data set was given")
        names = [attribute.name for attribute in subject.groups.attributes]
        population = read_population(options.population, names, column=options.population_column)
        return [
            scan_representation(
                table, subject.groups, subject.roles, population, context={"split": split}
            )
            for split, table in subject.tables.items()
        ]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive shares, differences, ratios and the distance of each family."""
        findings: list[Finding] = []
        for item in evidence:
            assert isinstance(item.statistic, SliceTable)
            measured: list[Measured] = []
            of = item.statistic.column("of")
            for family in item.statistic.groups.families:
                if not family:
                    continue
                if not item.statistic.family(family)[:, of].any():
                    why = Absent(f"the population says nothing of {' × '.join(family)}")
                    measured += [(name, Slice(), None, family, why) for name in self.metrics]
                    continue
                measured += disaggregate(
                    REPRESENTATION_METRICS, item.statistic, families=[family],
                    extremes=REPRESENTATION_OVER, confidence=self.confidence,
                )  # fmt: skip
            findings += self.place(
                [_unknown(m) for m in of_split(measured, item.statistic)], stage, [item.digest]
            )
        return findings


def _unknown(measured: Measured) -> Measured:
    metric, where, reference, over, outcome = measured
    if not where.known:
        outcome = Absent("the group is unknown")
    return metric, where, reference, over, outcome
