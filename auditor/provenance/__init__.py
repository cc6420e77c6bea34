"""Where data, code and weights come from: digests, equal rows, environment, checkpoints."""

from auditor.provenance.checkpoint import checkpoint_manifest
from auditor.provenance.containment import containment
from auditor.provenance.digests import (
    FILE_METHOD,
    ROW_METHOD,
    file_digest,
    file_manifest,
    rows_digest,
)
from auditor.provenance.entities import EntityOverlap, entity_overlap
from auditor.provenance.environment import environment
from auditor.provenance.near_duplicates import NearDuplicates, near_duplicates
from auditor.provenance.near_rows import near_rows, row_tokens
from auditor.provenance.rows import repeated, seen_in
from auditor.provenance.tokens import Tokens, text_tokens

__all__ = [
    "FILE_METHOD",
    "ROW_METHOD",
    "EntityOverlap",
    "NearDuplicates",
    "Tokens",
    "checkpoint_manifest",
    "containment",
    "entity_overlap",
    "environment",
    "file_digest",
    "file_manifest",
    "near_duplicates",
    "near_rows",
    "repeated",
    "row_tokens",
    "rows_digest",
    "seen_in",
    "text_tokens",
]
