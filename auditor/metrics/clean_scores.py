"""The score on the records that do not overlap the training data, beside the one on those that do.

The two are of different records, so that their difference has Newcombe's interval. What the
overlap changes, the score on the clean records less the score on all, is that difference times the
share of the records that overlap: all = (1 - w) · clean + w · contaminated.
"""

from __future__ import annotations

from collections.abc import Callable

from auditor.metrics.intervals import newcombe
from auditor.metrics.metric import METRICS, Metric, add_metric
from auditor.metrics.rates import BINARY_METRICS
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Projected, Proportion, Sample
from auditor.stats import CELLS, CONFUSION

__all__ = ["CLEAN", "CLEAN_BASES", "CLEAN_COLUMNS", "CLEAN_SCORES"]

CLEAN = "clean-confusion-counts"
CLEAN_COLUMNS = (*(f"clean_{c}" for c in CELLS), *(f"contaminated_{c}" for c in CELLS))
CLEAN_BASES = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
_SIDES = {"clean": slice(0, len(CELLS)), "contaminated": slice(len(CELLS), 2 * len(CELLS))}


def _of_side(base: str, side: str, row: Row) -> Sample:
    values = row.values[_SIDES[side]]
    if not values.any():
        return Absent(f"no {side} records")
    everybody = row.everybody[_SIDES[side]]
    read = METRICS.get(base).readers[CONFUSION]
    return read(Row(values, everybody, CELLS, row.parameter, row.context))


def _side(base: str, side: str) -> Callable[[Row], Sample]:
    return lambda row: _of_side(base, side, row)


def _change(base: str) -> Callable[[Row], Sample]:
    def read(row: Row) -> Sample:
        clean, other = (_of_side(base, side, row) for side in _SIDES)
        for sample in (clean, other):
            if isinstance(sample, Absent):
                return sample
        assert isinstance(clean, Proportion)
        assert isinstance(other, Proportion)
        n = clean.n + other.n
        share = other.n / n

        def bounds(confidence: float, factor: float) -> tuple[float, float]:
            low, high = newcombe(
                clean.x * factor, clean.n * factor, other.x * factor, other.n * factor,
                confidence=confidence,
            )  # fmt: skip
            return share * float(low), share * float(high)

        value = share * (clean.value - other.value)
        return Projected(value, n, "newcombe-of-clean-and-contaminated", bounds)

    return read


def _add(base: str) -> tuple[str, str, str]:
    of = METRICS.get(base)
    title = of.title if of.title[1:2].isupper() else of.title[0].lower() + of.title[1:]
    for side, what in (("clean", "do not overlap"), ("contaminated", "overlap")):
        add_metric(
            Metric(
                f"{side}_{base}", f"{side.capitalize()} {title}", ideal=of.ideal, better=of.better,
                readers={CLEAN: _side(base, side)}, source=of.source,
                formula=f"{of.formula}, of the records that {what} the training data",
            ),
            compared=False,
        )  # fmt: skip
    add_metric(
        Metric(
            f"clean_{base}_difference", f"Clean {title} less that of all records",
            low=-1.0, high=1.0, ideal=0.0, readers={CLEAN: _change(base)},
            formula="w (clean − contaminated), w the share of contaminated records = clean − all",
            source="Newcombe (1998), method 10, times the share",
        ),
        compared=False,
    )  # fmt: skip
    return f"clean_{base}", f"contaminated_{base}", f"clean_{base}_difference"


CLEAN_SCORES: tuple[str, ...] = tuple(
    name for base in BINARY_METRICS if base in CLEAN_BASES for name in _add(base)
)
