"""One rule judged by what was measured, before any waiver."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.errors import AuditorError
from auditor.evidence import Slice, SliceBound, Status, worst
from auditor.metrics import METRICS, ReferenceSlice, split_parameter
from auditor.metrics.spending import alpha_of_look
from auditor.policy.contrasts import blocks_of
from auditor.policy.decide import Decided, Decision, Judged, decide
from auditor.policy.layout import Aside, Block
from auditor.policy.material import Library, Material
from auditor.policy.region import Region
from auditor.policy.schema import Defaults, Rule
from auditor.policy.sentences import reason_of
from auditor.stats import Family

__all__ = ["Case", "Judgement", "open_case"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the numbers say of a rule.

    ``nothing_left`` says that a waiver set aside all that was judged, and that nothing else is
    missing.
    """

    status: Status
    reason: str
    bounds: tuple[SliceBound, ...] = ()
    required_n: int | None = None
    nothing_left: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A rule with everything that decides it; ``stop`` where nothing needs to be computed."""

    rule: Rule
    material: Material
    region: Region
    confidence: float
    looks: int
    look: int = 1
    blocks: tuple[Block, ...] = ()
    stop: Judgement | None = None
    slices: frozenset[ReferenceSlice] = field(default_factory=frozenset)

    def share(self) -> float:
        """Return what this look may spend of the error."""
        if self.rule.spending == "uniform" or self.rule.decide == "point":
            return 1 / self.looks
        alpha = 1 - self.confidence
        return alpha_of_look(self.look, self.looks, alpha=alpha, plan=self.rule.spending) / alpha

    def judge(self, *, without: Collection[Slice] = ()) -> Judgement:
        """Judge the rule, less the contrasts of the slices that a waiver sets aside."""
        if self.stop is not None:
            return self.stop
        decided = decide(
            [_less(block, without) for block in self.blocks], self.region,
            confidence=self.confidence, looks=self.looks, point=self.rule.decide == "point",
            share=self.share(),
        )  # fmt: skip
        gaps = list(self.material.gaps)
        gaps += [
            f"{judged.block.name}: {judged.block.empty}"
            for judged, before in zip(decided.blocks, self.blocks, strict=True)
            if not judged.ranks.size and not (without and len(before.contrasts))
        ]
        statuses = decided.statuses()
        status = worst([*statuses, Status.NOT_EVALUATED] if gaps or not statuses else statuses)
        reason, required = reason_of(status, decided, self.region, gaps)
        return Judgement(
            status,
            reason,
            tuple(_bounds(decided)),
            required,
            not statuses and not gaps,
        )


def open_case(rule: Rule, defaults: Defaults, library: Library, looks: int | None) -> Case:
    """Gather what decides a rule; statistics that cannot be read give an ``error``."""
    material = library.material(rule)
    base, parameter = split_parameter(rule.metric)
    metric = METRICS.get(base)
    case = Case(
        rule,
        material,
        rule.accept.within(metric.low, metric.high),
        defaults.confidence if rule.confidence is None else rule.confidence,
        rule.looks,
        looks or 1,
    )
    if material.stop is not None:
        return replace(case, stop=Judgement(*material.stop))
    least = defaults.min_denominator if rule.min_denominator is None else rule.min_denominator
    if rule.min_denominator is None and not metric.counts_records(parameter):
        least = 1  # a few columns, or sources, are all there are
    if (rule.small_groups or defaults.small_groups) == "block":
        least = 0
    blocks: list[Block] = []
    try:
        for unit in material.units:
            blocks += blocks_of(
                unit, library.samples, least=least, reference=rule.reference, only=rule.slice
            )
    except AuditorError as error:
        reason = f"the statistics that the findings name cannot be read: {error}"
        return replace(case, stop=Judgement(Status.ERROR, reason))
    slices = frozenset(
        block.contrasts.labels[position]
        for block in blocks
        for position in np.unique(block.contrasts.ours).tolist()
    )
    return replace(case, blocks=tuple(blocks), slices=slices)


def _less(block: Block, without: Collection[Slice]) -> Block:
    return replace(block, contrasts=block.contrasts.without(without)) if without else block


def _bounds(decided: Decided) -> list[SliceBound]:
    """Return one entry a slice: its worst contrast, or why it decides nothing."""
    places: dict[tuple[Family, str], list[tuple[Judged, tuple[Decision, ...]]]] = {}
    for judged, shown in zip(decided.blocks, decided.shown, strict=True):
        # The two rates of equalized odds share a slice; the columns of a table do not.
        key = (judged.block.family, judged.block.contrasts.metric.partition("[")[2])
        places.setdefault(key, []).append((judged, shown))
    bounds: list[SliceBound] = []
    for group in places.values():
        worst_of: dict[Slice, Decision] = {}
        aside_of: dict[Slice, Aside] = {}
        for judged, shown in group:
            for decision in shown:
                found = worst_of.get(decision.slice)
                if found is None or decision.severity < found.severity:
                    worst_of[decision.slice] = decision
            for aside in judged.block.asides:
                aside_of.setdefault(aside.slice, aside)
        for where in dict.fromkeys(where for judged, _ in group for where in judged.block.slices):
            if where in worst_of:
                bounds.append(worst_of[where].bound())
            elif where in aside_of:
                aside = aside_of[where]
                bounds.append(
                    SliceBound(
                        slice=where, metric=aside.metric, n=aside.n, decision=aside.decision,
                        reason=aside.reason,
                    )
                )  # fmt: skip
    return bounds
