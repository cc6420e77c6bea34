"""The audit: one object that attaches to what the user has, measures, judges and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from auditor.checks import Check, Subject
from auditor.datasets import DataOptions, Roles, Table, declare_groups, open_table
from auditor.engine.arguments import (
    as_names,
    label_of,
    merged_roles,
    role_changes,
    roles_for,
    settings_of,
)
from auditor.engine.audited_run import AuditedRun, stage_named
from auditor.engine.datasets import (
    RegisteredData,
    options_manifest,
    register_tables,
    table_manifest,
)
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


class Audit(AuditedRun):
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
    ) -> None:
        super().__init__(
            policy, run, seed=seed, key=key, checks=checks, system=system, key_note=key_note
        )
        self._budget = budget
        self._data: RegisteredData | None = None
        self._training: Training | None = None
        self._looks = 0

    # -- data -----------------------------------------------------------------------------------

    def data(
        self,
        *,
        train: Any = None,
        validation: Any = None,
        test: Any = None,
        target: str | None = None,
        sensitive: str | Sequence[str] = (),
        record_id: str | None = None,
        positive: Any = None,
        bins: Mapping[str, Sequence[float]] | None = None,
        intersections: int = 2,
        population: Any = None,
        population_column: str | None = None,
        annotators: str | Sequence[str] = (),
        proxies: bool = False,
        features: str | Sequence[str] = (),
    ) -> tuple[Finding, ...]:
        """Register the data sets and audit them (stage ``data``).

        Parameters
        ----------
        train, validation, test:
            Tables: a DataFrame, an Arrow table, a path or a glob.
        target:
            The column of labels; ``positive`` is its positive value where it does not hold 0/1.
        sensitive:
            The columns of sensitive attributes; ``bins`` cuts a number into groups, for example
            ``{"age": [25, 45, 65]}``.
        record_id:
            The column of record ids, by which loop items that carry one are matched.
        intersections:
            The largest number of attributes that are crossed.
        population:
            A table with the shares, or counts, of the groups in the population that the data
            should stand for: columns named like the attributes, and ``population_column``.
        annotators:
            The columns with the labels of several annotators of the same record.
        proxies:
            Whether to measure how well the ``features`` (by default all other columns) predict the
            sensitive attributes; it takes a while.

        Raises :class:`InputError`.
        """
        if self._data is not None:
            raise InputError("the data are registered already", valid="one call of audit.data")
        roles = Roles(
            sensitive=as_names(sensitive), target=target, record_id=record_id,
            positive=label_of(positive), bins=dict(bins or {}),
        )  # fmt: skip
        sources = {"train": train, "validation": validation, "test": test}
        options = DataOptions(
            population=None if population is None else open_table(
                population, name=None if isinstance(population, str) else "population="
            ),
            population_column=population_column, annotators=as_names(annotators),
            proxies=proxies, features=as_names(features), seed=self.seed,
        )  # fmt: skip
        self._data = register_tables(sources, roles, intersections=intersections)
        self._settings = settings_of(roles, intersections)
        self._recording.note(
            "data",
            {
                "tables": {k: table_manifest(t) for k, t in self._data.tables.items()},
                "target": roles.target,
                "sensitive": list(roles.sensitive),
                "record_id": roles.record_id,
                "bins": {k: list(v) for k, v in roles.bins.items()},
                **options_manifest(options),
            },
        )
        return self._recording.measure(
            Subject(Stage.DATA, self._data.groups, roles, self._data.tables, options=options)
        )

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

    def validate(
        self, model: Any, loader: Any, *, predict: Predict | None = None
    ) -> Verdict | None:
        """Look at the training (stage ``training``): validation metrics and training losses.

        Raises :class:`GateClosed` where a rule of the policy says ``stop``.
        """
        data = self._registered()
        self._looks += 1
        counted = self._score(model, loader, "validation", predict)
        if self._training is not None:
            counted |= self._training.losses()
        self._recording.measure(
            Subject(Stage.TRAINING, data.groups, data.roles, data.tables, counted=counted),
            look=self._looks,
        )
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
        return self._recording.measure(
            Subject(
                at, registered.groups, registered.roles, registered.tables,
                counted=self._score(model, data, "test", predict),
            )
        )  # fmt: skip

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
            Subject(
                Stage.EVALUATION, registered.groups, registered.roles,
                counted={statistic.kind: statistic},
            )
        )  # fmt: skip
        return attributions

    # -- for checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the audit: looks taken and steps observed."""
        return {
            "looks": self._looks,
            "training": None if self._training is None else self._training.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint, after :meth:`attach`."""
        self._looks = int(state["looks"])
        if state.get("training") is not None:
            if self._training is None:
                raise InputError("no loop is attached", valid="audit.attach() before this call")
            self._training.load_state_dict(state["training"])

    def _cost(self) -> dict[str, Any] | None:
        return None if self._training is None else self._training.report()

    def _look_counts(self) -> dict[str, int]:
        return {str(Stage.TRAINING): self._looks}

    # -- inside ---------------------------------------------------------------------------------

    def _registered(self) -> RegisteredData:
        if self._data is None:
            raise InputError("no data are registered", valid="audit.data(…) before this call")
        return self._data

    def _roles(self) -> Roles:
        return Roles() if self._data is None else self._data.roles

    def _evaluate_table(
        self, table: Table, stage: Stage, changes: Mapping[str, Any]
    ) -> tuple[Finding, ...]:
        roles = roles_for(table.name, self._roles(), changes)
        roles.check(table)
        intersections = int(changes.get("intersections") or 2)
        if self._data is not None and roles.sensitive == self._data.roles.sensitive:
            groups = self._data.groups
        else:
            groups = declare_groups(
                [table], roles.sensitive, bins=roles.bins, intersections=intersections
            )
        self._settings = settings_of(roles, intersections)
        self._recording.note("data", {"tables": {"predictions": table_manifest(table)}})
        return self._recording.measure(Subject(stage, groups, roles, predictions=table))

    def _score(
        self, model: Any, loader: Any, split: str, predict: Predict | None
    ) -> dict[str, Statistic]:
        from auditor.engine.training import score_loader

        predict = predict or (self._training.predict if self._training else None)
        probabilities = bool(self._training and self._training.probabilities)
        return score_loader(
            model, loader, self._registered(), split, predict=predict, probabilities=probabilities
        )
