"""Group metrics in memory, against the libraries that people use for them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
from measuring import Row, budget, not_installed, population, side_by_side, timed

from auditor.metrics import estimate, estimate_all, slice_rows, slice_samples
from auditor.stats import Attribute, Groups, ScoreGrid, confusion_counts, score_counts

NAMES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy")


def counted(frame: pd.DataFrame) -> Callable[[], None]:
    """Return our way: codes and labels to counts, and five metrics of each slice, with intervals.

    The groups are encoded before, because the others are given ready columns too.
    """
    groups = Groups.declare([Attribute(name="group", levels=tuple(sorted(frame.group.unique())))])
    codes = groups.encode({"group": frame.group})
    y, p = frame.y.to_numpy(), frame.p.to_numpy()

    def ours() -> None:
        counts = confusion_counts(groups, codes, y, p)
        rows = slice_rows(counts, ("group",))
        for name in NAMES:
            samples = slice_samples(name, counts, ("group",), rows=rows).samples
            estimate_all(list(samples.values()), confidence=0.95)

    return ours


def metric_frame(frame: pd.DataFrame) -> Callable[[], None]:
    import fairlearn.metrics as fm
    from sklearn.metrics import accuracy_score, precision_score

    def theirs() -> None:
        frames = fm.MetricFrame(
            metrics={
                "selection_rate": fm.selection_rate, "true_positive_rate": fm.true_positive_rate,
                "false_positive_rate": fm.false_positive_rate, "precision": precision_score,
                "accuracy": accuracy_score,
            },
            y_true=frame.y, y_pred=frame.p, sensitive_features=frame.group,
        )  # fmt: skip
        assert len(frames.by_group) == 50

    return theirs


def group_metrics(rows: int) -> Row:
    """Five rates of 50 slices, counted and estimated, against fairlearn's MetricFrame."""
    frame = population(rows, 50)
    return {
        "what": f"5 metrics, 50 slices, {rows:,} rows, with intervals",
        "against": "fairlearn MetricFrame (no intervals)",
        "bound": budget(">= 1000", rows),
        **side_by_side(counted(frame), metric_frame(frame), runs=3 if rows <= 1_000_000 else 1),
    }


def growth(rows: int) -> Row:
    """How the cost grows from a tenth of the rows to all."""
    whole, tenth = counted(population(rows, 50)), counted(population(rows // 10, 50))
    measured = side_by_side(tenth, whole, runs=9)
    return {
        "what": f"5 metrics, 50 slices, {rows:,} rows, with intervals",
        "against": f"ours at {rows // 10:,} rows (times as long)",
        "bound": "<= 15",
        "ratio": measured["ratio"],
        "ours_seconds": measured["theirs_seconds"],
        "theirs_seconds": measured["ours_seconds"],
        "runs": measured["runs"],
    }


def bootstrap(rows: int, replicates: int) -> Row:
    """The same five metrics of every slice in every replicate, per replicate."""
    import numpy as np

    from auditor.metrics.resampling import cell_replicates

    frame = population(rows, 50)
    groups = Groups.declare([Attribute(name="group", levels=tuple(sorted(frame.group.unique())))])
    codes = groups.encode({"group": frame.group})
    y, p = frame.y.to_numpy(), frame.p.to_numpy()
    counts = confusion_counts(groups, codes, y, p)

    def ours() -> None:
        cells = counts.family(("group",)).ravel()
        drawn = cell_replicates(cells, replicates=replicates, seed=0)
        tn, fp, _, fn, tp, *_ = np.moveaxis(drawn.reshape(replicates, -1, 9), 2, 0)
        with np.errstate(invalid="ignore"):  # the slice of a missing value is empty here
            total = tn + fp + fn + tp
            rates = [(tp + fp) / total, tp / (tp + fn), fp / (fp + tn), tp / (tp + fp),
                     (tp + tn) / total]  # fmt: skip
        assert np.stack(rates).shape == (5, replicates, 51)

    ours()
    seconds = statistics.median(timed(ours) for _ in range(5)) / replicates
    theirs = statistics.median(timed(metric_frame(frame)) for _ in range(2))
    return {
        "what": f"a bootstrap replicate of 5 metrics, 50 slices, {rows:,} rows, of {replicates:,}",
        "against": "one fairlearn MetricFrame",
        "bound": ">= 100000",
        "ours_seconds": seconds,
        "theirs_seconds": theirs,
        "ratio": theirs / seconds,
        "runs": 5,
    }


def torch_rates(rows: int) -> Row:
    """Counts of 50 groups, against torchmetrics, which gives TP, FP, TN and FN by group."""
    row: Row = {
        "what": f"5 metrics, 50 slices, {rows:,} rows, with intervals",
        "against": "torchmetrics BinaryGroupStatRates",
        "bound": budget(">= 1", rows),
    }
    if reason := not_installed("torchmetrics"):
        return {**row, "reason": reason}
    import torch
    from torchmetrics.classification import (
        BinaryGroupStatRates,  # type: ignore[import-not-found]
    )

    frame = population(rows, 50)
    p, y = (torch.from_numpy(frame[name].to_numpy()).long() for name in ("p", "y"))
    codes = torch.from_numpy(frame.group.astype(int).to_numpy())
    metric = BinaryGroupStatRates(num_groups=50)
    return {**row, **side_by_side(counted(frame), lambda: metric(p, y, codes), runs=3)}


def aequitas_groups(rows: int) -> Row:
    """The same, against the cross table of aequitas."""
    row: Row = {
        "what": f"5 metrics, 50 slices, {rows:,} rows, with intervals",
        "against": "aequitas Group.get_crosstabs",
        "bound": budget(">= 10", rows),
    }
    try:
        from aequitas.group import Group  # type: ignore[import-not-found]
    except ImportError as error:
        return {**row, "reason": f"{error.name or 'aequitas'} is not installed"}
    frame = population(rows, 50)
    table = pd.DataFrame(
        {"group": frame.group.astype(object), "label_value": frame.y, "score": frame.p}
    )

    def theirs() -> Any:
        return Group().get_crosstabs(table, attr_cols=["group"])

    return {**row, **side_by_side(counted(frame), theirs, runs=3)}


def one_matrix(rows: int) -> Row:
    """50 slices and their metrics, against scikit-learn's one confusion matrix of all rows."""
    from sklearn.metrics import confusion_matrix

    frame = population(rows, 50)
    y, p = frame.y.to_numpy(), frame.p.to_numpy()
    return {
        "what": f"5 metrics, 50 slices, {rows:,} rows, with intervals",
        "against": "one sklearn confusion_matrix",
        "bound": budget(">= 1", rows),
        **side_by_side(counted(frame), lambda: confusion_matrix(y, p), runs=5),
    }


def auc(rows: int) -> Row:
    """AUC with intervals for 50 slices, against one roc_auc_score over all rows."""
    from sklearn.metrics import roc_auc_score

    frame = population(rows, 50)
    groups = Groups.declare([Attribute(name="group", levels=tuple(sorted(frame.group.unique())))])
    codes = groups.encode({"group": frame.group})
    y, s = frame.y.to_numpy(), frame.score.to_numpy()

    def ours() -> None:
        counts = score_counts(groups, codes, y, s, grid=ScoreGrid())
        for family in groups.families:
            for sample in slice_samples("auc", counts, family).samples.values():
                estimate(sample, confidence=0.95)

    return {
        "what": f"score histograms and AUC of 50 slices, {rows:,} rows",
        "against": "one sklearn roc_auc_score",
        "bound": budget(">= 5", rows),
        **side_by_side(ours, lambda: roc_auc_score(y, s), runs=5),
    }
