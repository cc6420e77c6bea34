"""The words of a verdict: each status, the gate, and what they mean for somebody who decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from auditor.evidence import RuleVerdict, Status, Verdict
from auditor.report.text import shown

__all__ = [
    "DECISION_ORDER",
    "MEANINGS",
    "decision_word",
    "gate_sentence",
    "headline",
    "status_counts",
    "status_word",
]

_WORDS: dict[str, str] = {
    Status.ERROR: "error",
    Status.FAIL: "fail",
    Status.INCONCLUSIVE: "undecided",
    Status.NOT_EVALUATED: "not evaluated",
    Status.PASS: "pass",
    Status.WAIVED: "waived",
    "small": "too few records",
    "listed": "listed only",
}

DECISION_ORDER: tuple[str, ...] = (
    Status.ERROR, Status.FAIL, Status.INCONCLUSIVE, Status.NOT_EVALUATED, "small", Status.WAIVED,
    "listed", Status.PASS,
)  # fmt: skip
"""In this order the slices of a rule are shown: what needs attention comes first."""

MEANINGS: tuple[tuple[str, str], ...] = (
    (Status.PASS, "Every judged slice lies inside the accepted region, its uncertainty included."),
    (Status.FAIL, "Some slice lies wholly outside the accepted region, with bounds that hold for "
                  "all slices of the rule together."),
    (Status.INCONCLUSIVE, "Neither is shown yet: more records would decide."),
    (Status.NOT_EVALUATED, "There was nothing to judge. This is not a pass."),
    (Status.ERROR, "A measurement broke. This is not a pass."),
    (Status.WAIVED, "It would not have passed; somebody named took responsibility until a date."),
)  # fmt: skip


def status_word(status: Status | str) -> str:
    """Return the short word of a status.

    >>> status_word(Status.INCONCLUSIVE)
    'undecided'
    """
    return _WORDS.get(str(status), shown(status))


def decision_word(decision: str) -> str:
    """Return the short word of what was decided of one slice."""
    return status_word(decision)


def status_counts(rules: Iterable[RuleVerdict]) -> tuple[tuple[str, str, int], ...]:
    """Return (status, word, number of rules), for every status, worst first."""
    counts = Counter(rule.status for rule in rules)
    return tuple((str(status), status_word(status), counts[status]) for status in Status)


def headline(verdict: Verdict) -> str:
    """Return the verdict in one sentence."""
    total = len(verdict.rules)
    counts = Counter(rule.status for rule in verdict.rules)
    number = counts[verdict.status]
    of = f"{number} of {total} rules" if total != 1 else "the only rule"
    match verdict.status:
        case Status.PASS:
            waived = counts[Status.WAIVED]
            rest = f", {waived} waived" if waived else ""
            return f"All rules pass: {number} of {total}{rest}." if total else "No rule was judged."
        case Status.FAIL:
            return f"{of.capitalize()} {_verb(number, 'fails', 'fail')}."
        case Status.ERROR:
            return f"{of.capitalize()} could not be judged: a measurement broke."
        case Status.INCONCLUSIVE:
            return f"The evidence does not decide {of}."
        case Status.NOT_EVALUATED:
            if not total:
                return "The policy holds no rule for this stage: nothing was judged."
            return f"Nothing could be judged for {of}."
        case Status.WAIVED:
            return f"{of.capitalize()} {_verb(number, 'is', 'are')} waived; nothing else passed."


def gate_sentence(verdict: Verdict) -> str:
    """Return what the gate does, and which rules close it."""
    if verdict.gate == "open":
        if verdict.status in (Status.ERROR, Status.FAIL):
            return "The gate is open: what fails only warns."
        if verdict.status in (Status.INCONCLUSIVE, Status.NOT_EVALUATED):
            return "The gate is open: what is not decided does not close it."
        return "The gate is open."
    closing = [shown(rule.title or rule.id) for rule in verdict.rules if rule.closes_gate]
    if not closing:
        return "The gate is closed."
    names = "; ".join(closing[:3]) + (f"; and {len(closing) - 3} more" if len(closing) > 3 else "")
    return f"The gate is closed by: {names}."


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
