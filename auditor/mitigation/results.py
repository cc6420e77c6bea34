"""What one recipe reaches on records that it has not learnt from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from auditor.evidence import Estimate, Slice
from auditor.evidence.value import Value
from auditor.metrics.auc import auc_sample
from auditor.metrics.estimates import Comparison as Operation
from auditor.metrics.estimates import Outcome, compare, estimate
from auditor.metrics.extremes import extreme
from auditor.metrics.paired import tango
from auditor.metrics.samples import Absent, Average, Proportion, Sample
from auditor.mitigation.recipe import RATES, Chosen, Constraint, Decisions, Family

__all__ = ["GroupRate", "Result", "evaluate", "not_evaluated", "paired_change"]


class GroupRate(Value):
    """One rate of one group, or the reason why there is none."""

    rate: str
    slice: Slice
    records: int
    estimate: Estimate | None = None
    reason: str | None = None


class Result(Value):
    """A recipe with its figures on the test records, or the reason why it has none.

    ``difference`` and ``ratio`` are those of the worst pair of groups, with intervals that hold for
    all pairs together. ``ratio_at_least`` and ``difference_at_most`` are one-sided bounds at the
    same confidence, each pair's own: what they pass, every pair passes (an intersection-union test
    needs no correction). ``change`` is the accuracy less the baseline's on the same records.
    ``missing`` says why a figure is not there, by its name.
    """

    recipe: str
    title: str
    family: Family
    sensitive_at_prediction: bool
    randomised: bool
    reason: str | None = None
    note: str | None = None
    accuracy: Estimate | None = None
    balanced_accuracy: Estimate | None = None
    auc: Estimate | None = None
    change: Estimate | None = None
    difference: Estimate | None = None
    ratio: Estimate | None = None
    difference_at_most: float | None = None
    ratio_at_least: float | None = None
    worst: tuple[Slice, Slice] | None = None
    rates: tuple[GroupRate, ...] = ()
    missing: dict[str, str] = Field(default_factory=dict)
    pareto: bool = False


def not_evaluated(chosen: Chosen, reason: str) -> Result:
    """Return the place of a recipe that could not be fitted, with the reason."""
    return Result(**_identity(chosen), reason=reason)


def evaluate(
    chosen: Chosen,
    decisions: Decisions,
    y: NDArray[np.int64],
    groups: NDArray[np.intp],
    slices: Sequence[Slice],
    *,
    constraint: Constraint,
    confidence: float,
    baseline: NDArray[np.bool_] | None = None,
    note: str | None = None,
) -> Result:
    """Measure decisions against labels, over all records and between groups.

    ``baseline`` holds the decisions of the baseline on the same records; without it there is no
    change to speak of. Groups whose rate has no denominator are listed and not compared.
    """
    selected, positive = decisions.selected, y == 1
    right = selected == positive
    found: dict[str, Outcome] = {
        "accuracy": estimate(_share(right, np.ones_like(right)), confidence=confidence),
        "balanced_accuracy": estimate(_balanced(selected, positive), confidence=confidence),
        "auc": _auc(decisions.scores, positive, confidence),
        "change": Absent("this is the baseline")
        if baseline is None
        else paired_change(right, baseline == positive, confidence=confidence),
    }
    samples: list[list[Sample]] = []
    listed: list[GroupRate] = []
    for name in RATES[constraint]:
        samples.append([])
        for number, where in enumerate(slices):
            sample = _rate(name, selected, positive, groups == number)
            samples[-1].append(sample)
            listed.append(_listed(name, where, int((groups == number).sum()), sample, confidence))
    operations: tuple[Operation, ...] = ("difference", "ratio")
    found |= {which: extreme(which, samples, confidence=confidence) for which in operations}
    sure = {
        which: _surely(which, samples, confidence) if isinstance(found[which], Estimate) else None
        for which in operations
    }
    figures: dict[str, Any] = {n: o for n, o in found.items() if isinstance(o, Estimate)}
    return Result(
        **_identity(chosen),
        **figures,
        note=note,
        difference_at_most=sure["difference"],
        ratio_at_least=sure["ratio"],
        worst=_worst(samples, slices),
        rates=tuple(listed),
        missing={name: o.reason for name, o in found.items() if isinstance(o, Absent)},
    )


def paired_change(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], *, confidence: float
) -> Outcome:
    """Estimate the accuracy of one less that of another on the same records.

    Both have shape ``[records]`` and say whether the decision was right.
    """
    if not ours.size:
        return Absent("no records")
    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    low, high = tango(gained, lost, ours.size, confidence=confidence)
    return Estimate(
        value=(gained - lost) / ours.size, low=low, high=high, confidence=confidence,
        n=ours.size, method="tango",
    )  # fmt: skip


def _identity(chosen: Chosen) -> dict[str, Any]:
    recipe = chosen.recipe
    return {
        "recipe": chosen.name,
        "title": recipe.title,
        "family": recipe.family,
        "sensitive_at_prediction": recipe.sensitive_at_prediction,
        "randomised": recipe.randomised,
    }


def _share(what: NDArray[np.bool_], among: NDArray[np.bool_]) -> Proportion | Absent:
    n = int(among.sum())
    return Proportion(int((what & among).sum()), n) if n else Absent("no records")


def _balanced(selected: NDArray[np.bool_], positive: NDArray[np.bool_]) -> Sample:
    tpr, tnr = _share(selected, positive), _share(~selected, ~positive)
    if isinstance(tpr, Absent):
        return Absent("no positives")
    if isinstance(tnr, Absent):
        return Absent("no negatives")
    return Average((tpr, tnr), (0.5, 0.5), float(positive.size), "balanced")


def _auc(
    scores: NDArray[np.float64] | None, positive: NDArray[np.bool_], confidence: float
) -> Outcome:
    if scores is None:
        return Absent("the decisions do not follow one score")
    values, position = np.unique(scores, return_inverse=True)
    counts = np.zeros((values.size, 2))
    np.add.at(counts, (position, positive.astype(int)), 1)
    return estimate(auc_sample(counts[:, 0], counts[:, 1]), confidence=confidence)


def _rate(
    name: str,
    selected: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    members: NDArray[np.bool_],
) -> Sample:
    if not members.any():
        return Absent("no records")
    if name == "selection_rate":
        return _share(selected, members)
    of_positives = name == "true_positive_rate"
    sample = _share(selected, members & (positive if of_positives else ~positive))
    if isinstance(sample, Absent):
        return Absent("no positives" if of_positives else "no negatives")
    return sample


def _listed(name: str, where: Slice, records: int, sample: Sample, confidence: float) -> GroupRate:
    outcome = estimate(sample, confidence=confidence)
    if isinstance(outcome, Absent):
        return GroupRate(rate=name, slice=where, records=records, reason=outcome.reason)
    return GroupRate(rate=name, slice=where, records=records, estimate=outcome)


def _surely(
    operation: Operation, components: Sequence[Sequence[Sample]], confidence: float
) -> float:
    """Return what every pair keeps to, each by its own one-sided bound."""
    pairs = [
        pair
        for samples in components
        for pair in itertools.permutations([s for s in samples if not isinstance(s, Absent)], 2)
    ]
    outcomes = compare(
        operation, [a for a, _ in pairs], [b for _, b in pairs], confidence=2 * confidence - 1
    )
    measured = [outcome for outcome in outcomes if isinstance(outcome, Estimate)]
    if operation == "difference":
        return max(1.0 if outcome.high is None else outcome.high for outcome in measured)
    return min(1.0, *(0.0 if outcome.low is None else outcome.low for outcome in measured))


def _worst(
    components: Sequence[Sequence[Sample]], slices: Sequence[Slice]
) -> tuple[Slice, Slice] | None:
    """Return the pair with the smallest ratio between its rates, the lower rate first."""
    worst: tuple[float, Slice, Slice] | None = None
    for samples in components:
        known = [
            (sample.value, where) for sample, where in zip(samples, slices, strict=True)
            if not isinstance(sample, Absent)
        ]  # fmt: skip
        if len(known) < 2:
            return None
        low, high = min(known, key=lambda k: k[0]), max(known, key=lambda k: k[0])
        ratio = low[0] / high[0] if high[0] > 0 else 1.0
        if low[1] != high[1] and (worst is None or ratio < worst[0]):
            worst = (ratio, low[1], high[1])
    return None if worst is None else worst[1:]
