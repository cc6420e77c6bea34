"""Lightning: rows through its fetchers, its ways of optimising, its looks, its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from auditor import Audit, InputError, load_checkpoint

from .runners import fit, lightning_module, quiet_trainer
from .trainings import PER_EPOCH, Task, make_task

pl = pytest.importorskip("lightning.pytorch")

from auditor.integrations.lightning import AuditCallback  # noqa: E402


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task()


def audited_fit(
    task: Task, audit: Audit, folder: Path, module: Any, *loaders: Any, **options: Any
) -> tuple[Any, AuditCallback]:
    callback = AuditCallback(audit, **options.pop("callback", {}))
    ckpt_path = options.pop("ckpt_path", None)
    options = {"max_epochs": 1, "callbacks": [callback], **options}
    trainer = quiet_trainer(folder, **options)
    fit(trainer, module, *(loaders or (task.loader(), task.held_out())), ckpt_path=ckpt_path)
    return trainer, callback


def report_of(audit: Audit) -> dict[str, Any]:
    found: Any = audit._cost()
    return found


class Stream(IterableDataset[Any]):
    """Records without a length: Lightning fetches one batch ahead of the step."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __iter__(self) -> Iterator[Any]:
        for row in range(len(self.task.x)):
            yield {"id": row, "x": self.task.x[row], "y": self.task.y[row]}


def test_rows_stay_with_their_batch_where_lightning_fetches_ahead(
    task: Task, tmp_path: Path
) -> None:
    module = lightning_module()
    seen: list[Any] = []

    def step(batch: Any, batch_idx: int) -> Any:
        seen.append(batch["id"])
        assert sorted(batch) == ["id", "x", "y"]
        return module.criterion(module(batch["x"]), batch["y"])

    module.training_step = step
    with task.audit() as audit:
        audited_fit(
            task, audit, tmp_path, module, DataLoader(Stream(task), 32), limit_train_batches=6
        )
        audit.look()
        dynamics = audit.dynamics()
        assert sorted(dynamics.row) == torch.cat(seen).tolist() == list(range(192))
        report = report_of(audit)
        assert (report["steps"], report["differing_labels"], report["fault"]) == (6, 0, None)


def test_a_step_that_takes_the_iterator_is_followed(task: Task, tmp_path: Path) -> None:
    module = lightning_module()

    def step(self: Any, dataloader_iter: Any) -> Any:
        (x, y), _, _ = next(dataloader_iter)
        return self.criterion(self(x), y)

    module.training_step = MethodType(step, module)
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, module, task.loader())
        assert report_of(audit)["differing_labels"] == 0
        assert len(audit.dynamics()) == 400


def test_of_several_loaders_the_first_one_has_the_rows(task: Task, tmp_path: Path) -> None:
    module = lightning_module()

    def step(batch: Any, batch_idx: int) -> Any:
        x, y = batch["main"]
        assert len(batch["other"]) == 2
        return module.criterion(module(x), y)

    module.training_step = step
    with task.audit() as audit:
        loaders = {"main": task.loader(), "other": task.held_out()}
        audited_fit(task, audit, tmp_path, module, loaders)
        assert report_of(audit)["differing_labels"] == 0
        assert len(audit.dynamics()) == 400


@pytest.mark.parametrize("accumulated", [1, 4])
def test_accumulated_batches_are_one_step(task: Task, tmp_path: Path, accumulated: int) -> None:
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, lightning_module(), accumulate_grad_batches=accumulated)
        assert report_of(audit)["steps"] == -(-PER_EPOCH // accumulated)
        assert audit.finding("mean_loss").n == 400


class Manual(pl.LightningModule):
    """Two optimizers, moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = lightning_module().net
        self.criterion = torch.nn.CrossEntropyLoss()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(self.criterion(self.net(batch[0]), batch[1]))
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.net[i].parameters(), lr=0.1) for i in (0, 3)]


def test_optimizers_that_are_moved_by_hand_are_watched(task: Task, tmp_path: Path) -> None:
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, Manual(), task.loader())
        assert report_of(audit)["steps"] == 2 * PER_EPOCH
        assert len(audit.dynamics()) == 400
        assert audit._looks == 1  # nothing is validated: the end of the epoch is a look


def test_half_precision_is_read_as_it_is(task: Task, tmp_path: Path) -> None:
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, lightning_module(), precision="bf16-mixed")
        assert audit.finding("mean_loss").n == 400
        assert audit.finding("accuracy", stage="training").n == 400
        assert report_of(audit)["fault"] is None


class Returning(pl.LightningModule):
    """A module without a loss module, whose steps return what is to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.net = lightning_module().net

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self.net(batch[0])
        loss = torch.nn.functional.cross_entropy(logits, batch[1])
        return {"loss": loss, "logits": logits, "target": batch[1]}

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def test_what_a_step_returns_is_read_where_there_is_no_loss_module(
    task: Task, tmp_path: Path
) -> None:
    found = []
    for module in (Returning(), lightning_module()):
        with task.audit() as audit:
            audited_fit(task, audit, tmp_path, module, max_epochs=2)
            found.append([
                (f.metric, str(f.slice), f.n, f.value) for f in audit.findings
                if f.check.startswith("bias.")
            ])  # fmt: skip
            assert report_of(audit)["steps"] == 2 * PER_EPOCH
    assert found[0] == found[1]


def test_a_validation_that_shows_nothing_is_made_again(task: Task, tmp_path: Path) -> None:
    module = lightning_module()
    module.validation_step = lambda batch, batch_idx: None
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, module)
        assert audit.finding("accuracy", stage="training").n == 400


def test_the_sanity_check_is_no_look_and_every_validation_is_one(
    task: Task, tmp_path: Path
) -> None:
    with task.audit() as audit:
        audited_fit(
            task, audit, tmp_path, lightning_module(), max_epochs=2, num_sanity_val_steps=2,
            val_check_interval=0.5,
        )  # fmt: skip
        assert audit._looks == 4


def strict(folder: Path) -> Path:
    path = folder / "policy.yaml"
    path.write_text(
        "schema: auditor/policy/v1\nid: strict\nversion: 1.0.0\ntitle: Strict\n"
        "rules:\n  - {id: accuracy, metric: accuracy, stage: training, accept: '>= 0.999', "
        "on_fail: stop}\n"
    )
    return path


def test_a_stop_rule_ends_the_fit_whatever_the_least_number_of_epochs(
    task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "auditor"), task.audit(policy=strict(tmp_path)) as audit:
        trainer, callback = audited_fit(
            task, audit, tmp_path, lightning_module(), max_epochs=5, min_epochs=3
        )
    assert trainer.current_epoch == 1
    assert "stops the training at look 1" in str(callback.stopped)
    assert "stops the training at look 1" in caplog.text


def test_the_audit_goes_through_a_checkpoint_that_holds_no_code(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "half.ckpt"
    with task.audit() as whole:
        audited_fit(task, whole, tmp_path, lightning_module(), max_epochs=2)
        expected = whole.dynamics()
    with task.audit() as first:
        trainer, _ = audited_fit(task, first, tmp_path, lightning_module())
        trainer.save_checkpoint(path)
    kept = torch.load(path, weights_only=True)["callbacks"]["AuditCallback"]
    assert len(kept["ranks"]) == 1
    with task.audit() as second:
        audited_fit(task, second, tmp_path, lightning_module(), max_epochs=2, ckpt_path=path)
        assert second._looks == 2
        assert report_of(second)["steps"] == 2 * PER_EPOCH
        np.testing.assert_allclose(second.dynamics().confidence, expected.confidence, atol=1e-6)
        assert second.dynamics().visits.tolist() == [2] * 400


def test_a_fit_leaves_trainer_module_and_loaders_as_they_were(task: Task, tmp_path: Path) -> None:
    module, loader = lightning_module(), task.loader()
    before = dict(loader.__dict__)
    with task.audit() as audit:
        trainer, _ = audited_fit(task, audit, tmp_path, module, loader)
        assert loader.__dict__ == before
        assert not module.criterion._forward_hooks
        assert "process_dataloader" not in trainer.strategy.__dict__
        assert "save_checkpoint" not in trainer.__dict__


def test_an_exception_in_a_step_detaches(task: Task, tmp_path: Path) -> None:
    module = lightning_module()

    def step(batch: Any, batch_idx: int) -> Any:
        loss = module.criterion(module(batch[0]), batch[1])
        if batch_idx == 3:
            raise RuntimeError("a user's mistake")
        return loss

    module.training_step = step
    with task.audit() as audit:
        with pytest.raises(RuntimeError, match="a user's mistake"):
            audited_fit(task, audit, tmp_path, module)
        assert not module.criterion._forward_hooks
        assert report_of(audit)["steps"] == 3


def test_several_losses_are_to_be_named(task: Task, tmp_path: Path) -> None:
    module = lightning_module()
    module.other = torch.nn.MSELoss()
    with task.audit() as audit, pytest.raises(InputError, match="2 losses: criterion, other"):
        audited_fit(task, audit, tmp_path, module)
    with task.audit() as audit:
        audited_fit(task, audit, tmp_path, module, callback={"criterion": "criterion"})
        assert audit.finding("mean_loss").n == 400


def test_a_loader_of_another_length_is_refused_before_the_training(
    task: Task, tmp_path: Path
) -> None:
    short = DataLoader(torch.utils.data.Subset(task.loader().dataset, range(100)), 10)
    with task.audit() as audit, pytest.raises(InputError, match="100 items .* 400 rows"):
        audited_fit(task, audit, tmp_path, lightning_module(), short)


def blocking(folder: Path, least: float) -> Path:
    path = folder / "block.yaml"
    path.write_text(
        "schema: auditor/policy/v1\nid: block\nversion: 1.0.0\ntitle: Block\n"
        f"rules:\n  - {{id: accuracy, metric: accuracy, stage: training, accept: '>= {least}', "
        "on_fail: block}\n"
    )
    return path


@pytest.mark.parametrize("least", [0.1, 0.999])
def test_a_checkpoint_is_promoted_or_goes_to_quarantine(
    task: Task, tmp_path: Path, least: float
) -> None:
    with task.audit(policy=blocking(tmp_path, least), run=tmp_path / "run") as audit:
        trainer, callback = audited_fit(
            task, audit, tmp_path, lightning_module(), enable_checkpointing=True
        )
        path = Path(trainer.checkpoint_callback.best_model_path)
        assert callback.stopped is None
        if least > 0.5:
            assert not path.exists()
            assert (path.parent / "quarantine").is_dir()
        else:
            assert load_checkpoint(path, unsigned=True).path == path
