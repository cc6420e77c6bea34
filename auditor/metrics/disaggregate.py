"""Every metric for every slice: rates, comparisons with a reference, extremes over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from auditor.errors import InputError, nearest
from auditor.evidence import Slice
from auditor.metrics.best import with_the_best
from auditor.metrics.estimates import Comparison, Outcome, compare, estimate, estimate_all
from auditor.metrics.extremes import extreme
from auditor.metrics.metric import METRICS, comparison_of, split_parameter
from auditor.metrics.other_intervals import with_others
from auditor.metrics.samples import Absent, Census, Sample
from auditor.metrics.slices import (
    SliceRows,
    SliceSamples,
    aggregate_sample,
    pair_sample,
    rest_sample,
    slice_rows,
    slice_samples,
)
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
    between: Sequence[str] = (),
    compared: Sequence[str] | None = None,
) -> list[Measured]:
    """Measure the named metrics of one statistic for all slices of the families.

    Parameters
    ----------
    names:
        Metrics of one slice, which also give their differences and ratios where they have them,
        and metrics of a slice against its reference.
    extremes:
        Metrics over all groups of a family.
    between:
        Metrics of one slice whose largest difference and smallest ratio between any two groups
        of a single attribute are given as well.
    compared:
        Those of ``names`` whose differences and ratios are given; all by default.

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
        rows = slice_rows(statistic, family)
        place = _Place(statistic, family, rows, reference, confidence, {})
        beside: list[tuple[str, SliceSamples]] = []
        paired: list[str] = []
        for name in names:
            if METRICS.get(split_parameter(name)[0]).pairs:
                paired.append(name)
                continue
            samples = place.samples(name)
            outcomes = dict(
                zip(
                    samples.samples,
                    estimate_all(list(samples.samples.values()), confidence=confidence),
                    strict=True,
                )
            )
            if family:
                known = samples.known()
                others = with_others(
                    [samples.samples[where] for where in known],
                    [outcomes[where] for where in known],
                    confidence=confidence,
                )
                outcomes |= zip(known, others, strict=True)
            out += [(name, where, None, None, outcome) for where, outcome in outcomes.items()]
            if family and (compared is None or name in compared):
                beside.append((name, samples))
        if not family:
            continue
        for operation in ("difference", "ratio"):
            out += place.compared(beside, operation)
            if len(family) == 1:
                out += place.between([c for c in beside if c[0] in between], operation)
        for name in paired:
            out += place.paired(name)
        out += [place.over_groups(name) for name in extremes]
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


@dataclass(frozen=True, slots=True)
class _Place:
    """One family of one statistic, where slices are compared."""

    statistic: Statistic
    family: Family
    rows: SliceRows
    reference: Reference
    confidence: float
    read: dict[str, SliceSamples]

    def samples(self, name: str) -> SliceSamples:
        """Read a metric for each slice, once."""
        if name not in self.read:
            self.read[name] = slice_samples(name, self.statistic, self.family, rows=self.rows)
        return self.read[name]

    def compared(
        self, measured: Sequence[tuple[str, SliceSamples]], operation: Comparison
    ) -> list[Measured]:
        """Compare the slices with their reference, all metrics in one batch."""
        out: list[Measured] = []
        places: list[tuple[str, Slice, ReferenceSlice]] = []
        ours: list[Sample] = []
        theirs: list[Sample] = []
        for name, samples in measured:
            metric = comparison_of(name, operation)
            if metric is None:
                continue
            chosen = reference_slice(samples, self.reference)
            if isinstance(chosen, Absent):
                out += [self._absent(metric, where, chosen) for where in samples.samples]
                continue
            if self.reference == "best":
                out += self._with_the_best(metric, operation, samples, chosen)
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
                    rest_sample(name, self.statistic, self.family, where)
                    if isinstance(chosen, str)
                    else samples.samples[chosen]
                )
        outcomes = compare(operation, ours, theirs, confidence=self.confidence)
        for (metric, where, chosen), outcome in zip(places, outcomes, strict=True):
            out.append((metric, where, chosen, None, outcome))
        return out

    def _with_the_best(
        self, metric: str, operation: Comparison, samples: SliceSamples, chosen: ReferenceSlice
    ) -> list[Measured]:
        """Compare with the best: the data chose it, and the intervals allow for that."""
        known = samples.known()
        outcomes = dict(
            zip(
                known,
                with_the_best(
                    operation, [samples.samples[where] for where in known],
                    better=samples.metric.better or "higher", confidence=self.confidence,
                ),
                strict=True,
            )
        )  # fmt: skip
        out: list[Measured] = []
        for where, sample in samples.samples.items():
            if where == chosen:
                continue
            if not where.known:
                out.append((metric, where, chosen, None, Absent("the group is unknown")))
                continue
            reason = sample.reason if isinstance(sample, Absent) else "no records"
            found = outcomes.get(where, Absent(f"this slice: {reason}"))
            out.append((metric, where, chosen, None, found))
        return out

    def between(
        self, measured: Sequence[tuple[str, SliceSamples]], operation: Comparison
    ) -> list[Measured]:
        """Give the largest difference, or the smallest ratio, between any two groups."""
        out: list[Measured] = []
        for name, samples in measured:
            metric = comparison_of(name, operation)
            if metric is None:
                continue
            known = samples.known()
            outcome: Outcome = Absent("only one group holds records")
            if len(known) > 1:
                outcome = extreme(
                    operation, [[samples.samples[where] for where in known]],
                    confidence=self.confidence,
                )  # fmt: skip
            out.append((metric, Slice(), None, self.family, outcome))
        return out

    def paired(self, name: str) -> list[Measured]:
        """Read a metric of each slice against the reference."""
        records: dict[Slice, Sample] = {
            where: Census(count, count) for where, count in self.rows.records.items()
        }
        metric = METRICS.get(split_parameter(name)[0])
        by = "largest" if self.reference == "best" else self.reference
        chosen = reference_slice(SliceSamples(metric, self.family, records, self.rows.records), by)
        if isinstance(chosen, Absent):
            return [self._absent(name, where, chosen) for where in records]
        out: list[Measured] = []
        for where in records:
            if where == chosen:
                continue
            if not where.known:
                out.append((name, where, chosen, None, Absent("the group is unknown")))
                continue
            sample = pair_sample(name, self.statistic, self.family, where, chosen, rows=self.rows)
            out.append((name, where, chosen, None, estimate(sample, confidence=self.confidence)))
        return out

    def over_groups(self, name: str) -> Measured:
        """Read one number over all groups."""
        metric = METRICS.get(split_parameter(name)[0])
        if metric.aggregates:
            sample = aggregate_sample(name, self.statistic, self.family, rows=self.rows)
            outcome = estimate(sample, confidence=self.confidence)
        elif len(self.rows.known()) < 2:
            outcome = Absent("only one group holds records")
        else:
            parts = [self.samples(part) for part in metric.components]
            outcome = extreme(
                metric.operation or "difference",
                [[part.samples[where] for where in part.known()] for part in parts],
                confidence=self.confidence,
            )
        return (name, Slice(), None, self.family, outcome)

    def _absent(self, metric: str, where: Slice, reason: Absent) -> Measured:
        return (metric, where, None, None,
                reason if where.known else Absent("the group is unknown"))  # fmt: skip
