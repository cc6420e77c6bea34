"""The audit: one object that attaches to what the user has, measures, judges and records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from auditor.checks import Check, Subject
from auditor.datasets import Roles, Table, declare_groups, open_table
from auditor.engine.datasets import (
    RegisteredData,
    as_names,
    merged_roles,
    register_tables,
    table_manifest,
)
from auditor.engine.plan import make_plan
from auditor.engine.recording import Recording
from auditor.errors import AuditorError, GateClosed, InputError
from auditor.evidence import Finding, Stage, Verdict
from auditor.ledger import SigningKey, signing_key_from
from auditor.policy import LoadedPolicy, load_policy
from auditor.provenance import checkpoint_manifest, environment
from auditor.stats import Groups, Statistic
from auditor.version import __version__

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    from auditor.engine.training import Training
    from auditor.explain import Attributions
    from auditor.loop.outputs import Predict

__all__ = ["Audit"]

M = TypeVar("M")
O_ = TypeVar("O_")


class Audit:
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
        self.policy = (
            policy if policy is None or isinstance(policy, LoadedPolicy) else load_policy(policy)
        )
        self.seed = seed
        self._budget = budget
        self._system = dict(system) if system else None
        self._key_note = key_note
        signing: SigningKey | None = signing_key_from(key)
        self._recording = Recording(
            run, policy=self.policy, key=signing, seed=seed, checks=make_plan(self.policy, checks)
        )
        self._data: RegisteredData | None = None
        self._training: Training | None = None
        self._looks = 0
        self._settings: dict[str, Any] = {}

    # -- what is recorded so far ----------------------------------------------------------------

    @property
    def run(self) -> Path:
        """The run folder."""
        return self._recording.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far."""
        return self._recording.findings

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the last gate."""
        return self._recording.verdict

    def finding(self, metric: str, *, stage: str | None = None, **slice_: str | None) -> Finding:
        """Return the one finding of a metric for a slice (``finding("auc", sex="F")``)."""
        found = [
            finding for finding in self.findings
            if finding.metric == metric and dict(finding.slice) == slice_
            and finding.over is None and (stage is None or finding.stage == stage)
        ]  # fmt: skip
        if len(found) != 1:
            raise InputError(f"{len(found)} findings of {metric!r} for {slice_ or 'everybody'}")
        return found[0]

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

        Raises :class:`InputError`.
        """
        if self._data is not None:
            raise InputError("the data are registered already", valid="one call of audit.data")
        roles = Roles(
            sensitive=as_names(sensitive), target=target, record_id=record_id,
            positive=_label(positive), bins=dict(bins or {}),
        )  # fmt: skip
        sources = {"train": train, "validation": validation, "test": test}
        self._data = register_tables(sources, roles, intersections=intersections)
        self._declare(roles, intersections)
        self._recording.note(
            "data",
            {
                "tables": {k: table_manifest(t) for k, t in self._data.tables.items()},
                "target": roles.target,
                "sensitive": list(roles.sensitive),
                "record_id": roles.record_id,
                "bins": {k: list(v) for k, v in roles.bins.items()},
            },
        )
        return self._recording.measure(
            Subject(Stage.DATA, self._data.groups, roles, self._data.tables)
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
        verdict = self._judge(Stage.TRAINING, only_stage=True)
        if verdict is None or not verdict.rules:
            return verdict
        self._recording.note(
            "look",
            {
                "stage": str(Stage.TRAINING), "look": self._looks, "status": str(verdict.status),
                "gate": verdict.gate,
            },
        )  # fmt: skip
        stops = [rule for rule in verdict.rules if rule.closes_gate and rule.on_fail == "stop"]
        if stops:
            raise GateClosed(
                f"the policy stops the training at look {self._looks}: {stops[0].reason}", verdict
            )
        return verdict

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

        Raises :class:`InputError`.
        """
        at = _stage(stage)
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
                model, data, merged_roles(self._roles(), _role_changes(roles)), roles
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

    # -- gate, report, end ----------------------------------------------------------------------

    def gate(
        self, stage: str = "pre-deployment", *, checkpoint: str | Path | None = None
    ) -> Verdict | None:
        """Judge everything measured so far; writes ``verdict.json``. ``None`` without a policy.

        ``checkpoint`` is the file of the model that is judged: its digest goes into the record. It
        is never unpickled.
        """
        at = _stage(stage)
        if checkpoint is not None:
            self._recording.note("checkpoint", checkpoint_manifest(checkpoint))
        self._recording.settle()
        verdict = self._judge(at)
        if verdict is None:
            return None
        digest = self._recording.write_verdict(verdict)
        self._recording.note(
            "gate",
            {"stage": str(at), "status": str(verdict.status), "gate": verdict.gate,
             "verdict": digest},
        )  # fmt: skip
        return verdict

    def report(self, *names: str) -> tuple[Path, ...]:
        """Write reports into the run folder, by the suffix of each name (``report.html``)."""
        from auditor.report import write_reports

        self._finish_files()
        return write_reports(self._recording.folder, names or ("report.html",))

    def close(self) -> None:
        """Write what is left and seal the run; nothing is written to it after this."""
        if self._recording.closed:
            return
        self.detach()
        self._finish_files()
        self._recording.seal()

    def discard(self) -> None:
        """Take an unsealed run folder away again, as if nothing had been begun."""
        self._recording.discard()

    @property
    def signed(self) -> bool:
        """Whether the run is, or will be, signed."""
        return self._recording.key is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, GateClosed):
            self.close()
            return
        self.detach()
        # The run keeps what it has: the ledger is valid and says where and why it stops.
        with contextlib.suppress(AuditorError):
            self._recording.interrupt(type(error).__name__)

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
        roles = merged_roles(self._roles(), _role_changes(changes))
        if not roles.sensitive:
            raise InputError("no sensitive attribute was named", where="sensitive=",
                             valid="one or more columns")  # fmt: skip
        if roles.prediction is None and roles.score is None:
            raise InputError("neither predictions nor scores were named", where=table.name,
                             valid="prediction= or score=")  # fmt: skip
        roles.check(table)
        intersections = int(changes.get("intersections") or 2)
        groups = self._groups_of(table, roles, intersections)
        self._declare(roles, intersections)
        self._recording.note("data", {"tables": {"predictions": table_manifest(table)}})
        return self._recording.measure(Subject(stage, groups, roles, predictions=table))

    def _groups_of(self, table: Table, roles: Roles, intersections: int) -> Groups:
        if self._data is not None and roles.sensitive == self._data.roles.sensitive:
            return self._data.groups
        return declare_groups(
            [table], roles.sensitive, bins=roles.bins, intersections=intersections
        )

    def _score(
        self, model: Any, loader: Any, split: str, predict: Predict | None
    ) -> dict[str, Statistic]:
        from auditor.engine.training import score_loader

        predict = predict or (self._training.predict if self._training else None)
        probabilities = bool(self._training and self._training.probabilities)
        return score_loader(
            model, loader, self._registered(), split, predict=predict, probabilities=probabilities
        )

    def _judge(self, stage: Stage, *, only_stage: bool = False) -> Verdict | None:
        looks = {str(Stage.TRAINING): self._looks}
        return self._recording.judge(stage, only_stage=only_stage, looks=looks)

    def _declare(self, roles: Roles, intersections: int) -> None:
        self._settings = {
            **roles.context(),
            "threshold": roles.threshold,
            "positive": roles.positive,
            "sensitive": list(roles.sensitive),
            "bins": {k: list(v) for k, v in roles.bins.items()},
            "intersections": intersections,
        }

    def _finish_files(self) -> None:
        recording = self._recording
        recording.settle()
        governor = None if self._training is None else self._training.report()
        recording.write_findings()
        recording.write_json(
            "run.json",
            {
                "schema": "auditor/run/v1",
                "run": recording.folder.name,
                "started": recording.started,
                "finished": recording.now(),
                "seed": self.seed,
                "auditor": __version__,
                **environment(),
                "governor": governor,
                "system": self._system,
                "key_note": self._key_note,
                "audit": self._settings,
            },
        )


def _stage(name: str) -> Stage:
    try:
        return Stage(name)
    except ValueError:
        raise InputError(f"unknown stage {name!r}", valid=", ".join(Stage)) from None


_ROLES = ("target", "prediction", "score", "threshold", "positive", "sensitive", "bins",
          "intersections", "record_id")  # fmt: skip


def _role_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    from auditor.errors import nearest

    for name in given:
        if name not in _ROLES:
            raise InputError(f"unknown argument {name!r}", valid=nearest(name, _ROLES))
    changes = {k: v for k, v in given.items() if k != "intersections" and v is not None}
    if "sensitive" in changes:
        changes["sensitive"] = as_names(changes["sensitive"])
    if "positive" in changes:
        changes["positive"] = _label(changes["positive"])
    return changes


def _label(value: Any) -> str | None:
    from auditor.stats import as_label

    return None if value is None else as_label(value)
