"""Who was measured: the records of every group, the unknown and the empty ones included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.evidence import Finding
from auditor.report.cells import Located
from auditor.report.text import metric_name, over_text, shown

__all__ = ["Group", "Population", "PopulationFamily", "make_populations"]


@dataclass(frozen=True, slots=True)
class Group:
    """One slice with its records; ``role`` is ``unknown`` or ``empty`` where it is that."""

    label: str
    records: int
    share: float | None
    index: int
    role: str = ""


@dataclass(frozen=True, slots=True)
class PopulationFamily:
    """The slices over the same attributes; ``counted`` is the sum over all of them."""

    attributes: tuple[str, ...]
    title: str
    groups: tuple[Group, ...]
    counted: int
    reconciles: bool | None
    hidden: int = 0

    @property
    def folded(self) -> bool:
        """Whether it is shown on demand: intersections are."""
        return len(self.attributes) > 1


@dataclass(frozen=True, slots=True)
class Population:
    """The records of one table or split, by attribute."""

    title: str
    total: int | None
    index: int | None
    families: tuple[PopulationFamily, ...]
    evidence: tuple[str, ...]

    @property
    def unknown(self) -> tuple[tuple[str, Group], ...]:
        """The groups with a missing value, with the attributes they belong to."""
        return self._with_role("unknown")

    @property
    def empty(self) -> tuple[tuple[str, Group], ...]:
        """The declared groups without a record."""
        return self._with_role("empty")

    def _with_role(self, role: str) -> tuple[tuple[str, Group], ...]:
        return tuple(
            (family.title, group)
            for family in self.families
            if not family.folded
            for group in family.groups
            if group.role == role
        )


def make_populations(
    findings: Iterable[Located], *, title: str, most_rows: int
) -> tuple[Population, ...]:
    """Gather the findings of the metric ``count``, one population per parameter (a split)."""
    by_split: dict[str | None, list[Located]] = {}
    for index, finding in findings:
        _, split = metric_name(finding.metric)
        by_split.setdefault(split, []).append((index, finding))
    return tuple(
        _population(located, title if split is None else f"{title} ({shown(split)})", most_rows)
        for split, located in by_split.items()
    )


def _population(findings: list[Located], title: str, most_rows: int) -> Population:
    total: int | None = None
    total_index: int | None = None
    families: dict[tuple[str, ...], list[Located]] = {}
    evidence: dict[str, None] = {}
    for index, finding in findings:
        evidence |= dict.fromkeys(finding.evidence)
        if finding.slice:
            families.setdefault(finding.slice.attributes, []).append((index, finding))
        elif finding.value is not None:
            total, total_index = int(finding.value), index
    return Population(
        title=title,
        total=total,
        index=total_index,
        families=tuple(
            _family(attributes, families[attributes], total, most_rows)
            for attributes in sorted(families, key=len)
        ),
        evidence=tuple(evidence),
    )


def _family(
    attributes: tuple[str, ...], findings: list[Located], total: int | None, most_rows: int
) -> PopulationFamily:
    groups = [_group(index, finding, total) for index, finding in findings]
    counted = sum(group.records for group in groups)
    kept = groups
    if len(groups) > most_rows:
        kept = sorted(groups, key=lambda group: -group.records)[:most_rows]
    return PopulationFamily(
        attributes=attributes,
        title=over_text(attributes),
        groups=tuple(kept),
        counted=counted,
        reconciles=None if total is None else counted == total,
        hidden=len(groups) - len(kept),
    )


def _group(index: int, finding: Finding, total: int | None) -> Group:
    # A group without one record has no number, and its count is nothing all the same.
    records = int(finding.value or 0)
    values = ["unknown" if value is None else shown(value) for value in finding.slice.values()]
    role = "unknown" if not finding.slice.known else "" if records else "empty"
    return Group(
        label=" · ".join(values),
        records=records,
        share=records / total if total else None,
        index=index,
        role=role,
    )
