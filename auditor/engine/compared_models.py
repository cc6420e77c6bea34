"""What an audit does with a model that was made of another one: both, on the same records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditor.engine.audited_training import AuditedTraining
from auditor.evidence import Finding, Stage
from auditor.stats.paired import PAIRED

if TYPE_CHECKING:
    from auditor.engine.comparing import Base
    from auditor.loop.outputs import Predict

__all__ = ["ComparedModels"]


class ComparedModels(AuditedTraining):
    """What an audit knows of fine-tuning; :class:`~auditor.engine.audit.Audit` adds the rest."""

    def compare(
        self,
        base: Base,
        tuned: Any,
        loader: Any,
        *,
        split: str = "test",
        predict: Predict | None = None,
    ) -> tuple[Finding, ...]:
        """Compare a base model with the tuned one (stage ``fine-tuning``), record by record.

        Both predict the same records, in evaluation mode; weights, train mode and random state
        stay as they are. The changes of error rate, selection rate and loss are paired, by group.
        The metrics of the tuned model stand beside them.

        Parameters
        ----------
        base:
            A module; weights for ``tuned`` (a state dict, or a part of one, copied before the
            training); or a function whose context manager makes ``tuned`` the base for a while,
            as ``disable_adapter`` of peft does.
        loader:
            The loader over the rows of the registered ``split``, a fixed probe set.
        predict:
            ``outputs → (scores [batch], predictions [batch])`` where the shape does not tell.

        Raises :class:`InputError`.
        """
        from auditor.engine.comparing import compare_models
        from auditor.engine.scoring import count_evaluated
        from auditor.loop.outputs import Reader

        data = self._registered()
        training = self._training
        reader = training.reader if training is not None else Reader(data.index(split).task)
        if predict is not None:
            reader = replace(reader, predict=predict)
        found = compare_models(base, tuned, loader, data, split, reader, self._ranks)
        if found is None:
            return ()
        paired, evaluated = found
        counted, predicted = count_evaluated(evaluated, data, split, type(tuned).__name__)
        return self._recording.measure(
            data.subject(
                Stage.FINE_TUNING, counted={**counted, PAIRED: paired}, predicted=predicted
            ),
            data=data.digests(split),
        )
