"""The names of what lies in a run folder, and of what a ledger says about it."""

from __future__ import annotations

from urllib.parse import quote

__all__ = [
    "EVIDENCE",
    "FINDINGS",
    "HEAD",
    "KEY",
    "LEDGER",
    "OPENINGS",
    "POLICY",
    "REDACTED",
    "REDACTION",
    "REGISTER",
    "RUN_JSON",
    "SALTS",
    "SEAL",
    "STATEMENTS",
    "VERDICT",
    "origin_of",
]

RUN_JSON = "run.json"
POLICY = "policy.yaml"
LEDGER = "ledger.jsonl"
HEAD = "head"
KEY = "key.pub"
EVIDENCE = "evidence"
STATEMENTS = "statements"
FINDINGS = "findings.json"
VERDICT = "verdict.json"

SALTS = "salts.json"
"""The seed of the salts by which rows of documents can be shown one by one."""

REDACTION = "redaction.json"
"""What a redacted copy withholds; ``redacted/`` holds its documents that are shown in part."""

REDACTED = "redacted"

OPENINGS = "openings"
"""The type of the entry that commits to the rows of documents."""

REGISTER = "register"
"""The type of entry 0: who signs, which policy, before the first measurement."""

SEAL = "seal"
"""The type of the last entry: the digest of every file in the folder."""


def origin_of(run: str) -> str:
    """Return the origin line of the head of the run named ``run``.

    The name is percent-encoded, because a checkpoint's origin should hold neither spaces nor plus
    signs (C2SP tlog-checkpoint).

    >>> origin_of("credit-7"), origin_of("my run+1")
    ('auditor/run/credit-7', 'auditor/run/my%20run%2B1')
    """
    return f"auditor/run/{quote(run, safe='')}"
