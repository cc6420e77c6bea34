"""Many ranks find what one process finds, stop together, and none waits for what does not come."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

import auditor
from auditor import Audit
from auditor.ledger import RunRecord

from . import ranked
from .conftest import World, make_world

ROOT = Path(ranked.__file__).parents[2]
Results = Callable[..., list[Any]]


def launch(folder: Path, *names: str, size: int = 2, check: bool = True, **env: str) -> list[Any]:
    """Run scenarios in processes of their own; return what each rank returned, by scenario."""
    environment = {
        **os.environ, "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT), **env,
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.loop.ranked", str(folder), *names], cwd=ROOT,
            env={**environment, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    errors = [process.communicate(timeout=400)[1] for process in processes]
    if check:
        assert [p.returncode for p in processes] == [0] * size, "\n".join(errors)
    return [
        [pickle.loads((folder / f"{name}-{rank}.pickle").read_bytes()) for rank in range(size)]
        for name in names
    ]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Two processes that go through several trainings, one after the other."""
    folder = tmp_path_factory.mktemp("ranks")
    names = ("looks", "stopped", "failing", "odd", "one_look", "judged")
    return dict(zip(names, launch(folder, *names), strict=True)) | {"folder": [folder]}


def in_one_process(
    world: World, *, epochs: int = 3, size: int = 2, look_every: int = 1
) -> tuple[Audit, torch.nn.Module]:
    """Train on the same records step by step, without ranks, and without a record given twice."""
    model = ranked.model_of_doubles()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = torch.nn.BCEWithLogitsLoss()
    data = ranked.dataset(world)
    samplers = [DistributedSampler(data, size, rank, seed=3) for rank in range(size)]
    order: list[list[int]] = []
    audit = ranked.registered(Audit(budget=1e9), world)
    loader = DataLoader(data, batch_sampler=order)
    model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
    for number in range(epochs):
        for sampler in samplers:
            sampler.set_epoch(number)
        parts = [list(sampler) for sampler in samplers]
        starts = range(0, len(parts[0]), ranked.BATCH)
        order[:] = [[i for p in parts for i in p[s : s + ranked.BATCH]] for s in starts]
        ranked.epoch(model, optimizer, loader, criterion)
        if (number + 1) % look_every == 0:
            audit.validate(model, DataLoader(data, batch_size=50))
    return audit, model


def agree(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    """Assert that findings are the same: counts equal, values to 1e-9."""
    assert found.keys() == expected.keys()
    assert any("mean_loss" in key for key in expected)
    assert any(key[1] == "forgetting_rate" for key in expected)
    for key, (value, n) in expected.items():
        assert found[key][1] == n, key
        if value is None or isinstance(value, str):
            assert found[key][0] == value, key
        else:
            assert found[key][0] == pytest.approx(value, rel=1e-9, abs=1e-12), key


def test_two_ranks_find_what_one_process_finds(fast: dict[str, list[Any]]) -> None:
    audit, model = in_one_process(make_world(400))
    with audit:
        expected = ranked.findings_of(audit)
    first, second = fast["looks"]
    agree(first["findings"], expected)
    for ours, theirs in zip(first["weights"], ranked.weights_of(model), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)
    assert second["accuracy"] == first["accuracy"]
    assert second["steps"] == first["steps"] == 39
    # Those who follow know what was measured since they met, and have written nothing.
    assert second["findings"] == first["findings"]
    assert second["run"] == first["run"]


def test_the_run_of_two_ranks_is_one_run_that_verifies(fast: dict[str, list[Any]]) -> None:
    folder = fast["folder"][0]
    assert auditor.verify_run(folder / "run").exit_code == 0
    steps = [entry.body for entry in RunRecord.load(folder / "run").ledger.of_type("steps")]
    assert [(s["first"], s["last"], s["records"]) for s in steps] == [
        (1, 13, 400), (14, 26, 400), (27, 39, 400)
    ]  # fmt: skip
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["judged", "run", "stopped"]


def test_records_that_change_their_rank_are_forgotten_in_the_order_of_steps(
    fast: dict[str, list[Any]],
) -> None:
    audit, _ = in_one_process(make_world(400), look_every=3)
    with audit:
        agree(fast["one_look"][0]["findings"], ranked.findings_of(audit))
        ours, theirs = fast["one_look"][0]["dynamics"], audit.dynamics()
    assert list(ours.columns) == list(theirs.columns)
    for name in ours.columns:
        if ours[name].dtype.kind in "if":
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)
    assert fast["one_look"][1]["dynamics"].equals(ours)


def test_a_record_that_a_sampler_gives_twice_counts_once(fast: dict[str, list[Any]]) -> None:
    found, _ = fast["odd"]
    losses = {key: n for key, (_, n) in found.items() if key[1] == "mean_loss"}
    assert {key[3]: n for key, n in losses.items()} == {"all": 401, "sex=F": 106, "sex=M": 295}


def test_a_stop_reaches_every_rank_at_the_same_step_with_its_reason(
    fast: dict[str, list[Any]],
) -> None:
    first, second = fast["stopped"]
    assert first == second
    assert first["reason"].startswith("the policy stops the training at look 1")
    assert (first["status"], first["step"]) == ("fail", 13)


def test_an_exception_on_one_rank_reaches_the_others_and_nobody_hangs(
    fast: dict[str, list[Any]],
) -> None:
    first, second = fast["failing"]
    assert first[0] == "RuntimeError: out of memory"
    assert second[0] == "RankError: rank 0 failed: RuntimeError: out of memory"
    assert first[1] == "RankError: rank 1 failed: RuntimeError: out of memory"
    assert second[1] == "RuntimeError: out of memory"
    assert "labels differ" in first[2]
    assert first[2] == second[2]
    assert first[3] == second[3]
    assert "the ranks are at different places" in first[3]
    assert first[4] == second[4] == "400.0"


def test_what_is_evaluated_explained_and_judged_is_told_to_all(
    fast: dict[str, list[Any]],
) -> None:
    first, second = fast["judged"]
    assert first == second
    assert first["n"] > 0
    assert first["status"] == first["mine"] == "fail"
    assert Path(first["report"][0]).exists()
