"""Policies: read with line and column, typed by their metrics, held against findings."""

from auditor.policy.evaluate import evaluate
from auditor.policy.load import LoadedPolicy, bundled_policies, load_policy, parse_policy
from auditor.policy.plan import plan
from auditor.policy.region import Region, parse_region
from auditor.policy.schema import (
    POLICY_SCHEMA,
    CheckUse,
    Defaults,
    Policy,
    Rule,
    Waiver,
    policy_schema,
)
from auditor.policy.text import policy_text

__all__ = [
    "POLICY_SCHEMA",
    "CheckUse",
    "Defaults",
    "LoadedPolicy",
    "Policy",
    "Region",
    "Rule",
    "Waiver",
    "bundled_policies",
    "evaluate",
    "load_policy",
    "parse_policy",
    "parse_region",
    "plan",
    "policy_schema",
    "policy_text",
]
