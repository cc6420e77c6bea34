"""The largest gap between any two groups, for families where all pairs can be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.checks.bias.families import MOST_SLICES
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
    between: Sequence[str] | None = None,
) -> list[Measured]:
    """Measure the metrics, and for attributes of up to 40 groups their largest gaps as well.

    ``between`` are the metrics whose gaps are given, all of them by default; ``extremes`` are those
    of families of up to 1,000 groups. What is left out is named once a metric and family, with
    the reason.
    """
    wanted = names if between is None else between
    occupied = {f: int((records_by_slice(statistic, f) > 0).sum()) for f in families}
    out: list[Measured] = []
    for least, most in ((0, MOST_GROUPS), (MOST_GROUPS, MOST_SLICES), (MOST_SLICES, None)):
        some = [f for f in families if least < max(occupied[f], 1) and (
            most is None or occupied[f] <= most)]  # fmt: skip
        out += disaggregate(
            names, statistic, extremes=() if most is None else extremes, families=some,
            reference=reference, confidence=confidence,
            between=wanted if most == MOST_GROUPS else (),
        )  # fmt: skip
    for family, groups in occupied.items():
        if len(family) == 1 and groups > MOST_GROUPS:
            why = f"{groups:,} groups: beyond {MOST_GROUPS} not all pairs are compared"
            out += [(name, Slice(), None, family, Absent(why)) for name in _gaps(wanted)]
        if family and groups > MOST_SLICES:
            why = f"{groups:,} groups: beyond {MOST_SLICES:,} not all pairs are compared"
            out += [(name, Slice(), None, family, Absent(why)) for name in extremes]
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
