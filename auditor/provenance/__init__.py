"""Where data, code and weights come from: digests, equal rows, environment, checkpoints.

What data it was stands in manifests: of records (:func:`source_manifest`, over canonical Arrow
rows, the same for the same records wherever they lie), of folders (:func:`folder_manifest`), and of
files (:func:`file_manifest`, and :func:`sharded_digest` for large ones).
"""

from auditor.provenance.base_model import base_model_manifest
from auditor.provenance.checkpoint import checkpoint_manifest
from auditor.provenance.containment import containment
from auditor.provenance.digest_cache import DigestCache, default_cache
from auditor.provenance.digests import FILE_METHOD, file_digest, file_manifest
from auditor.provenance.entities import EntityOverlap, entity_overlap
from auditor.provenance.environment import environment
from auditor.provenance.folders import FolderManifest, folder_manifest
from auditor.provenance.near_duplicates import NearDuplicates, near_duplicates
from auditor.provenance.near_rows import near_rows, row_tokens
from auditor.provenance.packages import packages_manifest
from auditor.provenance.personal_data import scan_personal_data
from auditor.provenance.record_schema import declared_schema
from auditor.provenance.record_sources import (
    SourceRecord,
    arrow_batches_of,
    source_manifest,
    source_record,
    source_schema,
    splits_of,
)
from auditor.provenance.record_tree import inclusion_path, root_from_path
from auditor.provenance.records import (
    RECORD_METHOD,
    RecordManifest,
    record_digests,
    record_manifest,
    schema_leaf,
    verify_record,
)
from auditor.provenance.rows import repeated, seen_in
from auditor.provenance.shards import ShardedDigest, sharded_digest, verify_shard
from auditor.provenance.tokens import Tokens, text_tokens

__all__ = [
    "FILE_METHOD",
    "RECORD_METHOD",
    "DigestCache",
    "EntityOverlap",
    "FolderManifest",
    "NearDuplicates",
    "RecordManifest",
    "ShardedDigest",
    "SourceRecord",
    "Tokens",
    "arrow_batches_of",
    "base_model_manifest",
    "checkpoint_manifest",
    "containment",
    "declared_schema",
    "default_cache",
    "entity_overlap",
    "environment",
    "file_digest",
    "file_manifest",
    "folder_manifest",
    "inclusion_path",
    "near_duplicates",
    "near_rows",
    "packages_manifest",
    "record_digests",
    "record_manifest",
    "repeated",
    "root_from_path",
    "row_tokens",
    "scan_personal_data",
    "schema_leaf",
    "seen_in",
    "sharded_digest",
    "source_manifest",
    "source_record",
    "source_schema",
    "splits_of",
    "text_tokens",
    "verify_record",
    "verify_shard",
]
