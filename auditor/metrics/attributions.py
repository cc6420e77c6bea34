"""Means read off sums: losses of the training loop, and attributions of explanations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.samples import Absent, Mean, Sample

__all__ = ["ATTRIBUTIONS", "LOSSES", "columns_of", "mean_of"]

LOSSES = "loss-sums"
ATTRIBUTIONS = "attribution-sums"


def columns_of(quantity: str) -> tuple[str, str]:
    """Return the names of the columns that hold the sum and the sum of squares of a quantity."""
    return f"sum:{quantity}", f"squares:{quantity}"


def mean_of(total: float, squares: float, n: float) -> Sample:
    """Return the mean and its standard error √((Σx² − (Σx)²/n) / (n (n − 1))).

    >>> mean_of(6.0, 14.0, 3).value  # 1, 2, 3
    2.0
    """
    if n <= 0:
        return Absent("no records")
    if not (math.isfinite(total) and math.isfinite(squares)):
        return Absent("a value is not finite")
    if n < 2:
        return Absent("one record has no standard error")
    spread = max(squares - total * total / n, 0.0) / (n - 1)
    return Mean(total / n, math.sqrt(spread / n), n, "normal")


def _mean(quantity: str | None, limits: tuple[float | None, float | None]) -> SampleReader:
    def read(row: NDArray[Any], columns: Sequence[str], parameter: str | None) -> Sample:
        total, squares = columns_of(quantity or f"feature:{parameter}")
        if total not in columns:
            return Absent(f"{parameter or quantity} was not measured")
        sample = mean_of(
            float(row[columns.index(total)]),
            float(row[columns.index(squares)]),
            float(row[columns.index("records")]),
        )
        if not isinstance(sample, Mean):
            return sample
        return Mean(sample.value, sample.standard_error, sample.n, sample.method, *limits)

    return read


add_metric(
    Metric(
        "mean_loss", "Mean loss", LOSSES, low=None, high=None, ideal=None, better="lower",
        read=_mean("loss", (None, None)), formula="mean of the per-record loss",
        source="the user's criterion, unreduced",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_absolute_attribution", "Mean absolute attribution", ATTRIBUTIONS, high=None,
        read=_mean(None, (0.0, None)), parameter="feature",
        formula="mean over records of |attribution|",
        source="Erion et al. (2021), expected gradients",
    )
)  # fmt: skip
add_metric(
    Metric(
        "protected_reliance", "Reliance on protected attributes", ATTRIBUTIONS, ideal=0.0,
        better="lower", read=_mean("protected", (0.0, 1.0)),
        formula="mean share of |attribution| that falls on the protected attributes",
        source="attributions alone can be gamed (Slack et al. 2020): read it beside the rates",
    )
)  # fmt: skip
add_metric(
    Metric(
        "completeness_residual", "Completeness residual of the explanations", ATTRIBUTIONS,
        high=None, ideal=0.0, better="lower", read=_mean("residual", (0.0, None)),
        formula="mean |sum of attributions − (output − mean background output)| / sd of output",
        source="Sundararajan, Taly and Yan (2017), axiom of completeness",
    )
)  # fmt: skip
add_metric(
    Metric(
        "attribution_error", "Monte-Carlo error of the attributions", ATTRIBUTIONS, high=None,
        ideal=0.0, better="lower", read=_mean("error", (0.0, None)),
        formula="mean standard error of an attribution / mean |attribution|",
        source="batch means over the samples",
    ),
    compared=False,
)  # fmt: skip
