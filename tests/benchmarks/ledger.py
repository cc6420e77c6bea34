"""The ledger under load: how fast it is written, and how fast and in what memory verified."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import Row

from auditor.evidence import canonical_json, sha256
from auditor.ledger import LedgerWriter, RunFolder
from auditor.ledger.chain import GENESIS
from auditor.ledger.layout import origin_of
from auditor.ledger.note import Head, format_head
from auditor.ledger.tree import GrowingTree
from auditor.ledger.writer import Durability


def step(number: int) -> dict[str, Any]:
    """What a training loop may record of a step: some 300 bytes a line."""
    return {
        "stage": "training",
        "step": number,
        "loss": 0.7 / (1 + number),
        "records": {"count": 256, "digest": "sha256:" + "5" * 64},
    }


def appending(entries: int, durable: Durability) -> Row:
    """Entries a second through the writer, each returned as a reader will see it."""
    bodies = [step(number) for number in range(entries)]
    with tempfile.TemporaryDirectory() as folder, LedgerWriter(folder, durable=durable) as writer:
        start = time.perf_counter()
        for body in bodies:
            writer.append("step", body)
        writer.sync()
        seconds = time.perf_counter() - start
        data = writer.path.read_bytes()
        start = time.perf_counter()
        with (Path(folder) / "bare").open("wb", buffering=0) as file:
            for line in data.splitlines(keepends=True):
                file.write(line)
        bare = time.perf_counter() - start
    how = "on the disk one by one" if durable == "entry" else "handed to the system one by one"
    return {
        "what": f"{entries:,} entries appended to a ledger, {how} (entries a second)",
        "against": "bare writes of the same lines (seconds)",
        "bound": ">= 200 /s" if durable == "entry" else ">= 5000 /s",
        "measured": entries / seconds,
        "ours_seconds": seconds,
        "theirs_seconds": bare,
        "runs": 1,
    }


VERIFY = """
import json, resource, sys, time
from auditor.verify import verify_run
start = time.perf_counter()
result = verify_run(sys.argv[1])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak / 1024, result.exit_code, result.integrity.entries]))
"""


def verifying(entries: int) -> Row:
    """Seconds to verify a run of many entries, with its Merkle root, and the most memory held."""
    with tempfile.TemporaryDirectory() as folder:
        run = long_run(Path(folder) / "run", entries)
        size = (run / "ledger.jsonl").stat().st_size
        start = time.perf_counter()
        (run / "ledger.jsonl").read_bytes()
        read = time.perf_counter() - start
        done = subprocess.run(
            [sys.executable, "-c", VERIFY, str(run)], capture_output=True, check=True
        )
        seconds, peak, code, found = json.loads(done.stdout)
        if (code, found) != (3, entries):
            raise RuntimeError(f"verified as {code}, {found} entries")
    return {
        "what": f"verify a run of {entries:,} entries, {size / 2**20:.0f} MiB, holding at most "
        f"{peak:.0f} MiB (seconds)",
        "against": "reading the ledger (seconds)",
        "bound": "<= 60 s" if entries >= 1_000_000 else "none",
        "measured": seconds,
        "ours_seconds": seconds,
        "theirs_seconds": read,
        "peak_mib": peak,
        "runs": 1,
    }


def long_run(path: Path, entries: int) -> Path:
    """Write a sealed run of many entries, the ledger by hand: it is not what is measured here."""
    run = RunFolder.create(path)
    findings = {"schema": "auditor/findings/v1", "run": run.name, "findings": []}
    run.write("findings.json", canonical_json(findings))
    bodies = {0: ("register", {"run": run.name, "signer": None, "policy": None}),
              entries - 1: ("seal", {"files": run.files()})}  # fmt: skip
    prev, tree = GENESIS, GrowingTree()
    with (path / "ledger.jsonl").open("wb") as file:
        for number in range(entries):
            type, body = bodies.get(number) or ("step", step(number))
            line = canonical_json(
                {"body": body, "prev": prev, "seq": number, "type": type,
                 "time": f"2026-11-01T{number // 3600 % 24:02}:00:00Z" if number < 86_400
                 else "2026-11-02T00:00:00Z"}
            )  # fmt: skip
            prev, tree = sha256(line), tree.plus(line)
            file.write(line + b"\n")
    head = Head(origin=origin_of(run.name), size=entries, root=tree.root())
    (path / "head").write_bytes(format_head(head, None))
    return path


def ledger_benchmarks(*, quick: bool) -> list[Callable[[], Row]]:
    """All of it; ``quick`` for a tenth of the size."""
    part = 10 if quick else 1
    return [
        lambda: appending(100_000 // part, "sync"),
        lambda: appending(2_000 // part, "entry"),
        lambda: verifying(1_000_000 // part),
    ]
