"""How much accuracy thresholds by group cost, for every ratio between the groups' rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.metrics.samples import Absent
from auditor.mitigation.curves import Curve, curve
from auditor.mitigation.sweep import best_points
from auditor.stats import Family, ScoreCounts

__all__ = ["Tradeoff", "threshold_tradeoff", "tradeoff"]

Rate = Literal["selection_rate", "true_positive_rate"]


@dataclass(frozen=True, slots=True, eq=False)
class Tradeoff:
    """The frontier of accuracy against the ratio between the lowest and the highest group rate.

    In-sample: thresholds chosen on records look a little better on these than on others.

    Parameters
    ----------
    groups:
        The compared groups; those without records are left out.
    rate:
        Whose ratio it is.
    targets:
        The ratios asked for, ascending, shape ``[targets]``.
    ratio, accuracy:
        The ratio reached, and the share of right decisions, shape ``[targets]``.
    thresholds:
        Scores of at least this are selected, shape ``[targets, groups]``; infinity selects nobody.
    rates:
        The rate of each group, shape ``[targets, groups]``.
    current_ratio, current_accuracy, current_rates:
        The same at one threshold for all; the ratio is ``None`` where nobody is selected.
    records:
        The scored records.
    """

    groups: tuple[Slice, ...]
    rate: Rate
    targets: NDArray[np.float64]
    ratio: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    rates: NDArray[np.float64]
    current_ratio: float | None
    current_accuracy: float
    current_rates: NDArray[np.float64]
    records: int

    def at(self, target: float) -> int:
        """Return the position of the smallest stored target that is at least this one."""
        place = int(np.searchsorted(self.targets, target - 1e-9))
        if place == self.targets.size:
            raise InputError(
                f"the target {target} was not asked for", valid=f"up to {self.targets[-1]:g}"
            )
        return place

    def sentence(self, target: float = 0.8) -> str:
        """Say in one sentence what the target would cost."""
        place = self.at(target)
        what = f"{self.rate.replace('_', ' ')} ratio"
        family = " and ".join(self.groups[0].attributes)
        if self.current_ratio is not None and self.current_ratio >= target:
            return (
                f"One threshold for all reaches a {what} of {self.current_ratio:.2f} already "
                f"(in-sample, {self.records:,} records)."
            )
        before = "undefined" if self.current_ratio is None else f"{self.current_ratio:.2f}"
        points = 100 * (self.current_accuracy - self.accuracy[place])
        size = f"{abs(points):.1f} point{'' if f'{abs(points):.1f}' == '1.0' else 's'} of accuracy"
        cost = f"at a cost of {size}" if points >= 0 else f"and gain {size}"
        return (
            f"Thresholds by group of {family} would bring the {what} from {before} to "
            f"{self.ratio[place]:.2f} {cost} (in-sample, {self.records:,} records)."
        )


def threshold_tradeoff(
    counts: ScoreCounts,
    family: Family,
    *,
    threshold: float = 0.5,
    rate: Rate = "selection_rate",
    targets: Sequence[float] | None = None,
) -> Tradeoff | Absent:
    """Read the frontier off score counts, for the known groups of one family.

    ``threshold`` is the one that is used now. On a binned grid the thresholds are lower edges of
    bins, and the bin that ``threshold`` falls into counts as selected. Otherwise as
    :func:`tradeoff`. Absent where fewer than two groups can be compared.
    """
    grid, start = counts.grid, counts.groups.offset(family)
    if grid.values is not None:
        edges = np.asarray(grid.values, np.float64)
        cut = int(np.searchsorted(edges, threshold, side="left"))
    else:
        edges = grid.low + (grid.high - grid.low) * np.arange(grid.bins) / grid.bins
        cut = max(int(np.searchsorted(edges, threshold + 1e-12, side="right")) - 1, 0)
    slices: list[Slice] = []
    tables: list[NDArray[np.int64]] = []
    for number in range(counts.groups.size(family)):
        where = counts.groups.slice_of(family, number)
        table = counts.by_label(start + number)
        if where.known and table.any():
            slices.append(where)
            tables.append(table)
    return tradeoff(tables, slices, edges, cut=cut, rate=rate, targets=targets)


def tradeoff(
    tables: Sequence[ArrayLike],
    groups: Sequence[Slice],
    scores: NDArray[np.float64],
    *,
    cut: int,
    rate: Rate = "selection_rate",
    targets: Sequence[float] | None = None,
) -> Tradeoff | Absent:
    """Compute the frontier from counts of scores by label.

    Parameters
    ----------
    tables:
        For each group, negatives and positives by position, shape ``[positions, 2]``.
    scores:
        The score at which each position begins, ascending, shape ``[positions]``.
    cut:
        The first position that is selected now.
    targets:
        Ratios from 0 to 1; 0, 0.01, …, 1 unless given.

    The optimum for each target is exact over all thresholds by group, without lotteries. Absent
    where fewer than two groups can be compared, or one has no positives for its true positive rate.

    >>> a, b = Slice({"g": "a"}), Slice({"g": "b"})
    >>> found = tradeoff([[[3, 0], [0, 1]], [[1, 0], [0, 3]]], [a, b], np.array([0.2, 0.7]), cut=1,
    ...                  targets=[0.3, 1.0])
    >>> found.accuracy.tolist(), found.ratio.round(2).tolist()
    ([1.0, 0.5], [0.33, 1.0])
    """
    if len(tables) < 2:
        return Absent("only one group holds scored records" if tables else "no scored records")
    wanted = np.unique(np.linspace(0, 1, 101) if targets is None else np.asarray(targets))
    if not wanted.size or wanted[0] < 0 or wanted[-1] > 1 or np.isnan(wanted).any():
        raise InputError("a target is no ratio", where="targets", valid="numbers from 0 to 1")
    curves: list[Curve] = []
    for where, table in zip(groups, tables, strict=True):
        try:
            curves.append(curve(table, of_positives=rate == "true_positive_rate"))
        except InputError as error:
            return Absent(f"{where}: {error.what}")
    records = int(sum(np.asarray(table).sum() for table in tables))
    chosen = best_points(curves, wanted.tolist())
    edges = np.append(scores, np.inf)
    now = [each.at(cut) for each in curves]
    current = np.array([each.rate[i] for each, i in zip(curves, now, strict=True)])
    points = list(zip(curves, chosen.T, strict=True))
    rates = np.stack([each.rate[i] for each, i in points], axis=1)
    return Tradeoff(
        groups=tuple(groups),
        rate=rate,
        targets=wanted,
        ratio=rates.min(axis=1) / rates.max(axis=1),
        accuracy=np.sum([each.right[i] for each, i in points], axis=0) / records,
        thresholds=np.stack([edges[each.cut[i]] for each, i in points], axis=1),
        rates=rates,
        current_ratio=float(current.min() / current.max()) if current.max() > 0 else None,
        current_accuracy=sum(
            float(each.right[i]) for each, i in zip(curves, now, strict=True)
        ) / records,
        current_rates=current,
        records=records,
    )  # fmt: skip
