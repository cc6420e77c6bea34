"""Keys, clocks and small runs for the tests of the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import auditor
from auditor.evidence import PolicyReference, canonical_json, sha256
from auditor.ledger import LedgerWriter, RunFolder, SigningKey

POLICY_TEXT = "schema: auditor/policy/v1\nid: small\nversion: 1.0.0\n"


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that starts at noon and moves by a quarter of a second at every look."""
    moments = (
        datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(milliseconds=250 * n)
        for n in range(100_000)
    )
    return lambda: next(moments)


@pytest.fixture(scope="session")
def make_key() -> Callable[..., SigningKey]:
    """Make a key from a seed of 32 bytes."""

    def make(seed: bytes = bytes(range(32)), name: str = "me") -> SigningKey:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return SigningKey.from_pem(pem.decode(), name=name)

    return make


@pytest.fixture(scope="session")
def key(make_key: Callable[..., SigningKey]) -> SigningKey:
    return make_key()


@pytest.fixture(scope="session")
def policy() -> tuple[PolicyReference, str]:
    digest = sha256(POLICY_TEXT.encode())
    return PolicyReference(id="small", version="1.0.0", digest=digest), POLICY_TEXT


@pytest.fixture
def open_run(
    tmp_path: Path, clock: Callable[[], datetime], policy: tuple[PolicyReference, str]
) -> Iterator[Callable[..., tuple[RunFolder, LedgerWriter]]]:
    """Start a run: the folder, the ledger with entry 0, and a few files."""
    writers: list[LedgerWriter] = []

    def start(name: str = "small", key: SigningKey | None = None) -> tuple[RunFolder, LedgerWriter]:
        run = RunFolder.create(tmp_path / name)
        writer = run.writer(clock=clock)
        writers.append(writer)
        run.register(
            writer,
            signer=None if key is None else key.verifying_key,
            policy=policy[0],
            policy_text=policy[1],
        )
        run.write("run.json", canonical_json({"seed": 0}))
        digest = run.put_evidence({"counts": [1, 2]})
        writer.append("statistics", {"digest": digest})
        findings = {"schema": "auditor/findings/v1", "run": name, "findings": []}
        run.write("findings.json", canonical_json(findings))
        return run, writer

    yield start
    for writer in writers:
        writer.close()


@pytest.fixture
def sealed_run(
    open_run: Callable[..., tuple[RunFolder, LedgerWriter]],
) -> Callable[..., Path]:
    """Make a whole run and return its folder."""

    def make(name: str = "small", key: SigningKey | None = None) -> Path:
        run, writer = open_run(name, key)
        run.seal(writer, key)
        return run.path

    return make


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another Python that can import the package; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []
    package = str(Path(auditor.__file__).parent.parent)

    def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": package},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run_python(
    start_python: Callable[..., subprocess.Popen[str]],
) -> Callable[..., str]:
    """Run a script to its end; a failure shows its traceback."""

    def run(script: str, *arguments: str | Path) -> str:
        process = start_python(script, *arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    return run
