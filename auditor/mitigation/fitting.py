"""Estimators of scikit-learn's kind: copied, trained with weights, read as decisions and scores."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError

__all__ = ["fit", "fresh", "predict", "quiet", "rows", "weight_name"]


def fresh(estimator: Any, *, seed: int) -> Any:
    """Return an unfitted copy; random states that are not set get the seed."""
    from sklearn.base import clone

    copy: Any = clone(estimator)
    unset = {
        name: seed
        for name, value in copy.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return copy.set_params(**unset) if unset else copy


def weight_name(estimator: Any) -> str:
    """Return the argument of ``fit`` that takes sample weights, of a pipeline's last step too.

    Raises :class:`InputError` where there is none.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(estimator, "sample_weight"):
        raise InputError(
            f"{type(estimator).__name__} takes no sample weights",
            valid="resampling does the same without weights",
        )
    return f"{prefix}sample_weight"


def fit(
    estimator: Any, features: Any, y: NDArray[np.int64], weights: ArrayLike | None = None
) -> Any:
    """Fit and return the estimator, with weights where there are some."""
    if weights is None:
        return estimator.fit(features, y)
    return estimator.fit(features, y, **{weight_name(estimator): np.asarray(weights)})


def predict(
    estimator: Any, features: Any
) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None, float]:
    """Return decisions, scores if the estimator has any, and the threshold of its scores."""
    selected = np.asarray(estimator.predict(features)).reshape(-1) == 1
    if hasattr(estimator, "predict_proba"):
        return selected, np.asarray(estimator.predict_proba(features), np.float64)[:, 1], 0.5
    if hasattr(estimator, "decision_function"):
        return selected, np.asarray(estimator.decision_function(features), np.float64), 0.0
    return selected, None, 0.5


def rows(features: Any, which: NDArray[np.intp]) -> Any:
    """Take rows of a table or of an array."""
    return features.iloc[which] if hasattr(features, "iloc") else np.asarray(features)[which]


@contextmanager
def quiet() -> Generator[None]:
    """Silence what the libraries say about each other's ways, here and nowhere else."""
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, UserWarning, RuntimeWarning):
            warnings.filterwarnings("ignore", module=r"(fairlearn|sklearn)\b", category=category)
        yield
