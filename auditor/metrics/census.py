"""Intervals beside counted shares, for who reads the records as a sample of more to come."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence import Estimate, Interval
from auditor.metrics.disaggregate import Measured
from auditor.metrics.estimates import compare, estimate
from auditor.metrics.metric import METRICS, split_parameter, with_parameter
from auditor.metrics.samples import Census, Proportion, Sample
from auditor.metrics.slices import SliceSamples, slice_samples
from auditor.stats import Family, Statistic

__all__ = ["with_sampling"]


def with_sampling(
    measured: Sequence[Measured], statistic: Statistic, family: Family, *, confidence: float
) -> list[Measured]:
    """Put into ``also`` the intervals that counted shares have as proportions of a sample.

    A share that is counted over a whole table is exact for that table, and says less of the process
    that filled it. Wilson's interval stands beside a share; Newcombe's beside a difference, and
    Miettinen and Nurminen's beside a ratio, of two named groups.
    """
    out: list[Measured] = []
    read: dict[str, SliceSamples] = {}
    for item in measured:
        metric, where, reference, over, outcome = item
        if isinstance(outcome, Estimate) and over is None and not isinstance(reference, str):
            base, parameter = split_parameter(metric)
            known = METRICS.get(base)
            name = with_parameter(known.components[0] if known.components else base, parameter)
            if name not in read:
                read[name] = slice_samples(name, statistic, family)
            samples = read[name].samples
            mine = _as_sample(samples[where])
            if known.operation is None:
                found = estimate(mine, confidence=confidence)
            else:
                theirs = _as_sample(samples[reference]) if reference is not None else mine
                (found,) = compare(known.operation, [mine], [theirs], confidence=confidence)
            if isinstance(found, Estimate):
                beside = Interval(low=found.low, high=found.high, confidence=confidence,
                                  method=found.method)  # fmt: skip
                outcome = outcome.with_also(beside)
        out.append((metric, where, reference, over, outcome))
    return out


def _as_sample(sample: Sample) -> Sample:
    if isinstance(sample, Census) and sample.n > 0:
        return Proportion(round(sample.value * sample.n), sample.n)
    return sample
