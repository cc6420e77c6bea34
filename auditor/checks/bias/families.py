"""Which families of slices a check speaks of, and how much it says of very large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.evidence import Slice
from auditor.metrics import Absent, Measured
from auditor.metrics.slices import records_by_slice
from auditor.stats import Family, Groups, Statistic

__all__ = ["MOST_SLICES", "chosen_families", "listed"]

MOST_SLICES = 1_000
"""Beyond so many slices of one family only the first few metrics are listed slice by slice."""

_LISTED = ("count", "base_rate", "selection_rate", "true_positive_rate", "false_positive_rate",
           "accuracy", "auc", "mean_score")  # fmt: skip


def chosen_families(
    groups: Groups, sensitive: Sequence[str] | None, intersections: int | None
) -> list[Family]:
    """Return the families over the given attributes, of up to so many of them."""
    return [
        family for family in groups.families
        if (sensitive is None or set(family) <= set(sensitive))
        and (intersections is None or len(family) <= intersections)
    ]  # fmt: skip


def listed(
    measure: Callable[[Sequence[str], Sequence[Family]], list[Measured]],
    names: Sequence[str],
    statistic: Statistic,
    families: Sequence[Family],
) -> list[Measured]:
    """Measure all metrics for families of usual size, and a few for very large ones.

    A family of 50,000 slices has millions of numbers that nobody reads. What is left out there is
    named once a metric, with the reason; it can be asked for by name.
    """
    large = [f for f in families if int((records_by_slice(statistic, f) > 0).sum()) > MOST_SLICES]
    usual = [family for family in families if family not in large]
    out = measure(names, usual) if usual else []
    few = [name for name in names if name in _LISTED]
    if large:
        out += measure(few, large)
    for family in large:
        slices = int((records_by_slice(statistic, family) > 0).sum())
        reason = Absent(
            f"{slices:,} slices: beyond {MOST_SLICES:,} only the main metrics are listed; name "
            "this one in metrics_of to have it"
        )
        out += [(name, Slice(), None, family, reason) for name in names if name not in few]
    return out
