"""The manifest of a table: which records it holds, in which order, under which schema."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.provenance.record_casts import cast_batch
from auditor.provenance.record_encoding import encode_records
from auditor.provenance.record_schema import declared_schema, logical_schema, schema_text
from auditor.provenance.record_set import RecordSet
from auditor.provenance.record_tree import MerkleTree, root_from_path, sha256_each

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RECORD_METHOD", "RecordManifest", "record_digests", "record_manifest",
           "schema_leaf", "verify_record"]  # fmt: skip

RECORD_METHOD = "sha256-rfc6962-arrow-rows-1"
_ROWS = 1 << 18
_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class RecordManifest:
    """What the records of a table were.

    Parameters
    ----------
    rows:
        The number of records.
    schema:
        The declared schema as text, from which :func:`declared_schema` gives the same again.
    ordered_root:
        ``sha256:<hex>``, the RFC 6962 root over the logical schema (leaf 0) and the canonical
        records in their order (leaves 1 to ``rows``).
    set_digest:
        ``sha256:<hex>``, the same for any order of the records; see :class:`RecordSet`, whose
        head is the leaf hash of the logical schema.
    method:
        How: :data:`RECORD_METHOD`.
    """

    rows: int
    schema: str
    ordered_root: str
    set_digest: str
    method: str = RECORD_METHOD


def schema_leaf(schema: pa.Schema) -> bytes:
    """Return the leaf hash of a schema's logical types: 32 bytes."""
    return hashlib.sha256(b"\x00" + logical_schema(schema)).digest()


def record_digests(
    batches: Iterable[pa.RecordBatch],
    schema: str | Mapping[str, Any] | pa.Schema,
    *,
    where: str = "the records",
) -> Iterator[NDArray[np.uint8]]:
    """Yield the digests of the records in their order, in parts of shape ``[n, 32]``.

    The digest of a record is its leaf hash, ``SHA-256(0x00 || canonical bytes)``, see
    :mod:`auditor.provenance.record_encoding`. Raises :class:`InputError` for what the schema
    cannot hold without loss.
    """
    for batch in _even(_cast(batches, declared_schema(schema), where)):
        yield sha256_each(encode_records(batch, b"\x00"))


def record_manifest(
    batches: Iterable[pa.RecordBatch],
    schema: str | Mapping[str, Any] | pa.Schema,
    *,
    where: str = "the records",
) -> RecordManifest:
    """Return the manifest of records, given as Arrow batches of any size, under a declared schema.

    Memory is bounded by the largest batch and 4 million digests; ``where`` names the records in
    errors. Raises :class:`InputError` as :func:`record_digests` does.

    >>> import pyarrow as pa
    >>> table = pa.table({"a": ["1", "2"]})
    >>> found = record_manifest(table.to_batches(), "a: int")
    >>> found.rows, found.schema, found.ordered_root[:7]
    (2, 'a: int64', 'sha256:')
    """
    declared = declared_schema(schema)
    head = schema_leaf(declared)
    tree = MerkleTree()
    tree.add(np.frombuffer(head, np.uint8).reshape(1, 32))
    # The tree and the set take in one part while the next one is encoded and hashed.
    with RecordSet(head) as found, ThreadPoolExecutor(2) as pool:
        taken: list[Future[None]] = []
        for digests in record_digests(batches, declared, where=where):
            for earlier in taken:
                earlier.result()
            taken = [pool.submit(tree.add, digests), pool.submit(found.add, digests)]
        for last in taken:
            last.result()
        root, whole = pool.submit(tree.root), pool.submit(found.digest)
        return RecordManifest(
            rows=tree.size - 1,
            schema=schema_text(declared),
            ordered_root=f"sha256:{root.result().hex()}",
            set_digest=f"sha256:{whole.result().hex()}",
        )


def verify_record(
    manifest: RecordManifest, record: pa.RecordBatch, index: int, path: list[bytes]
) -> bool:
    """Return whether a record, as a batch of one row, is row ``index`` of a manifest.

    ``path`` is the audit path of leaf ``index + 1`` over the schema's leaf and all record digests,
    see :func:`auditor.provenance.record_tree.inclusion_path`. Raises :class:`InputError` for a path
    of the wrong length.
    """
    if len(record) != 1:
        raise InputError(f"one record is asked for, not {len(record):,}")
    (digest,) = record_digests([record], manifest.schema)
    root = root_from_path(digest.tobytes(), index + 1, manifest.rows + 1, path)
    return f"sha256:{root.hex()}" == manifest.ordered_root


def _cast(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, where: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in parts that fit into memory, as the schema has them."""
    first = 0
    for batch in batches:
        step = max(1, min(_ROWS, _BYTES * len(batch) // max(1, batch.nbytes)))
        for start in range(0, len(batch), step):
            part = batch.slice(start, step)
            yield cast_batch(part, schema, where=where, first=first)
            first += len(part)


def _even(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches that are worth a query."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if held and (rows + len(batch) > _ROWS or size + batch.nbytes > _BYTES):
            yield _one(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + len(batch), size + batch.nbytes
    if held:
        yield _one(held)


def _one(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    if len(held) == 1:
        return held[0]
    return pa.Table.from_batches(held).combine_chunks().to_batches()[0]
