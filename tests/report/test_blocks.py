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
from auditor.report.text import metric_title
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
    matrices = [matrix for block in blocks for matrix in block.matrices]
    counted = sum(matrix.comparisons + matrix.intersections for matrix in matrices)
    measured = {i for i, f in enumerate(findings) if f.status == "measured"}
    missing = [findings[i] for i in measured - set(places)]
    assert len(missing) == counted > 0
    assert {f.base_metric for f in missing if f.reference is None} == {"score_quantile"}


def panels_of(rates: Iterable[str], slices: int) -> list[Finding]:
    return [
        Finding(
            check="bias.group-metrics", metric=rate, stage=Stage.EVALUATION,
            slice=Slice({"town": f"town {i}"}), status="measured", value=0.5, low=0.4, high=0.6,
            confidence=0.95, n=90, method="wilson",
        )
        for rate in rates for i in range(slices)
    ]  # fmt: skip


def test_what_has_no_room_is_said_and_the_main_metrics_and_the_judged_come_first() -> None:
    further = [f"further_{i}" for i in range(200)]
    findings = panels_of([*further, "selection_rate", "judged"], 10)
    (block,) = make_blocks(findings, {(Stage.EVALUATION, "judged"): parse_region(">= 0.8")})
    drawn = {panel.metric for panel in block.panels}
    assert {"selection_rate", "judged"} < drawn
    titles = [metric_title(metric) for metric in (*further, "selection_rate", "judged")]
    assert len(drawn) + len(block.undrawn) == len(titles)
    assert set(block.undrawn) == set(titles) - {panel.title for panel in block.panels}
    assert {panel.metric for panel in block.main_panels} == {"selection_rate", "judged"}


def test_few_panels_are_all_open_and_many_only_the_main_ones() -> None:
    (few,) = make_blocks(panels_of(["accuracy", "mine", "other"], 2))
    assert [panel.metric for panel in few.main_panels] == ["accuracy", "mine", "other"]
    assert few.other_panels == few.undrawn == ()
    (many,) = make_blocks(panels_of(["base_rate[test]", *map("m{}".format, range(9))], 2))
    assert [panel.metric for panel in many.main_panels] == ["base_rate[test]"]
    assert [panel.metric for panel in many.other_panels] == [f"m{i}" for i in range(9)]


def gap(metric: str, *, measured: bool = True) -> Finding:
    number = {"value": 0.1, "low": 0.0, "high": 0.2, "confidence": 0.95, "n": 90, "method": "delta"}
    return Finding(
        check="bias.proxies", metric=metric, stage=Stage.EVALUATION, slice=Slice(), over=("sex",),
        **({"status": "measured", **number} if measured  # type: ignore[arg-type]
           else {"status": "not-evaluated", "reason": "one group"}),
    )  # fmt: skip


def test_gaps_with_a_name_are_open_and_the_others_folded() -> None:
    names = ["auc_difference", "log_loss_difference", "equalized_odds_difference", "of_a_plug_in"]
    findings = [gap(name) for name in names]
    (block,) = make_blocks(findings)
    named = {entry.metric: entry.named for entry in block.gaps}
    assert named == dict(zip(names, (False, False, True, True), strict=True))
    assert [entry.metric for entry in block.open_gaps] == names[2:]
    assert [entry.metric for entry in block.folded_gaps] == names[:2]

    (judged,) = make_blocks(
        findings, {(Stage.EVALUATION, "log_loss_difference"): parse_region("<= 0.1")}
    )
    assert "log_loss_difference" in {entry.metric for entry in judged.open_gaps}

    (unnamed,) = make_blocks(findings[:2])  # then those of the main metrics are open
    assert [entry.metric for entry in unnamed.open_gaps] == ["auc_difference"]


def test_gaps_without_room_are_counted_and_the_named_ones_stay() -> None:
    classes = [f"f1_score_difference[class {i}]" for i in range(200)]
    (block,) = make_blocks([gap(name) for name in (*classes, "equalized_odds_ratio")])
    assert block.gaps[-1].metric == "equalized_odds_ratio"
    assert len(block.gaps) + block.gaps_hidden == 201
    assert block.gaps_hidden > 100


def test_a_gap_that_nowhere_has_a_number_has_no_table_and_its_reason_stands_elsewhere() -> None:
    findings = [gap("equalized_odds_ratio", measured=False), gap("demographic_parity_ratio")]
    (block,) = make_blocks(findings)
    assert [entry.metric for entry in block.gaps] == ["demographic_parity_ratio"]
    (absence,) = make_absences(findings)
    assert absence.reason == "one group"


def test_what_one_metric_says_of_many_features_stands_in_one_table() -> None:
    (block,) = make_blocks(
        [gap("proxy_mutual_information[age]"), gap("proxy_mutual_information[zip]")]
    )
    (table,) = block.gaps
    assert [row.title for row in table.rows] == ["age · sex", "zip · sex"]
    assert not table.largest  # it is one number for all groups, and no gap between two


def test_numbers_as_parameters_stand_in_their_order_and_names_by_size() -> None:
    def row(metric: str, value: float) -> Finding:
        return Finding(
            check="bias.ranking", metric=metric, stage=Stage.EVALUATION, slice=Slice(),
            status="measured", value=value, low=value, high=value, confidence=0.95, n=50,
            method="census",
        )  # fmt: skip

    found = [row("top_k_rate[10]", 0.3), row("top_k_rate[5]", 0.2), row("top_k_rate[100]", 0.1)]
    found += [row("missing_rate[a]", 0.1), row("missing_rate[b]", 0.4)]
    (block,) = make_blocks(found)
    numbers, names = block.matrices
    assert [entry.name for entry in numbers.rows] == ["5", "10", "100"]
    assert [entry.name for entry in names.rows] == ["b", "a"]


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
