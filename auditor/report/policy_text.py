"""The registered policy as text: what each rule accepts, in words, beside what was judged of it.

The verdict says what was decided; the policy says what was asked. Both are bound by the ledger.
A policy that cannot be read any more takes nothing from the verdict: its words are then missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.documents import read_document
from auditor.errors import InputError
from auditor.policy import Region, parse_region
from auditor.report.fields import Fields
from auditor.report.numbers import MINUS
from auditor.report.text import metric_title, shown

__all__ = ["PolicyText", "RuleText", "WaiverText", "read_policy_text", "region_words"]


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a rule asks, as far as the policy says it."""

    metric: str | None = None
    over: tuple[str, ...] = ()
    slice: str | None = None
    stage: str | None = None
    accept: Region | None = None
    decide: str | None = None
    reference: str | None = None

    @property
    def sentence(self) -> str | None:
        """What is asked, in one sentence."""
        if self.metric is None:
            return None
        over = ", ".join(attribute.replace("*", " × ") for attribute in self.over)
        whom = f" of {self.slice}" if self.slice else f" over {over}" if over else ""
        accept = f": {region_words(self.accept)}" if self.accept is not None else ""
        return f"{metric_title(self.metric)}{whom}{accept}"


@dataclass(frozen=True, slots=True)
class WaiverText:
    """A waiver as the policy has it."""

    rule: str
    slice: str | None
    owner: str | None
    reason: str | None
    expires: str | None


@dataclass(frozen=True, slots=True)
class PolicyText:
    """The title of a policy, its date, and its rules by id."""

    title: str | None = None
    as_of: str | None = None
    confidence: str | None = None
    min_denominator: str | None = None
    rules: Mapping[str, RuleText] = field(default_factory=dict)
    waivers: tuple[WaiverText, ...] = ()

    def regions(self) -> dict[tuple[str, str], Region]:
        """Return what is accepted, by stage and metric, where all rules say the same."""
        said: dict[tuple[str, str], set[Region]] = {}
        for rule in self.rules.values():
            if rule.metric is not None and rule.stage is not None and rule.accept is not None:
                said.setdefault((rule.stage, rule.metric), set()).add(rule.accept)
        return {key: next(iter(found)) for key, found in said.items() if len(found) == 1}


def read_policy_text(text: str | None) -> PolicyText:
    """Read what a report needs of ``policy.yaml``; nothing where it cannot be read."""
    if text is None:
        return PolicyText()
    try:
        document = Fields(read_document(text.encode(), where="policy.yaml").text())
    except InputError:
        return PolicyText()
    return PolicyText(
        title=document.text("title"),
        as_of=document.text("as_of"),
        confidence=document.text("defaults", "confidence"),
        min_denominator=document.text("defaults", "min_denominator"),
        rules={
            str(rule.at("id").document): _rule(rule)
            for rule in document.each("rules")
            if rule.text("id") is not None
        },
        waivers=tuple(_waiver(waiver) for waiver in document.each("waivers")),
    )


def region_words(region: Region) -> str:
    """Return an accepted region in words.

    >>> region_words(parse_region(">= 0.8")), region_words(parse_region("0.8 .. 1.25"))
    ('at least 0.8', 'from 0.8 to 1.25')
    """
    low, high = (
        None if limit is None else f"{limit:g}".replace("-", MINUS)
        for limit in (region.low, region.high)
    )
    if low is None and high is None:
        return "anything"
    if high is None:
        return f"{'above' if region.low_open else 'at least'} {low}"
    if low is None:
        return f"{'below' if region.high_open else 'at most'} {high}"
    return f"exactly {low}" if low == high else f"from {low} to {high}"


def _rule(rule: Fields) -> RuleText:
    accept = rule.at("accept").document
    try:
        region = parse_region(accept) if isinstance(accept, str) else None
    except ValueError:
        region = None
    metric = rule.at("metric").document
    return RuleText(
        metric=metric if isinstance(metric, str) else None,
        over=rule.texts("over"),
        slice=_slice(rule.at("slice")),
        stage=rule.text("stage"),
        accept=region,
        decide=rule.text("decide"),
        reference=rule.text("reference"),
    )


def _waiver(waiver: Fields) -> WaiverText:
    return WaiverText(
        rule=waiver.text("rule") or "",
        slice=_slice(waiver.at("slice")),
        owner=waiver.text("owner"),
        reason=waiver.text("reason"),
        expires=waiver.text("expires"),
    )


def _slice(where: Fields) -> str | None:
    values = [f"{shown(name)} {value.text() or 'unknown'}" for name, value in where.pairs()]
    return ", ".join(values) or None
