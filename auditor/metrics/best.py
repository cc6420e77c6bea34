"""Comparisons with the best of the other groups, where the data choose which one that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from auditor.evidence import Estimate
from auditor.metrics.estimates import Comparison, Outcome, compare
from auditor.metrics.samples import Absent, Sample

__all__ = ["with_the_best"]


def with_the_best(
    operation: Comparison,
    samples: Sequence[Sample],
    *,
    better: Literal["higher", "lower"],
    confidence: float,
) -> list[Outcome]:
    """Compare each group with the best of the others.

    Parameters
    ----------
    samples:
        One sample of each group, independent of one another.
    better:
        Which values are better: the best of the others is the highest, or the lowest.

    Returns
    -------
    For each group the estimate of θᵢ − max θⱼ or θᵢ / max θⱼ over the others j (``lower``: min).
    The best group itself is compared with the second best.

    Choosing the best by the data makes an interval against that one group too optimistic: the
    group that looks best is partly lucky. Multiple comparisons with the best (Hsu 1984, Annals of
    Statistics 12; 1996, chapter 4) bound the true best instead, whichever it is. For ``higher``
    θᵢ − max θⱼ is the smallest of the differences θᵢ − θⱼ, so that

    - it is at most each of their upper bounds: the smallest of the k − 1 bounds that hold together
      (Bonferroni);
    - it *is* one of them: the smallest of the k − 1 lower bounds, each at its own level, lies below
      that one's, and needs no correction (intersection and union).

    Each interval holds at ``confidence`` by itself. A group without a value has its own reason; so
    has every group where fewer than two have one, or where the best of the others is 0 in a ratio.
    """
    present = [place for place, sample in enumerate(samples) if not isinstance(sample, Absent)]
    outcomes: list[Outcome] = [
        sample if isinstance(sample, Absent) else Absent("fewer than two groups can be compared")
        for sample in samples
    ]
    if len(present) < 2:
        return outcomes
    pairs = [(i, j) for i in present for j in present if i != j]
    ours, theirs = [samples[i] for i, _ in pairs], [samples[j] for _, j in pairs]
    level = 1 - (1 - confidence) / (len(present) - 1)
    alone = dict(zip(pairs, compare(operation, ours, theirs, confidence=confidence), strict=True))
    joint = dict(zip(pairs, compare(operation, ours, theirs, confidence=level), strict=True))
    pick = max if better == "higher" else min
    for i in present:
        others = [j for j in present if j != i]
        best = alone[i, pick(others, key=lambda j: _value(samples[j]))]
        if isinstance(best, Absent):
            outcomes[i] = best
            continue
        if better == "higher":
            low = _least(_low(operation, alone[i, j], alone[j, i]) for j in others)
            high = _least_known(_high(joint[i, j]) for j in others)
        else:
            low = _most_known(_low(operation, joint[i, j], joint[j, i]) for j in others)
            high = _most(_high(alone[i, j]) for j in others)
        outcomes[i] = best.model_copy(
            update={"low": low, "high": high, "method": f"{best.method}-with-the-best", "also": ()}
        )
    return outcomes


def _value(sample: Sample) -> float:
    return float("nan") if isinstance(sample, Absent) else sample.value


def _low(operation: Comparison, pair: Outcome, reverse: Outcome) -> float | None:
    """Return the lower bound; of a ratio to an observed 0, the inverse of the reverse ratio's."""
    if isinstance(pair, Estimate):
        return pair.low
    if operation == "ratio" and isinstance(reverse, Estimate) and reverse.high:
        return 1 / reverse.high
    return 0.0 if operation == "ratio" else None


def _high(pair: Outcome) -> float | None:
    return pair.high if isinstance(pair, Estimate) else None


# ``None`` is no bound: the least of lower bounds is then none, that of upper bounds the rest's.


def _least(bounds: Iterable[float | None]) -> float | None:
    known = list(bounds)
    found = [bound for bound in known if bound is not None]
    return min(found) if len(found) == len(known) else None


def _most(bounds: Iterable[float | None]) -> float | None:
    known = list(bounds)
    found = [bound for bound in known if bound is not None]
    return max(found) if len(found) == len(known) else None


def _least_known(bounds: Iterable[float | None]) -> float | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _most_known(bounds: Iterable[float | None]) -> float | None:
    return max((bound for bound in bounds if bound is not None), default=None)
