"""Findings laid out for reading: one panel a metric, its groups in rows, attribute by attribute."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.evidence import Finding, Slice
from auditor.metrics import METRICS
from auditor.policy import Region
from auditor.report.cells import Cell, Column, Located, make_column, root_of
from auditor.report.text import metric_name, metric_title, over_text, shown, slice_text

__all__ = ["Family", "Panel", "Row", "make_panels"]

_OPERATIONS = ("value", "difference", "ratio")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Row:
    """One slice: its cells stand in the order of the panel's columns.

    ``role`` is ``reference`` for the slice that the others are compared with, ``unknown`` for one
    with a missing value.
    """

    where: Slice
    label: str
    n: int | None
    cells: tuple[Cell | None, ...]
    role: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """The slices over the same attributes; ``hidden`` more stand in ``findings.json`` alone."""

    attributes: tuple[str, ...]
    title: str
    rows: tuple[Row, ...]
    reference: str | None = None
    hidden: int = 0

    @property
    def folded(self) -> bool:
        """Whether it is shown on demand: intersections are."""
        return len(self.attributes) > 1


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric with its differences and ratios, for every slice."""

    id: str
    metric: str
    title: str
    formula: str
    source: str
    better: str | None
    columns: tuple[Column, ...]
    families: tuple[Family, ...]
    notes: tuple[tuple[str, str], ...]
    evidence: tuple[str, ...]

    @property
    def parameter(self) -> str | None:
        """The parameter of the metric: the split of the data that it speaks of."""
        return metric_name(self.metric)[1]

    @property
    def single(self) -> bool:
        """Whether there is nothing but one number for everybody."""
        return len(self.columns) == 1 and all(not family.attributes for family in self.families)


@dataclass(slots=True)
class _Draft:
    metric: str
    cells: dict[Slice, dict[str, list[Cell]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, None] = field(default_factory=dict)

    def add(self, index: int, finding: Finding, operation: str) -> None:
        note = None
        if finding.status != "measured":
            note = self.reasons.setdefault(finding.reason or "", _letter(len(self.reasons)))
        cell = Cell(index, finding, note)
        self.cells.setdefault(finding.slice, {}).setdefault(operation, []).append(cell)
        self.evidence |= dict.fromkeys(finding.evidence)


def make_panels(
    findings: Iterable[Located],
    *,
    prefix: str,
    most_rows: int,
    regions: Mapping[str, Region] | None = None,
) -> tuple[Panel, ...]:
    """Group findings by the metric that they measure or compare, in the order of the findings.

    ``prefix`` begins the ids; a family of more than ``most_rows`` slices is cut to those with the
    largest differences; ``regions`` is what the policy accepts, by metric.
    """
    drafts: dict[str, _Draft] = {}
    for index, finding in findings:
        root, operation = root_of(finding.metric)
        drafts.setdefault(root, _Draft(root)).add(index, finding, operation)
    return tuple(
        _finish(draft, f"{prefix}-{number}", most_rows, regions or {})
        for number, draft in enumerate(drafts.values(), start=1)
    )


def _finish(draft: _Draft, identifier: str, most_rows: int, regions: Mapping[str, Region]) -> Panel:
    base, _ = metric_name(draft.metric)
    known = METRICS.get(base) if base in METRICS else None
    columns: list[Column] = []
    for operation in _OPERATIONS:
        cells = [c for held in draft.cells.values() for c in held.get(operation, ())]
        if cells:
            name = cells[0].finding.metric
            column = f"{identifier}{operation[0]}"
            region = regions.get(name)
            columns.append(make_column(column, name, operation, cells, region=region))
    return Panel(
        id=identifier,
        metric=draft.metric,
        title=metric_title(draft.metric),
        formula="" if known is None else known.formula,
        source="" if known is None else known.source,
        better=None if known is None or known.better is None else f"{known.better} is better",
        columns=tuple(columns),
        families=tuple(_families(draft.cells, columns, most_rows)),
        notes=tuple((letter, reason) for reason, letter in draft.reasons.items()),
        evidence=tuple(draft.evidence),
    )


def _families(
    cells: Mapping[Slice, Mapping[str, Sequence[Cell]]], columns: Sequence[Column], most_rows: int
) -> Iterable[Family]:
    by_attributes: dict[tuple[str, ...], list[Slice]] = {}
    for where in cells:
        by_attributes.setdefault(where.attributes, []).append(where)
    for attributes in sorted(by_attributes, key=len):
        slices = by_attributes[attributes]
        references = {
            cell.finding.reference
            for where in slices
            for held in cells[where].values()
            for cell in held
            if cell.finding.reference is not None
        }
        rows = [row for where in slices for row in _rows(where, cells[where], columns, references)]
        kept = _most_telling(rows, columns, most_rows)
        only = next(iter(references)) if len(references) == 1 else None
        yield Family(
            attributes=attributes,
            title=over_text(attributes),
            rows=tuple(kept),
            reference=None if only is None else reference_text(only),
            hidden=len(rows) - len(kept),
        )


def reference_text(reference: Slice | str) -> str:
    """Return the reference of a comparison in words: a slice, or everybody else."""
    return "everybody else" if isinstance(reference, str) else slice_text(reference)


def _rows(
    where: Slice,
    held: Mapping[str, Sequence[Cell]],
    columns: Sequence[Column],
    references: Collection[Slice | str | None],
) -> Iterable[Row]:
    """Yield one row, and further ones where a slice was compared with several references."""
    depth = max(len(cells) for cells in held.values())
    for level in range(depth):
        cells: list[Cell | None] = []
        for column in columns:
            there = held.get(column.operation, ())
            cells.append(there[level] if level < len(there) else None)
        first = next((cell for cell in cells if cell is not None), None)
        role = "unknown" if not where.known else "reference" if where in references else ""
        yield Row(
            where=where,
            label=_label(where),
            n=None if first is None else first.finding.n,
            cells=tuple(cells),
            role=role,
        )


def _label(where: Slice) -> str:
    """Return the values of a slice; the heading of the family names the attributes."""
    values = ["unknown" if value is None else shown(value) for value in where.values()]
    return " · ".join(values) or "Everybody"


def _most_telling(rows: list[Row], columns: Sequence[Column], most: int) -> list[Row]:
    """Return the rows with the largest differences, where there are too many, in their order."""
    if len(rows) <= most:
        return rows
    ranked = sorted(range(len(rows)), key=lambda i: (*_importance(rows[i], columns), i))
    return [rows[i] for i in sorted(ranked[:most])]


def _importance(row: Row, columns: Sequence[Column]) -> tuple[bool, float, int]:
    """Order the reference first (nothing compares without it), then differences, then sizes."""
    size = 0.0
    for column, cell in zip(columns, row.cells, strict=True):
        if column.operation == "difference" and cell is not None:
            size = abs(cell.finding.value or 0.0)
    return row.role != "reference", -size, -(row.n or 0)


def _letter(number: int) -> str:
    """Return a, b, …, z, aa, ab, …"""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = _LETTERS[rest] + letters
    return letters
