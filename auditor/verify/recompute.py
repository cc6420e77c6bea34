"""Every finding and the verdict, computed again from what a run folder holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, cast

from auditor.checks import Evidence, check_from_spec
from auditor.errors import AuditorError, InputError, RunError
from auditor.evidence import Finding, Stage, Verdict, sha256
from auditor.ledger import RunRecord
from auditor.policy import LoadedPolicy, evaluate, parse_policy
from auditor.stats import Statistic, read_statistic
from auditor.verify.looks import faults_of, looks_of, looks_until
from auditor.verify.measurements import measurements
from auditor.verify.registration import registered_seed

__all__ = ["Statistics", "recompute_findings", "recompute_verdict", "registered_policy"]


class Statistics:
    """The statistics of a run by digest, read once each and held against their digest."""

    def __init__(self, record: RunRecord) -> None:
        def read(digest: str) -> Statistic:
            return read_statistic(record.statistic_document(digest), where=f"evidence {digest}")

        self._read = lru_cache(maxsize=None)(read)

    def __call__(self, digest: str) -> Statistic:
        """Return the statistic; raises :class:`InputError` where it cannot be read."""
        return self._read(digest)


def recompute_findings(
    record: RunRecord,
    statistics: Statistics,
    *,
    withheld: Collection[str] = (),
    after: tuple[Stage, int] | None = None,
) -> tuple[Finding, ...]:
    """Derive every finding again from the stored statistics, as the ledger tells it.

    A later measurement by the same check at the same stage takes the place of an earlier one. A
    check that entry 0 does not register raises :class:`RunError`: it was not planned beforehand.
    Measurements of which a statistic is among the ``withheld`` digests are left out. With ``after``
    they are those of a stage as its looks up to that number found them.
    """
    registered = _registered_checks(record)
    found: dict[tuple[str, Stage], list[Finding]] = {}
    taken = measurements(record) if after is None else looks_until(record, *after)
    last = {(each.check, each.stage): each for each in taken}
    for measurement in taken:
        where = measurement.where
        if measurement.spec not in registered:
            raise RunError(
                f"check {measurement.check[:80]!r} with these fields is not registered in entry 0",
                where=where,
            )
        stage = measurement.stage
        if last[(measurement.check, stage)].entry.seq != measurement.entry.seq:
            continue
        if any(digest in withheld for digest in measurement.statistics):
            continue
        check = check_from_spec(measurement.spec, where=where)
        unmeasured = measurement.unmeasured
        if unmeasured is not None:
            reason, error = unmeasured
            findings = check.unmeasured(reason, stage, error=error)
        else:
            evidence = [Evidence(digest, statistics(digest)) for digest in measurement.statistics]
            try:
                findings = check.derive(evidence, stage)
            except AuditorError:
                raise
            except Exception as broken:
                raise InputError(f"check {check.id} breaks ({broken!r})", where=where) from broken
        found[(check.id, stage)] = findings
    keys = sorted(found, key=lambda key: (key[1].order, key[0]))
    return tuple(finding for key in keys for finding in found[key])


def recompute_verdict(
    record: RunRecord,
    policy: LoadedPolicy,
    findings: tuple[Finding, ...],
    statistics: Statistics,
    *,
    evaluated_at: str,
    stage: Stage,
    registered: bool,
) -> Verdict:
    """Judge findings by a policy, at a stated moment."""
    return evaluate(
        policy,
        findings,
        statistics,
        evaluated_at=evaluated_at,
        seed=registered_seed(record),
        stage=stage,
        registered=registered,
        looks=looks_of(record),
        earlier=lambda stage, look: recompute_findings(record, statistics, after=(stage, look)),
        faults=faults_of(record),
    )


def registered_policy(record: RunRecord) -> LoadedPolicy | None:
    """Read the policy that entry 0 registered; raises where its text is another one."""
    text = record.policy_text
    if text is None:
        return None
    policy = parse_policy(text.encode(), where=str(record.path / "policy.yaml"))
    stated = record.ledger.entries[0].body.get("policy")
    stated = cast("Mapping[str, Any]", stated) if isinstance(stated, Mapping) else {}
    if policy.digest != stated.get("digest") or sha256(text.encode()) != policy.digest:
        raise RunError("the policy is not the one that entry 0 registers", where="policy.yaml")
    return policy


def _registered_checks(record: RunRecord) -> list[Mapping[str, Any]]:
    checks = record.ledger.entries[0].body.get("checks")
    return list(checks) if isinstance(checks, list) else []
