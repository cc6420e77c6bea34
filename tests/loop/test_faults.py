"""Faults and odd loops of plain torch: nothing is lost silently, nothing breaks the training."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    TensorDataset,
    default_collate,
)

from auditor import Audit
from auditor.loop.batches import Batch
from auditor.metrics.training import LOSSES
from auditor.stats import Statistic

from .conftest import World, make_model, make_world

DATA = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def attached(
    audit: Audit,
    world: World,
    *,
    model: torch.nn.Module | None = None,
    loader: DataLoader[Any] | None = None,
    criterion: Any = None,
    frame: pd.DataFrame | None = None,
    **options: Any,
) -> tuple[torch.nn.Module, Any, DataLoader[Any], Any]:
    torch.manual_seed(0)
    model = model or make_model()
    criterion = criterion or torch.nn.BCEWithLogitsLoss()
    audit.data(train=world.frame if frame is None else frame, **DATA)
    model, optimizer, loader = audit.attach(
        model, torch.optim.SGD(model.parameters(), lr=0.1),
        world.loader(shuffle=False) if loader is None else loader, criterion, **options,
    )  # fmt: skip
    return model, optimizer, loader, criterion


def run(model: Any, optimizer: Any, loader: Any, criterion: Any) -> None:
    for x, y in loader:
        criterion(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()


def met(audit: Audit) -> tuple[dict[str, float], list[Any]]:
    """The sums of everybody, and the steps."""
    training: Any = audit._training
    training.meet(audit._ranks)
    steps = training.steps()
    return everybody(training.statistics()[LOSSES]), steps


def everybody(statistic: Statistic) -> dict[str, float]:
    return dict(zip(statistic.columns, statistic.values[0].tolist(), strict=True))


def report(audit: Audit) -> dict[str, Any]:
    training: Any = audit._training
    return training.report()


# -- steps --------------------------------------------------------------------------------------


def test_the_batches_of_an_accumulated_step_are_one_step_the_last_one_too(world: World) -> None:
    """13 batches, four a step: the last step has one, and is no less a step."""
    with Audit(budget=1e9) as audit:
        model, optimizer, loader, criterion = attached(audit, world)
        for number, (x, y) in enumerate(loader, start=1):
            (criterion(model(x), y) / 4).backward()
            if number % 4 == 0 or number == len(loader):
                optimizer.step()
                optimizer.zero_grad()
        sums, steps = met(audit)
        assert [len(step.rows) for step in steps] == [128, 128, 128, 16]
        assert np.concatenate([step.rows for step in steps]).tolist() == list(range(400))
        assert sums["records"] == 400


class Repeating(torch.nn.Module):
    """A criterion that gives the mean of the batch for every record."""

    reduction = "mean"

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        mean = torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)
        return mean.repeat(len(targets)) if self.reduction == "none" else mean


def test_a_mean_repeated_for_every_record_is_no_loss_of_a_record(world: World) -> None:
    with Audit(budget=1e9) as audit:
        run(*attached(audit, world, criterion=Repeating()))
        sums, _ = met(audit)
        assert sums["records"] == 0
        assert sums["records:error"] == 400


def infinite_gradients(audit: Audit, world: World, *, broken: set[int]) -> list[Any]:
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    model, optimizer, loader, criterion = attached(audit, world, scaler=scaler)
    for number, (x, y) in enumerate(loader):
        loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        if number in broken:
            next(model.parameters()).grad.fill_(torch.inf)  # type: ignore[union-attr]
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    return met(audit)[1]


def test_steps_that_a_scaler_skips_are_none(world: World) -> None:
    with Audit(budget=1e9) as audit:
        steps = infinite_gradients(audit, world, broken={0, 5, 12})
        assert [step.number for step in steps] == list(range(1, 11))
        rows = np.concatenate([step.rows for step in steps])
        skipped = [range(32), range(160, 192), range(384, 400)]
        assert not set(rows) & {row for part in skipped for row in part}
        assert report(audit)["skipped_steps"] == 3


def test_a_scaler_of_several_optimizers_is_as_it_was_afterwards(world: World) -> None:
    scaler = torch.amp.GradScaler("cpu")
    model = make_model()
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[3])]
    with Audit() as audit:
        audit.data(train=world.frame, **DATA)
        criterion = torch.nn.BCEWithLogitsLoss()
        audit.attach(model, optimizers, world.loader(), criterion, scaler=scaler)
        audit.detach()
    assert "step" not in scaler.__dict__


# -- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_losses_that_are_not_finite_are_counted_and_not_added(value: float) -> None:
    world = make_world(64)
    world.x[5] = value
    with Audit(budget=1e9) as audit:
        model, _, loader, criterion = attached(audit, world, model=make_model().eval())
        for x, y in loader:
            criterion(model(x), y)
        sums, _ = met(audit)
        assert (sums["records"], sums["not_finite"]) == (63, 1)
        assert np.isfinite(list(sums.values())).all()


def test_a_batch_without_one_of_the_groups_shifts_nothing() -> None:
    """All women first, then all men: batches hold one group each."""
    world = make_world(256)
    order = np.argsort(world.frame.sex.to_numpy(), kind="stable").tolist()
    loader = DataLoader(TensorDataset(world.x, world.y), batch_size=16, sampler=order)
    with Audit(budget=1e9) as audit:
        model, _, audited, criterion = attached(
            audit, world, model=make_model().eval(), loader=loader
        )
        for x, y in audited:
            criterion(model(x), y)
        audit.look()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            model(world.x).detach(), world.y, reduction="none"
        )
        for sex in ("F", "M"):
            chosen = losses[torch.tensor((world.frame.sex == sex).to_numpy())].double()
            assert audit.finding("mean_loss", sex=sex).value == pytest.approx(
                float(chosen.mean()), rel=1e-6
            )


def test_a_thousand_groups_are_counted_each(world: World) -> None:
    world = make_world(4000)
    frame = world.frame.assign(sex=[f"group {i % 1000:03d}" for i in range(4000)])
    with Audit(budget=1e9) as audit:
        loader = world.loader(batch_size=500, shuffle=True)
        run(*attached(audit, world, loader=loader, frame=frame))
        training: Any = audit._training
        training.meet(audit._ranks)
        statistic = training.statistics()[LOSSES]
        records = statistic.values[:, statistic.columns.index("records")]
        assert records[0] == 4000
        assert (records[1:1001] == 4).all()


# -- loaders ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_rows_come_out_of_worker_processes(world: World, method: str) -> None:
    loader = world.loader(num_workers=2, multiprocessing_context=method, shuffle=True)
    with Audit(budget=1e9) as audit, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
        run(*attached(audit, world, loader=loader))
        _, steps = met(audit)
        rows = np.concatenate([step.rows for step in steps])
        assert sorted(rows) == list(range(400))
        assert report(audit)["differing_labels"] == 0


class Stream(IterableDataset[Any]):
    """An iterable data set whose workers share the records."""

    def __init__(self, world: World, *, ids: bool) -> None:
        self.world, self.ids = world, ids

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for row in range(first, len(self.world.x), step):
            item: dict[str, Any] = {"x": self.world.x[row], "y": self.world.y[row]}
            yield {**item, "id": row} if self.ids else item


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_streams_are_identified_by_their_ids_or_by_content(
    world: World, ids: bool, workers: int
) -> None:
    loader = DataLoader(Stream(world, ids=ids), batch_size=32, num_workers=workers)
    with Audit(budget=1e9) as audit, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model, optimizer, audited, criterion = attached(audit, world, loader=loader)
        for batch in audited:
            assert list(batch) == ["x", "y", *(["id"] if ids else [])]
            criterion(model(batch["x"]), batch["y"]).backward()
            optimizer.step()
        sums, steps = met(audit)
        rows = np.concatenate([step.rows for step in steps])
        assert sums["records"] == 400
        if ids:
            assert sorted(rows) == list(range(400))
            assert not any(step.content for step in steps)
        else:
            assert (rows == -1).all()
            assert all(len(step.content) == 32 for step in steps)
            assert len({step.content for step in steps}) == len(steps)
        described: Any = audit._training.describe()  # type: ignore[union-attr]
        assert described["identified_by"] == "record id, or content"


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 32, "drop_last": True, "shuffle": True},
        {"batch_sampler": BatchSampler([*range(0, 400, 2)], 30, drop_last=False)},
        {"batch_size": 50, "sampler": [*range(399, 99, -1)]},
        {"batch_size": 64, "pin_memory": True},
        {"batch_size": 64, "collate_fn": lambda items: default_collate(items)},
    ],
    ids=["drop_last", "batch_sampler", "sampler", "pin_memory", "collate_fn"],
)
def test_the_steps_are_those_of_the_loader(world: World, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        torch.manual_seed(3)
        loader = DataLoader(TensorDataset(torch.arange(400), world.x, world.y), **options)
        expected = [positions for positions, _, _ in loader]
        with Audit(budget=1e9) as audit:
            model, optimizer, audited, criterion = attached(audit, world, loader=loader)
            torch.manual_seed(3)
            for _, x, y in audited:
                criterion(model(x), y).backward()
                optimizer.step()
            _, steps = met(audit)
    assert [step.rows.tolist() for step in steps] == [part.tolist() for part in expected]


# -- hooks --------------------------------------------------------------------------------------


def test_a_hook_of_the_user_that_raises_is_the_users_and_leaves_the_audit_whole(
    world: World,
) -> None:
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        model, optimizer, loader, _ = attached(audit, world, criterion=criterion)
        handle = criterion.register_forward_hook(lambda *_: 1 / 0)
        x, y = next(iter(loader))
        with pytest.raises(ZeroDivisionError):
            criterion(model(x), y)
        handle.remove()
        run(model, optimizer, loader, criterion)
        assert met(audit)[0]["records"] == 432
        assert report(audit)["fault"] is None


def test_hooks_of_the_user_before_and_after_ours_see_what_they_would(world: World) -> None:
    def training(audit: Audit | None) -> list[float]:
        seen: list[float] = []

        def doubled(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
            seen.append(float(out.detach()))
            return out * 2

        torch.manual_seed(0)
        model, criterion = make_model(), torch.nn.BCEWithLogitsLoss()
        optimizer, loader = torch.optim.SGD(model.parameters(), lr=0.1), world.loader(shuffle=False)
        criterion.register_forward_hook(doubled)
        if audit is not None:
            audit.data(train=world.frame, **DATA)
            model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
        criterion.register_forward_hook(doubled)
        run(model, optimizer, loader, criterion)
        return [*seen, *torch.cat([p.flatten() for p in model.parameters()]).tolist()]

    plain = training(None)
    with Audit(budget=1e9) as audit:
        assert training(audit) == plain
        assert met(audit)[0]["records"] == 400


def test_detach_leaves_every_object_as_it_was(world: World) -> None:
    model, criterion = make_model(), torch.nn.BCEWithLogitsLoss()
    optimizer, loader = torch.optim.Adam(model.parameters()), world.loader()
    scaler = torch.amp.GradScaler("cpu")
    mine = criterion.register_forward_hook(lambda *_: None)
    objects = (model, criterion, optimizer, loader, scaler)

    def state() -> list[dict[str, Any]]:
        return [{k: _shallow(v) for k, v in o.__dict__.items()} for o in objects]

    before = state()
    with Audit() as audit:
        audit.data(train=world.frame, **DATA)
        audit.attach(model, optimizer, loader, criterion, scaler=scaler)
        assert state() != before
        audit.detach()
        assert state() == before
        assert list(criterion._forward_hooks) == [mine.id]


def _shallow(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


# -- checkpointing and compilation --------------------------------------------------------------


class Checkpointed(torch.nn.Module):
    """A model that computes its activations again, with the criterion inside of one of them."""

    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)
        self.criterion, self.reentrant = torch.nn.BCEWithLogitsLoss(), reentrant

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        def end(hidden: torch.Tensor) -> torch.Tensor:
            return self.criterion(self.second(hidden.relu()), y)

        hidden = checkpoint(self.first, x.requires_grad_(), use_reentrant=self.reentrant)
        return checkpoint(end, hidden, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_computed_again_in_the_backward_pass_is_seen_once(
    world: World, reentrant: bool
) -> None:
    def training(audit: Audit | None) -> torch.Tensor:
        torch.manual_seed(0)
        model = Checkpointed(reentrant=reentrant)
        optimizer, loader = torch.optim.SGD(model.parameters(), lr=0.1), world.loader(shuffle=False)
        if audit is not None:
            audit.data(train=world.frame, **DATA)
            model, optimizer, loader = audit.attach(model, optimizer, loader, model.criterion)
        for x, y in loader:
            model(x.clone(), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    with Audit(budget=1e9) as audit:
        assert torch.equal(training(audit), training(None))
        sums, steps = met(audit)
        assert report(audit)["repeated_losses"] == 0
        assert [len(step.rows) for step in steps] == [32] * 12 + [16]
        assert report(audit)["unseen_batches"] == 0
        assert sums["records"] == 400


@pytest.mark.slow
def test_a_compiled_model_trains_bit_for_bit_as_without_the_audit(world: World) -> None:
    def training(audit: Audit | None) -> torch.Tensor:
        torch.manual_seed(0)
        model, criterion = make_model(), torch.nn.BCEWithLogitsLoss()
        optimizer, loader = torch.optim.SGD(model.parameters(), lr=0.1), world.loader(shuffle=False)
        if audit is not None:
            audit.data(train=world.frame, **DATA)
            model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
        run(torch.compile(model, backend="aot_eager"), optimizer, loader, criterion)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    with Audit(budget=1e9) as audit:
        assert torch.equal(training(audit), training(None))
        assert met(audit)[0]["records"] == 400


@pytest.mark.slow
def test_a_step_compiled_with_its_criterion_is_not_seen_and_this_is_said(
    world: World, tmp_path: Any
) -> None:
    with Audit(budget=1e9, run=tmp_path / "run") as audit:
        model, optimizer, loader, criterion = attached(audit, world)

        @torch.compile(backend="aot_eager")
        def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return criterion(model(x), y)

        for x, y in loader:
            loss_of(x, y).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert report(audit)["unseen_batches"] == len(loader)
        training: Any = audit._training
        training.observer.drain()
        steps = training.observer.log.take()
        assert np.concatenate([step.rows for step in steps]).tolist() == list(range(400))
        audit.report()
    text = (tmp_path / "run" / "report.html").read_text()
    assert "no loss was seen of 13 batches" in text


# -- criteria and tasks -------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("as_function", [False, True])
def test_the_mean_loss_is_the_criterions_own_mean(
    smoothing: float, weighted: bool, ignored: bool, as_function: bool
) -> None:
    world = make_world(300)
    y = torch.arange(300) % 3
    frame = world.frame.assign(y=y.numpy())
    labels = torch.where(torch.arange(300) % 7 == 0, 9, y) if ignored else y
    options: dict[str, Any] = {
        "weight": torch.tensor([1.0, 2.0, 0.5]) if weighted else None,
        "label_smoothing": smoothing, "ignore_index": 9,
    }  # fmt: skip
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    expected = torch.nn.CrossEntropyLoss(**options)(model(world.x), labels)
    with Audit(budget=1e9) as audit:
        audit.data(train=frame, task="multiclass", **DATA)
        criterion: Callable[..., Any] = torch.nn.CrossEntropyLoss(**options)
        if as_function:
            criterion = audit.criterion(
                functools.partial(torch.nn.functional.cross_entropy, **options)
            )
        loader = DataLoader(TensorDataset(world.x, labels), batch_size=32)
        _, _, loader = audit.attach(model, torch.optim.SGD(model.parameters()), loader, criterion)
        for x, target in loader:
            criterion(model(x), target)
        audit.look()
        assert audit.finding("mean_loss").value == pytest.approx(expected.item(), rel=1e-6)


def test_several_criteria_are_told_apart(world: World) -> None:
    model = make_model().eval()
    first, second = torch.nn.BCEWithLogitsLoss(), torch.nn.MSELoss()
    with Audit(budget=1e9) as audit:
        audit.data(train=world.frame, **DATA)
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(), {"a": first, "b": second}
        )
        for x, y in loader:
            out = model(x)
            first(out, y) + second(out.sigmoid(), y)
        audit.look()
        found = [
            f.value for f in audit.findings
            if f.metric.split("[")[0] in ("mean_loss", "mean_part_loss")
            and not f.slice and f.over is None
        ]  # fmt: skip
        out = model(world.x).detach()
        expected = [float(first(out, world.y)), float(second(out.sigmoid(), world.y))]
        assert sorted(found) == pytest.approx(sorted(expected), rel=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_every_task_goes_through_attach_validate_and_evaluate(world: World, task: str) -> None:
    many = task == "multiclass"
    y = torch.arange(400) % 3 if many else world.x.sum(dim=1, keepdim=True)
    frame = world.frame.assign(y=y.numpy().reshape(-1))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3 if many else 1)
    criterion = torch.nn.CrossEntropyLoss() if many else torch.nn.MSELoss()
    data = TensorDataset(world.x, y)
    with Audit(budget=1e9) as audit:
        audit.data(train=frame, validation=frame, test=frame, task=task, **DATA)
        model, optimizer, loader = audit.attach(
            model, torch.optim.SGD(model.parameters(), lr=0.1), DataLoader(data, 32), criterion
        )
        run(model, optimizer, loader, criterion)
        audit.validate(model, DataLoader(data, 32))
        audit.evaluate(model, DataLoader(data, 32))
        metric = "accuracy" if many else "mean_absolute_error"
        with torch.no_grad():
            out = model(world.x)
        hits = (out.argmax(1) == y).double() if many else (out - y).abs().double()[:, 0]
        for stage in ("training", "evaluation"):
            for sex in ("F", "M"):
                chosen = torch.tensor((world.frame.sex == sex).to_numpy())
                found = audit.finding(metric, stage=stage, sex=sex)
                assert found.value == pytest.approx(float(hits[chosen].mean()), rel=1e-5)
        assert audit.finding("mean_loss").n == 400
        assert report(audit)["fault"] is None


def test_a_record_that_is_not_registered_has_an_unknown_group(world: World) -> None:
    frame = world.frame.iloc[:390]
    stream = DataLoader(Stream(world, ids=True), batch_size=40)
    with Audit(budget=1e9) as audit:
        model, _, audited, criterion = attached(audit, world, frame=frame, loader=stream)
        for batch in audited:
            criterion(model(batch["x"]), batch["y"])
        audit.look()
        assert audit.finding("mean_loss", sex=None).n == 10
        assert audit.finding("mean_loss").n == 400
        assert isinstance(audit._training.observer._announced, Batch)  # type: ignore[union-attr]
