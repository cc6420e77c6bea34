"""Selection compared within strata, and whether that turns the plain comparison round."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.intervals import newcombe, normal_quantile
from auditor.metrics.mantel_haenszel import (
    Pooled,
    cmh_test,
    mantel_haenszel_difference,
    mantel_haenszel_odds_ratio,
    mantel_haenszel_ratio,
)
from auditor.metrics.metric import Metric, PairReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Projected, Sample
from auditor.stats import STRATA

__all__ = ["CONDITIONAL", "UNPLACED", "reversal"]

Array = NDArray[np.float64]
Tables = tuple[Array, Array, Array, Array]

# Rates that are equal by arithmetic differ by rounding.
_ROUNDING = 1e-12
_MH = "Mantel and Haenszel (1959)"


def reversal(
    marginal: float,
    conditional: float,
    *,
    group: str = "the group",
    reference: str = "the reference",
    within: str = "the strata",
) -> str | None:
    """Say in one sentence that a comparison within strata reverses the plain one (Simpson 1951).

    Parameters
    ----------
    marginal, conditional:
        The difference in selection rates of the group less the reference, over all and within
        the strata.

    ``None`` where the two have the same sign, or one of them is 0.

    >>> reversal(-0.142, 0.018, group="women", reference="men", within="departments")
    'Within departments, women are selected at a rate higher by 1.8 percentage points than men, \
while overall it is lower by 14.2: the comparison reverses when departments are taken into account.'
    >>> reversal(-0.1, -0.02) is None
    True
    """
    if min(abs(marginal), abs(conditional)) < _ROUNDING or (marginal > 0) == (conditional > 0):
        return None
    words = {True: "higher", False: "lower"}
    return (
        f"Within {within}, {group} are selected at a rate {words[conditional > 0]} by "
        f"{abs(conditional) * 100:.1f} percentage points than {reference}, while overall it is "
        f"{words[marginal > 0]} by {abs(marginal) * 100:.1f}: the comparison reverses when "
        f"{within} are taken into account."
    )


def _by_stratum(row: Row) -> tuple[Array, Array]:
    """Return selected and total of each stratum."""
    table = np.asarray(row.values[2:], np.float64).reshape(-1, 2)
    return table[:, 1], table[:, 0]


def _reader(measure: Callable[[Tables], Sample]) -> dict[str, PairReader]:
    def read(mine: Row, theirs: Row) -> Sample:
        return measure((*_by_stratum(mine), *_by_stratum(theirs)))

    return {STRATA: read}


def _compared(tables: Tables) -> tuple[float, float]:
    """Return the records in strata that hold both groups, and their weight Σ n₁n₂/N."""
    _, m, _, n = tables
    both = (m > 0) & (n > 0)
    m, n = m[both], n[both]
    return float((m + n).sum()), float((m * n / (m + n)).sum())


def _half(confidence: float, weight: float) -> float:
    """Return how far a rate may lie from 0 or 1 that was seen in all of so many: Wilson's bound."""
    squared = normal_quantile(confidence) ** 2
    return squared / (weight + squared)


def _difference(tables: Tables) -> Sample:
    found = mantel_haenszel_difference(*tables)
    if isinstance(found, Absent):
        return found
    n, weight = _compared(tables)

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        half = normal_quantile(confidence) * found.standard_error / math.sqrt(factor)
        if not found.standard_error:
            half = _half(confidence, weight * factor)
        return max(found.value - half, -1.0), min(found.value + half, 1.0)

    return Projected(found.value, n, "mantel-haenszel-sato", bounds)


def _ratio_of(found: Pooled | Absent, tables: Tables, method: str) -> Sample:
    if isinstance(found, Absent):
        return found
    n, weight = _compared(tables)

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        if not math.isfinite(found.standard_error):
            return 0.0, math.inf
        half = normal_quantile(confidence) * found.standard_error / math.sqrt(factor)
        if not found.standard_error:
            half = -math.log1p(-_half(confidence, weight * factor))
        return found.value * math.exp(-half), found.value * math.exp(half)

    return Projected(found.value, n, method, bounds)


def _ratio(tables: Tables) -> Sample:
    found = mantel_haenszel_ratio(*tables)
    return _ratio_of(found, tables, "mantel-haenszel-greenland-robins")


def _odds_ratio(tables: Tables) -> Sample:
    found = mantel_haenszel_odds_ratio(*tables)
    return _ratio_of(found, tables, "mantel-haenszel-robins-breslow-greenland")


def _test(tables: Tables) -> Sample:
    found = cmh_test(*tables)
    if isinstance(found, Absent):
        return found
    return Census(found.p_value, _compared(tables)[0], "cochran-mantel-haenszel")


def _marginal(tables: Tables) -> Sample:
    a, m, b, n = (float(part.sum()) for part in tables)
    if not m or not n:
        return Absent("no record in any stratum" if not m else "the reference: no such record")

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        low, high = newcombe(a * factor, m * factor, b * factor, n * factor, confidence=confidence)
        return float(low), float(high)

    return Projected(a / m - b / n, m + n, "newcombe", bounds)


def _reversed(tables: Tables) -> Sample:
    within, overall = mantel_haenszel_difference(*tables), _marginal(tables)
    if isinstance(within, Absent):
        return within
    if isinstance(overall, Absent):
        return overall
    turned = reversal(overall.value, within.value) is not None
    return Census(float(turned), _compared(tables)[0], "opposite-signs")


CONDITIONAL: tuple[str, ...] = tuple(
    add_metric(metric).id
    for metric in (
        Metric(
            "conditional_parity_difference", "Difference in selection rates within strata",
            low=-1.0, ideal=0.0, pairs=_reader(_difference),
            formula="Σ (p₁ − p₂) n₁n₂/N over Σ n₁n₂/N, over the strata",
            source="Greenland and Robins (1985); Sato (1989); Wachter, Mittelstadt and Russell "
            "(2021), conditional demographic disparity",
        ),
        Metric(
            "conditional_parity_ratio", "Ratio of selection rates within strata", high=None,
            ideal=1.0, pairs=_reader(_ratio), formula="Σ x₁n₂/N over Σ x₂n₁/N, over the strata",
            source=f"{_MH}; Greenland and Robins (1985)",
        ),
        Metric(
            "conditional_odds_ratio", "Odds ratio of selection within strata", high=None,
            ideal=1.0, pairs=_reader(_odds_ratio),
            formula="Σ x₁(n₂ − x₂)/N over Σ x₂(n₁ − x₁)/N, over the strata",
            source=f"{_MH}; Robins, Breslow and Greenland (1986)",
        ),
        Metric(
            "cmh_p_value", "P-value of equal selection within strata", ideal=1.0, better="higher",
            pairs=_reader(_test), formula="Cochran-Mantel-Haenszel χ² with 1 degree of freedom, "
            "without continuity correction",
            source=_MH,
        ),
        Metric(
            "marginal_parity_difference", "Difference in selection rates over all strata",
            low=-1.0, ideal=0.0, pairs=_reader(_marginal), formula="p₁ − p₂, strata put together",
            source="Newcombe (1998)",
        ),
        Metric(
            "simpson_reversal", "Strata reverse the comparison", ideal=0.0, better="lower",
            pairs=_reader(_reversed),
            formula="1 where the difference within strata and the one over all have opposite "
            "signs, else 0",
            source="Simpson (1951), The interpretation of interaction in contingency tables",
        ),
    )
)  # fmt: skip
"""What is measured of each slice against its reference, within strata."""


def _unplaced(row: Row) -> Sample:
    records = row.column("records")
    if not records:
        return Absent("no records")
    return Census(row.column("unplaced") / records, records)


UNPLACED = add_metric(
    Metric(
        "unplaced_rate", "Share of records without a stratum", ideal=0.0, better="lower",
        readers={STRATA: _unplaced},
        formula="records without a stratum or without a prediction / records",
        source="counted over the whole table",
    ),
    compared=False,
).id  # fmt: skip
"""What the comparison within strata leaves out."""
