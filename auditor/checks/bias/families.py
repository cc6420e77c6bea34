"""Which families of slices a check speaks of, and how much it says of very large ones."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence import Slice
from auditor.metrics import Absent, Measured, Reference, disaggregate
from auditor.metrics.metric import comparison_of
from auditor.metrics.slices import records_by_slice
from auditor.stats import Family, Groups, Statistic

__all__ = ["MOST_GROUPS", "MOST_SLICES", "chosen_families", "listed", "parted"]

MOST_GROUPS = 40
"""Beyond so many groups their pairs are not all compared where each is a comparison of its own."""

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
        slices = _occupied(statistic, family)
        if slices > MOST_SLICES:
            large[family] = Absent(
                f"{slices:,} slices: beyond {MOST_SLICES:,} only records and selection are listed; "
                "bins or coarser groups would have it"
            )
        else:
            usual.append(family)
    return usual, large


def listed(
    names: Sequence[str],
    statistic: Statistic,
    families: Sequence[Family],
    *,
    reference: Reference,
    confidence: float,
    extremes: Sequence[str] = (),
    between: Sequence[str] | None = None,
) -> list[Measured]:
    """Measure as much of each family as can be read.

    - Of a family of up to 1,000 slices: all metrics, and the ``extremes``, which speak of all its
      groups at once.
    - Of an attribute of up to 40 groups besides: the largest gaps between any two of them, of the
      metrics ``between`` (all by default).
    - Of a larger family: records and selection.

    What is left out is named once a metric and family, with the reason.
    """
    usual, large = parted(statistic, families)
    gaps = names if between is None else between
    many = {
        family: groups for family in usual
        if (groups := _occupied(statistic, family)) > MOST_GROUPS
    }  # fmt: skip
    out: list[Measured] = []
    for some, paired in (([f for f in usual if f not in many], gaps), (list(many), ())):
        out += disaggregate(
            names, statistic, families=some, extremes=extremes, between=paired,
            reference=reference, confidence=confidence,
        )  # fmt: skip
    for family, groups in many.items():
        if len(family) == 1:
            why = Absent(f"{groups:,} groups: beyond {MOST_GROUPS} not all pairs are compared")
            out += [
                (gap, Slice(), None, family, why) for name in gaps
                for operation in ("difference", "ratio")
                if (gap := comparison_of(name, operation)) is not None
            ]  # fmt: skip
    few = [name for name in names if name in _LISTED]
    out += disaggregate(few, statistic, families=list(large), compared=(), confidence=confidence)
    for family, why in large.items():
        left_out = [*(name for name in names if name not in few), *extremes]
        out += [(name, Slice(), None, family, why) for name in left_out]
    return out


def _occupied(statistic: Statistic, family: Family) -> int:
    return int((records_by_slice(statistic, family) > 0).sum())
