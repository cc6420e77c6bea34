"""Which families of slices a check speaks of, and how much it says of very large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.evidence import Slice
from auditor.metrics import Absent, Measured, disaggregate
from auditor.metrics.slices import records_by_slice
from auditor.stats import Family, Groups, Statistic

__all__ = ["MOST_SLICES", "chosen_families", "listed", "parted"]

MOST_SLICES = 1_000
"""Beyond so many slices of one family only the main metrics are listed slice by slice."""

_LISTED = ("count", "selection_rate", "mean_prediction", "auc")


def chosen_families(
    groups: Groups, sensitive: Sequence[str] | None, intersections: int | None
) -> list[Family]:
    """Return the families over the given attributes, of up to so many of them."""
    return [
        family for family in groups.families
        if (sensitive is None or set(family) <= set(sensitive))
        and (intersections is None or len(family) <= intersections)
    ]  # fmt: skip


def parted(
    statistic: Statistic, families: Sequence[Family]
) -> tuple[list[Family], dict[Family, Absent]]:
    """Part families of usual size from very large ones, with the reason why these are not listed.

    A family of 50,000 slices has millions of numbers that nobody reads.
    """
    usual: list[Family] = []
    large: dict[Family, Absent] = {}
    for family in families:
        slices = int((records_by_slice(statistic, family) > 0).sum())
        if slices > MOST_SLICES:
            large[family] = Absent(
                f"{slices:,} slices: beyond {MOST_SLICES:,} only records and selection are listed; "
                "bins or coarser groups would have it"
            )
        else:
            usual.append(family)
    return usual, large


def listed(
    measure: Callable[[Sequence[str], Sequence[Family]], list[Measured]],
    names: Sequence[str],
    statistic: Statistic,
    families: Sequence[Family],
    *,
    confidence: float,
) -> list[Measured]:
    """Measure all metrics for families of usual size; records and selection for very large ones.

    What is left out is named once a metric and family, with the reason.
    """
    usual, large = parted(statistic, families)
    out = measure(names, usual) if usual else []
    few = [name for name in names if name in _LISTED]
    if large:
        out += disaggregate(
            few, statistic, families=list(large), compared=(), confidence=confidence
        )
    for family, reason in large.items():
        out += [(name, Slice(), None, family, reason) for name in names if name not in few]
    return out
