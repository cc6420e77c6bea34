"""Means read off the sums of attributions."""

from __future__ import annotations

from auditor.metrics.means import columns_of, mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Sample

__all__ = ["ATTRIBUTIONS", "columns_of", "mean_of"]

ATTRIBUTIONS = "attribution-sums"


def _mean(quantity: str | None, limits: tuple[float | None, float | None]) -> SampleReader:
    def read(row: Row) -> Sample:
        total, squares = columns_of(quantity or f"feature:{row.parameter}")
        if total not in row.columns:
            return Absent(f"{row.parameter or quantity} was not measured")
        sample = mean_of(row.column(total), row.column(squares), row.column("records"))
        if not isinstance(sample, Mean):
            return sample
        return Mean(sample.value, sample.standard_error, sample.n, sample.method, *limits)

    return read


add_metric(
    Metric(
        "mean_absolute_attribution", "Mean absolute attribution", high=None,
        readers={ATTRIBUTIONS: _mean(None, (0.0, None))}, parameter="feature",
        formula="mean over records of |attribution|",
        source="Erion et al. (2021), expected gradients",
    )
)  # fmt: skip
add_metric(
    Metric(
        "protected_reliance", "Reliance on protected attributes", ideal=0.0,
        better="lower", readers={ATTRIBUTIONS: _mean("protected", (0.0, 1.0))},
        formula="mean share of |attribution| that falls on the protected attributes",
        source="attributions alone can be gamed (Slack et al. 2020): read it beside the rates",
    )
)  # fmt: skip
add_metric(
    Metric(
        "completeness_residual", "Completeness residual of the explanations",
        high=None, ideal=0.0, better="lower",
        readers={ATTRIBUTIONS: _mean("residual", (0.0, None))},
        formula="mean |sum of attributions − (output − mean background output)| / sd of output",
        source="Sundararajan, Taly and Yan (2017), axiom of completeness",
    )
)  # fmt: skip
add_metric(
    Metric(
        "attribution_error", "Monte-Carlo error of the attributions", high=None,
        ideal=0.0, better="lower", readers={ATTRIBUTIONS: _mean("error", (0.0, None))},
        formula="mean standard error of an attribution / mean |attribution|",
        source="batch means over the samples",
    ),
    compared=False,
)  # fmt: skip
