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
from auditor.policy.schema import Defaults, OnFail, Rule, Waiver
from auditor.policy.waivers import waive
from auditor.stats import Statistic

__all__ = ["Earlier", "evaluate", "look_fault"]

Earlier = Callable[[Stage, int], Sequence[Finding]]
"""Gives the findings of a stage as they were after the look with that number."""

_SEVERITY: tuple[OnFail, ...] = ("warn", "block", "stop")


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
    earlier: Earlier | None = None,
    faults: Mapping[str, str] | None = None,
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
        How often each stage was looked at so far, this time included. The error of a rule is split
        over the number of looks that it declared, and what fewer looks leave unspent stays so. A
        look beyond them has nothing left to spend: it decides nothing, and what the last declared
        look decided stands. (A rule that decides by the value alone spends no error, and may be
        looked at as often as one likes.)
    earlier:
        Gives the findings of a stage as they were after a look, for the rules whose declared looks
        are used up; without it these are not evaluated.
    faults:
        Why the latest look at a stage could not be taken. It is an ``error`` beside the rules of
        that stage, and as severe as the most severe of those that the look was to decide.
    only_stage:
        Judge the rules of this stage alone, as a look during training does.

    The same input gives the same verdict, byte for byte.
    """
    today = _day(evaluated_at)
    content = policy.policy
    broken = [use.id for use in content.checks if use.id in CHECKS.broken]
    library = Library(findings, statistics, broken)
    taken = looks or {}
    covered = [
        rule for rule in content.rules
        if rule.stage == stage or (not only_stage and rule.stage.order < stage.order)
    ]  # fmt: skip
    judged: list[RuleVerdict] = []
    for rule in covered:
        waivers = [waiver for waiver in content.waivers if waiver.rule == rule.id]
        look = taken.get(rule.stage)
        if look is None or not beyond_plan(rule, look):
            judged.append(_judge(rule, content.defaults, library, look, today, waivers))
            continue
        before = None
        if earlier is not None:
            before = Library(earlier(rule.stage, rule.looks), statistics, broken)
        judged.append(_standing(rule, content.defaults, before, look, today, waivers))
    judged += [_unusable(check) for check in broken]
    for place, reason in sorted((faults or {}).items()):
        concerned: list[OnFail] = [
            rule.on_fail for rule in covered
            if rule.stage == place and not beyond_plan(rule, taken.get(place, 1))
        ]  # fmt: skip
        if concerned:
            severest: OnFail = next(word for word in reversed(_SEVERITY) if word in concerned)
            judged.append(look_fault(place, reason, on_fail=severest))
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


def beyond_plan(rule: Rule, look: int) -> bool:
    """Whether a look is one more than the rule declared, and has nothing left to decide by."""
    return look > rule.looks and rule.decide != "point"


def look_fault(stage: str, reason: str, *, on_fail: OnFail = "block") -> RuleVerdict:
    """Show a look that could not be taken; it is an error, and never a pass."""
    return RuleVerdict(
        id=f"look:{stage}",
        title=f"The latest look at {stage} could be taken",
        status=Status.ERROR,
        reason=reason,
        on_fail=on_fail,
        closes_gate=on_fail != "warn",
    )


def _standing(
    rule: Rule,
    defaults: Defaults,
    before: Library | None,
    look: int,
    today: date,
    waivers: Sequence[Waiver],
) -> RuleVerdict:
    """Let stand what the last declared look decided; what was found then has no index any more."""
    said = (
        f"look {look} was recorded and decides nothing: looks: {rule.looks} were declared, and the "
        "error is spent"
    )
    if before is not None:
        verdict = _judge(rule, defaults, before, rule.looks, today, waivers)
        reason = f"{verdict.reason} (after look {rule.looks}; {said})"
        return verdict.model_copy(update={"findings": (), "reason": reason})
    status = Status.NOT_EVALUATED
    return RuleVerdict(
        id=rule.id, title=rule.title, status=status, reason=said, on_fail=rule.on_fail,
        closes_gate=_closes(status, rule, defaults), cites=rule.cites,
    )  # fmt: skip


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
