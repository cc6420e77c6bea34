"""Any fitted estimator with ``predict``: its predictions on a table, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets import Roles, Table, open_table
from auditor.errors import InputError

__all__ = ["predict_table"]

_PREDICTION, _SCORE = "__prediction__", "__score__"


def predict_table(
    estimator: Any, data: Any, roles: Roles, changes: Mapping[str, Any]
) -> tuple[Table, dict[str, Any]]:
    """Predict on a table and return it with predictions and scores beside, and their roles.

    The features are those that the estimator names in ``feature_names_in_``; otherwise all columns
    but the target and the record id. Scores are the probabilities of the positive class where the
    estimator has ``predict_proba``.
    """
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else _frame(data)
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [c for c in frame.columns if c not in (roles.target, roles.record_id)]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(
            f"the estimator wants column {missing[0]!r}", where="the evaluated table",
            valid="the columns " + ", ".join(map(str, list(names)[:10])),
        )  # fmt: skip
    features = frame[list(names)]
    predicted = np.asarray(estimator.predict(features)).reshape(-1)
    if len(predicted) != len(frame):
        raise InputError(
            f"the estimator gives {len(predicted):,} predictions for {len(frame):,} rows"
        )
    extra: dict[str, Any] = {_PREDICTION: predicted}
    given = {**changes, "prediction": _PREDICTION}
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(features))
        if probabilities.ndim == 2 and probabilities.shape[1] == 2:
            classes = [str(c) for c in getattr(estimator, "classes_", ("0", "1"))]
            column = classes.index(roles.positive) if roles.positive in classes else 1
            extra[_SCORE] = probabilities[:, column]
            given["score"] = _SCORE
    joined = pd.concat([frame.reset_index(drop=True), pd.DataFrame(extra)], axis=1)
    return open_table(joined, name=f"predictions of {type(estimator).__name__}"), given


def _frame(data: Any) -> Any:
    return open_table(data).query("select * from data").to_pandas()
