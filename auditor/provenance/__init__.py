"""Where data, code and weights come from: digests, equal rows, environment, checkpoints."""

from auditor.provenance.checkpoint import checkpoint_manifest
from auditor.provenance.digests import (
    FILE_METHOD,
    ROW_METHOD,
    file_digest,
    file_manifest,
    rows_digest,
)
from auditor.provenance.environment import environment
from auditor.provenance.rows import repeated, seen_in

__all__ = [
    "FILE_METHOD",
    "ROW_METHOD",
    "checkpoint_manifest",
    "environment",
    "file_digest",
    "file_manifest",
    "repeated",
    "rows_digest",
    "seen_in",
]
