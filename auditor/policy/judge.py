"""One rule judged by what was measured, before any waiver."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from auditor.errors import AuditorError
from auditor.evidence import Slice, SliceBound, Status, worst
from auditor.metrics import METRICS, split_parameter
from auditor.policy.contrasts import Aside, Block, blocks_of
from auditor.policy.decide import Decided, Decision, decide, with_family
from auditor.policy.material import Library, Material
from auditor.policy.region import Region
from auditor.policy.schema import Defaults, Rule
from auditor.policy.sentences import reason_of
from auditor.stats import Family

__all__ = ["Case", "Judgement", "open_case"]

_RANK = {Status.FAIL: 0, Status.INCONCLUSIVE: 1, Status.PASS: 2}


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
    blocks: tuple[Block, ...] = ()
    stop: Judgement | None = None
    slices: frozenset[Slice] = field(default_factory=frozenset)

    def judge(self, *, without: Collection[Slice] = ()) -> Judgement:
        """Judge the rule, less the contrasts of the slices that a waiver sets aside."""
        if self.stop is not None:
            return self.stop
        point = self.rule.decide == "point"
        blocks = [_less(block, without) for block in self.blocks]
        decided = decide(
            blocks, self.region, confidence=self.confidence, looks=self.looks, point=point
        )
        gaps = list(self.material.gaps)
        gaps += [
            f"{block.name}: {block.empty}"
            for (block, decisions), before in zip(decided.blocks, self.blocks, strict=True)
            if not decisions and not (without and before.contrasts)
        ]
        statuses = [decision.status for decision in decided.decisions]
        status = worst([*statuses, Status.NOT_EVALUATED] if gaps or not statuses else statuses)
        reason, required = reason_of(status, decided, self.region, gaps, point=point)
        if self.looks > self.rule.looks:
            reason += (
                f" (this is look {self.looks} where {self.rule.looks} were declared; the error of "
                "all looks together is larger than the policy says)"
            )
        return Judgement(
            status,
            reason,
            tuple(_bounds(decided, point=point)),
            required,
            not statuses and not gaps,
        )


def open_case(rule: Rule, defaults: Defaults, library: Library, looks: int | None) -> Case:
    """Gather what decides a rule; statistics that cannot be read give an ``error``."""
    material = library.material(rule)
    metric = METRICS.get(split_parameter(rule.metric)[0])
    case = Case(
        rule,
        material,
        rule.accept.within(metric.low, metric.high),
        defaults.confidence if rule.confidence is None else rule.confidence,
        max(rule.looks, looks or 1),
    )
    if material.stop is not None:
        return replace(case, stop=Judgement(*material.stop))
    least = defaults.min_denominator if rule.min_denominator is None else rule.min_denominator
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
    slices = frozenset(contrast.slice for block in blocks for contrast in block.contrasts)
    return replace(case, blocks=tuple(blocks), slices=slices)


def _less(block: Block, without: Collection[Slice]) -> Block:
    if not without:
        return block
    kept = tuple(
        contrast for contrast in block.contrasts
        if contrast.slice not in without and contrast.reference not in without
    )  # fmt: skip
    return replace(block, contrasts=kept)


def _bounds(decided: Decided, *, point: bool) -> list[SliceBound]:
    """Return one entry a slice: its worst contrast, or why it decides nothing."""
    places: dict[tuple[Family, str], list[tuple[Block, Sequence[Decision]]]] = {}
    for block, decisions in decided.blocks:
        # The two rates of equalized odds share a slice; the columns of a table do not.
        key = (block.family, block.metric.partition("[")[2])
        places.setdefault(key, []).append((block, decisions))
    entries: list[Decision | Aside] = []
    for group in places.values():
        entry_of: dict[Slice, Decision | Aside] = {}
        for block, decisions in group:
            for decision in decisions:
                found = entry_of.get(decision.contrast.slice)
                if not isinstance(found, Decision) or _severity(decision) < _severity(found):
                    entry_of[decision.contrast.slice] = decision
            for aside in block.asides:
                entry_of.setdefault(aside.slice, aside)
        order = dict.fromkeys(where for block, _ in group for where in block.slices)
        entries += [entry_of[where] for where in order if where in entry_of]
    shown = [entry for entry in entries if isinstance(entry, Decision)]
    complete = iter(shown if point else with_family(shown, decided.levels))
    return [
        next(complete).bound()
        if isinstance(entry, Decision)
        else SliceBound(
            slice=entry.slice, metric=entry.metric, n=entry.n, decision=entry.decision,
            reason=entry.reason,
        )
        for entry in entries
    ]  # fmt: skip


def _severity(decision: Decision) -> tuple[int, float]:
    return (_RANK[decision.status], decision.margin)
