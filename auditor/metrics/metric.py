"""What a metric is: typed by its range, its ideal and its direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.metrics.estimates import Comparison
from auditor.metrics.row import Row
from auditor.metrics.samples import Sample
from auditor.registry import Registry

__all__ = [
    "METRICS",
    "AggregateReader",
    "Metric",
    "PairReader",
    "SampleReader",
    "add_metric",
    "comparison_of",
    "split_parameter",
    "with_parameter",
]

SampleReader = Callable[[Row], Sample]
"""The numbers of one slice → sample."""

PairReader = Callable[[Row, Row], Sample]
"""The numbers of a slice and of its reference → sample."""

AggregateReader = Callable[[Mapping[Slice, Row]], Sample]
"""The numbers of all known slices of a family that hold records → sample."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one slice, a comparison of two, or one number over all groups of a family.

    A metric has exactly one of ``readers``, ``pairs``, ``aggregates`` and ``components``.

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
    readers:
        For a metric of one slice: how it is read off each kind of statistic.
    pairs:
        For a metric of a slice against a reference that is no difference or ratio of two values (a
        distance of distributions, a test): how it is read off each kind of statistic.
    aggregates:
        For one number over all groups (an index of inequality): how it is read off each kind.
    components:
        For comparisons and extremes, the metrics that are compared.
    operation:
        ``difference`` or ``ratio``, for comparisons and extremes.
    extreme:
        Whether it is the largest difference, or the smallest ratio, over all pairs of groups.
    parameter:
        What its name carries in brackets, if anything (``column`` of ``missing_rate[age]``).
    counts:
        What its ``n`` counts: ``records``, ``columns``, ``measurements`` (sampled steps, devices,
        counters), or ``parameter``, which names the unit.
    formula, source:
        How it is defined, and where.
    """

    id: str
    title: str
    low: float | None = 0.0
    high: float | None = 1.0
    ideal: float | None = None
    better: Literal["higher", "lower"] | None = None
    readers: Mapping[str, SampleReader] = field(default_factory=dict[str, SampleReader])
    pairs: Mapping[str, PairReader] = field(default_factory=dict[str, PairReader])
    aggregates: Mapping[str, AggregateReader] = field(default_factory=dict[str, AggregateReader])
    components: tuple[str, ...] = ()
    operation: Comparison | None = None
    extreme: bool = False
    parameter: str | None = None
    counts: Literal["records", "columns", "measurements", "parameter"] = "records"
    formula: str = ""
    source: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of statistic that it can be read off."""
        if self.components:
            kinds = [METRICS.get(name).kinds for name in self.components]
            return tuple(kind for kind in kinds[0] if all(kind in other for other in kinds))
        return (*self.readers, *self.pairs, *self.aggregates)

    def counts_records(self, parameter: str | None) -> bool:
        """Whether its ``n`` is a number of records, of which few decide nothing."""
        return self.counts == "records" or (self.counts == "parameter" and parameter == "rows")

    @property
    def compares(self) -> bool:
        """Whether it speaks of a slice against a reference."""
        return bool(self.pairs) or (self.operation is not None and not self.extreme)

    @property
    def over_groups(self) -> bool:
        """Whether it is one number over all groups of a family."""
        return self.extreme or bool(self.aggregates)


METRICS: Registry[Metric] = Registry("metric", group="auditor.metrics")


def add_metric(metric: Metric, *, compared: bool = True) -> Metric:
    """Register a metric; for one of a slice, unless told otherwise, its difference and ratio too.

    A ratio is there where the values cannot be negative.
    """
    METRICS.add(metric.id, metric)
    if not metric.readers or not compared:
        return metric
    span = None if metric.high is None or metric.low is None else metric.high - metric.low
    METRICS.add(
        f"{metric.id}_difference",
        Metric(
            f"{metric.id}_difference", f"Difference in {_lower(metric.title)}",
            low=None if span is None else -span, high=span, ideal=0.0, components=(metric.id,),
            operation="difference", parameter=metric.parameter,
            formula="value of the slice − value of the reference; over groups, the largest of all",
        ),
    )  # fmt: skip
    if metric.low is not None and metric.low >= 0:
        METRICS.add(
            f"{metric.id}_ratio",
            Metric(
                f"{metric.id}_ratio", f"Ratio of {_lower(metric.title)}", low=0.0,
                high=None, ideal=1.0, components=(metric.id,), operation="ratio",
                parameter=metric.parameter,
                formula="value of the slice / value of the reference; over groups, the smallest",
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


def with_parameter(name: str, parameter: str | None) -> str:
    """Join a metric and its parameter again.

    >>> with_parameter("missing_rate", "age"), with_parameter("auc", None)
    ('missing_rate[age]', 'auc')
    """
    return name if parameter is None else f"{name}[{parameter}]"


def comparison_of(name: str, operation: str) -> str | None:
    """Return the metric that compares two slices by this one; ``None`` where they are not compared.

    >>> comparison_of("true_positive_rate[cat]", "difference"), comparison_of("count", "ratio")
    ('true_positive_rate_difference[cat]', None)
    """
    base, parameter = split_parameter(name)
    metric = f"{base}_{operation}"
    return with_parameter(metric, parameter) if metric in METRICS else None


def _lower(title: str) -> str:
    """Write a title inside a sentence: ``Base rate`` as ``base rate``, ``F1`` and ``R²`` as is."""
    return (
        title if title[1:2].isupper() or not title[1:2].isalpha() else title[0].lower() + title[1:]
    )
