"""Other intervals of the same rates: those of a family that hold together, and of small groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.evidence import Estimate, Interval
from auditor.metrics.bayes import dirichlet_multinomial
from auditor.metrics.estimates import Outcome
from auditor.metrics.intervals import clopper_pearson
from auditor.metrics.samples import Proportion, Sample
from auditor.metrics.simultaneous import sidak_wilson

__all__ = ["SMALL", "with_others"]

SMALL = 100
"""Under so many records a rate has its exact and its credible interval beside it."""


def with_others(
    samples: Sequence[Sample], outcomes: Sequence[Outcome], *, confidence: float
) -> list[Outcome]:
    """Put other intervals of the rates of one family into ``also``.

    Parameters
    ----------
    samples, outcomes:
        Of the known slices of a family, which share no record.

    Two or more rates have the bounds that hold for all of them together (Šidák over Wilson's
    interval, or over Clopper and Pearson's where that is inaccurate). A rate of fewer than 100
    records has Clopper and Pearson's interval, and the Dirichlet–multinomial credible one.
    """
    places = [i for i, sample in enumerate(samples) if isinstance(sample, Proportion)]
    found = list(outcomes)
    if len(places) < 2:
        return found
    rates = [sample for sample in samples if isinstance(sample, Proportion)]
    x, n = np.array([r.x for r in rates]), np.array([r.n for r in rates])
    bands = sidak_wilson(x, n, confidence=confidence)
    small = (n < SMALL) & np.array([rate.design is None for rate in rates])
    exact = clopper_pearson(x, n, confidence=confidence) if small.any() else None
    credible = dirichlet_multinomial(x, n, confidence=confidence) if small.any() else None
    for k, place in enumerate(places):
        outcome = found[place]
        if not isinstance(outcome, Estimate):
            continue
        also = [_interval(bands.low[k], bands.high[k], confidence, bands.method)]
        if small[k] and exact is not None and credible is not None:
            also.append(_interval(exact[0][k], exact[1][k], confidence, "clopper-pearson"))
            also.append(
                _interval(credible.low[k], credible.high[k], confidence, "dirichlet-multinomial")
            )
        found[place] = outcome.with_also(*also)
    return found


def _interval(low: float, high: float, confidence: float, method: str) -> Interval:
    return Interval(low=float(low), high=float(high), confidence=confidence, method=method)
