"""The same training gives the same findings and the same weights, whatever library runs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from auditor.evidence import Finding

from . import runners
from .trainings import PER_EPOCH, Task, make_task

EPOCHS = 3
LIBRARIES = {
    "accelerate": runners.accelerated, "lightning": runners.lit, "transformers": runners.trained,
}  # fmt: skip


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task()


@pytest.fixture
def deterministic() -> Generator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def runner_of(library: str) -> runners.Runner:
    if library == "torch":
        return runners.plain
    for module in (library, f"auditor.integrations.{library}"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"there is no {module}")
    return LIBRARIES[library]


def of_training(findings: tuple[Finding, ...]) -> dict[Any, Finding]:
    return {
        (f.check, f.metric, str(f.slice), str(f.over), i): f
        for i, f in enumerate(f for f in findings if f.stage == "training" and _of_records(f))
    }


def _of_records(finding: Finding) -> bool:
    """Whether it is about what was trained on, and not about what that took."""
    return finding.check.startswith("bias.")


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_same_training_gives_the_same_findings(
    task: Task, tmp_path: Path, library: str
) -> None:
    run = runner_of(library)
    with task.audit() as ours, task.audit() as reference:
        runners.plain(task, reference, epochs=EPOCHS, dropout=0.0)
        run(task, ours, epochs=EPOCHS, dropout=0.0, folder=tmp_path)
        expected, found = of_training(reference.findings), of_training(ours.findings)
        assert list(found) == list(expected)
        assert len(found) > 100
        for key, finding in found.items():
            other = expected[key]
            assert (finding.n, finding.status) == (other.n, other.status), key
            if other.value is not None:
                assert finding.value == pytest.approx(other.value, abs=1e-6), key
        pd.testing.assert_frame_equal(ours.dynamics(), reference.dynamics(), atol=1e-6)
        report: Any = ours._cost()
        assert report["steps"] == EPOCHS * PER_EPOCH
        assert report["fault"] is None
        assert (report["unmatched_batches"], report["repeated_losses"]) == (0, 0)


@pytest.mark.parametrize("library", ["torch", *LIBRARIES])
def test_weights_are_bit_for_bit_those_without_the_audit(
    task: Task, tmp_path: Path, deterministic: None, library: str
) -> None:
    run, epochs = runner_of(library), -(-200 // PER_EPOCH)
    without = run(task, None, epochs=epochs, dropout=0.2, folder=tmp_path).state_dict()
    without = {name: tensor.clone() for name, tensor in without.items()}
    state = torch.get_rng_state()
    with task.audit() as audit:
        audited = run(task, audit, epochs=epochs, dropout=0.2, folder=tmp_path).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert audited.keys() == without.keys()
    for name, tensor in audited.items():
        assert torch.equal(tensor, without[name]), name
