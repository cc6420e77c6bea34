"""Every metric for every slice: rates, comparisons with a reference, extremes over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from auditor.errors import InputError, nearest
from auditor.evidence import Slice
from auditor.metrics.estimates import Outcome, compare, estimate_all
from auditor.metrics.extremes import extreme
from auditor.metrics.metric import METRICS
from auditor.metrics.samples import Absent, Sample
from auditor.metrics.slices import SliceSamples, rest_sample, slice_samples
from auditor.stats import Family, Statistic

__all__ = ["Measured", "Reference", "ReferenceSlice", "disaggregate", "reference_slice"]

Reference = Literal["largest", "best", "rest"] | Mapping[str, str]
"""Against what a slice is compared: the largest group, the best one, everybody else, or a named
value of one or more attributes (``{"race": "White"}``; other attributes use the largest)."""

ReferenceSlice = Slice | Literal["rest"]

Measured = tuple[str, Slice, ReferenceSlice | None, tuple[str, ...] | None, Outcome]
"""(metric, slice, reference, over, outcome): a finding before it has its place."""


def disaggregate(
    names: Sequence[str],
    statistic: Statistic,
    *,
    extremes: Sequence[str] = (),
    families: Sequence[Family] | None = None,
    reference: Reference = "largest",
    confidence: float = 0.95,
) -> list[Measured]:
    """Measure the named metrics of one statistic for all slices of the families.

    Comparisons are made within each family of attributes. A slice whose attribute is unknown has
    its rates and no comparison; a family with a single group has its comparisons absent, with that
    reason. Raises :class:`InputError` for a reference that is not there.
    """
    declared = [attribute.name for attribute in statistic.groups.attributes]
    for name, value in reference.items() if isinstance(reference, Mapping) else ():
        if name not in declared:
            raise InputError(
                f"the reference {name}={value} is of no sensitive attribute",
                where="--reference",
                valid=nearest(name, declared),
            )
    out: list[Measured] = []
    for family in families if families is not None else statistic.groups.families:
        compared: list[tuple[str, SliceSamples]] = []
        for name in names:
            samples = slice_samples(name, statistic, family)
            outcomes = estimate_all(list(samples.samples.values()), confidence=confidence)
            out += [
                (name, where, None, None, outcome)
                for where, outcome in zip(samples.samples, outcomes, strict=True)
            ]
            if family:
                compared.append((name, samples))
        for operation in ("difference", "ratio"):
            out += _compared(compared, operation, statistic, reference, confidence)
        if family:
            out += [_extreme(name, statistic, family, confidence) for name in extremes]
    return out


def reference_slice(
    samples: SliceSamples, reference: Reference, *, better: str | None = None
) -> ReferenceSlice | Absent:
    """Choose the reference among the known, occupied slices of a family."""
    known = samples.known()
    if isinstance(reference, Mapping):
        fixed = {k: v for k, v in reference.items() if k in samples.family}
        for name, value in fixed.items():
            if not any(where[name] == value for where in samples.samples if where.known):
                valid = sorted({str(w[name]) for w in samples.samples if w.known})
                raise InputError(
                    f"the reference {name}={value} does not occur", where="--reference",
                    valid="one of " + ", ".join(valid[:20]),
                )  # fmt: skip
        known = [where for where in known if all(where[k] == v for k, v in fixed.items())]
        if not known:
            return Absent("the reference group holds no records")
    if len(samples.known()) < 2:
        return Absent("only one group holds records")
    if reference == "rest":
        return "rest"
    if reference == "best":
        values = {
            where: sample.value for where in known
            if not isinstance(sample := samples.samples[where], Absent)
        }  # fmt: skip
        if not values:
            return Absent("no group has a value")
        pick = min if (better or samples.metric.better) == "lower" else max
        return pick(values, key=lambda where: values[where])
    return max(known, key=lambda where: samples.records[where])


def _compared(
    measured: Sequence[tuple[str, SliceSamples]],
    operation: Literal["difference", "ratio"],
    statistic: Statistic,
    reference: Reference,
    confidence: float,
) -> list[Measured]:
    """Compare the slices of a family with their reference, all metrics in one batch."""
    out: list[Measured] = []
    places: list[tuple[str, Slice, ReferenceSlice]] = []
    ours: list[Sample] = []
    theirs: list[Sample] = []
    for name, samples in measured:
        base, _, parameter = name.partition("[")
        metric = f"{base}_{operation}"
        if metric not in METRICS:
            continue
        metric += f"[{parameter}" if parameter else ""
        chosen = reference_slice(samples, reference)
        if isinstance(chosen, Absent):
            unknown = Absent("the group is unknown")
            out += [
                (metric, where, None, None, chosen if where.known else unknown)
                for where in samples.samples
            ]
            continue
        for where, sample in samples.samples.items():
            if where == chosen:
                continue
            if not where.known:
                out.append((metric, where, chosen, None, Absent("the group is unknown")))
                continue
            places.append((metric, where, chosen))
            ours.append(sample)
            theirs.append(
                rest_sample(name, statistic, samples.family, where)
                if isinstance(chosen, str)
                else samples.samples[chosen]
            )
    outcomes = compare(operation, ours, theirs, confidence=confidence)
    for (metric, where, chosen), outcome in zip(places, outcomes, strict=True):
        out.append((metric, where, chosen, None, outcome))
    return out


def _extreme(name: str, statistic: Statistic, family: Family, confidence: float) -> Measured:
    metric = METRICS.get(name)
    components = [slice_samples(part, statistic, family) for part in metric.components]
    outcome: Outcome
    if len(components[0].known()) < 2:
        outcome = Absent("only one group holds records")
    else:
        outcome = extreme(
            metric.operation or "difference",
            [[part.samples[where] for where in part.known()] for part in components],
            confidence=confidence,
        )
    return (name, Slice(), None, family, outcome)
