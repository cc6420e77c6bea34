"""What a metric is: typed by its range, its ideal and its direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.metrics.estimates import Comparison
from auditor.metrics.samples import Sample
from auditor.registry import Registry

__all__ = ["METRICS", "Metric", "SampleReader", "add_metric", "split_parameter"]

SampleReader = Callable[[NDArray[Any], "Sequence[str]", str | None], Sample]
"""(values of one slice, names of the columns, the metric's parameter) → sample."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one slice, a comparison of two, or an extreme over all groups.

    Parameters
    ----------
    id:
        The field's name for it; fairlearn's where fairlearn has one.
    low, high:
        The range; ``None`` is no limit. ``unit`` is shown beside values.
    ideal:
        The best value, or ``None`` where there is none (a selection rate).
    better:
        Which direction is better: it chooses the best group, and is the axis of the charts.
    kind:
        The kind of statistic that it reads.
    read:
        Reads the sample of one slice; ``None`` for comparisons and extremes.
    components:
        For comparisons and extremes, the metrics that are compared.
    operation:
        ``difference`` or ``ratio``, for comparisons and extremes.
    extreme:
        Whether it is the largest difference, or the smallest ratio, over all pairs of groups.
    formula, source:
        How it is defined, and where.
    """

    id: str
    title: str
    kind: str
    low: float | None = 0.0
    high: float | None = 1.0
    ideal: float | None = None
    better: Literal["higher", "lower"] | None = None
    read: SampleReader | None = None
    components: tuple[str, ...] = ()
    operation: Comparison | None = None
    extreme: bool = False
    parameter: str | None = None
    formula: str = ""
    source: str = ""


METRICS: Registry[Metric] = Registry("metric", group="auditor.metrics")


def add_metric(metric: Metric, *, compared: bool = True) -> Metric:
    """Register a metric of one slice and, unless told otherwise, its difference and its ratio."""
    METRICS.add(metric.id, metric)
    if metric.read is None or not compared:
        return metric
    span = None if metric.high is None or metric.low is None else metric.high - metric.low
    METRICS.add(
        f"{metric.id}_difference",
        Metric(
            f"{metric.id}_difference", f"Difference in {metric.title.lower()}", metric.kind,
            low=None if span is None else -span, high=span, ideal=0.0, components=(metric.id,),
            operation="difference", parameter=metric.parameter,
            formula="value of the slice − value of the reference",
        ),
    )  # fmt: skip
    if metric.low is not None and metric.low >= 0:
        METRICS.add(
            f"{metric.id}_ratio",
            Metric(
                f"{metric.id}_ratio", f"Ratio of {metric.title.lower()}", metric.kind, low=0.0,
                high=None, ideal=1.0, components=(metric.id,), operation="ratio",
                parameter=metric.parameter, formula="value of the slice / value of the reference",
            ),
        )  # fmt: skip
    return metric


def split_parameter(name: str) -> tuple[str, str | None]:
    """Split ``missing_rate[age]`` into its metric and its parameter.

    >>> split_parameter("missing_rate[age]"), split_parameter("auc")
    (('missing_rate', 'age'), ('auc', None))
    """
    base, bracket, rest = name.partition("[")
    if not bracket:
        return name, None
    if not rest.endswith("]") or not base:
        raise InputError(f"{name!r} is not a metric", valid="metric or metric[parameter]")
    return base, rest[:-1]
