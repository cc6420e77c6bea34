"""Looks keep to their plan, and what goes wrong in one is the audit's trouble alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from auditor import Audit, GateClosed, InputError
from auditor.ledger import RunRecord
from auditor.verify import verify_run

POLICY = """
schema: auditor/policy/v1
id: loop
version: 1.0.0
title: A loop
rules:
  - {id: accurate, metric: accuracy, stage: training, accept: '>= 0.9', on_fail: %s, looks: %d}
"""
LATE = "  - {id: late, metric: accuracy, stage: evaluation, accept: '>= 0.5'}\n"


class Sign(torch.nn.Module):
    """A model that is always right, or always wrong, or breaks."""

    def __init__(self, sign: float | None = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.sign is None:
            raise RuntimeError("out of memory")
        return x * self.sign * 10


def world(seed: int = 0) -> tuple[pd.DataFrame, DataLoader[Any]]:
    x = np.random.default_rng(seed).normal(size=200)
    frame = pd.DataFrame({"y": (x > 0).astype(int), "sex": ["F", "M"] * 100})
    tensors = torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(frame.y)[:, None].float()
    return frame, DataLoader(TensorDataset(*tensors), batch_size=50)


def begun(folder: Path, *, looks: int = 2, on_fail: str = "block", rest: str = "") -> Audit:
    (folder / "policy.yaml").write_text(POLICY % (on_fail, looks) + rest)
    audit = Audit(folder / "policy.yaml", folder / "run")
    audit.data(
        validation=world()[0], test=world(1)[0] if rest else None, target="y", sensitive=["sex"]
    )
    return audit


def looks(audit: Audit) -> list[tuple[int, str]]:
    entries = RunRecord.load(audit.run, live=True).ledger.of_type("look")
    return [(entry.body["look"], entry.body["status"]) for entry in entries]


def status(audit: Audit, sign: float | None) -> str:
    verdict = audit.validate(Sign(sign), world()[1])
    assert verdict is not None
    return f"{verdict.status} {verdict.gate}"


@pytest.mark.parametrize(("planned", "later"), [(1.0, -1.0), (-1.0, 1.0)])
def test_what_the_last_planned_look_decided_stands(
    tmp_path: Path, planned: float, later: float
) -> None:
    expected = "pass open" if planned > 0 else "fail closed"
    with begun(tmp_path) as audit:
        assert status(audit, later).startswith("fail" if planned > 0 else "pass")
        assert status(audit, planned) == expected
        assert status(audit, later) == expected
        verdict = audit.gate()
        assert verdict is not None
        assert f"{verdict.status} {verdict.gate}" == expected
        assert "look 3 was recorded and decides nothing" in verdict.rules[0].reason
        assert audit.finding("accuracy").value == max(later, 0)
    assert not verify_run(audit.run).faults


def test_the_final_gate_judges_by_rows_that_no_look_touched(tmp_path: Path) -> None:
    with begun(tmp_path, rest=LATE) as audit:
        assert status(audit, 1.0) == "pass open"
        audit.evaluate(Sign(1.0), world(1)[1])
        assert audit.gate().gate == "open"  # type: ignore[union-attr]
        for entry in RunRecord.load(audit.run, live=True).ledger.of_type("measurement"):
            if "look" in entry.body:
                assert list(entry.body["data"]) == ["validation"]
            elif entry.body["stage"] == "evaluation" and "data" in entry.body:
                assert list(entry.body["data"]) == ["test"]
    (tmp_path / "other").mkdir()
    frame, loader = world()
    with Audit(tmp_path / "policy.yaml", tmp_path / "other" / "run") as audit:
        audit.data(validation=frame, test=frame, target="y", sensitive=["sex"])
        with pytest.raises(InputError, match="no look has touched"):
            audit.validate(Sign(), loader)


def test_a_look_that_breaks_is_recorded_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "auditor")
    with begun(tmp_path, looks=5, on_fail="stop") as audit:
        assert status(audit, None) == "error closed"  # and no GateClosed: an error stops nothing
        assert "look 1 failed, and the training goes on: RuntimeError: out of memory" in caplog.text
        assert status(audit, 1.0) == "pass open"
        assert status(audit, None) == "error closed"
        assert looks(audit) == [(1, "error"), (2, "pass"), (3, "error")]
        verdict = audit.gate()
        assert verdict is not None
        assert (verdict.status, verdict.gate) == ("error", "closed")
    assert not verify_run(audit.run).faults


def test_wrong_usage_raises_until_a_look_succeeded(tmp_path: Path) -> None:
    other = DataLoader(TensorDataset(torch.zeros(3, 1), torch.zeros(3, 1)))
    with begun(tmp_path) as audit:
        with pytest.raises(InputError, match="3 items"):
            audit.validate(Sign(), other)
        assert looks(audit) == []
        assert status(audit, 1.0) == "pass open"
        assert audit.validate(Sign(), other).status == "error"  # type: ignore[union-attr]
        assert looks(audit) == [(1, "pass"), (2, "error")]


def test_a_disk_that_is_full_at_a_look_breaks_nothing_and_is_recorded_later(
    tmp_path: Path,
) -> None:
    import resource
    import signal

    with begun(tmp_path, looks=5) as audit:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            assert status(audit, 1.0) == "error closed"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert status(audit, 1.0) == "pass open"
        assert looks(audit) == [(1, "error"), (2, "pass")]
        assert audit.gate().gate == "open"  # type: ignore[union-attr]
    assert not verify_run(audit.run).faults


def test_a_stop_still_stops(tmp_path: Path) -> None:
    with begun(tmp_path, on_fail="stop") as audit, pytest.raises(GateClosed, match="look 1"):
        audit.validate(Sign(-1), world()[1])
