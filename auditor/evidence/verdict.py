"""A verdict: what a policy says of the findings, rule by rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from auditor.errors import InputError
from auditor.evidence.slice import Slice
from auditor.evidence.stage import Stage
from auditor.evidence.value import Value

__all__ = [
    "VERDICT_SCHEMA",
    "PolicyReference",
    "RuleVerdict",
    "SliceBound",
    "Status",
    "Verdict",
    "WaiverRecord",
    "read_verdict",
    "worst",
]

VERDICT_SCHEMA = "auditor/verdict/v1"


class Status(StrEnum):
    """The six verdicts; no data is never a pass."""

    ERROR = "error"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_EVALUATED = "not-evaluated"
    PASS = "pass"
    WAIVED = "waived"


_ORDER = list(Status)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the first of error, fail, inconclusive, not-evaluated, pass that occurs.

    A waived rule counts as a pass beside others, and is named when nothing else is there.

    >>> worst([Status.PASS, Status.INCONCLUSIVE, Status.WAIVED])
    <Status.INCONCLUSIVE: 'inconclusive'>
    >>> worst([])
    <Status.NOT_EVALUATED: 'not-evaluated'>
    """
    return min(statuses, key=_ORDER.index, default=Status.NOT_EVALUATED)


class PolicyReference(Value):
    """The policy that judged, bound by the digest of its resolved text."""

    id: str
    version: str
    digest: str


class SliceBound(Value):
    """What was decided of one slice, with the bounds that decided it.

    ``low`` and ``high`` are the one-sided bounds of the pass (each at ``confidence``);
    ``family_low`` and ``family_high`` hold simultaneously for all slices of the rule, and decide a
    fail. ``None`` is a side without a finite bound.
    """

    slice: Slice
    reference: Slice | Literal["rest"] | None = None
    metric: str
    value: float | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    family_low: float | None = None
    family_high: float | None = None
    decision: Status | Literal["small", "listed"]
    reason: str | None = None


class WaiverRecord(Value):
    """A waiver that touched a rule: who owns it, why, and until when."""

    rule: str
    slice: Slice | None = None
    owner: str
    reason: str
    expires: date
    expired: bool


class RuleVerdict(Value):
    """The verdict of one rule; ``findings`` are indices into ``findings.json``."""

    id: str
    title: str | None = None
    status: Status
    reason: str
    on_fail: Literal["warn", "block", "stop"]
    closes_gate: bool
    findings: tuple[int, ...] = ()
    bounds: tuple[SliceBound, ...] = ()
    required_n: int | None = None
    waiver: WaiverRecord | None = None
    cites: tuple[str, ...] = ()


class Verdict(Value):
    """The verdict of a policy over the findings of a run."""

    status: Status
    gate: Literal["open", "closed"]
    stage: Stage
    evaluated_at: str
    seed: int
    policy: PolicyReference
    registered: bool
    rules: tuple[RuleVerdict, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``verdict.json``."""
        rules: list[dict[str, Any]] = []
        for rule in self.rules:
            document = rule.model_dump(mode="json", exclude_none=True)
            # A slice keeps its nulls (a missing value), which exclude_none must not drop.
            document["bounds"] = [_bound_json(bound) for bound in rule.bounds]
            if rule.waiver is not None and rule.waiver.slice is not None:
                document["waiver"]["slice"] = dict(rule.waiver.slice)
            rules.append(document)
        return {
            "schema": VERDICT_SCHEMA,
            "status": str(self.status),
            "gate": self.gate,
            "stage": str(self.stage),
            "evaluated_at": self.evaluated_at,
            "seed": self.seed,
            "policy": self.policy.model_dump(),
            "registered": self.registered,
            "rules": rules,
        }


def _bound_json(bound: SliceBound) -> dict[str, Any]:
    document = bound.model_dump(mode="json", exclude_none=True)
    document["slice"] = dict(bound.slice)
    if isinstance(bound.reference, Slice):
        document["reference"] = dict(bound.reference)
    return document


def read_verdict(document: Any, *, where: str) -> Verdict:
    """Read the content of ``verdict.json``; raises :class:`InputError`."""
    if not isinstance(document, dict) or document.get("schema") != VERDICT_SCHEMA:
        raise InputError("not a verdict file", where=where, valid=f"schema {VERDICT_SCHEMA!r}")
    return Verdict.from_json({k: v for k, v in document.items() if k != "schema"}, where=where)
