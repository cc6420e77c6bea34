"""The smallest thing that a report shows of a measurement: one finding, in columns of its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.evidence import Finding
from auditor.metrics import METRICS, Metric
from auditor.policy import Region
from auditor.report.axes import Axis, linear_axis, ratio_axis
from auditor.report.numbers import decimals_for, interval_text, number_text
from auditor.report.text import metric_name, metric_title, shown

__all__ = ["Cell", "Column", "Located", "make_column", "method_text", "root_of", "shape_of"]

Located = tuple[int, Finding]
"""A finding and its position in ``findings.json``."""

_SIZABLE = 30

_METHODS = {
    "all-pairs": "all pairs",
    "bias-corrected-parametric-bootstrap": "bias-corrected, parametric bootstrap",
    "boyd-logit": "logit, by positives (Boyd)",
    "census": "counted in full",
    "census-at-least": "counted in full, at least so much",
    "delong": "DeLong",
    "delong-binned": "DeLong, binned scores",
    "delong-two-halves": "DeLong, model fitted on the other half",
    "delta": "delta method",
    "double-corrected-bootstrap": "double-corrected bootstrap",
    "expected-number": "expected number",
    "fisher-exact": "Fisher exact",
    "gaussian-bridge": "noise of Gaussian bridges",
    "gaussian-noise": "Gaussian noise of the bins",
    "hoeffding-bonferroni": "Hoeffding (Bonferroni)",
    "katz": "Katz",
    "less-population": "less the population’s share",
    "logistic-binned": "logistic fit, binned scores",
    "logistic-exact": "logistic fit",
    "mantel-haenszel-greenland-robins": "Mantel–Haenszel (Greenland–Robins)",
    "mantel-haenszel-robins-breslow-greenland": "Mantel–Haenszel (Robins–Breslow–Greenland)",
    "mantel-haenszel-sato": "Mantel–Haenszel (Sato)",
    "miettinen-nurminen": "Miettinen–Nurminen score",
    "miller-madow": "Miller–Madow",
    "multinomial-noise": "multinomial noise",
    "newcombe": "Newcombe",
    "newcombe-of-clean-and-contaminated": "Newcombe, clean against contaminated",
    "newcombe-persons": "Newcombe, persons counted",
    "normal": "normal approximation",
    "normal-superpopulation": "normal approximation, over further records",
    "one-person-flip": "one person decided otherwise",
    "pooled-two-sample-z": "two-sample z, pooled",
    "power-80": "found with a power of 80 %",
    "simultaneous-box": "simultaneous bounds of the groups",
    "tango": "Tango score, paired",
    "welch": "Welch",
    "wilson": "Wilson score",
    "wilson-balanced": "Wilson score of each class",
    "wilson-f1": "Wilson score of TP / (TP + FP + FN)",
    "wilson-less-population": "Wilson score, less the population’s share",
    "wilson-log-ratio": "Wilson score, log ratio",
    "wilson-macro": "Wilson score of each class",
    "wilson-odds": "Wilson score of the odds",
    "wilson-per-population": "Wilson score, over the population’s share",
    "wilson-quantile": "Wilson score, inverted",
    "wilson-soft": "Wilson score of expected counts",
    "wilson-soft-correlated": "Wilson score of expected counts, correlated",
    "worst-case": "worst case",
    "worst-case-of-these-records": "worst case of these records",
}

_ENDINGS = {
    "-all-pairs-bonferroni": "all pairs together (Bonferroni)",
    "-all-pairs-tukey": "all pairs together (Tukey)",
    "-with-the-best": "with the best of the others (Hsu)",
    "-all-slices": "all slices together",
    "-weighted": "design-based, weighted",
    "-clustered": "design-based, clustered",
    "-by-list": "by list",
    "-hard-threshold-tends-to-overstate-gaps": "likeliest group (tends to overstate gaps)",
    "-of-not-being-selected": "of not being selected",
    "-adjusted": "adjusted",
    "-folded": "folded at ½",
    "-cut": "cut at ½",
    "-bonferroni": "Bonferroni",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One finding as it is shown; ``note`` is the letter of the reason where there is no number."""

    index: int
    finding: Finding
    note: str | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return self.finding.status == "measured"

    @property
    def sizable(self) -> bool:
        """Whether the axis should hold it whole: a group of its own, and not a tiny one."""
        return len(self.finding.slice) <= 1 and (self.finding.n or 0) >= _SIZABLE

    @property
    def certain(self) -> bool:
        """Whether the number was counted over everything there is."""
        return self.measured and self.finding.low == self.finding.high == self.finding.value


@dataclass(frozen=True, slots=True)
class Column:
    """What the cells of one column share: their metric, axis, digits and method.

    ``operation`` is ``value``, ``difference`` or ``ratio``; ``method`` the one that most of the
    cells have, ``others`` the rest; ``region`` is what the policy accepts, where it says one thing;
    ``bound`` is the largest certified numerical error, which the intervals include.
    """

    id: str
    metric: str
    operation: str
    title: str
    axis: Axis
    decimals: int
    method: str | None
    confidence: float | None
    others: tuple[str, ...] = ()
    region: Region | None = None
    bound: str | None = None

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.operation.capitalize()

    def value(self, cell: Cell) -> str:
        """Return the value of a cell as text."""
        return number_text(cell.finding.value, self.decimals)

    def interval(self, cell: Cell) -> str:
        """Return the interval of a cell as text; where everything was counted, the two counts."""
        finding = cell.finding
        if cell.certain:
            value, n = finding.value, finding.n
            if value is None or not n or not 0 <= value <= 1:
                return ""
            return f"{value * n:,.0f} of {n:,}"
        return interval_text(cell.finding.low, cell.finding.high, self.decimals)

    def method_of(self, cell: Cell) -> str | None:
        """Return how a cell was computed, where that is not how the column was."""
        method = cell.finding.method
        return None if method == self.method or method is None else method_text(method)

    def undecided(self, cell: Cell) -> bool:
        """Whether the interval holds the value of no difference."""
        finding, reference = cell.finding, self.axis.reference
        return (
            reference is not None
            and (finding.low is None or finding.low <= reference)
            and (finding.high is None or finding.high >= reference)
        )


def make_column(
    identifier: str,
    metric: str,
    operation: str,
    cells: Iterable[Cell],
    *,
    region: Region | None = None,
    from_zero: bool = False,
) -> Column:
    """Return the column that fits its cells.

    The axis holds every value of a single attribute, and the intervals of groups that are not
    tiny; what lies beyond it is drawn as an arrow, so that one small group does not flatten the
    others. With ``from_zero`` it begins at 0, as bars must.
    """
    shown_cells = [cell for cell in cells if cell.measured]
    measured = [cell.finding for cell in shown_cells]
    sizable = [cell.finding for cell in shown_cells if cell.sizable] or measured
    methods = Counter(finding.method for finding in measured)
    common = max(methods, key=lambda m: (methods[m], m or ""), default=None)
    confidences = {f.confidence for f in measured if f.confidence is not None}
    known = _metric(metric)
    return Column(
        id=identifier,
        metric=metric,
        operation=operation,
        title=metric_title(metric),
        axis=_axis(operation, known, sizable, region, from_zero=from_zero),
        decimals=_decimals(measured),
        method=common,
        confidence=confidences.pop() if len(confidences) == 1 else None,
        others=tuple(sorted(m for m in methods if m and m != common)),
        region=region,
        bound=_bound(measured),
    )


def method_text(method: str) -> str:
    """Return a method in words.

    >>> method_text("newcombe-all-pairs-bonferroni")
    'Newcombe, all pairs together (Bonferroni)'
    """
    if method in _METHODS:
        return _METHODS[method]
    for ending, words in _ENDINGS.items():
        if method.endswith(ending):
            return f"{method_text(method.removesuffix(ending))}, {words}"
    if method.startswith("census-"):
        return f"counted in full: {shown(method.removeprefix('census-').replace('-', ' '))}"
    if method.startswith("mover-"):
        return f"{method_text(method.removeprefix('mover-'))}, recovered variance"
    return shown(method.replace("-", " "))


def root_of(metric: str) -> tuple[str, str]:
    """Return the metric that a comparison compares, and the operation.

    >>> root_of("selection_rate_ratio"), root_of("base_rate[test]")
    (('selection_rate', 'ratio'), ('base_rate[test]', 'value'))
    """
    base, parameter = metric_name(metric)
    known = METRICS.get(base) if base in METRICS else None
    if known is None or known.operation is None or known.extreme or not known.components:
        return metric, "value"
    root = known.components[0]
    return (root if parameter is None else f"{root}[{parameter}]"), known.operation


def shape_of(metric: str) -> str:
    """Return how a metric is shown: as a ``panel``, a ``matrix`` over its parameter, or a ``gap``.

    >>> shape_of("auc"), shape_of("missing_rate[age]"), shape_of("equalized_odds_ratio")
    ('panel', 'matrix', 'gap')
    """
    known = _metric(metric)
    if known is not None and known.extreme:
        return "gap"
    return "matrix" if known is not None and known.parameter is not None else "panel"


def _metric(metric: str) -> Metric | None:
    base, _ = metric_name(metric)
    return METRICS.get(base) if base in METRICS else None


def _axis(
    operation: str,
    metric: Metric | None,
    findings: Sequence[Finding],
    region: Region | None,
    *,
    from_zero: bool,
) -> Axis:
    limits = (None, None) if metric is None else (metric.low, metric.high)
    values = [finding.value for finding in findings]
    bounds = [bound for finding in findings for bound in (finding.low, finding.high)]
    origin = [0.0] if from_zero else []
    accepted = [] if region is None else [x for x in (region.low, region.high) if x is not None]
    if operation == "ratio":
        return ratio_axis([*values, *bounds], limits=[x for x in accepted if x > 0])
    reference = 0.0 if operation == "difference" else None
    return linear_axis([*values, *bounds, *accepted, *origin], limits=limits, reference=reference)


def _bound(findings: Iterable[Finding]) -> str | None:
    largest = max((finding.bound or 0.0 for finding in findings), default=0.0)
    return f"{largest:.1g}" if largest else None


def _decimals(findings: Sequence[Finding]) -> int:
    values = [finding.value for finding in findings if finding.value]
    if values and all(value == int(value) for value in values) and max(map(abs, values)) > 1:
        return 0
    widths = [
        finding.high - finding.low
        for finding in findings
        if finding.low is not None and finding.high is not None and finding.high > finding.low
    ]
    # What was counted in full has no interval: then the smallest number shows two digits.
    return decimals_for(widths or [abs(value) for value in values], least=2 if widths else 3)
