"""The one slice that a board should hear of: the furthest from what its rule accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.evidence import Finding, RuleVerdict, Slice, SliceBound, Status, Verdict
from auditor.metrics import METRICS
from auditor.policy import Region
from auditor.report.numbers import count_text, interval_text, number_text, percent_text
from auditor.report.policy_text import PolicyText, RuleText, region_words
from auditor.report.rules import bound_decimals
from auditor.report.text import metric_name, metric_title, shown, slice_text

__all__ = ["Worst", "largest_difference", "worst_slice"]


@dataclass(frozen=True, slots=True)
class Worst:
    """What it is about, the two rates in plain words, and the number with its bounds."""

    about: str
    plain: str
    detail: str


def worst_slice(verdict: Verdict, policy: PolicyText, findings: Sequence[Finding]) -> Worst | None:
    """Return the failing slice that lies furthest outside what its rule accepts.

    Distances are compared as shares of the accepted limit, because rules have different units.
    Where nothing fails, it is the undecided slice furthest outside; and else there is none.
    """
    for status in (Status.FAIL, Status.INCONCLUSIVE):
        held: list[tuple[float, RuleVerdict, SliceBound, RuleText]] = []
        for rule in verdict.rules:
            text = policy.rules.get(rule.id, RuleText())
            held += [
                (_excess(bound.value, text.accept), rule, bound, text)
                for bound in rule.bounds
                if bound.decision == status and bound.value is not None
            ]
        if held:
            _, rule, bound, text = max(held, key=lambda item: item[0])
            failed = status == Status.FAIL
            lead = "Furthest from what is accepted" if failed else "Not decided, and furthest out"
            about = f"{lead}: {shown(rule.title or rule.id, limit=160)}"
            bounds = (bound.family_low, bound.family_high) if failed else (bound.low, bound.high)
            return Worst(about, _plain(bound, text.stage, findings), _detail(bound, bounds, text))
    return None


def largest_difference(findings: Sequence[Finding]) -> Worst | None:
    """Return the difference in a rate whose interval stays furthest from none, without a policy.

    It is the largest of many, and says so: its interval is not widened for the choice.
    """
    best: tuple[float, Finding] | None = None
    looked_at = 0
    for finding in findings:
        if not finding.metric.endswith("_rate_difference") or not finding.check.startswith("bias."):
            continue
        if finding.low is None or finding.high is None:
            continue
        looked_at += 1
        sure = max(finding.low, -finding.high)  # the interval's end that is nearer to zero
        if sure > 0 and (best is None or sure > best[0]):
            best = (sure, finding)
    if best is None:
        return None
    finding = best[1]
    bound = SliceBound(
        slice=finding.slice, reference=finding.reference, metric=finding.metric,
        value=finding.value, n=finding.n, low=finding.low, high=finding.high, decision="listed",
    )  # fmt: skip
    return Worst(
        f"The largest difference between groups, of {looked_at:,} that were looked at",
        _plain(bound, str(finding.stage), findings),
        _detail(bound, (finding.low, finding.high), RuleText()),
    )


def _excess(value: float | None, region: Region | None) -> float:
    """Return how far outside the accepted region a value lies, as a share of the limit."""
    if value is None or region is None:
        return 0.0
    sizes = [0.0]
    if region.low is not None:
        sizes.append((region.low - value) / (abs(region.low) or 1.0))
    if region.high is not None:
        sizes.append((value - region.high) / (abs(region.high) or 1.0))
    return max(sizes)


def _plain(bound: SliceBound, stage: str | None, findings: Sequence[Finding]) -> str:
    """Name the slice, with the two rates behind a difference or a ratio where they are there."""
    who = slice_text(bound.slice)
    if bound.reference is None:
        return f"{metric_title(bound.metric)}, {who}."
    against = (
        slice_text(bound.reference) if isinstance(bound.reference, Slice) else "everybody else"
    )
    base, _ = metric_name(bound.metric)
    known = METRICS.get(base) if base in METRICS else None
    rate = METRICS.get(known.components[0]) if known is not None and known.components else None
    if rate is not None and (rate.low, rate.high) == (0.0, 1.0):
        found = {
            finding.slice: finding.value
            for finding in findings
            if finding.metric == rate.id and stage in (None, str(finding.stage).lower())
        }
        ours = found.get(bound.slice)
        theirs = found.get(bound.reference) if isinstance(bound.reference, Slice) else None
        if ours is not None and theirs is not None:
            return (
                f"{rate.title}: {percent_text(ours)} for {who}, "
                f"{percent_text(theirs)} for {against}."
            )
    return f"{metric_title(bound.metric)}, {who} against {against}."


def _detail(bound: SliceBound, bounds: tuple[float | None, float | None], text: RuleText) -> str:
    decimals = bound_decimals([bound])
    base, _ = metric_name(bound.metric)
    operation = METRICS.get(base).operation if base in METRICS else None
    name = "Value" if operation is None else operation.capitalize()
    sure = f" {interval_text(*bounds, decimals)}" if any(b is not None for b in bounds) else ""
    n = "" if bound.n is None else f", n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{count_text(bound.n)}"
    asked = "" if text.accept is None else f"; accepted is {region_words(text.accept)}"
    return f"{name} {number_text(bound.value, decimals)}{sure}{n}{asked}."
