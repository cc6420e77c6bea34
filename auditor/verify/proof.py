"""Is a proof about a record true of the run that its head names? Answered without the run.

What follows from a proof that verifies, given that its signer is trusted: the run committed, before
its first measurement, to the keys under which records are committed to; it then committed to
exactly this set of records; and the record is in it, or is not. The answer cannot be another one
for the same head, with one proviso: that the sorted commitments are in order is checked by
``auditor verify RUN``, since a proof shows two neighbours only. Likewise a step that is shown used
the record; that no other step did is checked against the folder. No proof can show that a record
was not used under another id, or in a training that was never recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from auditor.errors import InputError
from auditor.evidence import Value
from auditor.ledger import Entry, Fault, Head, Signature, VerifyingKey, leaf_hash, parse_head
from auditor.ledger.encoding import is_digest, read_json
from auditor.ledger.layout import REGISTER, origin_of
from auditor.ledger.proofs import LARGEST_PROOF, PROOF_SCHEMA, Proof, StepProof, read_proof
from auditor.ledger.record_key import (
    BUCKETS,
    RECORD_METHOD,
    bucket_leaf,
    bucket_of,
    commitment,
    key_root,
)
from auditor.ledger.resumed import RESUMED, resumed_body, spans_of
from auditor.ledger.sorted_tree import WIDTH, neighbours_of_absent
from auditor.ledger.step_segment import CHUNK, STEPS_METHOD, step_leaf
from auditor.ledger.tree import root_from_path

__all__ = ["ProofVerification", "check_proof", "is_proof_file", "verify_proof"]

_NOTHING = sha256(b"").digest()


class ProofVerification(Value):
    """What was verified of a proof, and what is off; exit codes as for a run.

    ``steps`` are the numbers of the steps that used the record, ``None`` where none were recorded;
    ``superseded`` those that used it, too, and were superseded when the training was resumed.
    Of a document that cannot be read there is nothing but faults.
    """

    run: str | None = None
    record: str | None = None
    split: str | None = None
    included: bool | None = None
    steps: tuple[int, ...] | None = None
    superseded: tuple[int, ...] = ()
    signed: bool = False
    signer: str | None = None
    pinned: bool = False
    head_digest: str | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 true and signed by the key given, 3 true but not pinned, 1 anything off."""
        if self.faults:
            return 1
        return 0 if self.signed and self.pinned else 3

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "schema": "auditor/proof-verification/v1",
            "exit_code": self.exit_code,
            "verified": not self.faults,
            "run": self.run,
            "record": self.record,
            "split": self.split,
            "included": self.included,
            "steps": None if self.steps is None else list(self.steps),
            "superseded": list(self.superseded),
            "signed": self.signed,
            "signer": self.signer,
            "pinned": self.pinned,
            "head": self.head_digest,
            "faults": [fault.model_dump() for fault in self.faults],
        }

    def sentences(self) -> tuple[str, ...]:
        """Return what the proof says, and what it does not."""
        if not self.included:
            return (
                f"{self.record!r} is not among the records of {self.split} to which run "
                f"{self.run} committed.",
                "That the list is in order is checked by `auditor verify` on the run; the proof "
                "shows the two places between which the record would stand.",
                "It does not show that the record was not used under another id.",
            )
        said = [
            f"{self.record!r} is among the records of {self.split} to which run {self.run} "
            "committed."
        ]
        if self.steps is None:
            said.append("Which steps used it was not recorded.")
        elif not self.steps:
            said.append("The proof shows no step that used it; the owner says that none did.")
        else:
            said.append(f"It was used in {len(self.steps):,} steps: {_listed(self.steps)}.")
        if self.superseded:
            said.append(
                f"It was used, too, in {len(self.superseded):,} steps that were superseded when "
                f"the training was resumed from a state before them: {_listed(self.superseded)}."
            )
        if self.steps is not None:
            said.append(
                "That no further step used it is checked against the run folder, not by the proof."
            )
        return tuple(said)


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps[:10])) + (", …" if len(steps) > 10 else "")


def is_proof_file(path: Path) -> bool:
    """Whether a path leads to a file that names the schema of a proof."""
    try:
        return path.is_file() and f'"{PROOF_SCHEMA}"'.encode() in _read(path)
    except OSError:
        return False


def verify_proof(
    path: str | Path, *, key: VerifyingKey | None = None, head: str | None = None
) -> ProofVerification:
    """Verify the file of a proof.

    ``key`` is the signer whom the caller trusts, ``head`` the digest of the run's head as the
    caller knows it. Raises :class:`InputError` for a file that is no proof at all.
    """
    if head is not None and not is_digest(head):
        raise InputError(
            f"{head[:80]!r} is not a digest", where="--head", valid="sha256:<64 hex digits>"
        )
    try:
        data = _read(Path(path).expanduser())
    except OSError as error:
        raise InputError(
            f"the proof cannot be read: {error.strerror}", where=str(path), valid="a proof file"
        ) from None
    if not data.startswith(b"{"):
        raise InputError("not a proof", where=str(path), valid="a file made by `auditor prove`")
    try:
        proof = read_proof(data, where=str(path))
    except InputError as error:
        return ProofVerification(faults=(Fault(where=str(path), what=error.what),))
    return check_proof(proof, key=key, head=head)


def _read(path: Path) -> bytes:
    """Read a file as far as a proof can reach, and one byte more."""
    with path.open("rb") as file:
        return file.read(LARGEST_PROOF + 1)


def check_proof(
    proof: Proof, *, key: VerifyingKey | None = None, head: str | None = None
) -> ProofVerification:
    """Verify a proof that was read."""
    faults: list[Fault] = []
    note, signatures = Head(origin="?", size=0, root=_NOTHING), tuple[Signature, ...]()
    try:
        note, signatures = parse_head(proof.head.encode())
    except InputError as error:
        faults.append(Fault(where="head", what=error.what))
    entries = _read_entries(proof, note, faults)
    first = entries[0] if entries else None
    signer = _signer(first, faults)
    signed = _check_signature(note, signatures, signer, faults)
    if not faults:
        _check_record(proof, entries, faults)
    digest = f"sha256:{note.root.hex()}"
    if head is not None and head != digest:
        faults.append(Fault(where="--head", what=f"the head of this run is {digest}"))
    pinned = key is not None and signer is not None and key.public == signer.public
    if key is not None and not pinned:
        who = f"signed by {signer}" if signer else "not signed"
        faults.append(Fault(where="--key", what=f"the run is {who}, and not by the key given"))
    return ProofVerification(
        run=proof.run,
        record=proof.record,
        split=proof.split,
        included=proof.included,
        steps=None if proof.steps is None else tuple(step.step for step in proof.steps),
        superseded=tuple(step.step for step in proof.superseded or ()),
        signed=signed,
        signer=None if signer is None else str(signer),
        pinned=pinned and signed,
        head_digest=digest,
        faults=tuple(faults),
    )


def _read_entries(proof: Proof, head: Head, faults: list[Fault]) -> list[Entry]:
    """Read the lines of the ledger, and hold each against the head."""
    entries: list[Entry] = []
    for number, shown in enumerate(proof.entries):
        where = f"entries[{number}]"
        try:
            line = shown.line.encode()
            entry = Entry.from_json(read_json(line))
            canonical = entry.line == line
        except (ValueError, InputError, RecursionError):
            faults.append(Fault(where=where, what="not an entry of a ledger"))
            continue
        if not canonical:
            faults.append(Fault(where=where, what="the entry is not in canonical form (RFC 8785)"))
            continue
        root = _root(leaf_hash(line), index=entry.seq, size=head.size, path=shown.path)
        if root != head.root:
            faults.append(Fault(where=where, what="the entry is not in the ledger of this head"))
        entries.append(entry)
    kinds = [(entry.seq == 0, entry.type) for entry in entries]
    if kinds[:2] != [(True, REGISTER), (False, "records")] or any(
        kind not in ((False, "steps"), (False, RESUMED)) for kind in kinds[2:]
    ):
        what = "not entry 0, an entry of records, and entries of steps"
        faults.append(Fault(where="entries", what=what))
        return entries
    origin, run = head.origin, entries[0].body.get("run")
    if run != proof.run or origin != origin_of(proof.run):
        faults.append(Fault(where="run", what="entry 0 and the head name another run"))
    if any(e.body.get("split") != proof.split for e in entries[1:] if e.type != RESUMED):
        faults.append(Fault(where="split", what="the entries speak of another split"))
    return entries


def _signer(first: Entry | None, faults: list[Fault]) -> VerifyingKey | None:
    line = None if first is None else first.body.get("signer")
    if line is None:
        return None
    try:
        return VerifyingKey.parse(str(line))
    except InputError as error:
        faults.append(Fault(where="entries[0], signer", what=error.what))
        return None


def _check_signature(
    head: Head,
    signatures: Sequence[Signature],
    signer: VerifyingKey | None,
    faults: list[Fault],
) -> bool:
    if signer is None:
        if signatures:
            faults.append(Fault(where="head", what="signed, but entry 0 names no signer"))
        return False
    if len(signatures) != 1 or not signatures[0].is_by(signer):
        what = f"not signed by the signer {signer} of entry 0, and by nobody else"
    elif not signer.verify(signatures[0].signature, head.text):
        what = f"the signature by {signer.name} does not verify"
    else:
        return True
    faults.append(Fault(where="head", what=what))
    return False


def _check_record(proof: Proof, entries: Sequence[Entry], faults: list[Fault]) -> None:
    """Hold key, leaves and steps against the entries, which are those of the head."""
    first, records = entries[0].body, entries[1].body
    secret = _bytes(proof.key.key)
    try:
        bucket = bucket_of(proof.record)
    except InputError as error:
        faults.append(Fault(where="record", what=error.what))
        return
    root = _root(bucket_leaf(secret), index=bucket, size=BUCKETS, path=proof.key.path)
    committed = key_root(first, records)
    if len(secret) != WIDTH or root is None or _digest(root) != committed:
        by = 0 if "records_key_root" in first else entries[1].seq
        what = f"this is not the key of the record's bucket to which entry {by} commits"
        faults.append(Fault(where="key", what=what))
        return
    count = _number(records.get("count"))
    if records.get("method") != RECORD_METHOD or count is None:
        faults.append(Fault(where="entries[1]", what="the records were committed to otherwise"))
        return
    mine = commitment(secret, proof.split, proof.record)
    leaves = [_bytes(leaf.leaf) for leaf in proof.leaves]
    indices = [leaf.index for leaf in proof.leaves]
    for number, (leaf, shown) in enumerate(zip(leaves, proof.leaves, strict=True)):
        root = _root(leaf_hash(leaf), index=shown.index, size=count, path=shown.path)
        if len(leaf) != WIDTH or root is None or _digest(root) != records.get("root"):
            what = "the leaf is not among the commitments of the split"
            faults.append(Fault(where=f"leaves[{number}]", what=what))
    if proof.included:
        if leaves != [mine]:
            faults.append(Fault(where="leaves", what="this is not the commitment of the record"))
    elif not _shows_absence(mine, leaves, indices, count):
        what = "the leaves are not the two between which the record would stand"
        faults.append(Fault(where="leaves", what=what))
    elif not leaves and _digest(_NOTHING) != records.get("root"):
        faults.append(Fault(where="entries[1]", what="the root is not that of no records"))
    _check_steps(proof, entries[2:], mine, faults)


def _shows_absence(mine: bytes, leaves: list[bytes], indices: list[int], count: int) -> bool:
    """Whether the leaves are those around the place of an absent commitment."""
    below = [index for leaf, index in zip(leaves, indices, strict=True) if leaf < mine]
    above = [index for leaf, index in zip(leaves, indices, strict=True) if leaf > mine]
    place = below[-1] + 1 if below else 0
    neighbours = neighbours_of_absent(place, count)
    return indices == below + above == neighbours


def _check_steps(proof: Proof, entries: Sequence[Entry], mine: bytes, faults: list[Fault]) -> None:
    steps, superseded = proof.steps or [], proof.superseded or []
    segments = {entry.seq: entry for entry in entries if entry.type != RESUMED}
    resumptions = [entry for entry in entries if entry.type == RESUMED]
    if (steps or superseded) and not proof.included:
        faults.append(Fault(where="steps", what="steps that used a record that is not included"))
    numbers = [step.step for step in steps]
    places = [(step.segment, step.step) for step in superseded]
    order = [entry.seq for entry in entries]
    shown = {step.segment for step in (*steps, *superseded)}
    if (
        numbers != sorted(set(numbers))
        or places != sorted(set(places))
        or order != sorted(set(order))
        or set(segments) != shown
        or bool(resumptions) != bool(superseded)
        or proof.superseded == []
    ):
        faults.append(Fault(where="steps", what="not in order, or not those of the entries"))
    if any(resumed_body(entry) is None for entry in resumptions):
        faults.append(Fault(where="entries", what="a resumption that does not say from where"))
    spans = spans_of(resumptions, max(order, default=0) + 1)
    for name, listed, counts in (("steps", steps, True), ("superseded", superseded, False)):
        for number, step in enumerate(listed):
            entry = segments.get(step.segment)
            if entry is None or not _is_step_of(step, entry.body, mine):
                what = "this step of the ledger did not use the record"
                faults.append(Fault(where=f"{name}[{number}]", what=what))
            elif (entry.seq in spans) != counts:
                what = "the entries shown do not say that this step was superseded"
                if counts:
                    what = "the entries shown say that this step was superseded"
                faults.append(Fault(where=f"{name}[{number}]", what=what))


def _is_step_of(step: StepProof, body: dict[str, Any], mine: bytes) -> bool:
    first, count = _number(body.get("first")), _number(body.get("count"))
    if first is None or count is None or step.records < 1:
        return False
    data = _bytes(step.commitments)
    chunks = -(-step.records // CHUNK)
    last = step.chunk == chunks - 1
    length = step.records - CHUNK * (chunks - 1) if last else CHUNK
    held = [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]
    if len(data) != WIDTH * length or mine not in held or body.get("method") != STEPS_METHOD:
        return False
    root = _root(leaf_hash(data), index=step.chunk, size=chunks, path=step.chunk_path)
    if root is None or not 0 <= step.step < 2**63 or step.records >= 2**63:
        return False
    leaf = step_leaf(step.step, step.records, root)
    root = _root(leaf_hash(leaf), index=step.step - first, size=count, path=step.path)
    return root is not None and _digest(root) == body.get("root")


def _root(hash_: bytes, *, index: int, size: int, path: Sequence[str]) -> bytes | None:
    hashes = [_bytes(part) for part in path]
    if any(len(part) != WIDTH for part in hashes):
        return None
    return root_from_path(hash_, index=index, size=size, path=hashes)


def _number(value: object) -> int | None:
    """Return a whole number; in JSON a truth value is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bytes(text: str) -> bytes:
    """Decode lower-case hex; nothing for any other spelling, and nothing fits no length."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return b""
    return data if data.hex() == text else b""


def _digest(root: bytes) -> str:
    return f"sha256:{root.hex()}"
