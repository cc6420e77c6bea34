"""The reasons of a verdict: plain sentences with their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence import Slice, Status
from auditor.policy.decide import Decided, Decision
from auditor.policy.power import required_records
from auditor.policy.region import Region

__all__ = ["number", "percent", "reason_of"]


def reason_of(
    status: Status, decided: Decided, region: Region, gaps: Sequence[str]
) -> tuple[str, int | None]:
    """Say why a rule has its status, and how many records would decide it where that is open."""
    gap = "; ".join(gaps[:3]) + (f" and {len(gaps) - 3} more" if len(gaps) > 3 else "")
    if not decided.count():
        return f"nothing to judge: {gap or 'no slice'}", None
    required: int | None = None
    match status:
        case Status.FAIL:
            text = _failed(decided, region)
        case Status.INCONCLUSIVE:
            text, required = _open(decided, region)
        case _:
            text = _passed(decided, region)
    return f"{text}; not judged: {gap}" if gaps else text, required


def _failed(decided: Decided, region: Region) -> str:
    worst = decided.worst()
    text = f"{_what(worst)} is {_value(worst, own=decided.point)}: outside {region}"
    text += _basis(worst, point=decided.point) or _confidence(decided, worst)
    if others := decided.count(Status.FAIL) - 1:
        text += f"; {others} more of {decided.count()} lie{'s' if others == 1 else ''} outside"
    return text


def _passed(decided: Decided, region: Region) -> str:
    worst = decided.worst()
    text = f"{_what(worst)} is {_value(worst, own=True)}: inside {region}"
    text += _basis(worst, point=decided.point) or (
        f" with confidence {percent(decided.levels.confidence)}"
    )
    count = decided.count()
    return f"{text}; it is the nearest to the border of {count}" if count > 1 else text


def _basis(decision: Decision, *, point: bool) -> str:
    """Say on what a decision stands where that is no confidence."""
    if decision.estimate.method.startswith("census"):
        return ", counted over all there is"
    return " by its value" if point else ""


def _open(decided: Decided, region: Region) -> tuple[str, int | None]:
    worst = decided.worst()
    text = f"{_what(worst)} is {_value(worst, own=True)}: neither inside nor outside {region}"
    if (needed := required_records(decided, region)) is None:
        return f"{text}; no number of records would decide it at the observed values", None
    required, there = needed
    more = f"about {_about(required - there):,} more records beside the {there:,} judged"
    return f"{text}; {more} would decide it, should the observed values stay", required


def _what(decision: Decision) -> str:
    text = decision.metric
    if decision.slice or decision.reference is not None:
        text += f" of {decision.slice}"
    if isinstance(decision.reference, Slice):
        return f"{text} against {decision.reference}"
    return text if decision.reference is None else f"{text} against everybody else"


def _value(decision: Decision, *, own: bool) -> str:
    """Write the value and the bounds that matter, which are one-sided each."""
    if decision.estimate.method.startswith("census"):
        return number(decision.estimate.value)
    low, high = (
        (decision.low, decision.high) if own or decision.family_low is None
        or decision.family_high is None else (decision.family_low, decision.family_high)
    )  # fmt: skip
    return f"{number(decision.estimate.value)} [{number(low)}, {number(high)}]"


def _confidence(decided: Decided, worst: Decision) -> str:
    levels = decided.levels
    confidence = percent(levels.confidence)
    if levels.tests * levels.looks == 1:
        return f" with confidence {confidence}"
    noun = "comparisons" if worst.reference is not None else "bounds"
    text = f" with simultaneous confidence {confidence} over {levels.tests} {noun}"
    return f"{text} and {levels.looks} looks" if levels.looks > 1 else text


def _about(count: int) -> int:
    """Round to two digits, up."""
    size = 10 ** max(0, len(str(count)) - 2)
    return -(-count // size) * size


def number(value: float) -> str:
    """Write a number with four decimals, less where they are zeros, more where it is small.

    >>> number(0.3635), number(0.5), number(0.00012), number(float("inf")), number(120.0)
    ('0.3635', '0.5', '0.00012', '∞', '120')
    >>> number(3.8e25)
    '3.8e+25'
    """
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    if value and (abs(value) < 0.001 or abs(value) >= 1e15):
        return f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def percent(share: float) -> str:
    """Write a share as a percentage.

    >>> percent(0.95), percent(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * share:.6g} %"
