"""What the numbers mean together, in sentences: ways out of a closed gate, and reversals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from auditor.errors import AuditorError
from auditor.evidence import Finding, RuleVerdict, Status, Verdict
from auditor.ledger import RunRecord
from auditor.metrics import Absent
from auditor.metrics.conditional import reversal
from auditor.mitigation import threshold_tradeoff
from auditor.report.fields import Fields
from auditor.report.policy_text import PolicyText
from auditor.report.text import over_text, shown, slice_text
from auditor.stats import SCORES, Family, ScoreCounts, read_statistic

__all__ = ["disagreements", "make_remarks", "reversals", "ways_out"]

_MOST = 4
_LONGEST = 600
_RATES: Mapping[str, Literal["selection_rate", "true_positive_rate"]] = {
    "selection_rate_ratio": "selection_rate",
    "demographic_parity_ratio": "selection_rate",
    "impact_ratio": "selection_rate",
    "true_positive_rate_ratio": "true_positive_rate",
    "equal_opportunity_ratio": "true_positive_rate",
}


def make_remarks(
    record: RunRecord, findings: Sequence[Finding], verdict: Verdict | None, policy: PolicyText
) -> tuple[str, ...]:
    """Return the sentences that belong beside a verdict."""
    return (
        *reversals(findings), *disagreements(findings),
        *ways_out(record, findings, verdict, policy),
    )  # fmt: skip


def reversals(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Say where a comparison within strata reverses the plain one."""
    values = {(f.metric, f.slice, f.reference): f.value for f in findings if f.status == "measured"}
    said: list[str] = []
    for finding in findings:
        if finding.metric != "simpson_reversal" or not finding.value:
            continue
        place = (finding.slice, finding.reference)
        plain = values.get(("marginal_parity_difference", *place))
        within = values.get(("conditional_parity_difference", *place))
        if plain is None or within is None or finding.reference is None:
            continue
        against = finding.reference
        sentence = reversal(
            plain, within, group=slice_text(finding.slice),
            reference="everybody else" if isinstance(against, str) else slice_text(against),
        )  # fmt: skip
        if sentence is not None:
            said.append(sentence)
    return tuple(said[:_MOST])


def disagreements(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Say where the published totals of two attributes do not agree."""
    said: list[str] = []
    for finding in findings:
        if finding.metric == "marginal_total_difference" and finding.value and finding.over:
            count, more = abs(finding.value), "more" if finding.value > 0 else "fewer"
            said.append(
                f"The counts by {over_text(finding.over)} add up to {count:,.0f} {more} persons "
                "than the largest published total: the table does not reconcile."
            )
    return tuple(said[:_MOST])


def ways_out(
    record: RunRecord, findings: Sequence[Finding], verdict: Verdict | None, policy: PolicyText
) -> tuple[str, ...]:
    """Say what thresholds by group would cost, for each failed rule on a ratio of rates.

    It is read off the recorded counts of scores, so that it needs neither the model nor the data;
    a run without scores has none. Whether the sensitive attribute may be used for decisions is
    another question, and the sentence says so.
    """
    if verdict is None:
        return ()
    try:
        scores = _scores(record, findings)
    except AuditorError:
        return ()  # the record is not intact; what verifies it says so
    if scores is None:
        return ()
    threshold = Fields(record.run).number("audit", "threshold")
    said: dict[str, None] = {}
    for rule in verdict.rules:
        text = policy.rules.get(rule.id)
        rate = None if text is None or text.metric is None else _RATES.get(text.metric)
        low = None if text is None or text.accept is None else text.accept.low
        if rule.status is not Status.FAIL or rate is None or low is None or not 0 < low < 1:
            continue
        for family in _failed(rule, scores):
            try:
                found = threshold_tradeoff(
                    scores, family, threshold=0.5 if threshold is None else threshold, rate=rate,
                    targets=[low],
                )  # fmt: skip
            except AuditorError:
                continue
            if isinstance(found, Absent) or (found.current_ratio or 0.0) >= low:
                continue  # the scores do not show what failed
            cost = shown(found.sentence(low), limit=_LONGEST)
            said[
                f"A way out of “{shown(rule.title or rule.id)}”: {cost} This uses the "
                "group of a person for the decision, which the law may not allow."
            ] = None
    return tuple(said)[:_MOST]


def _failed(rule: RuleVerdict, scores: ScoreCounts) -> list[Family]:
    """Return the families in which a slice failed, as the scores were counted."""
    failed = {b.slice.attributes for b in rule.bounds if b.decision == Status.FAIL}
    families = (family for family in scores.groups.families if family)
    return [family for family in families if tuple(sorted(family)) in failed]


def _scores(record: RunRecord, findings: Sequence[Finding]) -> ScoreCounts | None:
    for finding in findings:
        if finding.base_metric == "auc" and finding.stage == "evaluation":
            for digest in finding.evidence:
                statistic = read_statistic(record.statistic_document(digest), where=digest)
                if isinstance(statistic, ScoreCounts) and statistic.kind == SCORES:
                    return statistic
    return None
