"""accelerate: prepared loaders that fetch ahead, accumulation, stopping, saved states."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from auditor import load_checkpoint

from .test_lightning import Stream, blocking, strict
from .trainings import PER_EPOCH, Task, make_model, make_task

accelerate = pytest.importorskip("accelerate")

from auditor.integrations.accelerate import AuditCallback  # noqa: E402


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task()


@pytest.fixture(autouse=True)
def fresh() -> Generator[None]:
    """accelerate keeps a state of the process."""
    yield
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


class Loop:
    """A loop of accelerate, as its guide writes it."""

    def __init__(self, task: Task, audit: Any, loader: Any = None, **options: Any) -> None:
        self.accelerator = accelerate.Accelerator(cpu=True, rng_types=[], **options)
        model, self.criterion = make_model(), torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            model, optimizer, task.loader() if loader is None else loader
        )
        self.callback = AuditCallback(
            audit, self.accelerator, self.model, self.optimizer, self.loader, self.criterion
        )

    def epoch(self, loader: Any = None) -> None:
        for batch in self.loader if loader is None else loader:
            x, y = (batch["x"], batch["y"]) if isinstance(batch, dict) else batch
            with self.accelerator.accumulate(self.model):
                self.accelerator.backward(self.criterion(self.model(x), y))
                self.optimizer.step()
                self.optimizer.zero_grad()

    @property
    def report(self) -> dict[str, Any]:
        return self.callback.training.report()


@pytest.mark.parametrize("dispatched", [False, True])
def test_rows_stay_with_their_batch_where_the_loader_is_ahead(task: Task, dispatched: bool) -> None:
    loader = DataLoader(Stream(task), 32)
    config = accelerate.DataLoaderConfiguration(dispatch_batches=dispatched)
    with task.audit() as audit:
        loop = Loop(task, audit, loader, dataloader_config=config)
        loop.epoch()
        audit.look()
        assert sorted(audit.dynamics().row) == list(range(400))
        assert (loop.report["steps"], loop.report["differing_labels"]) == (PER_EPOCH, 0)
        assert loop.report["unmatched_batches"] == 0


def test_accumulated_batches_are_one_step_the_last_one_too(task: Task) -> None:
    with task.audit() as audit:
        loop = Loop(task, audit, gradient_accumulation_steps=4)
        loop.epoch()
        audit.look()
        assert loop.report["steps"] == 4
        assert audit.finding("mean_loss").n == 400


def test_half_precision_is_read_as_it_is(task: Task) -> None:
    with task.audit() as audit:
        loop = Loop(task, audit, mixed_precision="bf16")
        loop.epoch()
        loop.callback.validate(task.held_out())
        assert audit.finding("mean_loss").n == 400
        assert audit.finding("accuracy", stage="training").n == 400
        assert loop.report["fault"] is None


def test_a_prepared_loader_is_validated_too(task: Task) -> None:
    with task.audit() as audit:
        loop = Loop(task, audit)
        loop.callback.validate(loop.accelerator.prepare(task.held_out()))
        assert audit.finding("accuracy", stage="training").n == 400


def test_a_stop_rule_sets_the_trigger(task: Task, tmp_path: Path) -> None:
    with task.audit(policy=strict(tmp_path)) as audit:
        loop = Loop(task, audit)
        epochs = 0
        for _ in range(5):
            loop.epoch()
            epochs += 1
            loop.callback.validate(task.held_out())
            if loop.accelerator.check_trigger():
                break
        assert epochs == 1
        assert "stops the training at look 1" in str(loop.callback.stopped)


def test_the_audit_goes_through_a_saved_state(task: Task, tmp_path: Path) -> None:
    with task.audit() as first:
        loop = Loop(task, first)
        loop.epoch()
        loop.callback.validate(task.held_out())
        loop.accelerator.save_state(str(tmp_path / "state"))
    kept = torch.load(tmp_path / "state" / "custom_checkpoint_0.pkl", weights_only=True)
    assert len(kept["ranks"]) == 1
    with task.audit() as second:
        loop = Loop(task, second)
        loop.accelerator.load_state(str(tmp_path / "state"))
        loop.epoch()
        assert loop.report["steps"] == 2 * PER_EPOCH
        assert second.dynamics().visits.tolist() == [2] * 400


@pytest.mark.parametrize("least", [0.1, 0.999])
def test_a_saved_state_is_promoted_or_goes_to_quarantine(
    task: Task, tmp_path: Path, least: float
) -> None:
    folder = tmp_path / "state"
    with task.audit(policy=blocking(tmp_path, least), run=tmp_path / "run") as audit:
        loop = Loop(task, audit)
        loop.epoch()
        loop.callback.validate(task.held_out())
        loop.accelerator.save_state(str(folder))
        if least > 0.5:
            assert not folder.exists()
            assert (tmp_path / "quarantine").is_dir()
        else:
            assert load_checkpoint(folder, unsigned=True).path == folder


def test_an_epoch_that_is_taken_up_in_its_middle_is_followed(task: Task) -> None:
    with task.audit() as audit:
        loop = Loop(task, audit)
        rest = loop.accelerator.skip_first_batches(loop.loader, 5)
        loop.epoch(rest)
        loop.epoch()
        visits = audit.dynamics().visits
        assert sorted(visits) == [1] * 160 + [2] * 240
        assert loop.report["differing_labels"] == 0


def test_steps_that_the_scaler_skips_are_none(task: Task) -> None:
    """fp16 needs an accelerator; its optimizer and scaler do not."""
    from accelerate.optimizer import AcceleratedOptimizer

    with task.audit() as audit:
        loop = Loop(task, audit)
        loop.callback.detach()
        audit._training = None
        scaler = loop.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        loop.optimizer = AcceleratedOptimizer(loop.optimizer.optimizer, scaler=scaler)
        callback = AuditCallback(
            audit, loop.accelerator, loop.model, loop.optimizer, loop.loader, loop.criterion
        )
        skipped = 0
        for number, (x, y) in enumerate(loop.loader):
            scaler.scale(loop.criterion(loop.model(x), y)).backward()
            if number in (2, 7):
                next(loop.model.parameters()).grad.fill_(torch.inf)
            loop.optimizer.step()
            skipped += loop.optimizer.step_was_skipped
            loop.optimizer.zero_grad()
        report = callback.training.report()
        assert (skipped, report["skipped_steps"], report["steps"]) == (2, 2, PER_EPOCH - 2)


def test_detach_leaves_the_prepared_objects_as_they_were(task: Task) -> None:
    with task.audit() as audit:
        loop = Loop(task, audit)
        loop.callback.detach()
        assert not loop.criterion._forward_hooks
        assert type(loop.loader) is accelerate.data_loader.DataLoaderShard
        assert loop.loader.base_dataloader.dataset is loop.loader.dataset
        assert isinstance(loop.loader.dataset, torch.utils.data.TensorDataset)
        assert not {"save_state", "skip_first_batches"} & loop.accelerator.__dict__.keys()
        x, y = next(iter(loop.loader))
        assert len(x) == len(y) == 32
