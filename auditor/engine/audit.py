"""The audit: one object that attaches to what the user has, measures, judges and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from auditor.checks import Check
from auditor.datasets import open_table
from auditor.engine.arguments import merged_roles, role_changes
from auditor.engine.audited_run import stage_named
from auditor.engine.compared_models import ComparedModels
from auditor.engine.sync_points import meeting_all_ranks
from auditor.errors import InputError
from auditor.evidence import Finding, Stage
from auditor.policy import LoadedPolicy

if TYPE_CHECKING:
    from auditor.explain import Attributions
    from auditor.loop.outputs import Predict

__all__ = ["Audit"]

M = TypeVar("M")
O_ = TypeVar("O_")


@meeting_all_ranks
class Audit(ComparedModels):
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
    grid_intensity, grid_source:
        Grams of CO₂ equivalent that a kWh causes where the training runs, and where that is from;
        a world average without, and emissions say so.
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
        grid_intensity: float | None = None,
        grid_source: str | None = None,
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
        self._grid = (grid_intensity, grid_source)
        self._record_key = record_key

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
        scored = self._score(model, data, "test", predict)
        if scored is None:
            return ()
        counted, predicted = scored
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
