"""What an estimator gives for records, as the tensors that a loop reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from auditor.engine.datasets import RegisteredData
from auditor.loop.criterion import FunctionCriterion
from auditor.stats import as_label

__all__ = ["EstimatorOutputs"]

_YES = ("1", "1.0", "true", "True")


class EstimatorOutputs:
    """Probabilities in the order of the registered classes, numbers, or predictions alone."""

    def __init__(self, estimator: Any, data: RegisteredData) -> None:
        self.estimator, self.roles, self.classes = estimator, data.roles, data.classes
        self.predict: Any = None
        if self.roles.task == "regression":
            self.described, self.criterion = "squared error", torch.nn.MSELoss()
        elif hasattr(estimator, "predict_proba"):
            self.described, self.criterion = "log-loss", FunctionCriterion(_log_loss)
        else:
            self.described, self.criterion, self.predict = (
                "none",
                FunctionCriterion(_no_loss),
                _alone,
            )

    @property
    def fitted(self) -> bool:
        """Whether the estimator can predict already."""
        try:
            check_is_fitted(self.estimator)
        except NotFittedError:
            return False
        return True

    def of(self, X: Any) -> torch.Tensor:
        """Return the outputs for records: ``[records]`` or ``[records, classes]``."""
        if self.roles.task == "regression":
            return torch.as_tensor(np.asarray(self.estimator.predict(X), np.float64).reshape(-1))
        if self.predict is not None:
            return self.labels(self.estimator.predict(X)).double()
        return self._ordered(self.estimator.predict_proba(X))

    def staged(self, X: Any, most: int) -> list[torch.Tensor | None]:
        """Return what stood before every stage of a fit; ``None`` where nobody knows.

        Stages of which none is read are stages all the same.
        """
        found = self._stages(X)
        if found is None:
            return [None] * max(1, len(getattr(self.estimator, "loss_curve_", ())))
        total = max(1, len(getattr(self.estimator, "estimators_", ())) or _count(self.estimator))
        chosen = set(np.linspace(0, total - 1, min(most, total)).astype(int).tolist())
        read = [out if i in chosen else None for i, out in enumerate(found)]
        return [None, *read[:-1]]

    def _stages(self, X: Any) -> Iterator[torch.Tensor] | None:
        if self.roles.task == "regression" and hasattr(self.estimator, "staged_predict"):
            return (torch.as_tensor(np.asarray(p, np.float64)) for p in
                    self.estimator.staged_predict(X))  # fmt: skip
        if self.predict is None and hasattr(self.estimator, "staged_predict_proba"):
            return (self._ordered(p) for p in self.estimator.staged_predict_proba(X))
        return None

    def _ordered(self, shares: Any) -> torch.Tensor:
        shares = np.asarray(shares, np.float64)
        names = self.labels(self.estimator.classes_).tolist()
        if self.roles.task == "binary":
            return torch.as_tensor(shares[:, names.index(1)].copy())
        out = np.zeros((len(shares), len(self.classes)))
        out[:, names] = shares
        return torch.as_tensor(out)

    def labels(self, y: Any) -> torch.Tensor:
        """Return labels as class numbers, or the numbers of a regression, shape ``[records]``."""
        values = np.asarray(y).reshape(-1)
        if self.roles.task == "regression":
            return torch.as_tensor(values.astype(np.float64))
        texts = [as_label(value) for value in values.tolist()]
        if self.roles.task == "binary":
            yes = _YES if self.roles.positive is None else (self.roles.positive,)
            return torch.tensor([float(text in yes) for text in texts], dtype=torch.float64)
        numbers = {name: number for number, name in enumerate(self.classes)}
        return torch.tensor([numbers.get(text, -1) for text in texts])


def _count(estimator: Any) -> int:
    return int(getattr(estimator, "n_iter_", 1))


def _log_loss(
    outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean"
) -> torch.Tensor:
    """Return the log-loss, with probabilities kept off 0 and 1 as scikit-learn keeps them."""
    least = torch.finfo(outputs.dtype).eps
    shares = outputs.clamp(least, 1 - least)
    if outputs.ndim == 1:
        return functional.binary_cross_entropy(shares, targets, reduction=reduction)
    return functional.nll_loss(shares.log(), targets, ignore_index=-1, reduction=reduction)


def _no_loss(*_: torch.Tensor) -> torch.Tensor:
    """There is none: the records have errors and no losses."""
    return torch.full((), torch.nan)


def _alone(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Read predictions that have no score."""
    return torch.full_like(outputs, torch.nan), outputs
