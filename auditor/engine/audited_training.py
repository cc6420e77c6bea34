"""What an audit does with a training loop: attach, look, and go through checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from auditor.checks import Predicted
from auditor.engine.audited_data import AuditedData
from auditor.engine.looks import Look, refuse_judged_split
from auditor.errors import InputError
from auditor.evidence import Stage, Verdict
from auditor.stats import Statistic

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch.utils.data import DataLoader

    from auditor.engine.training import Training
    from auditor.ledger.steps import StepRecorder
    from auditor.loop.outputs import Predict
    from auditor.provenance.energy import EnergyMeter

__all__ = ["AuditedTraining"]

M = TypeVar("M")
O_ = TypeVar("O_")


class AuditedTraining(AuditedData):
    """What an audit knows of loops; :class:`~auditor.engine.audit.Audit` adds models."""

    _budget: float = 0.01
    _grid: tuple[float | None, str | None] = (None, None)
    _training: Training | None = None
    _recorder: StepRecorder | None = None
    _looks: int = 0

    def attach(
        self,
        model: M,
        optimizer: O_,
        loader: DataLoader[Any],
        criterion: torch.nn.Module | Mapping[str, torch.nn.Module],
        *,
        predict: Predict | None = None,
        scaler: Any = None,
    ) -> tuple[M, O_, DataLoader[Any]]:
        """Attach to a training loop: gives back the model, the optimizer and a loader like it.

        The loss is tapped by a forward hook on ``criterion`` (make a function a module by
        :meth:`criterion`). The loader yields exactly what the given one would; ids and groups ride
        with the batch and are taken off before the loop sees it. Weights are, bit for bit, those
        of the same loop without the audit.

        Parameters
        ----------
        criterion:
            A module called with outputs and targets; or several by name, of which the first one
            is that of the predictions and the others give ``mean_part_loss[name]``.
        optimizer:
            One optimizer, or a list of several: then a step ends whenever one of them moves.
        predict:
            ``outputs → (scores [batch], predictions [batch])`` where the shape does not tell.
        scaler:
            The ``GradScaler``, so that steps that it skips are known to be none.

        A criterion that is called inside a compiled function is not seen; compile the model alone.

        Raises :class:`InputError` where the loader cannot be matched to the rows of ``train=``.
        """
        import torch

        criteria = criterion if isinstance(criterion, Mapping) else {"": criterion}
        first, *others = criteria.items()
        training = self.begin_training(
            model, predict=predict, probabilities=isinstance(first[1], torch.nn.BCELoss)
        )
        with self._undone_on_error():
            audited = training.identify(loader)
            training.tap(first[1])
            for name, part in others:
                training.tap(part, name)
            for one in optimizer if isinstance(optimizer, (list, tuple)) else (optimizer,):
                training.watch(one, scaler=scaler)
            self.training_begun(
                optimizer=type(optimizer).__name__, criterion=type(first[1]).__name__
            )
        return model, optimizer, audited

    def begin_training(
        self,
        model: Any,
        *,
        predict: Predict | None = None,
        probabilities: bool = False,
        framework: str = "torch",
    ) -> Training:
        """Begin to audit a training; for integrations, which tell the result who does what.

        :meth:`attach` is this for a plain loop of torch. When everything is hooked,
        :meth:`training_begun` writes it down.
        """
        from auditor.engine.training import Training

        self._ranks.world()
        if self._training is not None:
            raise InputError("a loop is attached already", valid="audit.detach() before this call")
        self._training = Training(
            self._registered(), model, predict=predict, probabilities=probabilities,
            budget=self._budget, framework=framework, energy=self._energy_meter(),
        )  # fmt: skip
        self._training.base_flops = self._base_flops
        return self._training

    def training_begun(self, **details: Any) -> None:
        """Record what the loop is, once everything is hooked."""
        if self._training is None:
            raise InputError("no loop is attached", valid="audit.attach() before this call")
        records = self._commit_for_loop()
        if records is not None:
            self._recorder = records.recorder()
        self._training.begin()
        described = self._training.describe(steps_recorded=self._recorder is not None, **details)
        self._recording.note("attach", described)

    def _energy_meter(self) -> EnergyMeter:
        from auditor.provenance.energy import EnergyMeter

        intensity, source = self._grid
        return EnergyMeter(grid_intensity=intensity, grid_source=source)

    @contextmanager
    def _undone_on_error(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            self.detach()
            self._training = None
            raise

    def criterion(self, function: Callable[..., torch.Tensor]) -> torch.nn.Module:
        """Make a loss function a module, so that :meth:`attach` can tap it."""
        from auditor.loop.criterion import as_criterion

        return as_criterion(function)

    def detach(self) -> None:
        """Take every hook off the user's objects; what was seen stays."""
        if self._training is not None:
            self._training.detach()

    def _flush(self) -> None:
        """Record the steps since the last time, of all ranks; what else was seen waits."""
        if self._training is None or self._recording.closed:
            return
        self._training.meet(self._ranks)
        steps = self._training.steps()
        if self._recorder is not None and self._records is not None:
            for step in steps:
                self._recorder.record(
                    step.rows, loss=step.loss, random_state=step.random_state,
                    content=step.content,
                )  # fmt: skip
            self._records.flush()

    def _met(self) -> dict[str, Statistic] | None:
        """Return what the loop showed since the last look; ``None`` on ranks that do not lead."""
        self._flush()
        if self._training is None:
            return {}
        if self._ranks.leads:
            return self._training.statistics()
        self._training.reset()
        return None

    def _see_unlooked(self) -> None:
        """Measure a training at which nobody looked."""
        if self._training is None or self._looks or not self._ranks.leads:
            return
        counted = self._training.statistics()
        if counted:
            self._recording.measure(self._registered().subject(Stage.TRAINING, counted=counted))

    def _record_steps(self) -> None:
        """Write the steps that ended; those of several ranks wait until the ranks meet."""
        if self._training is not None and self._training.world.size == 1:
            self._flush()

    def validate(
        self, model: Any, loader: Any, *, predict: Predict | None = None
    ) -> Verdict | None:
        """Look at the training (stage ``training``): validation metrics and training losses.

        What goes wrong in the audit (a check that breaks, a full disk, outputs that cannot be read)
        breaks no training: it is logged and recorded, the verdict is ``error``, and no gate opens
        on this look. The looks that a rule declares share its error; what fewer looks leave
        unspent stays so, and a look beyond them is recorded and decides nothing.

        Raises :class:`GateClosed` where a rule of the policy says ``stop``; an error never does.
        Raises :class:`InputError` for wrong usage until a look succeeded, and not after.
        """
        return self._look(lambda: self._score(model, loader, "validation", predict))

    def look(
        self, scored: tuple[dict[str, Statistic], Predicted | None] | None = None
    ) -> Verdict | None:
        """Look at the training; for integrations that scored the validation data themselves.

        ``scored`` is what :func:`auditor.engine.scoring.count_evaluated` gives. Raises as
        :meth:`validate` does.
        """
        return self._look(lambda: scored)

    def _look(
        self, score: Callable[[], tuple[dict[str, Statistic], Predicted | None] | None]
    ) -> Verdict | None:
        data = self._registered()
        refuse_judged_split(self.policy, data.digests())
        with self._uncounted(), Look(self._recording, self._looks + 1) as look:
            scored = score()
            counted = self._met()
            if counted is not None:
                counted = {**(scored[0] if scored else {}), **counted}
                self._recording.measure(
                    data.subject(Stage.TRAINING, counted=counted), look=look.number,
                    data=data.digests("validation"),
                )  # fmt: skip
            self._looks = look.number
            return self._judge_look(look.number)
        self._looks = look.number
        return look.verdict()

    @contextmanager
    def _uncounted(self) -> Generator[None]:
        """Leave what is computed inside out of the compute of the training."""
        if self._training is None:
            yield
            return
        with self._training.meter.paused():
            yield

    def dynamics(self) -> pd.DataFrame:
        """Return what became of every record that was trained on, one row each.

        The columns are ``row`` (of ``train=``), the record id where there is one, ``visits``,
        ``confidence`` and ``variability`` (mean and standard deviation over visits of the
        probability of the true class), ``correctness`` (the share of visits that were right) and
        ``forgotten`` (how often it was right and then wrong): the data map of Swayamdipta et al.
        (2020). It stays in memory: records are never written into the run.
        """
        import numpy as np
        import pandas as pd

        if self._training is None:
            raise InputError("no loop is attached", valid="audit.attach() before this call")
        self._training.observer.drain()
        found = self._training.observer.dynamics.frame()
        ids = self._training.index.ids
        if ids is not None:
            name = str(self._training.index.record_id)
            rows = found.pop("row")
            found = {"row": rows, name: np.array([ids[row] for row in rows]), **found}
        return pd.DataFrame(found)

    # -- for checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the audit: looks taken, and what was seen since.

        It holds tensors, numbers, strings and bytes, as ``torch.load(weights_only=True)`` reads
        them. In a distributed training it is the state of one rank, and no collective: save every
        rank's.
        """
        from auditor.loop.plain_states import readable

        return readable(
            {
                "looks": self._looks,
                **self._record_state(),
                "training": None if self._training is None else self._training.state_dict(),
            }
        )

    def load_state_dict(self, state: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Take up the state of a checkpoint, after :meth:`attach`.

        In a distributed training give the states of all ranks, in their order: there may be more
        or fewer ranks now.
        """
        from auditor.loop.plain_states import restored

        states: list[Any] = restored([state] if isinstance(state, Mapping) else list(state))
        if not states:
            raise InputError("no state was given", valid="audit.state_dict() of every rank")
        self._looks = int(states[0]["looks"])
        self._load_record_state(states[0])
        kept = [part["training"] for part in states if part.get("training") is not None]
        if kept:
            if self._training is None:
                raise InputError("no loop is attached", valid="audit.attach() before this call")
            self._training.load_state_dict(kept)

    def _cost(self) -> dict[str, Any] | None:
        return None if self._training is None else self._training.report()

    # -- inside ---------------------------------------------------------------------------------

    def _score(
        self, model: Any, loader: Any, split: str, predict: Predict | None
    ) -> tuple[dict[str, Statistic], Predicted | None] | None:
        from auditor.engine.scoring import score_loader
        from auditor.loop.outputs import Reader

        data = self._registered()
        if self._training is not None:
            reader = self._training.reader
        else:
            reader = Reader(data.index(split).task)
        if predict is not None:
            reader = replace(reader, predict=predict)
        return score_loader(model, loader, data, split, reader, self._ranks)
