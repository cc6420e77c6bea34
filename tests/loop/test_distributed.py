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
from auditor import Audit, InputError
from auditor.ledger import RunRecord
from auditor.ledger.steps import StepSegment

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
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
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
    names = ("looks", "stopped", "failing")
    return dict(zip(names, launch(folder, *names), strict=True)) | {"folder": [folder]}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The same with more trainings."""
    folder = tmp_path_factory.mktemp("more-ranks")
    names = ("one_look", "odd", "judged", "joined", "streamed", "evened", "replicas", "normed",
             "sharded", "early", "left")  # fmt: skip
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
    """Assert that findings are the same: counts equal, values to 1e-8."""
    assert found.keys() == expected.keys()
    assert any("mean_loss" in key for key in expected)
    assert any(key[1] == "forgetting_rate" for key in expected)
    for key, (value, n) in expected.items():
        assert found[key][1] == n, key
        if value is None or isinstance(value, str):
            assert found[key][0] == value, key
        else:
            assert found[key][0] == pytest.approx(value, rel=1e-9, abs=1e-8), key


def assert_sound(folder: Path) -> None:
    found = auditor.verify_run(folder)
    assert (found.faults, found.integrity.faults) == ((), ())


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
    assert_sound(folder / "run")
    steps = [entry.body for entry in RunRecord.load(folder / "run").ledger.of_type("steps")]
    assert [(s["first"], s["last"], s["records"]) for s in steps] == [
        (1, 13, 400), (14, 26, 400), (27, 39, 400)
    ]  # fmt: skip
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["run", "stopped"]


@pytest.mark.slow
def test_records_that_change_their_rank_are_forgotten_in_the_order_of_steps(
    slow: dict[str, list[Any]],
) -> None:
    audit, _ = in_one_process(make_world(400), look_every=3)
    with audit:
        agree(slow["one_look"][0]["findings"], ranked.findings_of(audit))
        ours, theirs = slow["one_look"][0]["dynamics"], audit.dynamics()
    assert list(ours.columns) == list(theirs.columns)
    for name in ours.columns:
        if ours[name].dtype.kind in "if":
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)  # single precision
    assert slow["one_look"][1]["dynamics"].equals(ours)


@pytest.mark.slow
def test_a_record_that_a_sampler_gives_twice_counts_once(slow: dict[str, list[Any]]) -> None:
    found, _ = slow["odd"]
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


@pytest.mark.slow
def test_what_is_evaluated_explained_and_judged_is_told_to_all(
    slow: dict[str, list[Any]],
) -> None:
    first, second = slow["judged"]
    assert first == second
    assert first["n"] > 0
    assert first["status"] == first["mine"] == "fail"
    assert Path(first["report"][0]).exists()


@pytest.mark.slow
def test_ranks_with_fewer_inputs_stay_in_step(slow: dict[str, list[Any]]) -> None:
    """250 and 150 records are 16 and 10 batches: an epoch has 16 steps for both."""
    for rank in slow["joined"]:
        assert rank["seen"] == [(800, 32), (800, 64)]
        assert rank["visits"] == [4] * 400
    steps = RunRecord.load(slow["folder"][0] / "joined").ledger.of_type("steps")
    assert [(s.body["first"], s.body["last"], s.body["records"]) for s in steps] == [
        (1, 32, 800), (33, 64, 800)
    ]  # fmt: skip
    segment = StepSegment.read(
        (slow["folder"][0] / "joined" / steps[0].body["file"]).read_bytes(), records=400, where=""
    )
    sizes = np.diff(segment.offsets.astype(int))
    # The first epoch: 9 full steps of both, one with the last 6 records of rank 1, rank 0 alone.
    assert sizes[:16].tolist() == [32] * 9 + [22] + [16] * 5 + [10]
    assert sizes[16:].tolist() == sizes[:16].tolist()
    assert_sound(slow["folder"][0] / "joined")


@pytest.mark.slow
def test_streams_of_uneven_length_count_what_was_trained_on(slow: dict[str, list[Any]]) -> None:
    assert [rank["n"] for rank in slow["streamed"]] == [90 + 96] * 2


@pytest.mark.slow
def test_whole_batches_given_twice_count_once(slow: dict[str, list[Any]]) -> None:
    assert sum(rank["given"] for rank in slow["evened"]) == 96
    assert all(rank["trained"] == rank["scored"] == 69 for rank in slow["evened"])


@pytest.mark.slow
def test_ranks_that_work_on_the_same_batches_count_once(slow: dict[str, list[Any]]) -> None:
    for rank in slow["replicas"]:
        assert (rank["trained"], rank["visits"], rank["scored"]) == (400, 2, 400)
    steps = RunRecord.load(slow["folder"][0] / "replicas").ledger.of_type("steps")
    assert [s.body["records"] for s in steps] == [400, 400]


@pytest.mark.slow
def test_buffers_are_those_of_the_first_rank_while_a_model_is_scored(
    slow: dict[str, list[Any]],
) -> None:
    for number, rank in enumerate(slow["normed"]):
        assert rank["rate"] == rank["expected"]
        assert rank["mean"] == [number] * 4


@pytest.mark.slow
def test_a_sharded_model_is_trained_to_the_same_bits(slow: dict[str, list[Any]]) -> None:
    for rank in slow["sharded"]:
        assert rank["same"]
        assert rank["parameters"] == sum(p.numel() for p in ranked.model_of_doubles().parameters())
        assert rank["count"] == rank["n"] == 400
        assert "spread over ranks" in rank["refused"]


@pytest.mark.slow
def test_an_audit_from_before_the_process_group_says_so(slow: dict[str, list[Any]]) -> None:
    for number, (unset, changed, count) in enumerate(slow["early"]):
        assert f"made as rank {number} of 2, and no process group" in unset
        assert f"made as rank 0 of 1, and this is rank {number} of 2 now" in changed
        assert count == "100.0"
    assert_sound(slow["folder"][0] / "early")


@pytest.mark.slow
def test_ranks_with_other_data_are_refused_and_a_run_outlives_its_process_group(
    slow: dict[str, list[Any]],
) -> None:
    for (message,) in slow["left"]:
        assert "test=: rank 1 registered other records" in message
    folder = slow["folder"][0] / "left"
    assert_sound(folder)
    (entry,) = RunRecord.load(folder).ledger.of_type("ranks")
    assert entry.body == {"size": 2, "met": False}


@pytest.mark.slow
def test_a_rank_that_does_not_come_is_an_error_after_the_timeout(tmp_path: Path) -> None:
    ((message, _),) = launch(tmp_path, "missing", RANKED_TIMEOUT="20")
    assert message.startswith("LostRankError: not every rank came to scoring validation= of val")
    assert "Ranks 1 failed" in message
    ledger = RunRecord.load(tmp_path / "missing").ledger
    assert ledger.of_type("interrupted")[0].body["reason"] == "LostRankError"


def halved(steps: range, states: Any = None) -> Audit:
    """Go through steps of the two epochs in one process, and look."""
    audit = Audit(budget=1e9)
    ranked.halves(audit, make_world(396), rank=0, size=1, steps=steps, state=states)
    return audit


@pytest.mark.slow
def test_states_of_all_ranks_go_on_in_a_world_of_another_size(tmp_path: Path) -> None:
    ((first, second),) = launch(tmp_path, "first_half")
    whole, half, alone = halved(range(66)), halved(range(40)), halved(range(0))
    whole.look()
    expected = ranked.findings_of(whole)
    # Merged offline, in a process that trains nothing.
    alone.load_state_dict([first, second])
    alone.look()
    state = half.state_dict()
    half.look()
    agree(ranked.findings_of(alone), ranked.findings_of(half))
    # From two ranks to one, from two to three, and from one to two.
    resumed = halved(range(40, 66), [first, second])
    resumed.look()
    agree(ranked.findings_of(resumed), expected)
    # One process has written the steps of its half into its own run; ranks write when they meet.
    for size, states, records in ((3, [first, second], 2 * 396), (2, [state], 26 * 12)):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "states").write_bytes(pickle.dumps(states))
        (ranks,) = launch(folder, "second_half", size=size)
        for found in ranks:
            agree(found, expected)
        steps = RunRecord.load(folder / "resumed").ledger.of_type("steps")
        assert [s.body["records"] for s in steps] == [records]
    with pytest.raises(InputError, match="1 states were given of a training with 2 ranks"):
        halved(range(0), first)
    for audit in (whole, half, alone, resumed):
        audit.discard()
