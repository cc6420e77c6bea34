"""scikit-learn: ``with audit_estimator(audit, estimator, validation=(X, y)): …``.

Inside of the ``with`` the estimator's own ``partial_fit`` and ``fit`` tell the audit what they
consume. A loss is that of the model as it stood when it was trained on the records, as in a loop of
torch: before the update of ``partial_fit``; after the stage before, in an estimator that adds up
stages (``staged_predict_proba``). So nothing is read of a first chunk or stage.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.engine.audit import Audit
from auditor.engine.scoring import count_evaluated
from auditor.errors import InputError
from auditor.integrations.estimator_outputs import EstimatorOutputs
from auditor.integrations.gates import gated
from auditor.loop.evaluation import Evaluated

__all__ = ["audit_estimator"]

Rows = Callable[[Any, Any], Sequence[int]]


@contextmanager
def audit_estimator(
    audit: Audit,
    estimator: Any,
    *,
    rows: Rows | None = None,
    validation: tuple[Any, Any] | None = None,
    stages: int = 100,
) -> Generator[None]:
    """Audit what an estimator is trained on; it is as it was when the ``with`` ends.

    Parameters
    ----------
    audit:
        The audit, with ``train=`` registered, and ``validation=`` where that is given here.
    estimator:
        Any estimator with ``fit`` or ``partial_fit``. Records have a loss (the log-loss) where it
        has ``predict_proba``, or predicts numbers (the squared error); else only errors.
    rows:
        ``(X, y) → rows of train=`` of a call; by default every call takes the next rows, in the
        order of the table and from its beginning again after its end. Labels that are not those
        of the rows are counted in the report of the loop.
    validation:
        ``(X, y)`` of the rows of ``validation=``, in their order: every call is then a look.
    stages:
        Of how many stages, spread evenly, the losses are read.

    A call raises :class:`GateClosed` after the update where a rule says stop.
    """
    watched = _Watched(audit, estimator, rows, validation, stages)
    try:
        yield
    finally:
        watched.release()


class _Watched:
    def __init__(
        self, audit: Audit, estimator: Any, rows: Rows | None, validation: Any, stages: int
    ) -> None:
        self.audit, self.estimator, self.stages = audit, estimator, stages
        self.validation, self._rows, self._next, self._inside = validation, rows, 0, False
        methods = [name for name in ("partial_fit", "fit") if hasattr(estimator, name)]
        if not methods:
            raise InputError(
                f"a {type(estimator).__name__} cannot be fitted", valid="an estimator with fit"
            )
        self.outputs = EstimatorOutputs(estimator, audit._registered())
        named = type(type(estimator).__name__, (torch.nn.Module,), {})()
        self.training = audit.begin_training(
            named, predict=self.outputs.predict, probabilities=True, framework="scikit-learn"
        )
        with audit._undone_on_error():
            for method in methods:
                estimator.__dict__[method] = self._told(method, getattr(estimator, method))
                self.training.on_detach(lambda name=method: estimator.__dict__.pop(name, None))
            audit.training_begun(optimizer="", criterion=self.outputs.described)

    def release(self) -> None:
        self.audit.detach()

    def _told(self, name: str, given: Callable[..., Any]) -> Callable[..., Any]:
        def call(X: Any, y: Any = None, *args: Any, **options: Any) -> Any:
            if self._inside:  # an estimator whose fit calls its own partial_fit
                return given(X, y, *args, **options)
            self._inside = True
            try:
                before = self._before(X) if name == "partial_fit" else None
                out = given(X, y, *args, **options)
            finally:
                self._inside = False
            self._closed(lambda: self._consume(name, X, y, before))
            if self.validation is not None:
                self._closed(self._look)
            return out

        return call

    def _closed(self, act: Callable[[], Any]) -> None:
        _, closed = gated(act)
        if closed is not None:
            raise closed

    def _before(self, X: Any) -> Any:
        return gated(lambda: self.outputs.of(X) if self.outputs.fitted else None)[0]

    def _consume(self, name: str, X: Any, y: Any, before: Any) -> None:
        consumed = self._consumed(X, y)
        observer, labels = self.training.observer, self.outputs.labels(y)
        read = [before] if name == "partial_fit" else self.outputs.staged(X, self.stages)
        if name == "fit" or observer.epoch == 0 or self._began:
            observer.begin_epoch()
        for outputs in read:
            observer.announce(torch.from_numpy(consumed))
            if outputs is not None:
                observer.saw((outputs, labels), {}, self.outputs.criterion)
            observer.after_step()

    def _consumed(self, X: Any, y: Any) -> NDArray[np.int64]:
        total, count = self.training.index.rows, len(y if y is not None else X)
        self._began = self._next == 0
        if self._rows is not None:
            return np.asarray(self._rows(X, y), np.int64)
        found = (self._next + np.arange(count)) % total
        self._next = (self._next + count) % total
        return found

    def _look(self) -> None:
        X, y = self.validation
        evaluated, labels = Evaluated(), self.outputs.labels(y)
        read = self.training.reader.read(self.outputs.of(X), labels, len(labels))
        evaluated.add(np.arange(len(labels)), read.block())
        name = type(self.estimator).__name__
        self.audit.look(count_evaluated(evaluated, self.training.data, "validation", name))
