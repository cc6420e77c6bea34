"""Recorded evidence judged by another policy, without the model, the data or a GPU."""

from __future__ import annotations

from datetime import UTC, datetime

from auditor.evidence import Stage, Verdict
from auditor.ledger import RunRecord
from auditor.policy import LoadedPolicy
from auditor.verify.recompute import Statistics, recompute_verdict

__all__ = ["judge_run"]


def judge_run(
    record: RunRecord,
    policy: LoadedPolicy,
    *,
    evaluated_at: str | None = None,
    stage: Stage = Stage.PRE_DEPLOYMENT,
) -> Verdict:
    """Judge the findings of a run by a policy.

    The verdict says ``registered: false`` where the policy is not the one that entry 0 registered
    before the first measurement. ``evaluated_at`` is the moment against which waivers are held;
    now, where it is not given.
    """
    stated = record.ledger.entries[0].body.get("policy") or {}
    moment = evaluated_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return recompute_verdict(
        record, policy, record.findings, Statistics(record), evaluated_at=moment, stage=stage,
        registered=stated.get("digest") == policy.digest,
    )  # fmt: skip
