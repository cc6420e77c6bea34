"""Committing to record ids, recording steps, and checking a proof: what it costs."""

from __future__ import annotations

import hmac
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Row, budget, side_by_side, timed

from auditor.ledger import RunFolder
from auditor.ledger.commitments import commit_records
from auditor.ledger.proofs import format_proof, make_proof
from auditor.ledger.record_key import RecordKey
from auditor.ledger.steps import StepRecorder
from auditor.verify.proof import verify_proof

SECRET = bytes(range(32))


def committing(records: int) -> Row:
    """Keys of all buckets, commitments, sorting and the root, against a bare HMAC for each id."""
    ids = [str(number) for number in range(records)]
    key = RecordKey(SECRET)

    def ours() -> None:
        assert commit_records(ids, key, split="train").body()["count"] == records

    def theirs() -> None:
        assert len({hmac.digest(SECRET, text.encode(), "sha256") for text in ids}) == records

    return {
        "what": f"{records:,} record ids committed to, sorted, with a root",
        "against": "one hmac.digest an id, nothing else",
        "bound": budget(">= 0.2", records),
        **side_by_side(ours, theirs, runs=3),
    }


def recording(steps: int, *, batch: int = 256) -> Row:
    """What recording adds to a step: records, loss, random state, and its share of a flush."""
    import torch

    records = steps * batch
    committed = commit_records([str(n) for n in range(records)], RecordKey(SECRET), split="train")
    model = torch.nn.Sequential(
        torch.nn.Linear(128, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.randn(batch, 128)
    order = np.random.default_rng(0).permutation(records).reshape(steps, batch)

    def training() -> None:
        for _ in range(steps):
            model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    def recorded() -> None:
        recorder = StepRecorder(committed, chain=SECRET)
        for rows in order:
            recorder.record(rows, loss=0.5, random_state=SECRET)
        assert recorder.flush() is not None

    measured = side_by_side(training, recorded, runs=5)
    return {
        "what": f"steps of {batch} records recorded and hashed, {steps:,} steps",
        "against": "the steps of an MLP on this CPU (added share)",
        "bound": "<= 0.02",
        "ratio": measured["ratio"],
        "ours_seconds": measured["theirs_seconds"],
        "theirs_seconds": measured["ours_seconds"],
        "runs": measured["runs"],
    }


def proving(records: int) -> Row:
    """A proof about one of many records, made and checked, in seconds."""
    key = RecordKey(SECRET)
    committed = commit_records([str(n) for n in range(records)], key, split="train")
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run")
        with run.writer() as writer:
            run.register(writer, signer=None, **key.registration())
            run.write(committed.name, committed.data())
            writer.append("records", committed.body())
            recorder = StepRecorder(committed)
            for rows in np.arange(records).reshape(-1, 100):
                recorder.add(rows)
                recorder.step()
            flushed: Any = recorder.flush()
            for name, data in flushed.files.items():
                run.write(name, data)
            writer.append("steps", flushed.body)
            run.seal(writer, None)
        proof = format_proof(make_proof(run.path, "17", key=key))
        file = Path(folder) / "proof.json"
        file.write_bytes(proof)
        making = statistics.median(
            timed(lambda: make_proof(run.path, "17", key=key)) for _ in range(3)
        )
        checking = statistics.median(timed(lambda: verify_proof(file)) for _ in range(9))
        assert verify_proof(file).exit_code == 3
    return {
        "what": f"a proof about one of {records:,} records checked ({len(proof):,} bytes)",
        "against": "making it, with the steps (seconds)",
        "bound": "<= 0.05",
        "ratio": checking,
        "ours_seconds": checking,
        "theirs_seconds": making,
        "runs": 9,
    }
