"""The rules as a reader needs them: what was asked, what was decided, and on which bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.evidence import Finding, RuleVerdict, SliceBound, Status, Verdict
from auditor.metrics import METRICS
from auditor.policy import Region
from auditor.report.axes import Axis, linear_axis, ratio_axis
from auditor.report.numbers import count_text, decimals_for, interval_text, number_text
from auditor.report.policy_text import PolicyText, RuleText
from auditor.report.text import metric_name, shown, slice_text, stage_text
from auditor.report.words import DECISION_ORDER

__all__ = ["BoundRow", "Clause", "RuleView", "bound_decimals", "make_clauses", "make_rules"]

MOST_BOUNDS = 60
"""So many slices of a rule are shown; the rest stands in ``verdict.json``."""


@dataclass(frozen=True, slots=True)
class BoundRow:
    """One slice of a rule: its value, the bounds that decided, and what they decided.

    ``index`` is the finding of the same number in ``findings.json``, where there is one.
    """

    bound: SliceBound
    label: str
    against: str | None
    certain: bool
    index: int | None
    reason: str | None

    @property
    def decision(self) -> str:
        """The status, ``small`` or ``listed``."""
        return str(self.bound.decision)


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule with its verdict."""

    id: str
    title: str
    status: Status
    reason: str
    asked: str | None
    stage: str | None
    effect: str
    closes_gate: bool
    point: bool
    required: str | None
    cites: tuple[str, ...]
    waiver: tuple[tuple[str, str], ...]
    waiver_expired: bool
    rows: tuple[BoundRow, ...]
    hidden: int
    axis: Axis
    region: Region | None
    decimals: int
    findings: tuple[int, ...]

    def value(self, row: BoundRow) -> str:
        """Return the value of a slice as text."""
        return number_text(row.bound.value, self.decimals)

    def own(self, row: BoundRow) -> str:
        """Return the slice's own one-sided bounds as text, those that are finite."""
        return "counted in full" if row.certain else self._bounds(row.bound.low, row.bound.high)

    def family(self, row: BoundRow) -> str:
        """Return the simultaneous bounds as text, where they are not the slice's own."""
        bound = row.bound
        own, family = (bound.low, bound.high), (bound.family_low, bound.family_high)
        return "" if row.certain or family == own else self._bounds(*family)

    def _bounds(self, low: float | None, high: float | None) -> str:
        if low is None and high is None:
            return ""
        return interval_text(low, high, self.decimals)


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause and the rules that are evidence for it."""

    id: str
    rules: tuple[tuple[str, str, str], ...]


def make_rules(
    verdict: Verdict, policy: PolicyText, findings: Sequence[Finding]
) -> tuple[RuleView, ...]:
    """Join the verdict of each rule with what the policy asked; what needs attention first."""
    order = list(Status)
    return tuple(
        _rule(rule, policy.rules.get(rule.id, RuleText()), findings)
        for rule in sorted(verdict.rules, key=lambda rule: order.index(rule.status))
    )


def make_clauses(rules: Sequence[RuleView]) -> tuple[Clause, ...]:
    """Return the clauses that the rules cite, each with (rule id, title, status)."""
    clauses: dict[str, list[tuple[str, str, str]]] = {}
    for rule in rules:
        for clause in rule.cites:
            clauses.setdefault(clause, []).append((rule.id, rule.title, str(rule.status)))
    return tuple(Clause(clause, tuple(clauses[clause])) for clause in sorted(clauses))


def _rule(rule: RuleVerdict, text: RuleText, findings: Sequence[Finding]) -> RuleView:
    metric = text.metric or (rule.bounds[0].metric if rule.bounds else None)
    index = _index_of(rule, findings)
    ordered = sorted(
        rule.bounds, key=lambda bound: DECISION_ORDER.index(str(bound.decision))
    )  # stable: within one decision as the verdict has them
    kept = ordered[:MOST_BOUNDS]
    waiver = rule.waiver
    return RuleView(
        id=shown(rule.id),
        title=shown(rule.title or rule.id, limit=200),
        status=rule.status,
        reason=shown(rule.reason, limit=600),
        asked=text.sentence,
        stage=None if text.stage is None else stage_text(text.stage),
        effect=_effect(rule),
        closes_gate=rule.closes_gate,
        point=text.decide == "point",
        required=None if rule.required_n is None else count_text(rule.required_n),
        cites=tuple(map(shown, rule.cites)),
        waiver=() if waiver is None else (
            ("Slice", "all" if waiver.slice is None else slice_text(waiver.slice)),
            ("Owner", shown(waiver.owner, limit=200)),
            ("Reason", shown(waiver.reason, limit=600)),
            ("Expires", f"{waiver.expires.isoformat()}{' (expired)' if waiver.expired else ''}"),
        ),
        waiver_expired=waiver is not None and waiver.expired,
        rows=tuple(_bound_row(bound, index) for bound in kept),
        hidden=len(ordered) - len(kept),
        axis=_axis(metric, kept, text.accept),
        region=text.accept,
        decimals=bound_decimals(kept),
        findings=rule.findings,
    )  # fmt: skip


def _bound_row(bound: SliceBound, index: Mapping[tuple[object, ...], int]) -> BoundRow:
    reference = bound.reference
    against = None
    if reference is not None:
        against = "everybody else" if isinstance(reference, str) else slice_text(reference)
    return BoundRow(
        bound=bound,
        label=_label(bound),
        against=against,
        certain=bound.value is not None and bound.value == bound.low == bound.high,
        index=index.get((bound.metric, bound.slice, bound.reference)),
        reason=None if bound.reason is None else shown(bound.reason, limit=200),
    )


def _label(bound: SliceBound) -> str:
    """Return the slice, and what the metric's parameter names (a column, a table, a feature)."""
    _, parameter = metric_name(bound.metric)
    if parameter is None:
        return slice_text(bound.slice, everybody="Everybody")
    return f"{shown(parameter)}, {slice_text(bound.slice)}"


def _index_of(rule: RuleVerdict, findings: Sequence[Finding]) -> dict[tuple[object, ...], int]:
    """Return the rule's own findings by metric, slice and reference."""
    return {
        (findings[i].metric, findings[i].slice, findings[i].reference): i
        for i in rule.findings
        if 0 <= i < len(findings)
    }


def _effect(rule: RuleVerdict) -> str:
    if rule.closes_gate:
        return "stops training, closes the gate" if rule.on_fail == "stop" else "closes the gate"
    return {
        "warn": "warns only",
        "block": "would close the gate",
        "stop": "would stop training and close the gate",
    }[rule.on_fail]


def _axis(metric: str | None, bounds: Sequence[SliceBound], region: Region | None) -> Axis:
    base = metric_name(metric or "")[0]
    known = METRICS.get(base) if base in METRICS else None
    values = [bound.value for bound in bounds]
    sides = [side for bound in bounds for side in (bound.low, bound.high)]
    sides += [side for bound in bounds for side in (bound.family_low, bound.family_high)]
    limits = [x for x in (region.low, region.high) if x is not None] if region else []
    if known is not None and known.operation == "ratio" and not known.extreme:
        return ratio_axis([*values, *sides], limits=[x for x in limits if x > 0])
    reference = 0.0 if known is not None and known.operation == "difference" else None
    span = (None, None) if known is None else (known.low, known.high)
    return linear_axis([*values, *sides, *limits], limits=span, reference=reference)


def bound_decimals(bounds: Sequence[SliceBound]) -> int:
    """Return how many decimals the bounds of a rule support."""
    return decimals_for(
        high - low
        for bound in bounds
        for low, high in ((bound.low, bound.high), (bound.family_low, bound.family_high))
        if low is not None and high is not None
    )
