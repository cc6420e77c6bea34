"""Which features tell the groups apart, so that a model knows an attribute that it is not given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate, with_parameter
from auditor.metrics.proxies import LEAST_TO_LEARN
from auditor.stats import Statistic

__all__ = ["Proxies"]


@register
class Proxies(Check):
    """How well each feature, and all features together, predict each sensitive attribute.

    It speaks of the training data and runs where it is asked for. ``together`` says whether models
    are fitted to all features (``proxy_auc[all]``).
    """

    id: ClassVar[str] = "bias.proxies"
    title: ClassVar[str] = "Features that stand for a sensitive attribute"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("proxy_auc", "proxy_mutual_information")

    features: tuple[str, ...] = ()
    together: bool = True
    most_features: Annotated[int, Field(ge=1)] = 500

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count the positions of every feature by group."""
        from dataclasses import replace

        from auditor.datasets.cross_fitted import scan_together
        from auditor.datasets.scan_proxies import features_of, read_feature, scan_proxies

        options = subject.options
        if not options.proxies:
            raise NotApplicable("proxies were not asked for")
        table = subject.tables.get("train")
        if table is None:
            raise NotMeasurable("no training data was given")
        asked = options if options.features else replace(options, features=self.features)
        names = features_of(table, subject.roles, asked)
        if not names:
            raise NotMeasurable("no column is a feature")
        if len(names) > self.most_features:
            raise NotMeasurable(
                f"{len(names):,} features: beyond {self.most_features:,} they have to be named"
            )
        features = [read_feature(table, name) for name in names]
        of = (table, subject.groups, subject.roles, features)
        counts = scan_proxies(*of, seed=options.seed)
        if self.together:
            counts.append(scan_together(*of, seed=options.seed, least=LEAST_TO_LEARN))
        return counts

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the area under the curve of each group, and the information on each attribute."""
        findings: list[Finding] = []
        for item in evidence:
            context = item.statistic.context
            feature = str(context["feature"])
            together = context["type"] == "together"
            information = with_parameter("proxy_mutual_information", feature)
            measured = disaggregate(
                [with_parameter("proxy_auc", feature)], item.statistic,
                extremes=() if together else (information,),
                families=[family for family in item.statistic.groups.families if family],
                confidence=self.confidence,
            )  # fmt: skip
            findings += self.place([m for m in measured if m[1].known], stage, [item.digest])
        return findings
