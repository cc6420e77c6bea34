"""The same training by every library, with or without an audit: weights out, the audit filled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from auditor import Audit

from .trainings import Task, make_model

Runner = Callable[..., torch.nn.Module]


def plain(task: Task, audit: Audit | None, *, epochs: int, dropout: float, **_: Any) -> Any:
    model, criterion = make_model(dropout), torch.nn.CrossEntropyLoss()
    optimizer, loader = torch.optim.Adam(model.parameters(), lr=1e-2), task.loader()
    torch.manual_seed(11)
    if audit is not None:
        model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
    for _epoch in range(epochs):
        for x, y in loader:
            criterion(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        if audit is not None:
            audit.validate(model, task.held_out())
    return model


def accelerated(task: Task, audit: Audit | None, *, epochs: int, dropout: float, **_: Any) -> Any:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, rng_types=[])
    model, criterion = make_model(dropout), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model, optimizer, loader = accelerator.prepare(model, optimizer, task.loader())
    torch.manual_seed(11)
    callback: Any = None
    if audit is not None:
        from auditor.integrations.accelerate import AuditCallback

        callback = AuditCallback(audit, accelerator, model, optimizer, loader, criterion)
    for _epoch in range(epochs):
        for x, y in loader:
            with accelerator.accumulate(model):
                accelerator.backward(criterion(model(x), y))
                optimizer.step()
                optimizer.zero_grad()
        if callback is not None:
            callback.validate(task.held_out())
    if callback is not None:
        callback.detach()
    return accelerator.unwrap_model(model)


def lightning_module(dropout: float = 0.0, **options: Any) -> Any:
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_model(dropout)
            self.criterion = torch.nn.CrossEntropyLoss()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.criterion(self(batch[0]), batch[1])

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return self.criterion(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-2)

    return Module()


def quiet_trainer(folder: Path, **options: Any) -> Any:
    import lightning.pytorch as pl

    options = {
        "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "enable_checkpointing": False,
        "default_root_dir": folder,
    } | options  # fmt: skip
    return pl.Trainer(**options)


def fit(trainer: Any, *args: Any, **options: Any) -> None:
    """Fit; Lightning's own warnings about workers, lengths and torch are not ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*|torch\..*")
        warnings.filterwarnings("ignore", message=r".*(num_workers|treespec|LeafSpec).*")
        trainer.fit(*args, **options)


def lit(task: Task, audit: Audit | None, *, epochs: int, dropout: float, folder: Path) -> Any:
    module, callbacks = lightning_module(dropout), []
    torch.manual_seed(11)
    if audit is not None:
        from auditor.integrations.lightning import AuditCallback

        callbacks.append(AuditCallback(audit))
    trainer = quiet_trainer(folder, max_epochs=epochs, callbacks=callbacks)
    fit(trainer, module, task.loader(), task.held_out())
    return module.net


class Loaded(torch.utils.data.Dataset[Any]):
    """The records as a collation of transformers takes them."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __len__(self) -> int:
        return len(self.task.x)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"x": self.task.x[row], "labels": self.task.y[row]}


def trained(task: Task, audit: Audit | None, *, epochs: int, dropout: float, folder: Path) -> Any:
    from transformers import Trainer, TrainingArguments
    from transformers.modeling_outputs import SequenceClassifierOutput

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.criterion = make_model(dropout), torch.nn.CrossEntropyLoss()

        def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
            logits = self.net(x)
            loss = None if labels is None else self.criterion(logits, labels)
            return SequenceClassifierOutput(loss=loss, logits=logits)

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return task.loader().sampler

    model, callbacks = Model(), []
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=epochs, per_device_train_batch_size=32,
        per_device_eval_batch_size=32, eval_strategy="epoch", save_strategy="no", report_to=[],
        remove_unused_columns=False, use_cpu=True, max_grad_norm=0.0, disable_tqdm=True, seed=11,
        logging_strategy="no",
    )  # fmt: skip
    if audit is not None:
        from auditor.integrations.transformers import AuditCallback

        callbacks.append(AuditCallback(audit))
    trainer = InOrder(
        model, arguments, train_dataset=Loaded(task), eval_dataset=Loaded(task),
        callbacks=callbacks, optimizers=(optimizer, constant),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"transformers\..*|accelerate\..*|torch\..*")
        warnings.filterwarnings("ignore", message=r".*(pin_memory|deprecated).*")
        trainer.train()
    return model.net
