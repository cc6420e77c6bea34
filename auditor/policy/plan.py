"""Which checks a policy needs, with the fields that it gives them."""

from __future__ import annotations

from auditor.checks import CHECKS, Check
from auditor.policy.schema import Policy
from auditor.policy.typed import checks_yielding

__all__ = ["plan"]


def plan(policy: Policy) -> tuple[Check, ...]:
    """Return the checks that the policy names, and those that its rules bring along.

    A rule whose metric no named check yields at its stage brings every registered check that does
    (for one task or another), with default fields. A check that failed to load is left out here;
    the verdict shows it.
    """
    checks: dict[str, Check] = {
        use.id: CHECKS.get(use.id).build(use.fields, where=policy.id)
        for use in policy.checks
        if use.id not in CHECKS.broken
    }
    for rule in policy.rules:
        suitable = [
            check.id for check in checks_yielding(rule.metric)
            if rule.stage in check.stages and rule.check in (None, check.id)
        ]  # fmt: skip
        if suitable and not any(identifier in checks for identifier in suitable):
            checks |= {identifier: CHECKS.get(identifier)() for identifier in suitable}
    return tuple(checks.values())
