"""The impact ratio of employment law, and what is asked beside it of small and large samples.

Everything speaks of the favourable outcome: of being selected, or of not being selected where to be
selected is the bad outcome; of a score above the median of all where there are only scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from auditor.errors import InputError, nearest
from auditor.evidence import Estimate, Interval, Slice
from auditor.metrics.best import with_the_best
from auditor.metrics.cells import positions
from auditor.metrics.contingency import fisher_exact, one_person_flip, shortfall, two_sample_z
from auditor.metrics.disaggregate import Measured
from auditor.metrics.estimates import Outcome, compare, estimate
from auditor.metrics.intervals import newcombe, normal_quantile
from auditor.metrics.metric import METRICS, Metric, PairReader, SampleReader, add_metric
from auditor.metrics.multiplicity import benjamini_hochberg, holm
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Projected, Proportion, Sample
from auditor.metrics.slices import SliceSamples, pair_sample, slice_rows, slice_samples
from auditor.stats import CONFUSION, WEIGHTED, Family, SliceTable

__all__ = ["AGAINST_THE_MOST_SELECTED", "MOST_COMPARED", "adverse_impact", "most_selected"]

MOST_COMPARED = 200
"""Beyond so many slices of one family nothing is compared: the pairs are their square."""

_KINDS = (CONFUSION, WEIGHTED)
_SELECTED = positions(("fp", "tp", "unlabelled_predicted_positive"))
_REJECTED = positions(("tn", "fn", "unlabelled_predicted_negative"))
_NYC = "6 RCNY 5-300 (New York City, Local Law 144 of 2021)"
_UGESP = "Uniform Guidelines, 29 CFR 1607.4(D)"


def _favourable(kind: str, row: Row) -> Sample:
    """Read the rate of the favourable outcome."""
    rejected = bool(row.context.get("unfavourable"))
    found = METRICS.get("rejection_rate" if rejected else "selection_rate").readers[kind](row)
    return _exact(row, found, _REJECTED if rejected else _SELECTED) if kind == CONFUSION else found


def _exact(row: Row, found: Sample, over: Sequence[int]) -> Sample:
    """Keep the fractions of persons that published tables have."""
    if isinstance(found, Absent) or row.values.dtype.kind != "f":
        return found
    values = np.asarray(row.values, np.float64)
    return Proportion(float(values[over].sum()), float(values[[*_SELECTED, *_REJECTED]].sum()))


def _impact(kind: str, row: Row) -> Sample:
    """Read the same rate, absent where the category is left out of the ratios."""
    mine = _favourable(kind, row)
    floor = row.context.get("exclude_under")
    if floor is None or isinstance(mine, Absent):
        return mine
    all_of_them = _favourable(kind, row.of(row.everybody))
    if isinstance(all_of_them, Absent):
        return mine
    part = _records(mine) / _records(all_of_them)
    if part >= float(floor):
        return mine
    return Absent(
        f"left out of the ratios: {part:.2%} of the records, under {float(floor):.2%}: "
        f"{row.context.get('exclusion_reason')}"
    )


def _scoring(kind: str, row: Row) -> Sample:
    if "median" not in row.context:
        return Absent("no scores were compared with their median")
    found = METRICS.get("selection_rate").readers[kind](row)
    return _exact(row, found, _SELECTED) if kind == CONFUSION else found


def _readers(read: Callable[[str, Row], Sample]) -> dict[str, SampleReader]:
    return {kind: partial(read, kind) for kind in _KINDS}


add_metric(
    Metric(
        "favourable_rate", "Rate of the favourable outcome", better="higher",
        readers=_readers(_favourable),
        formula="selected / all; not selected / all where to be selected is the bad outcome",
        source=_NYC,
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "scoring_rate", "Scoring rate", better="higher", readers=_readers(_scoring),
        formula="share scoring strictly above the median score of the whole sample", source=_NYC,
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "impact", "Rate that the impact ratio compares", better="higher",
        readers=_readers(_impact),
        formula="rate of the favourable outcome, of the categories that are compared", source=_NYC,
    ),
    compared=False,
)  # fmt: skip
METRICS.add(
    "impact_ratio",
    Metric(
        "impact_ratio", "Impact ratio", high=None, ideal=1.0, components=("impact",),
        operation="ratio",
        formula="rate of the category / rate of the most selected category, or of a named one",
        source=f"{_NYC}; {_UGESP}",
    ),
)  # fmt: skip


def _pair(measure: Callable[[Proportion, Proportion], Sample]) -> dict[str, PairReader]:
    """Read a measure of two categories off every statistic that has their rates."""

    def read(kind: str, mine: Row, theirs: Row) -> Sample:
        ours, reference = _impact(kind, mine), _impact(kind, theirs)
        if isinstance(ours, Absent):
            return ours
        if not isinstance(reference, Proportion):
            why = reference.reason if isinstance(reference, Absent) else "no rate"
            return Absent(f"the reference: {why}")
        if not isinstance(ours, Proportion):
            return Absent("no rate")
        if ours.design is not None or reference.design is not None:
            return Absent(f"not defined for {ours.design or reference.design} records")
        return measure(ours, reference)

    return {kind: partial(read, kind) for kind in _KINDS}


def _fisher(a: Proportion, b: Proportion) -> Sample:
    if any(not float(v).is_integer() for v in (a.x, a.n, b.x, b.n)):
        return Absent("Fisher's test needs whole numbers of persons")
    return Census(float(fisher_exact(a.x, a.n, b.x, b.n)), a.n + b.n, "fisher-exact")


def _deviations(a: Proportion, b: Proportion) -> Sample:
    z = float(two_sample_z(a.x, a.n, b.x, b.n))

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        # With so many times the records the same rates are √factor times as many deviations apart.
        half = normal_quantile(confidence)
        return z * math.sqrt(factor) - half, z * math.sqrt(factor) + half

    return Projected(z, a.n + b.n, "pooled-two-sample-z", bounds)


def _flip(a: Proportion, b: Proportion) -> Sample:
    value = float(one_person_flip(a.x, a.n, b.x, b.n))
    if not math.isfinite(value):
        return Absent("with one person less nobody of the reference would be selected")
    return Census(value, a.n + b.n, "one-person-flip")


def _shortfall(a: Proportion, b: Proportion) -> Sample:
    value = float(shortfall(a.x, a.n, b.x, b.n))

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        counts = [part * factor for part in (b.x, b.n, a.x, a.n)]
        low, high = newcombe(*counts, confidence=confidence)
        persons = factor * a.n * b.n / (a.n + b.n)  # of these a difference in rates is the share
        return persons * float(low), persons * float(high)

    return Projected(value, a.n + b.n, "newcombe-persons", bounds)


def _against(identifier: str, title: str, **how: object) -> str:
    return add_metric(Metric(identifier, title, **how)).id  # type: ignore[arg-type]


AGAINST_THE_MOST_SELECTED: tuple[str, ...] = (
    _against(
        "fisher_exact_p_value", "P-value of equal rates, Fisher's exact test", ideal=1.0,
        better="higher", pairs=_pair(_fisher),
        formula="probability of all tables with these margins that are no likelier, two-sided",
        source=f"Fisher (1935); {_UGESP}",
    ),
    _against(
        "standard_deviations", "Standard deviations between the rates", low=None, high=None,
        ideal=0.0, pairs=_pair(_deviations),
        formula="(p₁ − p₂) / √(p (1 − p) (1/n₁ + 1/n₂)), p pooled; the interval is ± the normal "
        "quantile",
        source="Castaneda v. Partida, 430 U.S. 482 (1977), note 17",
    ),
    _against(
        "one_person_flip_ratio", "Impact ratio with one person's selection changed", high=None,
        pairs=_pair(_flip),
        formula="((x₁ + 1)/n₁) / ((x₂ − 1)/n₂); above 1 the numbers are too small to conclude from",
        source="Questions and Answers on the Uniform Guidelines, 44 FR 11996 (1979), question 21",
    ),
    _against(
        "selection_shortfall", "Persons missing from equal rates", low=None, high=None, ideal=0.0,
        better="lower", pairs=_pair(_shortfall),
        formula="n₁ (x₁ + x₂)/(n₁ + n₂) − x₁ = (p₂ − p₁) n₁n₂/(n₁ + n₂)",
        source="Gastwirth (1988), Statistical reasoning in law and public policy, section 5.5",
    ),
)  # fmt: skip
"""What is measured of each category against the most selected one, beside the ratio."""


def adverse_impact(
    statistic: SliceTable,
    family: Family,
    *,
    reference: Mapping[str, str] | None = None,
    confidence: float = 0.95,
) -> list[Measured]:
    """Measure the impact ratio of each category of a family, and what stands beside it.

    Parameters
    ----------
    statistic:
        Confusion counts, weighted or not; their context may hold ``exclude_under`` with its
        ``exclusion_reason``, ``unfavourable``, and ``median``.
    reference:
        A named comparator, ``{"race": "White"}``. Of an attribute that is not named, and without
        any, the most selected category is the reference.

    Without a comparator the data choose the reference, and the intervals allow for it
    (:func:`with_the_best`). The ratio to the largest of all rates is never above 1, nor are its
    bounds; the most selected category itself has the ratio 1, with an interval that says how sure
    it is to be that. With a comparator the ratio is a plain one of two categories.

    An unknown category and one that is left out have no ratio, with that reason. Raises
    :class:`InputError` for a comparator that no record has.
    """
    rows = slice_rows(statistic, family)
    samples = slice_samples("impact", statistic, family, rows=rows)
    chosen = most_selected(samples, reference)
    named = reference is not None and bool(set(reference) & set(family))
    names = ("impact_ratio", *AGAINST_THE_MOST_SELECTED)
    many = len(samples.known())
    if not isinstance(chosen, Absent) and many > MOST_COMPARED:
        reason = f"{many:,} categories: more than {MOST_COMPARED} are not compared"
        return [(name, Slice(), None, family, Absent(reason)) for name in names]
    out: list[Measured] = []
    ratios: dict[Slice, Outcome] = {}
    if not isinstance(chosen, Absent):
        ratios = _ratios(samples, chosen, confidence, best=not named)
    for where, sample in samples.samples.items():
        why = _why_not(where, sample, chosen)
        at = None if isinstance(chosen, Absent) else chosen
        if why is not None:
            out += [(name, where, at, None, why) for name in names]
            continue
        assert at is not None
        out.append(("impact_ratio", where, at, None, ratios[where]))
        if where == at:
            continue
        for name in AGAINST_THE_MOST_SELECTED:
            pair = pair_sample(name, statistic, family, where, at, rows=rows)
            out.append((name, where, at, None, estimate(pair, confidence=confidence)))
    return _adjusted(out)


def _adjusted(measured: list[Measured]) -> list[Measured]:
    """Put the p-values adjusted for all comparisons of the family beside each p-value."""
    places = [
        i for i, (name, *_, outcome) in enumerate(measured)
        if name == "fisher_exact_p_value" and isinstance(outcome, Estimate)
    ]  # fmt: skip
    if len(places) < 2:
        return measured
    values = [outcome.value for i in places if isinstance(outcome := measured[i][-1], Estimate)]
    adjusted = {"holm": holm(values), "benjamini-hochberg": benjamini_hochberg(values)}
    for k, i in enumerate(places):
        name, where, reference, over, outcome = measured[i]
        assert isinstance(outcome, Estimate)
        also = tuple(
            Interval(low=float(p[k]), high=float(p[k]), confidence=outcome.confidence,
                     method=f"{method}-adjusted")
            for method, p in adjusted.items()
        )  # fmt: skip
        changed = outcome.with_also(*also)
        measured[i] = (name, where, reference, over, changed)
    return measured


def most_selected(samples: SliceSamples, reference: Mapping[str, str] | None) -> Slice | Absent:
    """Choose the category with the highest rate, of those that a comparator leaves.

    Of equal rates it is that of the most records. Raises :class:`InputError` for a comparator
    that is not declared.
    """
    fixed = {k: v for k, v in (reference or {}).items() if k in samples.family}
    for name, value in fixed.items():
        declared = sorted({str(where[name]) for where in samples.samples if where.known})
        if value not in declared:
            raise InputError(
                f"the reference {name}={value} does not occur", where="reference",
                valid=nearest(value, declared),
            )  # fmt: skip
    rates = {
        where: sample.value
        for where in samples.known()
        if not isinstance(sample := samples.samples[where], Absent)
    }
    if len(rates) < 2:
        return Absent("only one group can be compared" if rates else "no group can be compared")
    candidates = [where for where in rates if all(where[k] == v for k, v in fixed.items())]
    if not candidates:
        listed = ", ".join(f"{name}={value}" for name, value in fixed.items())
        return Absent(f"the reference {listed} has no rate that can be compared")
    return max(candidates, key=lambda where: (rates[where], samples.records[where]))


def _ratios(
    samples: SliceSamples, chosen: Slice, confidence: float, *, best: bool
) -> dict[Slice, Outcome]:
    places = [w for w in samples.known() if not isinstance(samples.samples[w], Absent)]
    rates = [samples.samples[where] for where in places]
    if best:
        found = with_the_best("ratio", rates, better="higher", confidence=confidence)
        ratios = {w: _at_most_one(o) for w, o in zip(places, found, strict=True)}
        if isinstance(ratios[chosen], Absent):
            ratios[chosen] = _above_none(samples, chosen, places, confidence)
        return ratios
    against = [samples.samples[chosen]] * len(rates)
    compared = dict(
        zip(places, compare("ratio", rates, against, confidence=confidence), strict=True)
    )
    # The comparator against itself: 1 by definition, and nothing is estimated.
    own = samples.samples[chosen]
    if not isinstance(own, Absent) and own.value > 0:
        compared[chosen] = estimate(Census(1.0, _records(own), "reference"), confidence=confidence)
    return compared


def _above_none(
    samples: SliceSamples, chosen: Slice, places: Sequence[Slice], confidence: float
) -> Outcome:
    """Return the ratio of the only category of which anybody was selected: 1, and how surely.

    The true best of the others is not 0: its ratio to this one is at most the largest of their
    upper bounds, each at its own level, and this one's to it at least the inverse of that.
    """
    others = [samples.samples[where] for where in places if where != chosen]
    against = [samples.samples[chosen]] * len(others)
    found = compare("ratio", others, against, confidence=confidence)
    reasons = [outcome for outcome in found if isinstance(outcome, Absent)]
    if reasons:
        return reasons[0]
    highs = [outcome.high for outcome in found if isinstance(outcome, Estimate)]
    most = max((math.inf if high is None else high for high in highs), default=math.inf)
    method = "miettinen-nurminen-with-the-best"
    n = max(outcome.n for outcome in found if isinstance(outcome, Estimate))
    low = min(1.0, 1 / most) if most > 0 else 1.0
    return Estimate(value=1.0, low=low, high=1.0, confidence=confidence, n=n, method=method)


def _at_most_one(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Absent):
        return outcome
    low, high = outcome.low, outcome.high
    return outcome.model_copy(
        update={
            "value": min(outcome.value, 1.0),
            "low": None if low is None else min(low, 1.0),
            "high": 1.0 if high is None else min(high, 1.0),
        }
    )


def _why_not(where: Slice, sample: Sample, chosen: Slice | Absent) -> Absent | None:
    if not where.known:
        return Absent("the group is unknown")
    if isinstance(sample, Absent):
        return sample
    return chosen if isinstance(chosen, Absent) else None


def _records(sample: Sample) -> float:
    if isinstance(sample, Proportion) and sample.records is not None:
        return sample.records
    return 0.0 if isinstance(sample, Absent) else sample.n
