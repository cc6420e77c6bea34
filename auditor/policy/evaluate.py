"""A policy held against findings: rule by rule, then the gate. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

from auditor.checks import CHECKS
from auditor.errors import InputError
from auditor.evidence import Finding, RuleVerdict, Stage, Status, Verdict, worst
from auditor.policy.judge import open_case
from auditor.policy.load import LoadedPolicy
from auditor.policy.material import Library, broken_check
from auditor.policy.schema import Defaults, Rule, Waiver
from auditor.policy.waivers import waive
from auditor.stats import Statistic

__all__ = ["evaluate"]


def evaluate(
    policy: LoadedPolicy,
    findings: Sequence[Finding],
    statistics: Callable[[str], Statistic],
    *,
    evaluated_at: str,
    seed: int,
    stage: Stage,
    registered: bool,
    looks: Mapping[str, int] | None = None,
    only_stage: bool = False,
) -> Verdict:
    """Judge the rules that a gate at ``stage`` covers: those of this stage and of earlier ones.

    Parameters
    ----------
    findings:
        The findings of the run; a verdict names them by their position here.
    statistics:
        Gives the statistic of a digest that a finding names, so that any slice can be judged at
        any level of confidence.
    evaluated_at:
        The moment of the verdict, ISO 8601; waivers are held against its day in UTC.
    seed:
        The seed of the run, for the record; nothing here is random.
    registered:
        Whether this policy was registered before the first measurement.
    looks:
        How often each stage was looked at so far, this time included. Where that is more than a
        rule of that stage declared, its error is split over the greater number.
    only_stage:
        Judge the rules of this stage alone, as a look during training does.

    The same input gives the same verdict, byte for byte.
    """
    today = _day(evaluated_at)
    content = policy.policy
    broken = [use.id for use in content.checks if use.id in CHECKS.broken]
    library = Library(findings, statistics, broken)
    judged = [
        _judge(rule, content.defaults, library, (looks or {}).get(rule.stage), today,
               [waiver for waiver in content.waivers if waiver.rule == rule.id])
        for rule in content.rules
        if rule.stage == stage or (not only_stage and rule.stage.order < stage.order)
    ]  # fmt: skip
    judged += [_unusable(check) for check in broken]
    return Verdict(
        status=worst(rule.status for rule in judged),
        gate="closed" if any(rule.closes_gate for rule in judged) else "open",
        stage=stage,
        evaluated_at=evaluated_at,
        seed=seed,
        policy=policy.reference,
        registered=registered,
        rules=tuple(judged),
    )


def _judge(
    rule: Rule,
    defaults: Defaults,
    library: Library,
    looks: int | None,
    today: date,
    waivers: Sequence[Waiver],
) -> RuleVerdict:
    case = open_case(rule, defaults, library, looks)
    judgement, waiver = waive(case, waivers, today)
    return RuleVerdict(
        id=rule.id,
        title=rule.title,
        status=judgement.status,
        reason=judgement.reason,
        on_fail=rule.on_fail,
        closes_gate=_closes(judgement.status, rule, defaults),
        findings=case.material.findings,
        bounds=judgement.bounds,
        required_n=judgement.required_n,
        waiver=waiver,
        cites=rule.cites,
    )


def _closes(status: Status, rule: Rule, defaults: Defaults) -> bool:
    """Say whether a rule closes the gate; one that only warns never does."""
    if rule.on_fail == "warn":
        return False
    if status in (Status.ERROR, Status.FAIL):
        return True
    if status in (Status.INCONCLUSIVE, Status.NOT_EVALUATED):
        return defaults.on_inconclusive == "block"
    return False


def _unusable(check: str) -> RuleVerdict:
    """Show a check that the policy asks for and that failed to load; it is not a pass."""
    return RuleVerdict(
        id=f"check:{check}",
        title=f"Check {check} can be used",
        status=Status.ERROR,
        reason=broken_check(check),
        on_fail="block",
        closes_gate=True,
    )


def _day(moment: str) -> date:
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise InputError(
            f"{moment!r} is no moment", where="evaluated_at", valid="2026-11-01T12:00:00Z"
        ) from None
    return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).date()
