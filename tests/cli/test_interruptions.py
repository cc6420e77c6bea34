"""Ctrl-C, a killed process and a full disk: nothing is damaged, and what is there says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Auditor

LONG = """
import sys, time, pandas as pd
from auditor import Audit
frame = pd.DataFrame({"sex": ["F", "M"] * 50, "y": [0, 1] * 50})
with Audit(run=sys.argv[1]) as audit:
    audit.data(train=frame, target="y", sensitive="sex")
    print("ready", flush=True)
    time.sleep(60)
"""

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["auditor", *sys.argv[2:]]
from auditor.cli import main
main()
"""


def start_long(run: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_valid_recognised_and_never_overwritten(
    auditor: Auditor, tmp_path: Path, table: Path, sent: signal.Signals
) -> None:
    run = tmp_path / "run"
    process = start_long(run)
    locked = auditor("verify", run)
    assert locked.code in (1, 2)
    busy = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex", "--out", run)
    assert busy.code == 2
    assert "another process" in busy.err
    time.sleep(0.1)
    process.send_signal(sent)
    process.communicate(timeout=30)
    entries = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    assert [e["seq"] for e in entries] == list(range(len(entries)))
    if sent is signal.SIGINT:
        assert entries[-1]["body"] == {"reason": "KeyboardInterrupt"}
    verified = auditor("verify", run)
    assert verified.code == 1
    assert "seal" in verified.err
    again = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex", "--out", run)
    assert again.code == 2
    assert "interrupted run" in again.err
    assert auditor("judge", run, "--policy", "baseline").code == 2


@pytest.mark.parametrize("limit", [200, 2_000, 20_000])
def test_a_full_disk_is_one_line_and_no_damaged_run(
    tmp_path: Path, table: Path, limit: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "predictions", str(table), "--prediction", "p",
         "--target", "y", "--score", "s", "--sensitive", "sex,race", "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if k != "AUDITOR_KEY"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "auditor: " in done.stderr.strip().splitlines()[-1]
    run = tmp_path / "run"
    leftovers = [p for p in run.rglob("*") if p.is_file()] if run.exists() else []
    assert not [p for p in leftovers if "tmp" in p.name]
    for path in leftovers:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
    if (run / "ledger.jsonl").exists():
        lines = (run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\n") and json.loads(line) for line in lines)
