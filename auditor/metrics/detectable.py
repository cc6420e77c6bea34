"""What a comparison could have found: the smallest difference that so many records would show."""

from __future__ import annotations

import math

from auditor.metrics.metric import METRICS, Metric, PairReader, add_metric
from auditor.metrics.power import minimal_detectable_difference
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Proportion, Sample
from auditor.stats import CONFUSION

__all__ = ["DETECTABLE"]

_POWER, _CONFIDENCE = 0.8, 0.95


def _of(component: str) -> PairReader:
    def read(mine: Row, theirs: Row) -> Sample:
        take = METRICS.get(component).readers[CONFUSION]
        ours, reference = take(mine), take(theirs)
        if isinstance(ours, Absent):
            return Absent(f"this slice: {ours.reason}")
        if isinstance(reference, Absent):
            return Absent(f"the reference: {reference.reason}")
        assert isinstance(ours, Proportion)
        assert isinstance(reference, Proportion)
        least = float(
            minimal_detectable_difference(
                reference.value, reference.n, ours.n, confidence=_CONFIDENCE, power=_POWER
            )
        )
        if not math.isfinite(least):
            return Absent("so few records would show no difference at all")
        return Census(least, ours.n + reference.n, "power-80")

    return read


DETECTABLE = add_metric(
    Metric(
        "minimal_detectable_selection_rate_difference",
        "Smallest difference in selection rates that would be found", better="lower",
        pairs={CONFUSION: _of("selection_rate")},
        formula="the difference that a two-sided test at 5 % finds with a power of 80 %, from the "
        "rate of the reference",
        source="Fleiss, Levin and Paik (2003), section 4.2, without continuity correction",
    )
).id  # fmt: skip
