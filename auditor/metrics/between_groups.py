"""How much the rates of groups really differ: what chance adds to variances and gaps taken off."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.evidence import Slice
from auditor.metrics.estimates import Estimate
from auditor.metrics.extremes import extreme
from auditor.metrics.largest_gap import between_group_variance, bias_corrected_gap
from auditor.metrics.metric import METRICS, Metric, add_metric, with_parameter
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Projected, Proportion, Sample, scaled
from auditor.stats import CONFUSION

__all__ = ["BETWEEN_GROUPS"]

_OF = ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy")
_LUM = "Lum, Zhang and Bower (2022), De-biasing 'bias' measurement, arXiv 2205.05770"


def _rates(rows: Mapping[Slice, Row]) -> list[Proportion] | Absent:
    name = next(iter(rows.values())).parameter or ""
    read = METRICS.get(name).readers.get(CONFUSION) if name in METRICS else None
    if read is None:
        return Absent(f"{name or 'no metric'} is no rate of the confusion table")
    rates = [sample for sample in map(read, rows.values()) if isinstance(sample, Proportion)]
    if sum(rate.n >= 2 for rate in rates) < 2:
        return Absent("fewer than two groups with two records")
    return rates


def _gap(rows: Mapping[Slice, Row]) -> Sample:
    rates = _rates(rows)
    if isinstance(rates, Absent):
        return rates
    value = bias_corrected_gap([r.x for r in rates], [r.n for r in rates])
    if isinstance(value, Absent):
        return value

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        grown = [scaled(rate, factor) for rate in rates]
        found = extreme("difference", [grown], confidence=confidence)
        if not isinstance(found, Estimate) or found.low is None or found.high is None:
            return 0.0, 1.0
        return min(found.low, value), max(found.high, value)

    n = sum(rate.n for rate in rates)
    return Projected(value, n, "bias-corrected-parametric-bootstrap", bounds)


def _variance(rows: Mapping[Slice, Row]) -> Sample:
    rates = _rates(rows)
    if isinstance(rates, Absent):
        return rates
    x, n = [rate.x for rate in rates], [rate.n for rate in rates]
    found = between_group_variance(x, n, confidence=0.95)
    if isinstance(found, Absent):
        return found

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        grown = between_group_variance(
            [k * factor for k in x], [k * factor for k in n], confidence=confidence
        )
        return (0.0, 1.0) if isinstance(grown, Absent) else (grown.low, grown.high)

    return Projected(max(found.value, 0.0), sum(n), found.method, bounds)


add_metric(
    Metric(
        "bias_corrected_gap", "Largest gap without its upward bias", ideal=0.0, better="lower",
        aggregates={CONFUSION: _gap}, parameter="metric",
        formula="largest difference − its bias, estimated by a parametric bootstrap; the interval "
        "is that of the largest difference",
        source=_LUM,
    )
)  # fmt: skip
add_metric(
    Metric(
        "between_group_variance", "Variance between groups, without noise", ideal=0.0,
        better="lower", aggregates={CONFUSION: _variance}, parameter="metric",
        formula="variance of the rates − their mean squared standard error, at least 0",
        source=_LUM,
    )
)  # fmt: skip

BETWEEN_GROUPS: tuple[str, ...] = tuple(
    with_parameter(name, of) for name in ("bias_corrected_gap", "between_group_variance")
    for of in _OF
)  # fmt: skip
"""What is said of all groups together, for the main rates."""
