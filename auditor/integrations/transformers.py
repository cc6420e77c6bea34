"""The Trainer of transformers, audited by a callback.

    trainer = Trainer(model, args, train_dataset=…, callbacks=[AuditCallback(audit)])
    trainer.train()

Rows ride in the batches from the dataset to the model, where they are taken off; outputs and labels
are read there. Nothing of the Trainer is patched.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import SequentialSampler

from auditor.engine.scoring import count_evaluated
from auditor.engine.state_files import load_states, save_state
from auditor.errors import AuditorError, GateClosed, MissingExtraError
from auditor.integrations.hugging_face_loader import carry, plain_loader
from auditor.integrations.hugging_face_model import ModelTap, gives_probabilities

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise MissingExtraError(
        "transformers is not installed", valid="pip install 'auditor[transformers]'"
    ) from error

if TYPE_CHECKING:
    from auditor.engine.audit import Audit
    from auditor.engine.training import Training
    from auditor.loop.outputs import Predict
    from auditor.loop.records import RecordIndex

__all__ = ["AuditCallback"]

_log = logging.getLogger("auditor")


class AuditCallback(TrainerCallback):
    """Audits a training that the Trainer runs: ``callbacks=[AuditCallback(audit)]``.

    Every evaluation of the rows of ``validation=`` is a look. It reads what the Trainer's own pass
    gives where that pass goes through these rows in their order in one process, and makes a pass
    of its own otherwise. While the last look closed the gate, no checkpoint is saved and none
    becomes the best one; a rule that says ``stop`` ends the training (``stopped`` keeps why).
    The state of the audit lies in the checkpoints, and is taken up when a training is resumed.

    What goes into the chain of steps as the loss of a step is what the Trainer minimises and logs:
    the mean over all items of the step where the model is given ``num_items_in_batch``, else the
    mean over its micro-batches; nothing where the Trainer computes the loss outside of the model
    (label smoothing, ``compute_loss_func``).

    Parameters
    ----------
    validation:
        A loader over the rows of ``validation=``, for looks by a pass of its own.
    predict:
        ``outputs → (scores [batch], predictions [batch])`` where the shape does not tell.
    packed:
        Whether the items of the training data set are made of several rows of ``train=`` each:
        then nobody knows who is in them, and the record says so.
    resumed:
        The checkpoint that the training goes on from, if it is not
        ``<output_dir>/checkpoint-<step>``.
    """

    def __init__(
        self,
        audit: Audit,
        *,
        validation: Any = None,
        predict: Predict | None = None,
        packed: bool = False,
        resumed: str | Path | None = None,
    ) -> None:
        self.audit = audit
        self.stopped: GateClosed | None = None
        self.blocked = False
        self._validation, self._predict, self._packed = validation, predict, packed
        self._resumed = resumed
        self._training: Training | None = None
        self._model: Any = None
        self._tap: ModelTap | None = None
        self._mid_epoch = False
        self._held: tuple[float | None] | None = None
        self._steps_by_hook = True
        self._said: set[str] = set()

    # -- the training ---------------------------------------------------------------------------

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: Any = None, optimizer: Any = None,
        train_dataloader: Any = None, **_: Any,
    ) -> None:  # fmt: skip
        """Attach; raises :class:`InputError` where items cannot be matched to rows."""
        again = self._training is not None and self._model is model
        if not again:
            self._training = self.audit.begin_training(
                model, predict=self._predict, framework="transformers",
                probabilities=gives_probabilities(model),
            )  # fmt: skip
            self._model = model
        training = self._training
        assert training is not None
        try:
            carry(training, train_dataloader, unknown=self._packed)
            self._tap = ModelTap(training, model)
            self._watch(training, optimizer)
            if again:
                training.begin()
            else:
                self.audit.training_begun(
                    optimizer=type(getattr(optimizer, "optimizer", optimizer)).__name__,
                    criterion=str(getattr(model, "loss_type", None) or "of the model"),
                    gradient_accumulation=args.gradient_accumulation_steps, packed=self._packed,
                )  # fmt: skip
            if state.global_step:
                self._resume(args, state)
        except BaseException:
            self.audit.detach()
            raise
        self._mid_epoch = bool(state.global_step) and (state.epoch or 0) % 1 != 0

    def _watch(self, training: Training, optimizer: Any) -> None:
        inner = getattr(optimizer, "optimizer", optimizer)
        self._steps_by_hook = isinstance(inner, torch.optim.Optimizer)
        training.watch(optimizer, scaler=getattr(optimizer, "scaler", None))

    def _resume(self, args: Any, state: Any) -> None:
        places = [self._resumed, args.resume_from_checkpoint, _checkpoint_folder(args, state)]
        for place in places:
            states = load_states(place) if isinstance(place, (str, Path)) else []
            if states:
                self.audit.load_state_dict(states)
                return
        self._say(
            f"the checkpoint of step {state.global_step} holds no state of the audit: what was "
            "seen before it is not counted"
        )

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin an epoch, unless a resumed training goes on in the middle of one."""
        if self._training is not None and not self._mid_epoch:
            self._training.observer.begin_epoch()
        self._mid_epoch = False

    def on_step_begin(
        self, args: Any, state: Any, control: Any, *, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Say how many micro-batches the step has."""
        self._release_best(state)
        if self._tap is not None:
            self._tap.forget()
            self._tap.share = _micro_batches(args, state, train_dataloader)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End a step of an optimizer that is none of torch's."""
        if self._training is not None and not self._steps_by_hook:
            self._training.observer.after_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save nothing while the gate is closed; a look that is due may open it."""
        if self.blocked and not control.should_evaluate:
            control.should_save = False

    on_epoch_end = on_step_end

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Detach: model and loader are as they were."""
        self._release_best(state)
        self.audit.detach()
        self._tap = None

    # -- looks ----------------------------------------------------------------------------------

    def on_evaluate(
        self, args: Any, state: Any, control: Any, *, model: Any = None,
        eval_dataloader: Any = None, **_: Any,
    ) -> None:  # fmt: skip
        """Look at the training."""
        if self._tap is None:
            return
        try:
            verdict = self._look(model, eval_dataloader)
        except GateClosed as closed:
            self.stopped = closed
            control.should_training_stop = True
            self._say(str(closed))
            verdict = closed.verdict
        except AuditorError as error:
            self._say(f"no look at this evaluation: {error}")
            return
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self._say(f"no look at this evaluation: {type(error).__name__}: {error}")
            return
        self.blocked = verdict is not None and verdict.gate == "closed"
        if self.blocked:
            control.should_save = False
            self._hold_best(args, state)

    def _look(self, model: Any, eval_dataloader: Any) -> Any:
        training, tap = self._training, self._tap
        assert training is not None
        assert tap is not None
        data = training.data
        if "validation" not in data.tables:
            return self.audit.look()
        index = data.index("validation")
        own = self._validation is not None or training.world.size > 1
        if not own and _in_order(eval_dataloader, index):
            evaluated = tap.evaluated(index.rows)
            if evaluated is not None:
                name = type(model).__name__
                return self.audit.look(count_evaluated(evaluated, data, "validation", name))
        tap.muted = True
        try:
            loader = eval_dataloader if self._validation is None else self._validation
            return self.audit.validate(model, plain_loader(loader))
        finally:
            tap.muted = False
            tap.forget()

    def _hold_best(self, args: Any, state: Any) -> None:
        """Put the best metric out of reach until the next step: a blocked model is not the best.

        The Trainer compares after this event, and saves what it finds to be the best.
        """
        if args.metric_for_best_model is not None:
            self._held = (state.best_metric,)
            state.best_metric = float("inf") if args.greater_is_better else float("-inf")

    def _release_best(self, state: Any) -> None:
        if self._held is not None:
            (state.best_metric,), self._held = self._held, None

    # -- checkpoints ----------------------------------------------------------------------------

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the state of the audit into the checkpoint, and let the audit judge it.

        One that does not go through the gate is moved to ``quarantine/`` beside it, unless the
        Trainer holds it to be the best one so far and may load it again.
        """
        folder = _checkpoint_folder(args, state)
        if self._training is None:
            return
        world = self._training.world
        try:
            if folder.is_dir():
                save_state(self.audit.state_dict(), folder, rank=world.rank, ranks=world.size)
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self._say(f"{folder.name} holds no state of the audit: {error}")
        world.gather(None)  # every rank has written
        closed = self._promote(folder, state)  # all ranks meet there
        if closed is not None:
            self.stopped = closed
            self.blocked = control.should_training_stop = True

    def _promote(self, folder: Path, state: Any) -> GateClosed | None:
        """Have the checkpoint judged and recorded; return what says that the training stops."""
        best = state.best_model_checkpoint
        move = best is None or Path(best).resolve() != folder.resolve()
        try:
            decision = self.audit.checkpoint(folder, move=move, step=state.global_step)
            if not decision.promoted:
                self._say(f"{folder.name} is {decision.decision}: {'; '.join(decision.reasons)}")
        except GateClosed as closed:
            self._say(str(closed))
            return closed
        except Exception as error:  # noqa: BLE001 -- the audit must never break the training
            self._say(f"{folder.name} is not recorded: {type(error).__name__}: {error}")
        return None

    def _say(self, text: str) -> None:
        """Log a sentence, once."""
        if text not in self._said:
            self._said.add(text)
            _log.warning(text)


def _checkpoint_folder(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _micro_batches(args: Any, state: Any, loader: Any) -> int:
    """Return the number of micro-batches in the step that begins; the last one may have fewer."""
    most = int(args.gradient_accumulation_steps)
    try:
        batches = len(loader)
    except TypeError:
        return most
    left = batches - round((state.epoch or 0) % 1 * batches)
    return min(most, left) if left > 0 else most


def _in_order(loader: Any, index: RecordIndex) -> bool:
    """Whether a loader goes through as many records as there are rows, in their order.

    Items that carry an id say themselves which row they are: they may have another order.
    """
    inner = plain_loader(loader)
    sampler = getattr(getattr(inner, "batch_sampler", None), "sampler", None)
    if not isinstance(sampler, SequentialSampler) or len(inner.dataset) != index.rows:
        return False
    with torch.random.fork_rng(devices=[]):
        return index.ids is None or not index.carried(inner.dataset[0])
