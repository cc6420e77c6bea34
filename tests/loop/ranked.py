"""Trainings of one rank each, started by the tests as processes of their own.

Run as ``python -m tests.loop.ranked <folder> <scenario> …`` with RANK, WORLD_SIZE and, for the
rendezvous, the file ``<folder>/group``. What a scenario returns is pickled into the folder.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
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
        if f.check != "provenance.compute"
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
                out.append(audit._recording.looks.faults["training"])
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


@scenario
def joined(folder: Path) -> Any:
    """Rank 1 has fewer batches than rank 0, and waits for it at the end of every epoch."""
    from torch.distributed.algorithms.join import Join

    world, rank = make_world(400), dist.get_rank()
    model = DistributedDataParallel(model_of_doubles())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = torch.nn.BCEWithLogitsLoss()
    rows = range(250) if rank == 0 else range(250, 400)
    out: list[Any] = []
    with Audit(run=folder / "joined", budget=1e9) as audit:
        registered(audit, world)
        loader = DataLoader(dataset(world), batch_size=BATCH, sampler=list(rows))
        _, _, loader = audit.attach(model, optimizer, loader, criterion)
        for _ in range(2):
            for _ in range(2):
                with Join([model]):
                    epoch(model, optimizer, loader, criterion)
            audit.look()
            out.append((audit.finding("mean_loss").n, audit._training.observer.step))  # type: ignore[union-attr]
        found = audit.dynamics()
    return {"seen": out, "visits": found["visits"].tolist()}


class Stream(torch.utils.data.IterableDataset[Any]):
    """Records that carry their id, of which every rank has another number."""

    def __init__(self, world: World, rank: int) -> None:
        self.world, self.rows = world, range(90) if rank == 0 else range(90, 230)

    def __iter__(self) -> Any:
        for row in self.rows:
            yield {"x": self.world.x[row].double(), "label": self.world.y[row].double(), "id": row}


@scenario
def streamed(folder: Path) -> Any:
    """Iterable loaders of uneven length, cut where the first rank has no more batches."""
    world, rank = make_world(400), dist.get_rank()
    model = DistributedDataParallel(model_of_doubles())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(run=folder / "streamed", budget=1e9) as audit:
        registered(audit, world)
        loader = DataLoader(Stream(world, rank), batch_size=BATCH)
        _, _, loader = audit.attach(model, optimizer, loader, criterion)
        batches = iter(loader)
        while True:
            batch = next(batches, None)
            left = torch.tensor(int(batch is not None))
            dist.all_reduce(left, op=dist.ReduceOp.MIN)
            if not left:
                break
            assert batch is not None
            criterion(model(batch["x"]), batch["label"]).backward()
            optimizer.step()
        audit.look()
        return {"n": audit.finding("mean_loss").n}


@scenario
def evened(folder: Path) -> Any:
    """The sampler of accelerate, which gives whole batches twice so that all have as many."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler, SequentialSampler

    world = make_world(69)
    whole = BatchSampler(SequentialSampler(world.x), BATCH, drop_last=False)  # type: ignore[arg-type]
    shard = BatchSamplerShard(whole, dist.get_world_size(), dist.get_rank(), even_batches=True)
    model, criterion = model_of_doubles(), torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        registered(audit, world)
        loader = DataLoader(dataset(world), batch_sampler=shard)  # type: ignore[arg-type]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        _, _, loader = audit.attach(model, optimizer, loader, criterion)
        given = sum(len(y) for _, y in loader)
        epoch(model, optimizer, loader, criterion)
        audit.validate(model, DataLoader(dataset(world), batch_sampler=shard))  # type: ignore[arg-type]
        return {"given": given, "trained": audit.finding("mean_loss").n,
                "scored": audit.finding("count", stage="training").value}  # fmt: skip


@scenario
def replicas(folder: Path) -> Any:
    """Ranks that share a model by tensor parallelism work on the same batches."""
    world = make_world(400)
    model, criterion = model_of_doubles(), torch.nn.BCEWithLogitsLoss()
    with Audit(run=folder / "replicas", budget=1e9) as audit:
        registered(audit, world)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(dataset(world), batch_size=BATCH)
        _, _, loader = audit.attach(model, optimizer, loader, criterion)
        for _ in range(2):
            epoch(model, optimizer, loader, criterion)
            audit.validate(model, DataLoader(dataset(world), batch_size=100))
        return {"trained": audit.finding("mean_loss").n, "visits": audit.dynamics()["visits"].max(),
                "scored": audit.finding("count", stage="training").value}  # fmt: skip


@scenario
def normed(folder: Path) -> Any:
    """Buffers that differ by rank: those of rank 0 count, and all stay as they are."""
    world, rank = make_world(101), dist.get_rank()
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).double()
    model[0].running_mean += rank  # type: ignore[operator, union-attr]
    with torch.no_grad():
        model[1].weight.fill_(1.0)  # type: ignore[union-attr]
        model[1].bias.fill_(0.0)  # type: ignore[union-attr]
    wrapped = DistributedDataParallel(model)
    model[0].running_mean.fill_(rank)  # type: ignore[operator, union-attr]
    with Audit() as audit:
        registered(audit, world)
        # Uneven: 3 batches and 2.
        rows = range(60) if rank == 0 else range(60, 101)
        audit.evaluate(wrapped, DataLoader(dataset(world), batch_size=25, sampler=list(rows)))
        rate = audit.finding("selection_rate", stage="evaluation").value
    expected = (world.x.double().sum(1) / (1 + 1e-5) ** 0.5 > 0).double().mean().item()
    return {"rate": rate, "expected": expected, "mean": model[0].running_mean.tolist()}  # type: ignore[union-attr,operator]


def halves(audit: Audit, world: World, *, rank: int, size: int, steps: range, state: Any) -> Any:
    """Go through some steps of an epoch with ``size`` ranks; the weights move by the step."""
    model = model_of_doubles()
    criterion, optimizer = torch.nn.BCEWithLogitsLoss(), torch.optim.SGD(model.parameters(), lr=0.0)
    batches = [list(range(s, s + 12)) for s in range(0, 396, 12)] * 2
    mine = [[r for i, r in enumerate(batches[b]) if i % size == rank] for b in steps]
    registered(audit, world)
    loader = DataLoader(dataset(world), batch_sampler=mine)
    _, _, loader = audit.attach(model, optimizer, loader, criterion)
    if state is not None:
        audit.load_state_dict(state)
    for number, (x, y) in zip(steps, loader, strict=True):
        with torch.no_grad():  # they move as they would with any number of ranks
            model[2].bias.fill_(float(np.sin(number)))  # type: ignore[index,union-attr,operator]
        criterion(model(x), y)
        optimizer.step()
    return model


@scenario
def first_half(folder: Path) -> Any:
    world = make_world(396)
    with Audit(budget=1e9) as audit:
        halves(audit, world, rank=dist.get_rank(), size=dist.get_world_size(),
               steps=range(40), state=None)  # fmt: skip
        return audit.state_dict()


@scenario
def second_half(folder: Path) -> Any:
    world = make_world(396)
    states = pickle.loads((folder / "states").read_bytes())
    with Audit(run=folder / "resumed", budget=1e9) as audit:
        halves(audit, world, rank=dist.get_rank(), size=dist.get_world_size(),
               steps=range(40, 66), state=states)  # fmt: skip
        audit.look()
        return findings_of(audit)


@scenario
def sharded(folder: Path) -> Any:
    """FSDP2 with and without the audit."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    world, rank = make_world(400), dist.get_rank()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))

    def run(audit: Audit | None) -> Any:
        model = model_of_doubles()
        for layer in (model[0], model[2]):  # type: ignore[index]
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        criterion = torch.nn.BCEWithLogitsLoss()
        data = dataset(world)
        loader: Any = DataLoader(data, batch_size=BATCH, sampler=DistributedSampler(data, seed=3))
        # Uneven: 3 batches and 5.
        rows = range(150) if rank == 0 else range(150, 400)
        score = DataLoader(data, batch_size=50, sampler=list(rows))
        if audit is not None:
            registered(audit, world)
            model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
        for _ in range(2):
            epoch(model, optimizer, loader, criterion)
            if audit is not None:
                audit.validate(model, score)
        assert all(isinstance(p, DTensor) for p in model.parameters())
        return [p.full_tensor().detach() for p in model.parameters()]  # type: ignore[attr-defined]

    plain = run(None)
    with Audit(run=folder / "sharded", budget=1e9) as audit:
        audited = run(audit)
        described = audit._training.describe()  # type: ignore[union-attr]
        count = audit.finding("count", stage="training").value
        n = audit.finding("mean_loss").n
        try:
            audit.explain(audit._training._model, world.loader(), background=world.x)  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 -- it is asserted
            refused = f"{type(error).__name__}: {error}"
    same = all(torch.equal(a, b) for a, b in zip(plain, audited, strict=True))
    return {"same": same, "count": count, "n": n, "parameters": described["parameters"],
            "refused": refused}  # fmt: skip


@scenario
def missing(folder: Path) -> Any:
    """Rank 1 does not come to a look."""
    world = make_world(100)
    audit = Audit(run=folder / "missing")
    registered(audit, world)
    audit.gate()
    if dist.get_rank() == 1:
        while not (folder / "done").exists():
            time.sleep(0.1)
        dist.destroy_process_group()
        return None
    try:
        with audit:
            audit.validate(model_of_doubles(), DataLoader(dataset(world), batch_size=50))
    except Exception as error:  # noqa: BLE001 -- it is asserted
        return f"{type(error).__name__}: {error}"
    finally:
        (folder / "done").touch()
        dist.destroy_process_group()


@scenario
def left(folder: Path) -> Any:
    """Data of their own by rank, and an audit that is closed after the group is gone."""
    world, rank = make_world(100), dist.get_rank()
    out: list[str] = []
    frame = world.frame if rank == 0 else world.frame.assign(sex="F")
    with Audit() as audit:
        audit.data(test=frame, **DATA)
        try:
            audit.evaluate(model_of_doubles(), DataLoader(dataset(world), batch_size=50))
        except Exception as error:  # noqa: BLE001 -- it is asserted
            out.append(f"{type(error).__name__}: {error}")
    audit = Audit(run=folder / "left")
    registered(audit, world)
    audit.evaluate(model_of_doubles(), DataLoader(dataset(world), batch_size=50))
    dist.barrier()
    dist.destroy_process_group()
    audit.close()
    return out


@scenario
def early(folder: Path) -> Any:
    """Audits made before the process group, with and without the variables of torchrun."""
    world = make_world(100)
    dist.destroy_process_group()
    known = Audit(run=folder / "early")
    unknown_rank = os.environ.pop("RANK")
    unknown = Audit()
    os.environ["RANK"] = unknown_rank
    out: list[str] = []
    registered(known, world)
    loader = DataLoader(dataset(world), batch_size=50)
    try:
        known.evaluate(model_of_doubles(), loader)
    except Exception as error:  # noqa: BLE001 -- it is asserted
        out.append(f"{type(error).__name__}: {error}")
    begin(folder / "again")
    registered(unknown, world)
    try:
        unknown.evaluate(model_of_doubles(), loader)
    except Exception as error:  # noqa: BLE001 -- it is asserted
        out.append(f"{type(error).__name__}: {error}")
    unknown.discard()
    known.evaluate(model_of_doubles(), loader)
    out.append(str(known.finding("count", stage="evaluation").value))
    known.close()
    return out


def begin(file: Path) -> None:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=size,
        timeout=timedelta(seconds=float(os.environ.get("RANKED_TIMEOUT", "300"))),
    )  # fmt: skip


def main(folder: Path, names: list[str]) -> None:
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    begin(folder / "group")
    for name in names:
        found = SCENARIOS[name](folder)
        (folder / f"{name}-{rank}.pickle").write_bytes(pickle.dumps(found))
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
