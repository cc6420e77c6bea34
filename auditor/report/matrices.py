"""Metrics with a parameter: one row a feature, a column of the data or a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from auditor.evidence import Finding, Slice
from auditor.metrics import METRICS
from auditor.report.cells import Cell, Column, Located, make_column, root_of
from auditor.report.text import metric_name, metric_title, over_text, shown

__all__ = ["GroupTable", "Matrix", "MatrixRow", "make_matrices"]

_MOST_PARAMETERS = 20
_MOST_GROUPS = 12


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One parameter: its cells stand in the order of the table's groups."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The parameters by the groups of one attribute."""

    title: str
    groups: tuple[str, ...]
    column: Column
    rows: tuple[MatrixRow, ...]
    hidden_groups: int = 0


@dataclass(frozen=True, slots=True)
class Matrix:
    """One metric over its parameter: for everybody, largest first, and by group.

    ``hidden`` parameters stand in ``findings.json`` alone; ``nothing`` names those whose value is
    exactly 0; ``comparisons`` counts the differences and ratios between groups that are not drawn,
    ``intersections`` the values of intersections that are not.
    """

    id: str
    metric: str
    title: str
    formula: str
    source: str
    parameter: str
    column: Column
    rows: tuple[MatrixRow, ...]
    groups: tuple[GroupTable, ...]
    nothing: tuple[str, ...]
    hidden: int
    comparisons: int
    intersections: int
    evidence: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    everybody: dict[str, Cell] = field(default_factory=dict)
    by_group: dict[tuple[str, ...], dict[Slice, dict[str, Cell]]] = field(default_factory=dict)
    evidence: dict[str, None] = field(default_factory=dict)
    comparisons: int = 0

    def add(self, index: int, finding: Finding, parameter: str, operation: str) -> None:
        if operation != "value":
            self.comparisons += finding.status == "measured"
            return
        self.evidence |= dict.fromkeys(finding.evidence)
        cell = Cell(index, finding)
        if finding.slice:
            family = self.by_group.setdefault(finding.slice.attributes, {})
            family.setdefault(finding.slice, {})[parameter] = cell
        else:
            self.everybody[parameter] = cell


def make_matrices(findings: Iterable[Located], *, prefix: str) -> tuple[Matrix, ...]:
    """Group findings by metric, and lay its parameters out in rows."""
    drafts: dict[str, _Draft] = {}
    for index, finding in findings:
        root, operation = root_of(finding.metric)
        base, parameter = metric_name(root)
        drafts.setdefault(base, _Draft()).add(index, finding, parameter or "", operation)
    return tuple(
        _finish(base, draft, f"{prefix}-{number}")
        for number, (base, draft) in enumerate(drafts.items(), start=1)
    )


def _finish(base: str, draft: _Draft, identifier: str) -> Matrix:
    known = METRICS.get(base) if base in METRICS else None
    ranked = _ranked(draft)
    zero = [n for n in ranked if n in draft.everybody and draft.everybody[n].finding.value == 0]
    if len(zero) < 2 or all(map(_is_number, ranked)):
        zero = []
    rest = [name for name in ranked if name not in zero]
    kept = rest[:_MOST_PARAMETERS]
    whole = [name for name in kept if name in draft.everybody]
    cells = [draft.everybody[name] for name in whole]
    measured = any(cell.measured for cell in cells)
    column = make_column(identifier, base, "value", cells, from_zero=True)
    return Matrix(
        id=identifier,
        metric=base,
        title=metric_title(base),
        formula="" if known is None else known.formula,
        source="" if known is None else known.source,
        parameter=(known.parameter if known else None) or "parameter",
        column=column,
        rows=tuple(MatrixRow(shown(n), (draft.everybody[n],)) for n in whole if measured),
        groups=tuple(
            _group_table(attributes, family, kept, f"{identifier}-g{number}", base)
            for number, (attributes, family) in enumerate(draft.by_group.items())
            if len(attributes) == 1
        ),
        nothing=tuple(shown(name, limit=40) for name in zero),
        hidden=len(rest) - len(kept),
        comparisons=draft.comparisons,
        intersections=sum(
            cell.measured
            for attributes, family in draft.by_group.items()
            if len(attributes) > 1
            for found in family.values()
            for cell in found.values()
        ),
        evidence=tuple(draft.evidence),
    )


def _ranked(draft: _Draft) -> list[str]:
    """Return the parameters: numbers in their order, names by their value, largest first."""
    families = draft.by_group.values()
    inside = (name for family in families for cells in family.values() for name in cells)
    names = list(dict.fromkeys([*draft.everybody, *inside]))
    if all(map(_is_number, names)):
        return sorted(names, key=float)
    sizes = {n: _size(draft.everybody[n]) if n in draft.everybody else -1.0 for n in names}
    return sorted(names, key=lambda name: (-sizes[name], name))


def _is_number(name: str) -> bool:
    return name.isascii() and name.replace(".", "", 1).isdigit()


def _group_table(
    attributes: tuple[str, ...],
    family: dict[Slice, dict[str, Cell]],
    parameters: Sequence[str],
    identifier: str,
    base: str,
) -> GroupTable:
    slices = sorted(family, key=lambda where: -_records(family[where]))[:_MOST_GROUPS]
    cells = [cell for where in slices for cell in family[where].values()]
    return GroupTable(
        title=over_text(attributes),
        groups=tuple(
            "unknown" if value is None else shown(value, limit=60)
            for where in slices
            for value in where.values()
        ),
        column=make_column(identifier, base, "value", cells, from_zero=True),
        rows=tuple(
            MatrixRow(shown(name), tuple(family[where].get(name) for where in slices))
            for name in parameters
            if any(name in family[where] for where in slices)
        ),
        hidden_groups=len(family) - len(slices),
    )


def _records(cells: dict[str, Cell]) -> int:
    return max((cell.finding.n or 0 for cell in cells.values()), default=0)


def _size(cell: Cell) -> float:
    return -1.0 if cell.finding.value is None else cell.finding.value
