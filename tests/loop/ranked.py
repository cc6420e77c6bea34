"""Trainings of one rank each, started by the tests as processes of their own.

Run as ``python -m tests.loop.ranked <folder> <scenario> …`` with RANK, WORLD_SIZE and, for the rendezvous,
the file ``<folder>/group``. What a scenario returns is pickled into the folder.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from auditor import Audit

from .conftest import World, make_world

DATA: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}
BATCH = 16
SCENARIOS: dict[str, Callable[[Path], Any]] = {}

POLICY = """
schema: auditor/policy/v1
id: strict
version: 1.0.0
title: Strict
rules:
  - {id: accuracy, metric: accuracy, stage: training, accept: '>= 0.999', on_fail: stop}
"""


def scenario(function: Callable[[Path], Any]) -> Callable[[Path], Any]:
    SCENARIOS[function.__name__] = function
    return function


def dataset(world: World) -> TensorDataset:
    return TensorDataset(world.x.double(), world.y.double())


def model_of_doubles() -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    ).double()


def registered(audit: Audit, world: World) -> Audit:
    audit.data(train=world.frame, validation=world.frame, test=world.frame, **DATA)
    return audit


def epoch(model: Any, optimizer: Any, loader: Any, criterion: Any) -> None:
    for x, y in loader:
        criterion(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()


def findings_of(audit: Audit) -> dict[Any, Any]:
    return {
        (f.check, f.metric, str(f.stage), str(f.slice), str(f.over)): (f.value, f.n)
        for f in audit.findings
    }


def weights_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def train(
    audit: Audit, world: World, *, epochs: int = 3, look_every: int = 1, wrap: bool = True,
    loader: Any = None, batch: int = BATCH, workers: int = 0,
) -> Any:  # fmt: skip
    """Train under DDP over a DistributedSampler; return the model."""
    model = model_of_doubles()
    trained = DistributedDataParallel(model) if wrap else model
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    criterion = torch.nn.BCEWithLogitsLoss()
    data = dataset(world)
    sampler = DistributedSampler(data, shuffle=True, seed=3) if loader is None else None
    given = loader or DataLoader(data, batch_size=batch, sampler=sampler, num_workers=workers)
    registered(audit, world)
    trained, optimizer, given = audit.attach(trained, optimizer, given, criterion)
    score = DataLoader(data, batch_size=50, sampler=DistributedSampler(data, shuffle=False))
    for number in range(epochs):
        if sampler is not None:
            sampler.set_epoch(number)
        epoch(trained, optimizer, given, criterion)
        if (number + 1) % look_every == 0:
            audit.validate(trained, score)
    return model


@scenario
def looks(folder: Path) -> Any:
    world = make_world(400)
    with Audit(run=folder / "run", budget=1e9) as audit:
        model = train(audit, world)
        found = findings_of(audit)
        accuracy = audit.finding("accuracy", stage="training", sex="F").value
        steps = audit._training.observer.step  # type: ignore[union-attr]
    return {"findings": found, "weights": weights_of(model), "accuracy": accuracy,
            "steps": steps, "run": str(audit.run)}  # fmt: skip


@scenario
def one_look(folder: Path) -> Any:
    """Three epochs, in each of which records go to other ranks, and one look."""
    world = make_world(400)
    with Audit(budget=1e9) as audit:
        train(audit, world, look_every=3)
        return {"findings": findings_of(audit), "dynamics": audit.dynamics()}


@scenario
def odd(folder: Path) -> Any:
    """A sampler that fills the last batch up with a record of another rank."""
    world = make_world(401)
    with Audit(budget=1e9) as audit:
        train(audit, world, epochs=2)
        return findings_of(audit)


@scenario
def stopped(folder: Path) -> Any:
    (folder / "policy.yaml").write_text(POLICY)
    from auditor import GateClosed

    world, audit = make_world(400), Audit(folder / "policy.yaml", folder / "stopped")
    try:
        with audit:
            train(audit, world)
    except GateClosed as closed:
        return {"reason": str(closed), "status": str(closed.verdict.status),  # type: ignore[attr-defined]
                "step": audit._training.observer.step}  # type: ignore[union-attr]  # fmt: skip
    return None


@scenario
def failing(folder: Path) -> Any:
    """An exception on one rank inside a look reaches all; the audit goes on afterwards."""
    world, rank = make_world(400), dist.get_rank()
    out: list[str] = []
    with Audit(budget=1e9) as audit:
        registered(audit, world)

        class Breaking(torch.nn.Module):
            def __init__(self, breaks: bool) -> None:
                super().__init__()
                self.inner, self.breaks = model_of_doubles(), breaks

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                if self.breaks:
                    raise RuntimeError("out of memory")
                return self.inner(x)

        loader = DataLoader(dataset(world), batch_size=50, sampler=DistributedSampler(world.x))
        for broken in (0, 1):
            try:
                audit.validate(Breaking(rank == broken), loader)
            except Exception as error:  # noqa: BLE001 -- what it is is asserted
                out.append(f"{type(error).__name__}: {error}")
        try:  # on rank 0 alone, while it counts what the others wait for
            audit.evaluate(model_of_doubles(), DataLoader(
                TensorDataset(world.x.double(), 1 - world.y.double()), batch_size=50))  # fmt: skip
        except Exception as error:  # noqa: BLE001 -- as above
            out.append(f"{type(error).__name__}: {error}")
        try:
            (audit.validate if rank else audit.gate)(
                *((Breaking(breaks=False), loader) if rank else ())
            )
        except Exception as error:  # noqa: BLE001 -- as above
            out.append(f"{type(error).__name__}: {error}")
        audit.validate(Breaking(breaks=False), loader)
        out.append(str(audit.finding("count", stage="training").value))
    return out


@scenario
def judged(folder: Path) -> Any:
    (folder / "judged.yaml").write_text(POLICY.replace("stage: training", "stage: evaluation"))
    world = make_world(400)
    with Audit(folder / "judged.yaml", folder / "judged") as audit:
        registered(audit, world)
        model = model_of_doubles()
        part = DataLoader(dataset(world), batch_size=50, sampler=DistributedSampler(world.x))
        found = audit.evaluate(model, part)
        explained = audit.explain(
            model.float(), world.loader(shuffle=False), background=world.x[:20], samples=5,
            records=20, features=["a", "b", "c", "d"],
        )  # fmt: skip
        verdict = audit.gate()
        paths = audit.report("report.md")
    assert verdict is not None
    return {"n": len(found), "status": str(verdict.status), "mine": str(audit.verdict.status),  # type: ignore[union-attr]
            "report": [str(p) for p in paths], "values": explained.values.sum()}  # fmt: skip


def main(folder: Path, names: list[str]) -> None:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=size,
        timeout=timedelta(seconds=float(os.environ.get("RANKED_TIMEOUT", "120"))),
    )  # fmt: skip
    for name in names:
        found = SCENARIOS[name](folder)
        (folder / f"{name}-{rank}.pickle").write_bytes(pickle.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
