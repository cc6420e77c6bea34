"""The largest gap between any two groups, for families where all pairs can be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence import Slice
from auditor.metrics import (
    METRICS,
    Absent,
    Measured,
    Reference,
    disaggregate,
    split_parameter,
    with_parameter,
)
from auditor.metrics.slices import records_by_slice
from auditor.stats import Family, Statistic

__all__ = ["MOST_GROUPS", "disaggregate_between"]

MOST_GROUPS = 40
"""Beyond so many groups their pairs are not all compared where each is a comparison of its own."""


def disaggregate_between(
    names: Sequence[str],
    statistic: Statistic,
    *,
    families: Sequence[Family],
    reference: Reference,
    confidence: float,
    extremes: Sequence[str] = (),
) -> list[Measured]:
    """Measure the metrics, and for families of up to 40 groups their largest gaps as well.

    What is left out is named once a metric and family, with the reason.
    """
    occupied = {f: int((records_by_slice(statistic, f) > 0).sum()) for f in families}
    out: list[Measured] = []
    for fits in (True, False):
        some = [f for f in families if (occupied[f] <= MOST_GROUPS) == fits]
        out += disaggregate(
            names, statistic, extremes=extremes, families=some, reference=reference,
            confidence=confidence, between=names if fits else (),
        )  # fmt: skip
    for family, groups in occupied.items():
        if groups > MOST_GROUPS:
            why = f"{groups:,} groups: beyond {MOST_GROUPS} not all pairs are compared"
            out += [(name, Slice(), None, family, Absent(why)) for name in _gaps(names)]
    return out


def _gaps(names: Sequence[str]) -> list[str]:
    out: list[str] = []
    for name in names:
        base, parameter = split_parameter(name)
        out += [
            with_parameter(f"{base}_{operation}", parameter)
            for operation in ("difference", "ratio") if f"{base}_{operation}" in METRICS
        ]  # fmt: skip
    return out
