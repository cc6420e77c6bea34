"""fairlearn's mitigation algorithms, as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.mitigation.fitting import fit, fresh, predict, quiet, weight_name
from auditor.mitigation.recipe import (
    CONSTRAINTS,
    Decisions,
    Fitted,
    Recipe,
    Records,
    Task,
    add_recipe,
)


def _pass_through() -> Any:
    """Return an estimator whose scores are its features: post-processing needs nothing else."""
    from sklearn.base import BaseEstimator

    class PassThrough(BaseEstimator):
        def fit(self, *_: object) -> PassThrough:
            return self

        def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(X, np.float64).reshape(-1)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    return PassThrough()


_PARITY = {
    "demographic-parity": "demographic_parity",
    "equalized-odds": "equalized_odds",
    "equal-opportunity": "true_positive_rate_parity",
}


def _threshold_optimizer(task: Task) -> Fitted:
    from fairlearn.postprocessing import ThresholdOptimizer

    assert task.scores is not None
    for number, name in enumerate(task.names):
        if np.unique(task.y[task.groups == number]).size < 2:
            raise InputError(f"{name}: the records to fit on have one label only")
    optimizer: Any = ThresholdOptimizer(
        estimator=_pass_through(), constraints=_PARITY[task.constraint],  # pyright: ignore[reportArgumentType]
        objective="accuracy_score", prefit=True, predict_method="decision_function",
    )  # fmt: skip
    with quiet():
        optimizer.fit(task.scores[:, None], task.y, sensitive_features=task.groups)

    def decide(records: Records) -> Decisions:
        assert records.scores is not None
        with quiet():
            selected = optimizer.predict(
                records.scores[:, None], sensitive_features=records.groups, random_state=task.seed
            )
        return Decisions(np.asarray(selected) == 1)

    return Fitted(decide)


def _exponentiated_gradient(task: Task) -> Fitted:
    from fairlearn import reductions

    moments: dict[str, Any] = {
        "demographic-parity": reductions.DemographicParity,
        "equalized-odds": reductions.EqualizedOdds,
        "equal-opportunity": reductions.TruePositiveRateParity,
    }
    reduction: Any = reductions.ExponentiatedGradient(
        fresh(task.estimator, seed=task.seed), moments[task.constraint](),
        sample_weight_name=weight_name(task.estimator),
    )  # fmt: skip
    with quiet():
        reduction.fit(task.features, task.y, sensitive_features=task.groups)

    def decide(records: Records) -> Decisions:
        with quiet():
            selected = reduction.predict(records.features, random_state=task.seed)
        return Decisions(np.asarray(selected).reshape(-1) == 1)

    return Fitted(decide)


def _correlation_remover(task: Task) -> Fitted:
    from fairlearn.preprocessing import CorrelationRemover
    from sklearn.pipeline import Pipeline

    model = fresh(task.estimator, seed=task.seed)
    before: Any = None
    features = task.features
    if isinstance(model, Pipeline) and len(model.steps) > 1:
        before, model = model[:-1], model[-1]
        features = before.fit_transform(features, task.y)
    size = len(task.names)
    remover: Any = CorrelationRemover(sensitive_feature_ids=list(range(size - 1)))
    with quiet():
        cleaned = remover.fit_transform(_beside(features, task.groups, size))
    model = fit(model, cleaned, task.y)

    def decide(records: Records) -> Decisions:
        table = records.features if before is None else before.transform(records.features)
        with quiet():
            cleaned = remover.transform(_beside(table, records.groups, size))
        selected, scores, _ = predict(model, cleaned)
        return Decisions(selected, scores)

    return Fitted(decide)


def _beside(features: Any, groups: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """Put an indicator of each group but the first before the features."""
    dense = features.toarray() if hasattr(features, "toarray") else features
    try:
        numbers = np.asarray(dense, np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "the features are not all numbers",
            valid="a pipeline whose earlier steps make them numbers",
        ) from None
    if not np.isfinite(numbers).all():
        raise InputError("a feature is missing or infinite", valid="finite numbers")
    return np.hstack([np.eye(size)[:, 1:][groups], numbers.reshape(len(groups), -1)])


add_recipe(
    Recipe(
        "threshold-optimizer", "fairlearn's threshold optimizer", "post-processing",
        _threshold_optimizer,
        "fairlearn.postprocessing.ThresholdOptimizer; Hardt, Price and Srebro (2016), Equality of "
        "opportunity in supervised learning",
        needs=("scores",), sensitive_at_prediction=True, randomised=True, constraints=CONSTRAINTS,
    )
)  # fmt: skip
add_recipe(
    Recipe(
        "exponentiated-gradient", "fairlearn's exponentiated gradient", "in-processing",
        _exponentiated_gradient,
        "fairlearn.reductions.ExponentiatedGradient; Agarwal et al. (2018), A reductions approach "
        "to fair classification",
        needs=("estimator", "sample-weights"), randomised=True, constraints=CONSTRAINTS,
    )
)  # fmt: skip
add_recipe(
    Recipe(
        "correlation-remover", "fairlearn's correlation remover", "pre-processing",
        _correlation_remover, "fairlearn.preprocessing.CorrelationRemover",
        needs=("estimator", "numeric-features"), sensitive_at_prediction=True,
    )
)  # fmt: skip
