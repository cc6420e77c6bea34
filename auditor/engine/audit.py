"""The audit: one object that attaches to what the user has, measures, judges and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from auditor.checks import Check, Predicted
from auditor.datasets import open_table
from auditor.engine.arguments import merged_roles, role_changes
from auditor.engine.audited_data import AuditedData
from auditor.engine.audited_run import stage_named
from auditor.errors import InputError
from auditor.evidence import Finding, Stage, Verdict
from auditor.policy import LoadedPolicy
from auditor.stats import Statistic

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    from auditor.engine.training import Training
    from auditor.explain import Attributions
    from auditor.loop.outputs import Predict

__all__ = ["Audit"]

M = TypeVar("M")
O_ = TypeVar("O_")


class Audit(AuditedData):
    """Audits one model over its life; everything measured goes into one run folder.

    Parameters
    ----------
    policy:
        A policy file, the id of a bundled one, or nothing: then there is no verdict.
    run:
        The run folder to make; it must not exist, or be empty. Without one, the run is recorded
        in a temporary folder that goes with the audit.
    seed:
        The seed of everything that the audit draws at random.
    key:
        A file with an Ed25519 signing key; the variable ``AUDITOR_KEY`` otherwise. Without a key
        the run is unsigned and says so.
    checks:
        Checks with fields of your own, in place of the defaults with the same id.
    budget:
        The largest share of the training time that observing may take.
    record_key:
        Where the secret key of the record ids is kept, by which ``auditor prove`` says whether a
        record was trained on; ``<run>.record-key`` beside the run by default. It is made where
        ``audit.data`` is given a ``record_id``.
    resume:
        Whether a run that was interrupted is taken up: the script begins again, and says the same
        policy, seed, checks and data; :meth:`load_state_dict` goes on from a checkpoint. Without
        that call the training is recorded again from its first step. Where there is no run yet,
        one is begun.
    system:
        What only people know of the system: name, provider, purpose and so on, for the report.

    Raises :class:`InputError` where the folder, the policy or the key cannot be used.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [0, 1, 0, 1], "p": [0, 1, 1, 0], "sex": ["F", "F", "M", "M"]})
    >>> with Audit() as audit:
    ...     _ = audit.evaluate(predictions=frame, target="y", prediction="p", sensitive=["sex"])
    ...     audit.finding("accuracy", sex="F").value
    1.0
    """

    def __init__(
        self,
        policy: str | Path | LoadedPolicy | None = None,
        run: str | Path | None = None,
        *,
        seed: int = 0,
        key: str | Path | None = None,
        checks: Sequence[Check] = (),
        budget: float = 0.01,
        system: Mapping[str, Any] | None = None,
        key_note: str | None = None,
        record_key: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__(
            policy, run, seed=seed, key=key, checks=checks, system=system, key_note=key_note,
            resume=resume,
        )  # fmt: skip
        self._budget = budget
        self._record_key = record_key
        self._training: Training | None = None
        self._looks = 0

    # -- the loop -------------------------------------------------------------------------------

    def attach(
        self,
        model: M,
        optimizer: O_,
        loader: DataLoader[Any],
        criterion: torch.nn.Module,
        *,
        predict: Predict | None = None,
    ) -> tuple[M, O_, DataLoader[Any]]:
        """Attach to a training loop: gives back the model, the optimizer and a loader like it.

        The loss is tapped by a forward hook on ``criterion`` (make a function a module by
        :meth:`criterion`). The loader yields exactly what the given one would; ids and groups ride
        with the batch and are taken off before the loop sees it. Weights are, bit for bit, those
        of the same loop without the audit.

        Raises :class:`InputError` where the loader cannot be matched to the rows of ``train=``.
        """
        from auditor.engine.training import Training

        if self._training is not None:
            raise InputError("a loop is attached already", valid="audit.detach() before this call")
        training = Training(
            self._registered(), model, loader, criterion, predict=predict, budget=self._budget
        )
        records = self._commit_for_loop()
        if records is not None:
            training.record_steps(optimizer, records.recorder())
        self._recording.note("attach", training.describe(model, optimizer, criterion))
        self._training = training
        return model, optimizer, training.loader

    def criterion(self, function: Callable[..., torch.Tensor]) -> torch.nn.Module:
        """Make a loss function a module, so that :meth:`attach` can tap it."""
        from auditor.loop.criterion import as_criterion

        return as_criterion(function)

    def detach(self) -> None:
        """Take every hook off the user's objects."""
        if self._training is not None:
            self._training.detach()

    def _flush(self) -> None:
        if self._records is not None:
            self._records.flush()

    def validate(
        self, model: Any, loader: Any, *, predict: Predict | None = None
    ) -> Verdict | None:
        """Look at the training (stage ``training``): validation metrics and training losses.

        Raises :class:`GateClosed` where a rule of the policy says ``stop``.
        """
        data = self._registered()
        self._looks += 1
        self._flush()
        counted, _ = self._score(model, loader, "validation", predict)
        if self._training is not None:
            counted |= self._training.losses()
        self._recording.measure(
            data.subject(Stage.TRAINING, counted=counted), look=self._looks,
            data=data.digests("validation"),
        )  # fmt: skip
        return self._judge_look(self._looks)

    # -- evaluation and explanation -------------------------------------------------------------

    def evaluate(
        self,
        model: Any = None,
        data: Any = None,
        *,
        predictions: Any = None,
        predict: Predict | None = None,
        stage: str = "evaluation",
        **roles: Any,
    ) -> tuple[Finding, ...]:
        """Evaluate (stage ``evaluation``) a model on a loader, an estimator on a table, or a table.

        ``evaluate(model, loader)`` takes a torch module and a loader over the rows of ``test=``.
        ``evaluate(estimator, frame)`` takes any fitted estimator with ``predict``.
        ``evaluate(predictions=frame, prediction=…, score=…, threshold=…)`` takes predictions that
        somebody else made. ``target``, ``sensitive``, ``positive``, ``bins`` and ``intersections``
        are those of :meth:`data` unless given here.

        A table may also be given with ``task``: ``binary``, ``multiclass``, ``regression``,
        ``ranking`` (by ``score``, in the lists of ``query``, with top lists of the lengths
        ``top``) or ``counts`` (``total`` and ``selected`` by group, as regulators publish
        them). ``weight`` and ``cluster`` name the columns of weights and of what records share;
        ``frequency`` says for how many equal records a row stands; ``strata`` within which
        columns selection is compared; ``membership`` gives the probabilities of an attribute
        that nobody knows, as in ``{"race": {"White": "p_white", "Black": "p_black"}}``;
        ``unfavourable=True`` that being selected is the bad outcome; ``resolution="exact"``
        counts every distinct score.

        Raises :class:`InputError`.
        """
        at = stage_named(stage)
        given = [value is not None for value in (model, data)]
        if predictions is not None:
            if any(given):
                raise InputError("both a model and predictions were given", valid="one of them")
            return self._evaluate_table(open_table(predictions), at, roles)
        if not all(given):
            raise InputError(
                "nothing to evaluate", valid="(model, loader), (estimator, table) or predictions="
            )
        if hasattr(model, "predict") and not hasattr(model, "parameters"):
            from auditor.engine.estimators import predict_table

            table, roles = predict_table(
                model, data, merged_roles(self._roles(), role_changes(roles)), roles
            )
            return self._evaluate_table(table, at, roles)
        if roles:
            raise InputError(
                f"{sorted(roles)[0]}= is not used with a torch model", valid="audit.data(…)"
            )
        registered = self._registered()
        counted, predicted = self._score(model, data, "test", predict)
        return self._recording.measure(
            registered.subject(at, counted=counted, predicted=predicted),
            data=registered.digests("test"),
        )

    def explain(
        self,
        model: Any,
        data: Any,
        *,
        background: Any = None,
        features: Mapping[str, Sequence[int]] | Sequence[str] | None = None,
        samples: int = 200,
        records: int = 1_000,
        output: Any = None,
    ) -> Attributions:
        """Explain the model on records of ``test=`` (stage ``evaluation``).

        Parameters
        ----------
        data:
            The loader over the rows of ``test=``; the first ``records`` of them are explained.
        background:
            Records to explain against; by default a sample of the training batches.
        features:
            Names of the input columns, or a mapping from a feature to the columns that make it
            (one-hot). The sensitive attributes among them give ``protected_reliance``.
        samples:
            Gradient evaluations per record.
        """
        from auditor.engine.explaining import explain_loader

        registered = self._registered()
        if background is None:
            if self._training is None:
                raise InputError("no background", valid="background=, or attach() before explain()")
            background = self._training.background(seed=self.seed)
        attributions, statistic = explain_loader(
            model, data, registered, background=background, features=features, samples=samples,
            records=records, output=output, seed=self.seed,
        )  # fmt: skip
        self._recording.measure(
            registered.subject(Stage.EVALUATION, counted={statistic.kind: statistic}),
            data=registered.digests("test"),
        )
        return attributions

    # -- for checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the audit: looks taken and steps observed."""
        return {
            "looks": self._looks,
            **self._record_state(),
            "training": None if self._training is None else self._training.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint, after :meth:`attach`."""
        self._looks = int(state["looks"])
        self._load_record_state(state)
        if state.get("training") is not None:
            if self._training is None:
                raise InputError("no loop is attached", valid="audit.attach() before this call")
            self._training.load_state_dict(state["training"])

    def _cost(self) -> dict[str, Any] | None:
        return None if self._training is None else self._training.report()

    def _look_counts(self) -> dict[str, int]:
        return {str(Stage.TRAINING): self._looks}

    # -- inside ---------------------------------------------------------------------------------

    def _score(
        self, model: Any, loader: Any, split: str, predict: Predict | None
    ) -> tuple[dict[str, Statistic], Predicted]:
        from auditor.engine.training import score_loader

        predict = predict or (self._training.predict if self._training else None)
        probabilities = bool(self._training and self._training.probabilities)
        return score_loader(
            model, loader, self._registered(), split, predict=predict, probabilities=probabilities
        )
