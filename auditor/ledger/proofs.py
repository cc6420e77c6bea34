"""A proof about one record, in one file: whether a run committed to it, and which steps used it.

The document carries everything that its reader lacks: the signed head of the run; entry 0 and the
entry of the split's records, each with its path to the head; the key of the record's bucket with
its path to the root in entry 0; the leaf of the record, or its two neighbours, with their paths to
the root in the records' entry; and for every step that used the record, the chunk of commitments
that holds it, with the paths to the root of a ``steps`` entry. Steps that were superseded when the
training was resumed are shown apart, with the ``resumed`` entries that say so. Whoever has the
document and the signer's public key verifies it without the run (:mod:`auditor.verify.proof`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

from pydantic import ConfigDict

from auditor.errors import InputError, RunError, nearest
from auditor.evidence import Value, canonical_json, sha256
from auditor.ledger.chain import Entry
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import HEAD
from auditor.ledger.note import parse_head
from auditor.ledger.record import RunRecord
from auditor.ledger.record_key import RecordKey, bucket_of, key_root
from auditor.ledger.resumed import RESUMED, spans_of
from auditor.ledger.sorted_tree import SortedTree, neighbours_of_absent
from auditor.ledger.tree import hash_path, inclusion_path, leaf_hash

__all__ = [
    "LARGEST_PROOF",
    "PROOF_SCHEMA",
    "LeafProof",
    "LineProof",
    "Proof",
    "StepProof",
    "format_proof",
    "make_proof",
    "read_proof",
    "require_split",
]

PROOF_SCHEMA = "auditor/proof/v1"
LARGEST_PROOF = 256 * 2**20
"""Bytes; a proof is a few kilobytes and about one more for each step that used the record."""


class LineProof(Value):
    """A line of the ledger and its path to the head; hashes are hex, the lowest sibling first."""

    model_config = ConfigDict(strict=True)

    line: str
    path: list[str]


class KeyProof(Value):
    """The key of the record's bucket, 32 bytes as hex, and its path to the root in entry 0."""

    model_config = ConfigDict(strict=True)

    key: str
    path: list[str]


class LeafProof(Value):
    """A leaf of the sorted commitments, its place, and its path to the root of its entry."""

    model_config = ConfigDict(strict=True)

    index: int
    leaf: str
    path: list[str]


class StepProof(Value):
    """A step that used the record.

    ``segment`` is the number of its ``steps`` entry, ``records`` the number of records of the step,
    ``chunk`` the place of the chunk in the step and ``commitments`` its content. ``chunk_path``
    leads to the root of the step's chunks, ``path`` to the root of the segment.
    """

    model_config = ConfigDict(strict=True)

    step: int
    segment: int
    records: int
    chunk: int
    commitments: str
    chunk_path: list[str]
    path: list[str]


class Proof(Value):
    """The document; ``steps`` is ``None`` where the run recorded no steps of the split.

    ``superseded`` are steps that used the record, and that do not count since the training was
    resumed from a state before them.
    """

    model_config = ConfigDict(strict=True)

    run: str
    record: str
    split: str
    included: bool
    head: str
    entries: list[LineProof]
    key: KeyProof
    leaves: list[LeafProof]
    steps: list[StepProof] | None = None
    superseded: list[StepProof] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, with its schema."""
        return {"schema": PROOF_SCHEMA, **super().to_json()}

    @classmethod
    def from_json(cls, document: Any, *, where: str | None = None) -> Self:
        """Read the JSON form; raises :class:`InputError`."""
        if not isinstance(document, dict) or document.get("schema") != PROOF_SCHEMA:
            raise InputError("not a proof", where=where, valid=f"a file of schema {PROOF_SCHEMA}")
        fields = cast("Mapping[str, Any]", document)
        return super().from_json({k: v for k, v in fields.items() if k != "schema"}, where=where)


def format_proof(proof: Proof) -> bytes:
    """Return the file of a proof: its canonical JSON (RFC 8785) and a newline."""
    return canonical_json(proof.to_json()) + b"\n"


def read_proof(data: bytes, *, where: str = "the proof") -> Proof:
    """Read a proof, none of which is verified by this.

    Raises :class:`InputError` for any other spelling than that of :func:`format_proof`, so that a
    changed file cannot keep its meaning.
    """
    if len(data) > LARGEST_PROOF:
        raise InputError("too large to be a proof", where=where)
    try:
        document = read_json(data)
    except ValueError as error:
        raise InputError(f"not JSON ({error})", where=where) from None
    proof = Proof.from_json(document, where=where)
    if format_proof(proof) != data:
        raise InputError("the proof is not in canonical form (RFC 8785)", where=where)
    return proof


def require_split(run: str | Path, split: str) -> None:
    """Raise :class:`InputError` unless a finished run committed to the records of this split."""
    _records_entry(RunRecord.load(run, sealed=True), split)


def make_proof(run: str | Path, record: str, *, key: RecordKey, split: str = "train") -> Proof:
    """Prove whether a split of a finished run holds a record, and which steps used it.

    Raises :class:`InputError` where the run committed to no records or not to this split, where the
    key is not that of the run, and :class:`RunError` for a run that is damaged or not finished.
    """
    known = RunRecord.load(run, sealed=True)
    records = _records_entry(known, split)
    body = records.body
    if key.root != key_root(_first(known).body, body):
        by = 0 if "records_key_root" in _first(known).body else records.seq
        raise InputError(
            f"this is not the record key to which entry {by} of the run commits",
            where=str(run), valid=f"the key of {known.name}",
        )  # fmt: skip
    commitment, bucket = key.commitment(split, record), bucket_of(record)
    tree = SortedTree(_bound_file(known, body))
    place, included = tree.place_of(commitment), tree.holds(commitment)
    shown = [place] if included else neighbours_of_absent(place, len(tree))
    steps = list(_step_entries(known, split))
    entries = [_first(known), _records_entry(known, split)]
    used: list[StepProof] | None = None
    lost: list[StepProof] = []
    if steps:
        resumptions = known.ledger.of_type(RESUMED)
        spans = spans_of(resumptions, len(known.ledger.lines))
        found = list(_prove_steps(known, tree, steps, place)) if included else []
        used = [step for step in found if step.segment in spans]
        lost = [step for step in found if step.segment not in spans]
        segments = {step.segment for step in found}
        shown_too = [entry for entry in steps if entry.seq in segments]
        shown_too += resumptions if lost else ()
        entries += sorted(shown_too, key=lambda entry: entry.seq)
    return Proof(
        run=known.name,
        record=record,
        split=split,
        included=included,
        head=_head(known),
        entries=[
            LineProof(
                line=known.ledger.lines[entry.seq].decode(),
                path=_hex(inclusion_path(known.ledger.lines, entry.seq)),
            )
            for entry in entries
        ],
        key=KeyProof(key=key.bucket_key(bucket).hex(), path=_hex(key.bucket_path(bucket))),
        leaves=[
            LeafProof(index=index, leaf=tree[index].hex(), path=_hex(tree.path(index)))
            for index in shown
        ],
        steps=used,
        superseded=lost or None,
    )


def _first(run: RunRecord) -> Entry:
    return run.ledger.entries[0]


def _records_entry(run: RunRecord, split: str) -> Entry:
    found = {str(e.body.get("split")): e for e in run.ledger.of_type("records")}
    if not found:
        raise InputError(
            "the run committed to no records", where=str(run.path),
            valid="a run whose data were given with record_id=, or that was trained",
        )  # fmt: skip
    if split not in found:
        raise InputError(
            f"the run committed to no records of {split!r}", where=str(run.path),
            valid=nearest(split, found),
        )  # fmt: skip
    return found[split]


def _step_entries(run: RunRecord, split: str) -> Iterator[Entry]:
    for entry in run.ledger.of_type("steps"):
        if entry.body.get("split") == split:
            yield entry


def _prove_steps(
    run: RunRecord, tree: SortedTree, entries: list[Entry], place: int
) -> Iterator[StepProof]:
    import numpy as np  # whoever verifies a proof needs none of it

    from auditor.ledger.step_segment import CHUNK, StepSegment, chunks_of

    leaves = np.frombuffer(tree.buffer, np.uint8).reshape(len(tree), -1)
    for entry in entries:
        data = _bound_file(run, entry.body)
        segment = StepSegment.read(data, records=len(tree), where=str(entry.body["file"]))
        used = list(segment.steps_of(place))
        hashes = segment.hashes(leaves) if used else []
        for index, at in used:
            commitments = segment.commitments(leaves, index)
            chunks = chunks_of(commitments)
            yield StepProof(
                step=segment.first + index,
                segment=entry.seq,
                records=len(commitments) // len(tree[place]),
                chunk=at // CHUNK,
                commitments=chunks[at // CHUNK].hex(),
                chunk_path=_hex(hash_path([leaf_hash(chunk) for chunk in chunks], at // CHUNK)),
                path=_hex(hash_path(hashes, index)),
            )


def _head(run: RunRecord) -> str:
    path = run.path / HEAD
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"the head cannot be read: {error.strerror}", where=str(path)) from None
    head, _ = parse_head(data, where=str(path))
    if (head.size, head.root) != (len(run.ledger.lines), run.ledger.root()):
        raise _damaged(path, "the head is not that of the ledger")
    return data.decode()


def _bound_file(run: RunRecord, body: Mapping[str, Any]) -> bytes:
    path = run.path / str(body.get("file"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if sha256(data) != body.get("digest"):
        raise _damaged(path, "the file is not the one that the ledger binds")
    return data


def _damaged(path: Path, what: str) -> RunError:
    return RunError(what, where=str(path), valid="`auditor verify` tells what was changed")


def _hex(path: list[bytes]) -> list[str]:
    return [part.hex() for part in path]
