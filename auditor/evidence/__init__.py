"""Frozen values: what was measured, of whom, at which stage, and what was judged of it."""

from auditor.evidence.digest import canonical_json, canonical_parsed, sha256
from auditor.evidence.estimate import Estimate, Interval
from auditor.evidence.finding import Finding, findings_document, read_findings
from auditor.evidence.slice import Slice
from auditor.evidence.stage import Stage
from auditor.evidence.value import Value
from auditor.evidence.verdict import (
    PolicyReference,
    RuleVerdict,
    SliceBound,
    Status,
    Verdict,
    WaiverRecord,
    read_verdict,
    worst,
)

__all__ = [
    "Estimate",
    "Finding",
    "Interval",
    "PolicyReference",
    "RuleVerdict",
    "Slice",
    "SliceBound",
    "Stage",
    "Status",
    "Value",
    "Verdict",
    "WaiverRecord",
    "canonical_json",
    "canonical_parsed",
    "findings_document",
    "read_findings",
    "read_verdict",
    "sha256",
    "worst",
]
