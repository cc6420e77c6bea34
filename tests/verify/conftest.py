"""Runs that committed to their records, and proofs about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.evidence import canonical_json
from auditor.ledger import RunFolder, SigningKey
from auditor.ledger.commitments import commit_records
from auditor.ledger.record_key import RecordKey
from auditor.ledger.steps import StepRecorder
from auditor.ledger.trace import chain_start

RecordedRun = Callable[..., Path]


@pytest.fixture(scope="session")
def record_key() -> RecordKey:
    """One key for all: the tree over its 65,536 buckets is computed once."""
    return RecordKey(bytes(range(32)))


@pytest.fixture(scope="session")
def signer() -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return SigningKey.from_pem(pem.decode(), name="me")


@pytest.fixture(scope="session")
def recorded_run(
    tmp_path_factory: pytest.TempPathFactory, record_key: RecordKey, signer: SigningKey
) -> RecordedRun:
    """Make a run over record ids; ``steps`` are segments of steps of batches of rows."""

    def make(
        records: Sequence[str] | None = ("a", "b", "c"),
        *,
        steps: Sequence[Sequence[Sequence[int]]] = (),
        key: SigningKey | None = signer,
        name: str = "small",
        traced: bool = True,
    ) -> Path:
        run = RunFolder.create(tmp_path_factory.mktemp("runs") / name)
        moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
        with run.writer(clock=lambda: moment) as writer:
            details = {} if records is None else record_key.registration()
            run.register(
                writer, signer=None if key is None else key.verifying_key, seed=0, checks=[],
                **details,
            )  # fmt: skip
            run.write("run.json", canonical_json({"seed": 0}))
            findings = {"schema": "auditor/findings/v1", "run": name, "findings": []}
            run.write("findings.json", canonical_json(findings))
            if records is not None:
                committed = commit_records(records, record_key, split="train")
                run.write(committed.name, committed.data())
                writer.append("records", committed.body())
                assert writer.first is not None
                start = chain_start(writer.first.digest) if traced else None
                recorder = StepRecorder(committed, chain=start)
                for segment in steps:
                    for batch in segment:
                        digest = sha256(str(batch).encode()).digest()
                        recorder.record(batch, loss=1 / (1 + len(batch)), random_state=digest)
                    recorder.checkpoint(bytes(range(32)))
                    flushed = recorder.flush()
                    assert flushed is not None
                    for file, data in flushed.files.items():
                        run.write(file, data)
                    writer.append("steps", flushed.body)
            run.seal(writer, key)
        return run.path

    return make
