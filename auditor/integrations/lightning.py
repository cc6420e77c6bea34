"""Lightning 2.6: ``Trainer(..., callbacks=[AuditCallback(audit)])``.

The rows travel with their batch through Lightning's fetchers and are taken off before any hook or
step sees it. Losses are read at the criterion, or from the ``logits`` and ``target`` that a
``training_step`` returns. Every validation of the fit is a look, read from Lightning's own pass;
without validation the end of an epoch is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader

from auditor.engine.audit import Audit
from auditor.engine.training import Training
from auditor.errors import GateClosed, MissingExtraError
from auditor.integrations.gates import gated
from auditor.integrations.losses import found_criterion, of_outputs, own_loss
from auditor.integrations.passes import Pass
from auditor.integrations.states import gathered, restored
from auditor.loop.loader import Carried, identified

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
except ImportError as error:
    raise MissingExtraError(
        "lightning is not installed", valid="pip install 'auditor[lightning]'"
    ) from error

__all__ = ["AuditCallback"]

_STEPS = {"train": "training_step", "validation": "validation_step"}


class AuditCallback(Callback):
    """Audits one ``fit``. Where a rule says stop, the fit ends, and ``stopped`` keeps why.

    Parameters
    ----------
    audit:
        The audit, with ``train=`` registered, and ``validation=`` for metrics at every look.
    criterion:
        The loss module, or the name by which the LightningModule has it; by default its only loss
        module. Without one, steps return a mapping with ``logits`` (or ``preds``) and ``target``.
    predict:
        ``outputs → (scores [batch], predictions [batch])`` where the shape does not tell.

    Of several loaders the first one has the rows. A step that takes the iterator itself
    (``dataloader_iter``) is followed where it works on every batch before it takes the next one.
    """

    def __init__(self, audit: Audit, criterion: Any = None, *, predict: Any = None) -> None:
        self.audit, self.criterion, self.predict = audit, criterion, predict
        self.stopped: GateClosed | None = None
        self._training: Training | None = None
        self._state: Any = None
        self._fresh = {"train", "validation"}
        self._pass, self._loader = Pass(), None

    # -- attaching ------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hook everything, once the model is on its device."""
        criterion = found_criterion(pl_module, self.criterion)
        self._training = training = self.audit.begin_training(
            pl_module, predict=self.predict, framework="lightning",
            probabilities=isinstance(criterion, torch.nn.BCELoss),
        )  # fmt: skip
        with self.audit._undone_on_error():
            self._replace(trainer.strategy, "process_dataloader", self._identify(trainer))
            self._replace(trainer, "save_checkpoint", self._promote(trainer))
            if criterion is not None:
                training.tap(criterion)
                training.observer.keep(
                    criterion.register_forward_hook(self._validated(trainer), with_kwargs=True)
                )
            else:
                for step in ("training_step", "validation_step"):
                    self._replace(trainer.strategy, step, self._read(trainer, step))
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            for optimizer in trainer.optimizers:
                training.watch(optimizer, scaler=scaler)
            self.audit.training_begun(
                optimizer=", ".join(type(o).__name__ for o in trainer.optimizers),
                criterion=type(criterion).__name__ if criterion is not None else "outputs",
                precision=str(trainer.precision), accumulated=trainer.accumulate_grad_batches,
            )  # fmt: skip
        if self._state is not None:
            self.audit.load_state_dict(self._state)
            self._state = None

    def _replace(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        """Put a method before one of the trainer's own, until the audit is detached."""
        owner.__dict__[name] = method
        self._training.on_detach(lambda: owner.__dict__.pop(name, None))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave everything as it was."""
        if stage == "fit":
            self.audit.detach()

    def on_exception(self, trainer: Trainer, *_: Any) -> None:
        """Leave everything as it was."""
        self.audit.detach()

    # -- rows -----------------------------------------------------------------------------------

    def _identify(self, trainer: Trainer) -> Callable[[Any], Any]:
        given = trainer.strategy.process_dataloader

        def process(loader: Any) -> Any:
            split = "train" if trainer.training else "validation"
            if split not in self._fresh:
                return given(loader)
            self._fresh.discard(split)
            step = getattr(trainer.lightning_module, _STEPS[split])
            carry = not is_param_in_hook_signature(step, "dataloader_iter", explicit=True)
            if split == "train":
                return given(self._training.identify(loader, carry=carry))
            if split not in self._training.data.tables or not isinstance(loader, DataLoader):
                return given(loader)
            self._loader, index = loader, self._training.data.index(split)
            return given(identified(loader, index, self._pass, carry=carry))

        return process

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the rows off what the fetcher gives."""
        self._fresh.add("train")
        _strip(trainer.fit_loop._data_fetcher, self._training.observer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the rows off what the fetcher gives; the sanity check is no look."""
        if trainer.state.fn == "fit" and self._training is not None:
            self._fresh.add("validation")
            _strip(trainer.fit_loop.epoch_loop.val_loop._data_fetcher, self._pass)

    # -- losses ---------------------------------------------------------------------------------

    def _validated(self, trainer: Trainer) -> Callable[..., None]:
        def seen(_: Any, args: tuple[Any, ...], options: dict[str, Any], __: Any) -> None:
            if trainer.validating:
                self._pass.saw(self._training, args, options)

        return seen

    def _read(self, trainer: Trainer, step: str) -> Callable[..., Any]:
        given, training = getattr(trainer.strategy, step), self._training

        def stepped(*args: Any, **options: Any) -> Any:
            out = given(*args, **options)
            found = of_outputs(out)
            if found is not None and trainer.validating:
                self._pass.saw(training, found, {})
            elif found is not None and trainer.training:
                loss = own_loss(training.index.task, found[0])
                training.observer.saw(found, {}, loss, loss=out.get("loss"))
            return out

        return stepped

    # -- looks and checkpoints ------------------------------------------------------------------

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the training, with the validation that just ended."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the training, where nothing is validated."""
        if not trainer.enable_validation:
            self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def look() -> None:
            if self._pass.whole:
                self.audit.look(
                    self._pass.counted(self.audit, self._training, type(pl_module).__name__)
                )
            elif self._loader is not None and trainer.enable_validation:
                self.audit.validate(pl_module, self._loader, predict=self.predict)
            else:
                self.audit.look()

        self._gated(trainer, look)

    def _promote(self, trainer: Trainer) -> Callable[..., None]:
        given = trainer.save_checkpoint

        def save(filepath: Any, *args: Any, **options: Any) -> None:
            given(filepath, *args, **options)
            if self._training is not None:
                self._gated(trainer, lambda: self.audit.checkpoint(filepath))

        return save

    def _gated(self, trainer: Trainer, act: Callable[[], Any]) -> None:
        _, closed = gated(act)
        if closed is not None:
            self.stopped, trainer.should_stop = closed, True
            # A rule that says stop outranks the least number of epochs or steps.
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: tensors, numbers, strings and bytes, of every rank."""
        return {} if self._training is None else gathered(self.audit)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of a checkpoint until the audit is attached."""
        self._state = restored(state_dict["ranks"])


def _strip(fetcher: Any, listener: Any) -> None:
    """Make a fetcher give batches alone, and tell the listener who is in them."""
    base = type(fetcher)
    if fetcher is None or base.__name__ == "AuditedFetcher":
        return

    def part(found: Any) -> Any:
        return found.told(listener) if isinstance(found, Carried) else found

    def __next__(self: Any) -> Any:  # noqa: N807 -- becomes the method
        found = base.__next__(self)
        if not isinstance(found, tuple):
            return found  # the iterator itself, for a step that asks for it
        batch, *where = found
        if isinstance(batch, Carried):
            return part(batch), *where
        return tree_map(part, batch, is_leaf=lambda leaf: isinstance(leaf, Carried)), *where

    fetcher.__class__ = type("AuditedFetcher", (base,), {"__next__": __next__})
