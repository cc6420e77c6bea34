"""The findings of one check at one stage, sorted into the shapes in which they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.checks import CHECKS
from auditor.evidence import Finding, Stage
from auditor.policy import Region
from auditor.report.cells import Located, root_of, shape_of
from auditor.report.gaps import Gap, make_gaps
from auditor.report.matrices import Matrix, make_matrices
from auditor.report.panels import Panel, make_panels
from auditor.report.populations import Population, make_populations
from auditor.report.text import metric_name, metric_title, shown, stage_text

__all__ = ["Block", "check_title", "make_blocks", "rows_that_fit"]

_MOST_ROWS = (200, 120, 80, 60, 40, 30, 20, 12, 8, 5, 3)
_FIRST = ("bias.group-metrics", "bias.class-metrics", "bias.regression", "bias.ranking")
_MAIN = (
    "base_rate", "selection_rate", "true_positive_rate", "false_positive_rate", "precision",
    "accuracy", "auc", "expected_calibration_error", "impact_ratio", "mean_error",
    "mean_absolute_error", "r2_score", "exposure", "balanced_accuracy", "mean_loss",
)  # fmt: skip
_MOST_OPEN = 8
_MOST_GAPS = 80
_ROWS_IN_ALL = 1_300
"""So many rows of panels keep a report of any number of findings near a megabyte."""
_ROWS_OF_A_TABLE = 3
"""What the frame of a table weighs, in rows."""
_FEW_ROWS = 8
"""Rather than to cut all tables to so few rows, further measures are left out."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one check measured at one stage.

    ``singles`` are metrics with nothing but one number for everybody; ``panels`` the others.
    Metrics without any number stand in the section on what was not measured. ``hidden`` findings of
    intersections are not drawn, because there are too many; nor are the metrics whose titles
    ``undrawn`` holds, and ``gaps_hidden`` tables of gaps.
    """

    id: str
    check: str
    stage: Stage
    title: str
    populations: tuple[Population, ...]
    gaps: tuple[Gap, ...]
    panels: tuple[Panel, ...]
    singles: tuple[Panel, ...]
    matrices: tuple[Matrix, ...]
    hidden: int = 0
    undrawn: tuple[str, ...] = ()
    gaps_hidden: int = 0

    @property
    def open_gaps(self) -> tuple[Gap, ...]:
        """The gaps that are open: those with a name, or of the main metrics where none has one."""
        named = tuple(gap for gap in self.gaps if gap.named)
        main = (gap for gap in self.gaps if root_of(gap.metric)[0] in _MAIN)
        return named or tuple(main) or self.gaps[:_MOST_OPEN]

    @property
    def folded_gaps(self) -> tuple[Gap, ...]:
        """The gaps of further measures, which are folded away."""
        shown_ids = {gap.id for gap in self.open_gaps}
        return tuple(gap for gap in self.gaps if gap.id not in shown_ids)

    @property
    def main_panels(self) -> tuple[Panel, ...]:
        """The panels that are open: the main metrics, or all where there are few."""
        others = {panel.id for panel in self.other_panels}
        return tuple(panel for panel in self.panels if panel.id not in others)

    @property
    def other_panels(self) -> tuple[Panel, ...]:
        """The panels that are folded away: further measures of the same predictions."""
        others = tuple(
            panel for panel in self.panels
            if metric_name(panel.metric)[0] not in _MAIN
            and all(column.region is None for column in panel.columns)
        )  # fmt: skip
        return others if len(self.panels) > _MOST_OPEN else ()

    @property
    def topic(self) -> str:
        """The section of the report in which it stands: the namespace of the check."""
        return self.check.partition(".")[0]

    @property
    def stage_title(self) -> str:
        """The stage in words."""
        return stage_text(self.stage)


def make_blocks(
    findings: Sequence[Finding], regions: Mapping[tuple[str, str], Region] | None = None
) -> tuple[Block, ...]:
    """Sort the findings: the latest stage first and, within one, in order of first appearance.

    ``regions`` is what the policy accepts, by stage and metric.
    """
    grouped: dict[tuple[Stage, str], list[Located]] = {}
    hidden: Counter[tuple[Stage, str]] = Counter()
    crossed = crossings_fit(findings)
    for index, finding in enumerate(findings):
        key = (finding.stage, finding.check)
        located = grouped.setdefault(key, [])
        if crossed or not _crosses(finding):
            located.append((index, finding))
        else:
            hidden[key] += 1
    without_room = roots_without_room(
        (f for located in grouped.values() for _, f in located),
        judged={(stage, root_of(metric)[0]) for stage, metric in regions or ()},
    )
    most_rows = rows_that_fit(
        f
        for (stage, check), located in grouped.items()
        for _, f in located
        if (stage, check, root_of(f.metric)[0]) not in without_room
    )
    ordered = sorted(grouped, key=lambda key: (-key[0].order, key[1] not in _FIRST))
    blocks = [
        _block(
            f"b{number}",
            stage,
            check,
            grouped[stage, check],
            most_rows,
            {metric: region for (at, metric), region in (regions or {}).items() if at == stage},
            hidden[stage, check],
            {root for at, by, root in without_room if (at, by) == (stage, check)},
        )
        for number, (stage, check) in enumerate(ordered, start=1)
    ]
    return tuple(block for block in blocks if _holds_anything(block))


def check_title(check: str) -> str:
    """Return the title of a check, and its id where a plug-in's check is not there."""
    return CHECKS.get(check).title if check in CHECKS else shown(check)


def crossings_fit(findings: Sequence[Finding]) -> bool:
    """Whether there are so few intersections that each can be drawn, be it with few rows."""
    panels = {
        (f.stage, f.check, root_of(f.metric)[0], f.slice.attributes) for f in findings
        if f.over is None
    }  # fmt: skip
    gaps = sum(f.over is not None for f in findings)
    return _MOST_ROWS[-1] * len(panels) + gaps <= 2 * _ROWS_IN_ALL


def roots_without_room(
    findings: Iterable[Finding], *, judged: Collection[tuple[str, str]] = ()
) -> frozenset[tuple[Stage, str, str]]:
    """Return stage, check and metric of the panels that are left out of a report of very many.

    What a policy has ``judged`` and the main metrics have room before the further ones, and each in
    the order of the findings.
    """
    tables: dict[tuple[Stage, str, str], Counter[tuple[str, ...]]] = {}
    for finding in findings:
        root, operation = root_of(finding.metric)
        if operation == "value" and finding.status == "measured" and finding.over is None:
            key = finding.stage, finding.check, root
            if shape_of(root) != "panel" or metric_name(root)[0] == "count":
                continue
            tables.setdefault(key, Counter())[finding.slice.attributes] += 1
    room = _ROWS_IN_ALL
    left_out: list[tuple[Stage, str, str]] = []

    def behind(key: tuple[Stage, str, str]) -> bool:
        return metric_name(key[2])[0] not in _MAIN and (key[0], key[2]) not in judged

    for key in sorted(tables, key=behind):
        rows = sum(min(number, _FEW_ROWS) + _ROWS_OF_A_TABLE for number in tables[key].values())
        if rows > room or left_out:
            left_out.append(key)
        room -= rows
    return frozenset(left_out)


def _crosses(finding: Finding) -> bool:
    return max(len(finding.slice.attributes), len(finding.over or ())) > 1


def rows_that_fit(findings: Iterable[Finding]) -> int:
    """Return how many slices of one family a panel may show, so that the report stays small."""
    rows = Counter(
        (finding.stage, finding.check, root_of(finding.metric)[0], finding.slice.attributes)
        for finding in findings
        if root_of(finding.metric)[1] == "value" and finding.over is None
    )
    for most in _MOST_ROWS:
        if sum(min(number, most) for number in rows.values()) <= _ROWS_IN_ALL:
            return most
    return _MOST_ROWS[-1]


def _block(
    identifier: str,
    stage: Stage,
    check: str,
    findings: list[Located],
    most_rows: int,
    regions: Mapping[str, Region],
    hidden: int,
    without_room: Collection[str],
) -> Block:
    undrawn: dict[str, None] = {}
    counts: list[Located] = []
    shapes: dict[str, list[Located]] = {"panel": [], "matrix": [], "gap": []}
    measured = {root_of(f.metric)[0] for _, f in findings if f.status == "measured"}
    for index, finding in findings:
        if metric_name(finding.metric)[0] == "count":
            counts.append((index, finding))
        elif finding.over is not None:
            shapes["gap"].append((index, finding))
        elif root_of(finding.metric)[0] in without_room:
            undrawn[metric_title(root_of(finding.metric)[0])] = None
        elif root_of(finding.metric)[0] in measured:
            shapes[shape_of(finding.metric)].append((index, finding))
    panels = make_panels(
        shapes["panel"], prefix=f"{identifier}p", most_rows=most_rows, regions=regions
    )
    gaps = make_gaps(shapes["gap"], prefix=f"{identifier}g", regions=regions)
    kept = sorted(sorted(range(len(gaps)), key=lambda i: _rank(gaps[i]))[:_MOST_GAPS])
    return Block(
        id=identifier,
        check=check,
        stage=stage,
        title=check_title(check),
        populations=make_populations(
            counts if "count" in {metric_name(m)[0] for m in measured} else [],
            title="Records", most_rows=max(most_rows, 30),
        ),
        gaps=tuple(gaps[i] for i in kept),
        panels=tuple(panel for panel in panels if not panel.single),
        singles=tuple(panel for panel in panels if panel.single),
        matrices=make_matrices(shapes["matrix"], prefix=f"{identifier}m"),
        hidden=hidden,
        undrawn=tuple(undrawn),
        gaps_hidden=len(gaps) - len(kept),
    )  # fmt: skip


def _rank(gap: Gap) -> int:
    """Order the gaps that have a name, those of the main metrics, and the others."""
    return 0 if gap.named else 1 if metric_name(root_of(gap.metric)[0])[0] in _MAIN else 2


def _holds_anything(block: Block) -> bool:
    return bool(block.populations or block.gaps or block.panels or block.singles or block.matrices)
