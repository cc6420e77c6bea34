"""What a rule is about: the findings of its metric, and the statistics that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from auditor.checks import CHECKS
from auditor.errors import AuditorError, nearest
from auditor.evidence import Finding, Stage, Status
from auditor.metrics import METRICS, SliceSamples, slice_samples, split_parameter
from auditor.metrics.membership import HARD
from auditor.policy.schema import Rule
from auditor.policy.typed import checks_yielding
from auditor.stats import Family, Statistic

__all__ = ["Library", "Material", "Unit", "broken_check"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One metric, with its parameter, read off one statistic.

    ``families`` are those that the rule speaks of; ``reason`` says why the check gave no number,
    where it gave none.
    """

    metric: str
    statistic: Statistic
    families: tuple[Family, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to judge a rule by; ``stop`` is its verdict where there is nothing.

    ``gaps`` say what the rule speaks of and nobody measured; ``findings`` are indices.
    """

    findings: tuple[int, ...] = ()
    units: tuple[Unit, ...] = ()
    gaps: tuple[str, ...] = ()
    stop: tuple[Status, str] | None = None


@dataclass(slots=True)
class Library:
    """The findings by metric and stage, and what was already read of their statistics.

    ``broken`` are the checks of the policy that failed to load.
    """

    findings: Sequence[Finding]
    statistics: Callable[[str], Statistic]
    broken: Sequence[str] = ()
    _places: dict[tuple[str, Stage], list[int]] = field(default_factory=dict)
    _read: dict[str, Statistic] = field(default_factory=dict)
    _samples: dict[tuple[str, int, Family], SliceSamples] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, finding in enumerate(self.findings):
            self._places.setdefault((finding.base_metric, finding.stage), []).append(index)

    def samples(self, metric: str, statistic: Statistic, family: Family) -> SliceSamples:
        """Read a metric for each slice of a family, once."""
        key = (metric, id(statistic), family)
        if key not in self._samples:
            self._samples[key] = slice_samples(metric, statistic, family)
        return self._samples[key]

    def material(self, rule: Rule) -> Material:
        """Find what a rule is about."""
        if rule.check is not None and rule.check in CHECKS.broken:
            return Material(stop=(Status.ERROR, broken_check(rule.check)))
        indices = self._spoken_of(rule)
        found = [self.findings[index] for index in indices]
        if not found:
            return Material(stop=self._nothing(rule))
        cited = tuple(i for i in indices if _concerns(self.findings[i], rule)) or tuple(indices)
        for finding in found:
            if finding.status == "error":
                reason = f"{finding.check} broke: {finding.reason}"
                return Material(cited, stop=(Status.ERROR, reason))
        try:
            units, gaps = self._units(rule, found)
        except (AuditorError, LookupError) as error:
            reason = f"the statistics that the findings name cannot be read: {error}"
            return Material(cited, stop=(Status.ERROR, reason))
        return Material(cited, tuple(units), tuple(gaps))

    def _spoken_of(self, rule: Rule) -> list[int]:
        """Return the indices of the findings of a rule's metric at its stage."""
        base, parameter = split_parameter(rule.metric)
        indices = [
            index
            for index in self._places.get((base, rule.stage), ())
            if rule.check is None or self.findings[index].check == rule.check
        ]
        exact = [i for i in indices if _speaks_of(rule.metric, parameter, self.findings[i].metric)]
        if exact or parameter is None:
            return exact
        wanted = _unspaced(rule.metric)
        return [i for i in indices if _unspaced(self.findings[i].metric) == wanted]

    def _nothing(self, rule: Rule) -> tuple[Status, str]:
        """Say why there is no finding: no check that yields it ran, or it gave others."""
        yielding = [rule.check] if rule.check else [c.id for c in checks_yielding(rule.metric)]
        if self.broken and not yielding:
            return Status.ERROR, broken_check(self.broken[0])
        base, _ = split_parameter(rule.metric)
        others = [
            finding
            for finding in self.findings
            if finding.stage == rule.stage and finding.check in yielding
        ]
        reason = f"no finding of {rule.metric} at stage {rule.stage}: "
        if not others:
            by = f" ({' or '.join(yielding)})" if yielding else ""
            return Status.NOT_EVALUATED, f"{reason}the check that yields it{by} did not run"
        # Where the metric was given, its parameter is what is wrong.
        alike = [finding for finding in others if finding.base_metric == base] or others
        broke = next((finding for finding in alike if finding.status == "error"), None)
        if broke is not None:
            return Status.ERROR, f"{broke.check} broke: {broke.reason}"
        # A check that could measure nothing names its metrics without a parameter.
        if all(finding.metric == base and finding.reason for finding in alike):
            return Status.NOT_EVALUATED, f"{reason}{alike[0].reason}"
        ran = " and ".join(dict.fromkeys(finding.check for finding in alike))
        given = nearest(rule.metric, dict.fromkeys(finding.metric for finding in alike))
        return Status.NOT_EVALUATED, f"{reason}{ran} gave no such finding; {given}"

    def _units(self, rule: Rule, found: Sequence[Finding]) -> tuple[list[Unit], list[str]]:
        by_place: dict[tuple[str, str], list[Finding]] = {}
        for finding in found:
            by_place.setdefault((finding.metric, finding.check), []).append(finding)
        units: list[Unit] = []
        gaps: list[str] = []
        for (metric, _), group in by_place.items():
            statistic = self._statistic(metric, group)
            reasons = [finding.reason for finding in group if finding.status != "measured"]
            if statistic is None:
                what = reasons[0] if reasons else "the findings name no statistics of this metric"
                gaps.append(f"{metric}: {what}")
                continue
            families = self._families(rule, metric, statistic, group, gaps)
            reason = reasons[0] if len(reasons) == len(group) else None
            units.append(Unit(metric, statistic, tuple(families), reason))
        return units, gaps

    def _statistic(self, metric: str, group: Sequence[Finding]) -> Statistic | None:
        """Return the first statistic named by the findings that the metric can be read off."""
        kinds = METRICS.get(split_parameter(metric)[0]).kinds
        digests = dict.fromkeys(digest for finding in group for digest in finding.evidence)
        for digest in digests:
            if digest not in self._read:
                self._read[digest] = self.statistics(digest)
            if self._read[digest].kind in kinds:
                return self._read[digest]
        return None

    def _families(
        self, rule: Rule, metric: str, statistic: Statistic, group: Sequence[Finding],
        gaps: list[str],
    ) -> list[Family]:  # fmt: skip
        """Return the families that the rule speaks of, as the statistic declares them."""
        groups = statistic.groups
        if rule.families is None:
            if not _between(metric):
                return [()]
            measured = {_attributes(finding) for finding in group}
            families = [f for f in groups.families if len(f) == 1 and frozenset(f) in measured]
            if not families:
                gaps.append(f"{metric}: no sensitive attribute was compared")
            return families
        declared = {frozenset(family): family for family in groups.families}
        families = []
        for wanted in rule.families:
            if frozenset(wanted) in declared:
                families.append(declared[frozenset(wanted)])
            else:
                gaps.append(f"{metric} was not counted over {' × '.join(wanted)}")
        return families


def _speaks_of(wanted: str, parameter: str | None, metric: str) -> bool:
    """Whether a rule on a metric is about this one: a bare metric is about all its parameters.

    Rates of groups assigned by a hard threshold are known to overstate gaps; they stand beside
    the estimate and decide nothing, unless the rule names them.
    """
    if metric == wanted:
        return True
    return parameter is None and split_parameter(metric)[1] != HARD


def _unspaced(metric: str) -> str:
    """Return a metric without the spaces after the commas of its parameter."""
    return re.sub(r",\s+", ",", metric)


def _attributes(finding: Finding) -> frozenset[str]:
    return frozenset(finding.slice.attributes if finding.over is None else finding.over)


def _concerns(finding: Finding, rule: Rule) -> bool:
    """Whether a finding of the rule's metric lies in the families of the rule."""
    attributes = _attributes(finding)
    if rule.slice is not None:
        return finding.slice == rule.slice
    if rule.families is not None:
        return any(attributes == frozenset(family) for family in rule.families)
    return len(attributes) == (1 if _between(rule.metric) else 0)


def _between(metric: str) -> bool:
    """Whether a metric speaks of several groups, so that it has no value for everybody."""
    known = METRICS.get(split_parameter(metric)[0])
    return known.compares or known.over_groups


def broken_check(check: str) -> str:
    """Say why a check could not be loaded."""
    return f"check {check} failed to load: {CHECKS.broken[check]}"
