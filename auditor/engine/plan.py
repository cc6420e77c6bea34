"""Which checks an audit runs: all built-in ones, with the fields that the policy gives them."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.checks import CHECKS, Check
from auditor.policy import LoadedPolicy, plan

__all__ = ["make_plan"]


def make_plan(policy: LoadedPolicy | None, given: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return one check per id, in a stable order.

    A check given by the caller goes before the policy's, and that before the defaults. What a
    policy does not ask for is measured all the same where it can be, so that old evidence can be
    judged by another policy.
    """
    chosen: dict[str, Check] = {identifier: CHECKS.get(identifier)() for identifier in CHECKS}
    if policy is not None:
        chosen |= {check.id: check for check in plan(policy.policy)}
    chosen |= {check.id: check for check in given}
    return tuple(chosen[identifier] for identifier in sorted(chosen))
