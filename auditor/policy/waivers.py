"""Waivers: dated exceptions, of which an expired one fails the rule it was made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from auditor.evidence import Status, WaiverRecord
from auditor.policy.judge import Case, Judgement
from auditor.policy.schema import Waiver

__all__ = ["waive"]


def waive(
    case: Case, waivers: Sequence[Waiver], today: date
) -> tuple[Judgement, WaiverRecord | None]:
    """Judge a case under the waivers of its rule.

    An expired waiver fails the rule, whatever was measured: an exception that nobody renews or
    removes is no longer an exception. A valid one turns a fail into ``waived``; one with a slice
    sets that slice's contrasts aside, and the rest is judged as if they were not there.
    """
    judgement = case.judge()
    expired = next((waiver for waiver in waivers if waiver.expires < today), None)
    if expired is not None and judgement.status is not Status.ERROR:
        what = f" for {expired.slice}" if expired.slice is not None else ""
        reason = (
            f"the waiver{what} of {expired.owner} expired on {expired.expires}; renew it or remove "
            f"it; measured: {judgement.status}, {judgement.reason}"
        )
        failed = replace(judgement, status=Status.FAIL, reason=reason)
        return failed, _record(expired, expired=True)
    if judgement.status is not Status.FAIL or not waivers:
        return judgement, None
    for waiver in waivers:
        if waiver.slice is None:
            reason = f"{_by(waiver)}; measured: {judgement.reason}"
            waived = replace(judgement, status=Status.WAIVED, reason=reason)
            return waived, _record(waiver, expired=False)
    return _waive_slices(case, judgement, waivers)


def _waive_slices(
    case: Case, judgement: Judgement, waivers: Sequence[Waiver]
) -> tuple[Judgement, WaiverRecord]:
    used = [waiver for waiver in waivers if waiver.slice in case.slices]
    if not used:
        names = ", ".join(str(waiver.slice) for waiver in waivers)
        reason = f"{judgement.reason}; the waiver for {names} covers no slice of this rule"
        return replace(judgement, reason=reason), _record(waivers[0], expired=False)
    aside = {waiver.slice for waiver in used if waiver.slice is not None}
    rest = case.judge(without=aside)
    words = "; ".join(f"{waiver.slice} is {_by(waiver)}" for waiver in used)
    if rest.nothing_left:
        status, reason = Status.WAIVED, f"{words}; measured: {judgement.reason}"
    else:
        status = Status.WAIVED if rest.status is Status.PASS else rest.status
        reason = f"{words}; of the others: {rest.reason}"
    others = {(b.slice, b.metric): b for b in rest.bounds}
    bounds = tuple(
        bound.model_copy(update={"decision": Status.WAIVED, "reason": "set aside by a waiver"})
        if bound.slice in aside and isinstance(bound.decision, Status)
        else others.get((bound.slice, bound.metric), bound)
        for bound in judgement.bounds
    )
    final = replace(rest, status=status, reason=reason, bounds=bounds)
    return final, _record(used[0], expired=False)


def _by(waiver: Waiver) -> str:
    return f"waived by {waiver.owner} until {waiver.expires} ({waiver.reason})"


def _record(waiver: Waiver, *, expired: bool) -> WaiverRecord:
    return WaiverRecord(
        rule=waiver.rule,
        slice=waiver.slice,
        owner=waiver.owner,
        reason=waiver.reason,
        expires=waiver.expires,
        expired=expired,
    )
