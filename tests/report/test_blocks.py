"""Findings laid out: each in one place, none lost without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from auditor.checks import CHECKS, Evidence
from auditor.evidence import Finding, Slice, Stage
from auditor.policy import parse_region
from auditor.report.absent import make_absences
from auditor.report.blocks import Block, make_blocks, rows_that_fit
from auditor.stats import SliceTable, Statistic


def derive(check: str, *found: Statistic, stage: Stage = Stage.EVALUATION) -> list[Finding]:
    return CHECKS.get(check)().derive([Evidence("sha256:e", item) for item in found], stage)


def placed(blocks: Iterable[Block]) -> Counter[int]:
    """Count how often each finding has a place."""
    found: Counter[int] = Counter()
    for block in blocks:
        for panel in (*block.panels, *block.singles):
            for family in panel.families:
                found.update(c.index for row in family.rows for c in row.cells if c is not None)
        found.update(row.cell.index for gap in block.gaps for row in gap.rows)
        for matrix in block.matrices:
            rows = [*matrix.rows, *(row for table in matrix.groups for row in table.rows)]
            found.update(c.index for row in rows for c in row.cells if c is not None)
        for population in block.populations:
            found.update([] if population.index is None else [population.index])
            found.update(g.index for family in population.families for g in family.groups)
    return found


@pytest.fixture
def findings(
    confusion: Callable[..., SliceTable], scores: Statistic, attributions: SliceTable
) -> list[Finding]:
    return [
        *derive("bias.group-metrics", confusion(), scores),
        *derive("explainability.attributions", attributions),
    ]


def test_every_measured_finding_has_one_place(findings: list[Finding]) -> None:
    blocks = make_blocks(findings)
    places = placed(blocks)
    assert set(places.values()) == {1}
    compared = sum(matrix.comparisons for block in blocks for matrix in block.matrices)
    measured = {i for i, f in enumerate(findings) if f.status == "measured"}
    assert len(measured - set(places)) <= compared
    assert all(findings[i].metric.startswith("mean_abs") for i in measured - set(places))


def test_every_finding_without_a_number_is_listed_with_its_reason(findings: list[Finding]) -> None:
    absences = make_absences(findings)
    missing = [f for f in findings if f.status != "measured"]
    assert missing
    assert sum(absence.number for absence in absences) == len(missing)
    assert {absence.reason for absence in absences} == {f.reason for f in missing}
    for finding in missing:
        said = [a for a in absences if a.reason == finding.reason]
        places = [s for a in said for subject in a.subjects for s in subject.slices]
        assert any((finding.slice.get("race") or "unknown") in p or "every" in p for p in places)


def test_errors_stand_before_reasons() -> None:
    made = CHECKS.get("bias.group-metrics")()
    findings = [
        *made.unmeasured("no predictions were given", Stage.EVALUATION),
        *made.unmeasured("it broke", Stage.EVALUATION, error=True),
    ]
    first, *_ = make_absences(findings)
    assert first.error
    assert first.reason == "it broke"


def test_intersections_are_folded_and_single_attributes_are_not(findings: list[Finding]) -> None:
    panel = make_blocks(findings)[0].panels[0]
    assert {f.attributes: f.folded for f in panel.families} == {
        (): False, ("sex",): False, ("race",): False, ("race", "sex"): True,
    }  # fmt: skip


def test_groups_sum_to_everybody_and_the_unknown_and_empty_ones_are_named(
    confusion: Callable[..., SliceTable],
) -> None:
    blocks = make_blocks(derive("bias.group-metrics", confusion()))
    (population,) = blocks[0].populations
    assert population.total == 3_310
    assert all(family.counted == 3_310 and family.reconciles for family in population.families)
    assert [(name, g.label, g.records) for name, g in population.unknown] == [
        ("race", "unknown", 20)
    ]
    empty = [g for family in population.families for g in family.groups if g.role == "empty"]
    assert [g.label for g in empty] == ["Asian · F"]


def test_the_reference_is_marked_and_named(confusion: Callable[..., SliceTable]) -> None:
    blocks = make_blocks(derive("bias.group-metrics", confusion()))
    panel = next(p for p in blocks[0].panels if p.metric == "selection_rate")
    race = next(f for f in panel.families if f.attributes == ("race",))
    assert race.reference == "race White"
    assert [row.label for row in race.rows if row.role == "reference"] == ["White"]


def test_a_family_of_many_slices_is_cut_where_everybody_sees_it() -> None:
    def rate(number: int, metric: str, value: float) -> Finding:
        return Finding(
            check="bias.group-metrics", metric=metric, stage=Stage.EVALUATION, status="measured",
            slice=Slice({"town": f"t{number:04}"}), value=value, low=value - 0.01,
            high=value + 0.01, confidence=0.95, n=100, method="wilson",
            reference=Slice({"town": "t0000"}) if "difference" in metric else None,
        )  # fmt: skip

    findings = [rate(i, "selection_rate", 0.5) for i in range(2_000)]
    findings += [rate(i, "selection_rate_difference", i / 2_000) for i in range(1, 2_000)]
    most = rows_that_fit(findings)
    assert most < 2_000
    (family,) = make_blocks(findings)[0].panels[0].families
    assert len(family.rows) == most
    assert family.hidden == 2_000 - most
    shown = {row.label for row in family.rows}
    assert {"t1999", "t0000"} <= shown  # the largest difference, and what it is compared with
    assert "t0001" not in shown


def test_the_latest_stage_comes_first(confusion: Callable[..., SliceTable]) -> None:
    blocks = make_blocks(
        [
            *derive("bias.group-metrics", confusion(), stage=Stage.TRAINING),
            *derive("bias.group-metrics", confusion(), stage=Stage.EVALUATION),
        ]
    )
    assert [block.stage for block in blocks] == [Stage.EVALUATION, Stage.TRAINING]


def test_what_a_policy_accepts_lies_on_the_axis(confusion: Callable[..., SliceTable]) -> None:
    region = parse_region(">= 0.8")
    regions = {("evaluation", "selection_rate_ratio"): region}
    blocks = make_blocks(derive("bias.group-metrics", confusion()), regions)
    panel = next(p for p in blocks[0].panels if p.metric == "selection_rate")
    ratio = next(c for c in panel.columns if c.operation == "ratio")
    assert ratio.region == region
    assert not ratio.axis.outside(0.8)
    assert all(c.region is None for c in panel.columns if c.operation != "ratio")


def test_a_ring_means_that_the_interval_holds_no_difference(
    confusion: Callable[..., SliceTable],
) -> None:
    for panel in make_blocks(derive("bias.group-metrics", confusion()))[0].panels:
        for column in panel.columns[1:]:
            middle = 0.0 if column.operation == "difference" else 1.0
            position = panel.columns.index(column)
            for family in panel.families:
                for row in family.rows:
                    cell = row.cells[position]
                    if cell is None or not cell.measured:
                        continue
                    low, high = cell.finding.low, cell.finding.high
                    holds = (low is None or low <= middle) and (high is None or high >= middle)
                    assert column.undecided(cell) == holds


def test_what_was_counted_in_full_shows_both_counts(confusion: Callable[..., SliceTable]) -> None:
    groups = confusion().groups
    table = SliceTable.zero(
        "overlap-counts", groups, ("records", "test"), context={"split": "test"}
    )
    table.values[:, 0] = 2_000
    table.values[:, 1] = 3
    (block,) = make_blocks(derive("provenance.overlap", table, stage=Stage.DATA))
    (matrix,) = block.matrices
    (row,) = matrix.rows
    cell = row.cells[0]
    assert cell is not None
    assert matrix.column.value(cell) == "0.0015"
    assert matrix.column.interval(cell) == "3 of 2,000"
    assert matrix.column.axis.low == 0.0
