"""accelerate 1: ``AuditCallback(audit, accelerator, model, optimizer, loader, criterion)``.

Called after ``accelerator.prepare``, with what it gave. The loop stays as it is: the prepared
loader tells who is in a batch when it gives it out, however far ahead it fetches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from auditor.engine.audit import Audit
from auditor.errors import GateClosed, MissingExtraError
from auditor.evidence import Verdict
from auditor.integrations.gates import gated
from auditor.integrations.states import gathered, restored
from auditor.loop.loader import identify_in_place, released

try:
    from accelerate import Accelerator
except ImportError as error:
    raise MissingExtraError(
        "accelerate is not installed", valid="pip install 'auditor[accelerate]'"
    ) from error

__all__ = ["AuditCallback"]


class AuditCallback:
    """Audits a loop of accelerate, from now until :meth:`detach`.

    Where a rule says stop, :meth:`validate` sets the accelerator's trigger, ``stopped`` keeps why,
    and the loop ends where it asks ``accelerator.check_trigger()``. The state of the audit goes
    into ``accelerator.save_state`` and comes back by ``load_state``.

    Parameters
    ----------
    audit:
        The audit, with ``train=`` registered, and ``validation=`` for metrics at every look.
    model, optimizer, loader:
        What ``accelerator.prepare`` gave; several optimizers as a list.
    criterion:
        The module that is called for the loss; a function becomes one by ``audit.criterion``.
    predict:
        ``outputs → (scores [batch], predictions [batch])`` where the shape does not tell.

    Raises :class:`InputError` where the loader cannot be matched to the rows of ``train=``.
    """

    def __init__(
        self,
        audit: Audit,
        accelerator: Accelerator,
        model: torch.nn.Module,
        optimizer: Any,
        loader: Any,
        criterion: torch.nn.Module,
        *,
        predict: Any = None,
    ) -> None:
        self.audit, self.accelerator, self.model = audit, accelerator, model
        self.predict: Any = predict
        self.stopped: GateClosed | None = None
        self._loader = loader
        self.training = training = audit.begin_training(
            accelerator.unwrap_model(model), predict=predict, framework="accelerate",
            probabilities=isinstance(criterion, torch.nn.BCELoss),
        )  # fmt: skip
        optimizers = optimizer if isinstance(optimizer, Sequence) else [optimizer]
        with audit._undone_on_error():
            self._identify(loader)
            training.given(getattr(loader, "base_dataloader", loader))
            training.tap(criterion)
            scaler = getattr(accelerator, "scaler", None)
            for one in optimizers:
                training.watch(one, scaler=scaler)
            self._replace("skip_first_batches", self._skip())
            self._replace("save_state", self._promote())
            audit.training_begun(
                optimizer=", ".join(type(getattr(o, "optimizer", o)).__name__ for o in optimizers),
                criterion=type(criterion).__name__,
                precision=str(accelerator.mixed_precision),
                accumulated=accelerator.gradient_accumulation_steps,
            )
        accelerator.register_for_checkpointing(self)

    def validate(self, loader: Any, *, predict: Any = None) -> Verdict | None:
        """Look at the training: validation metrics on a loader, prepared or not, and losses.

        Every rank must come. ``None`` where there is no policy, and where a rule says stop.
        """
        loader = getattr(loader, "base_dataloader", loader)
        return self._gated(
            lambda: self.audit.validate(self.model, loader, predict=predict or self.predict)
        )

    def detach(self) -> None:
        """Leave everything as it was, but for the place in the checkpoints of the accelerator."""
        self.audit.detach()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the states of all ranks."""
        return gathered(self.audit)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self.audit.load_state_dict(restored(state["ranks"]))

    # -- inside ---------------------------------------------------------------------------------

    def _identify(self, loader: Any) -> Any:
        base = getattr(loader, "base_dataloader", loader)
        identify_in_place(base, self.training.index, self.training.observer, outer=loader)
        self.training.on_detach(lambda: released(base, outer=loader))
        return loader

    def _replace(self, name: str, method: Callable[..., Any]) -> None:
        """Put a method before one of the accelerator's, until the audit is detached."""
        self.accelerator.__dict__[name] = method
        self.training.on_detach(lambda: self.accelerator.__dict__.pop(name, None))

    def _skip(self) -> Callable[..., Any]:
        given = self.accelerator.skip_first_batches

        def skip(dataloader: Any, num_batches: int = 0) -> Any:
            if dataloader is not self._loader:
                return given(dataloader, num_batches)
            # A loader like the given one, made anew: it must not inherit what was put into it.
            base = getattr(dataloader, "base_dataloader", dataloader)
            released(base, outer=dataloader)
            try:
                rest = given(dataloader, num_batches)
            finally:
                identify_in_place(
                    base, self.training.index, self.training.observer, outer=dataloader
                )
            return self._identify(rest)

        return skip

    def _promote(self) -> Callable[..., Any]:
        given = self.accelerator.save_state

        def save(*args: Any, **options: Any) -> Any:
            folder = given(*args, **options)
            self.accelerator.wait_for_everyone()
            self._gated(lambda: self.audit.checkpoint(folder))
            return folder

        return save

    def _gated(self, act: Callable[[], Any]) -> Any:
        found, closed = gated(act)
        if closed is not None:
            self.stopped = closed
            self.accelerator.set_trigger()
        return found
