"""The quality of wide tables, against what each column costs with pandas and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from measuring import Row, side_by_side

from auditor.checks import Subject
from auditor.checks.provenance.drift import Drift
from auditor.checks.provenance.feature_quality import FeatureQuality
from auditor.datasets import Roles, declare_groups, open_table
from auditor.evidence import Stage


def wide(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    numbers = {f"x{i}": rng.normal(size=rows) for i in range(10)}
    texts = {f"c{i}": rng.integers(0, 50, rows).astype(str) for i in range(8)}
    group = rng.integers(0, 3, rows).astype(str)
    return pd.DataFrame({**numbers, **texts, "group": group, "y": rng.integers(0, 2, rows)})


def subject(tables: dict[str, pd.DataFrame]) -> Subject:
    opened = {name: open_table(frame, name=name) for name, frame in tables.items()}
    roles = Roles(sensitive=("group",), target="y")
    groups = declare_groups(list(opened.values()), roles.sensitive)
    return Subject(Stage.DATA, groups, roles, opened)


def feature_quality(rows: int) -> Row:
    """Distinct, most frequent and equal values of 20 columns, and the AUC of 18 features."""
    from sklearn.metrics import roc_auc_score

    frame = wide(rows, 0)

    def theirs() -> None:
        for name in frame:
            frame[name].value_counts()
        for name in [f"x{i}" for i in range(10)]:
            roc_auc_score(frame["y"], frame[name])

    return {
        "what": f"quality of 20 columns, {rows:,} rows",
        "against": "pandas value_counts of each, sklearn roc_auc_score of 10",
        "bound": "none",
        **side_by_side(lambda: FeatureQuality().measure(subject({"train": frame})), theirs, runs=1),
    }


def drift(rows: int) -> Row:
    """Drift of 20 columns on drawn rows, against scipy's two-sample tests on all rows."""
    from scipy.stats import ks_2samp, wasserstein_distance

    train, test = wide(rows, 0), wide(rows, 1)
    tables = {"train": train, "test": test}
    check = Drift(together=False)

    def theirs() -> None:
        for name in [f"x{i}" for i in range(10)]:
            ks_2samp(train[name], test[name], method="asymp")
            wasserstein_distance(train[name], test[name])
        for name in [f"c{i}" for i in range(8)]:
            train[name].value_counts(normalize=True)
            test[name].value_counts(normalize=True)

    return {
        "what": f"drift of 20 columns, twice {rows:,} rows",
        "against": "scipy ks_2samp and wasserstein_distance, pandas value_counts",
        "bound": "none",
        **side_by_side(lambda: check.measure(subject(tables)), theirs, runs=1),
    }
