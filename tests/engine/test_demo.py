"""The demonstration, whole: the gate closes, the way out opens it, both verify."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auditor import RunError, load
from auditor.engine.demonstration import run_demo
from auditor.ledger import VerifyingKey
from auditor.verify import verify_run

pytestmark = pytest.mark.slow


def demo(out: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "auditor", "demo", "--out", str(out), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "runs"
    demo(folder)
    return folder


def test_the_first_gate_closes_and_the_second_says_what_is_missing(out: Path) -> None:
    baseline, mitigated = (load(out / f"demo-{name}").verdict for name in ("baseline", "mitigated"))
    assert baseline is not None
    assert mitigated is not None
    assert (baseline.status, baseline.gate) == ("fail", "closed")
    assert mitigated.gate == "open"
    undecided = [rule for rule in mitigated.rules if rule.status == "inconclusive"]
    assert undecided
    assert all(rule.required_n for rule in undecided)


def test_both_runs_verify_with_the_key_of_the_demonstration(out: Path) -> None:
    key = VerifyingKey.load(out / "demo.key.pub")
    for name in ("demo-baseline", "demo-mitigated"):
        result = verify_run(out / name, key=key)
        assert result.exit_code == 0
        assert result.findings > 300
        assert "made by the demonstration" in (out / name / "report.html").read_text()


def test_every_stage_was_audited(out: Path) -> None:
    findings = load(out / "demo-baseline").findings
    measured = findings[findings.status == "measured"]
    assert set(measured.stage) == {"data", "training", "evaluation"}
    for metric in ("overlap_rate[test]", "mean_loss", "auc", "protected_reliance",
                   "mean_absolute_attribution[education]"):  # fmt: skip
        assert (measured.metric == metric).any(), metric


def test_the_gap_of_adult_is_in_the_findings(out: Path) -> None:
    findings = load(out / "demo-baseline").findings
    findings = findings[findings.stage == "data"]
    rate = findings[(findings.metric == "base_rate_ratio") & (findings.slice == "sex=Female")]
    assert 0.34 < rate.value.item() < 0.39  # 0.3635 on all rows; this is the training split


def test_a_second_demonstration_replaces_the_first_and_nothing_else(
    out: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(out, tmp_path / "runs")
    before = (out / "demo-baseline" / "head").read_bytes()
    demo(out)
    assert (out / "demo-baseline" / "head").read_bytes() != before
    note = out / "demo-mitigated" / "note.txt"
    note.write_text("mine")
    (out / "demo-baseline" / "ledger.jsonl").write_bytes(b"")
    with pytest.raises(RunError):
        run_demo(out, progress=lambda text, done: None)
    assert note.read_text() == "mine"
