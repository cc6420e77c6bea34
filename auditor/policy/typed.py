"""Whether a rule can mean what it says: metrics are typed by range, ideal and direction."""

from __future__ import annotations

from typing import NamedTuple

from auditor.checks import CHECKS, Check
from auditor.errors import InputError, nearest
from auditor.evidence import Stage
from auditor.metrics import METRICS, Metric, split_parameter
from auditor.policy.region import Region
from auditor.policy.schema import Rule

__all__ = ["Problem", "checks_yielding", "problem_of"]


class Problem(NamedTuple):
    """What is wrong with a rule: the field, what is wrong with it, and what would be valid."""

    field: str
    what: str
    valid: str | None = None


def checks_yielding(metric: str) -> list[type[Check]]:
    """Return the registered checks that yield a metric, or the rates that it compares."""
    base, _ = split_parameter(metric)
    sources = {base, *(METRICS.get(base).components if base in METRICS else ())}
    return [CHECKS.get(i) for i in CHECKS if sources & set(CHECKS.get(i).metrics)]


def problem_of(rule: Rule) -> Problem | None:
    """Return the first problem of a rule, or ``None``.

    The metric must be known; the accepted region must lie in its range, hold its ideal, follow its
    direction and refuse something; a check must yield it at the stage.
    """
    try:
        base, _ = split_parameter(rule.metric)
        metric = METRICS.get(base)
    except InputError as error:
        return Problem("metric", error.what, error.valid)
    return (
        _range_problem(metric, rule.accept)
        or _ideal_problem(metric, rule.accept)
        or _contrast_problem(metric, rule)
        or _check_problem(rule)
    )


def _range_problem(metric: Metric, region: Region) -> Problem | None:
    low, high = metric.low, metric.high
    span = f"{metric.id} lies {_span(low, high)}"
    beyond = high is not None and not region.reaches_low(high)
    if beyond or (low is not None and not region.reaches_high(low)):
        return Problem("accept", f"{str(region)!r} can never hold: {span}", _example(metric))
    everything = region.within(low, high)
    if everything.low is None and everything.high is None:
        return Problem("accept", f"{str(region)!r} holds for every value: {span}", _example(metric))
    return None


def _ideal_problem(metric: Metric, region: Region) -> Problem | None:
    if metric.ideal is not None and not region.holds(metric.ideal):
        return Problem(
            "accept",
            f"{str(region)!r} refuses the ideal value of {metric.id}, which is {metric.ideal:g}",
            _example(metric),
        )
    # Without an ideal the direction speaks, as long as the rule has one side only.
    if metric.ideal is None and metric.better is not None and not region.two_sided:
        upward = region.high is None
        if upward != (metric.better == "higher"):
            return Problem(
                "accept",
                f"{str(region)!r} is inverted: {metric.better} is better for {metric.id}",
                f"'{'<=' if upward else '>='} …', or an interval 'x .. y' if this is meant",
            )
    return None


def _contrast_problem(metric: Metric, rule: Rule) -> Problem | None:
    if not (metric.compares or metric.over_groups) and rule.reference is not None:
        valid = ", ".join(m for m in (f"{metric.id}_difference", f"{metric.id}_ratio")
                          if m in METRICS)  # fmt: skip
        return Problem(
            "reference", f"{metric.id} compares nothing, so it takes no reference",
            valid and f"with a reference: {valid}",
        )  # fmt: skip
    if metric.over_groups and rule.reference is not None:
        return Problem(
            "reference", f"{metric.id} is over all pairs of groups, so it takes no reference"
        )
    if metric.over_groups and rule.slice is not None:
        return Problem("slice", f"{metric.id} is over all pairs of groups", "over: […]")
    if isinstance(rule.reference, dict) and (families := rule.families) is not None:
        named = {name for family in families for name in family}
        for name in rule.reference:
            if name not in named:
                return Problem(
                    "reference", f"{name!r} is not among the attributes of this rule",
                    nearest(name, sorted(named)),
                )  # fmt: skip
    return None


def _check_problem(rule: Rule) -> Problem | None:
    yielding = checks_yielding(rule.metric)
    if rule.check is not None:
        if rule.check in CHECKS.broken:
            return None  # the verdict shows it as an error
        if rule.check not in CHECKS:
            return Problem("check", f"unknown check {rule.check!r}", nearest(rule.check, CHECKS))
        named = CHECKS.get(rule.check)
        if named not in yielding:
            valid = ", ".join(check.id for check in yielding)
            what = f"check {named.id} does not yield {rule.metric}"
            return Problem("check", what, f"valid: {valid}" if valid else None)
        yielding = [named]
    if not yielding:
        if CHECKS.broken:
            return None  # one of those may have been the one
        return Problem("metric", f"no check yields {rule.metric}")
    stages = [stage for stage in Stage if any(stage in check.stages for check in yielding)]
    if rule.stage not in stages:
        ids = ", ".join(check.id for check in yielding)
        return Problem(
            "stage", f"{rule.metric} is never measured at stage {str(rule.stage)!r} (by {ids})",
            "valid: " + ", ".join(stages),
        )  # fmt: skip
    return None


def _span(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if low is None and high is None:
        return "anywhere"
    return f"at or above {low:g}" if low is not None else f"at or below {high:g}"


def _example(metric: Metric) -> str:
    """Give an accepted region that would be valid."""
    low, high, ideal = metric.low, metric.high, metric.ideal
    if ideal is None:
        return "for example " + ("'0.2 .. 0.5'" if high == 1 else "'>= 100'")
    if metric.operation == "difference" and not metric.extreme:
        return "for example '-0.1 .. 0.1'"
    if metric.operation == "ratio" and not metric.extreme:
        return "for example '>= 0.8', or '0.8 .. 1.25'"
    if ideal == high:
        return "for example '>= 0.8'"
    return "for example '<= 0.1'" if ideal == low else f"a region around {ideal:g}"
