"""What numbers mean together: reversals, totals that disagree, ways out of a closed gate."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from auditor.evidence import Finding, Slice, Stage
from auditor.ledger import RunRecord
from auditor.mitigation import threshold_tradeoff
from auditor.report import render
from auditor.report.policy_text import read_policy_text
from auditor.report.remarks import disagreements, make_remarks, reversals, ways_out
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, ScoreCounts, SliceTable
from auditor.stats import score_counts as count_scores

from .conftest import POLICY, Run, StartRun

WOMEN, MEN = Slice({"sex": "F"}), Slice({"sex": "M"})


def compared(metric: str, value: float, *, reference: Slice | str = MEN) -> Finding:
    return Finding(
        check="bias.conditional-parity", metric=metric, stage=Stage.EVALUATION, slice=WOMEN,
        reference=reference, status="measured", value=value, low=value, high=value,
        confidence=0.95, n=100, method="normal",
    )  # fmt: skip


def simpson(
    plain: float, within: float, *, said: float = 1.0, reference: Slice | str = MEN
) -> list[Finding]:
    numbers = {
        "marginal_parity_difference": plain,
        "conditional_parity_difference": within,
        "simpson_reversal": said,
    }
    return [compared(name, value, reference=reference) for name, value in numbers.items()]


def test_a_reversal_is_told_with_both_differences() -> None:
    (sentence,) = reversals(simpson(-0.142, 0.018))
    assert sentence.startswith("Within the strata, sex F are selected at a rate higher by 1.8")
    assert "lower by 14.2" in sentence
    (rest,) = reversals(simpson(0.1, -0.05, reference="rest"))
    assert "than everybody else" in rest


@pytest.mark.parametrize(
    "findings",
    [
        simpson(-0.1, -0.02),  # no reversal, whatever the number says
        simpson(-0.1, 0.02, said=0.0),
        simpson(-0.1, 0.02)[1:],
        simpson(-0.1, 0.02)[:2],
        [],
    ],
)
def test_nothing_is_told_without_a_reversal_and_both_its_numbers(findings: list[Finding]) -> None:
    assert reversals(findings) == ()


def test_totals_that_do_not_agree_are_told_and_those_that_do_are_not() -> None:
    def total(value: float) -> Finding:
        return Finding(
            check="bias.adverse-impact", metric="marginal_total_difference",
            stage=Stage.EVALUATION, slice=Slice(), over=("sex",), status="measured", value=value,
            low=value, high=value, confidence=0.95, n=1_000, method="reconciliation",
        )  # fmt: skip

    assert disagreements([total(0.0)]) == ()
    (fewer,) = disagreements([total(-1_949.0)])
    assert "by sex add up to 1,949 fewer persons" in fewer
    assert "2 more persons" in disagreements([total(2.0)])[0]
    assert len(disagreements([total(float(n)) for n in range(1, 100)])) == 4


def scored(shift: float = 0.3) -> tuple[SliceTable, ScoreCounts]:
    """Scores of 600 women and 600 men that are higher for men, and what 0.5 makes of them."""
    groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    rng = np.random.default_rng(5)
    sex = np.repeat([0, 1], 600).astype(np.int32)
    scores = np.clip(rng.random(1_200).round(2) * 0.7 + shift * sex, 0, 1).round(2)
    labels = (rng.random(1_200) < scores).astype(int)
    table = SliceTable.zero(CONFUSION, groups, CELLS, context={"target": "y"})
    for code, label, score in zip(sex, labels, scores, strict=True):
        cell = CELLS.index(("tn", "fp", "fn", "tp")[2 * int(label) + int(score >= 0.5)])
        for flat in groups.flat(np.array([[code]], np.int32))[0]:
            table.values[flat, cell] += 1
    return table, count_scores(groups, sex[:, None], labels, scores)


SEXES = POLICY.replace("over: [sex, race]", "over: [sex]")


def judged(start_run: StartRun, *, policy: str = SEXES, scores: bool = True) -> RunRecord:
    run: Run = start_run(policy=policy)
    table, counts = scored()
    run.measure("bias.group-metrics", table, *([counts] if scores else []))
    run.judge()
    return run.finish()


def ways(record: RunRecord, policy: str = SEXES) -> tuple[str, ...]:
    return ways_out(record, record.findings, record.verdict, read_policy_text(policy))


def test_a_closed_gate_has_a_way_out_with_its_cost_where_there_are_scores(
    start_run: StartRun,
) -> None:
    record = judged(start_run)
    (way,) = ways(record)
    tradeoff = threshold_tradeoff(scored()[1], ("sex",), threshold=0.5, targets=[0.8])
    assert tradeoff.sentence(0.8) in way
    assert way.startswith("A way out of “Favourable outcomes reach all groups at similar rates”")
    assert way.endswith("which the law may not allow.")
    assert make_remarks(record, record.findings, record.verdict, read_policy_text(SEXES)) == (way,)
    assert "Thresholds by group of sex" in render(record, "html").decode()


def test_without_scores_or_a_verdict_there_is_none(start_run: StartRun) -> None:
    record = judged(start_run, scores=False)
    assert ways(record) == ()
    assert ways_out(record, record.findings, None, read_policy_text(SEXES)) == ()


def test_a_rule_that_passes_or_asks_no_share_needs_none(start_run: StartRun) -> None:
    for number, accept in enumerate([">= 0.01", ">= 1", "<= 0.9"]):
        policy = SEXES.replace('accept: ">= 0.8"', f'accept: "{accept}"')
        if accept.startswith("<"):
            policy = policy.replace("metric: selection_rate_ratio", "metric: accuracy_difference")
        run = start_run(f"run-{number}", policy=policy)
        run.measure("bias.group-metrics", *scored())
        run.judge()
        assert ways(run.finish(), policy) == ()


def test_names_in_a_remark_are_visible_and_bounded(start_run: StartRun) -> None:
    title = "Rates\\u202E " + "x" * 1_900
    policy = SEXES.replace("Favourable outcomes reach all groups at similar rates", f'"{title}"')
    (way,) = ways(judged(start_run, policy=policy), policy)
    assert "\u202e" not in way
    assert "‹U+202E›" in way
    assert len(way) < 1_000


@pytest.mark.parametrize(
    "forge",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"{}"),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_bytes(path.read_bytes().replace(b"0", b"9")),
        lambda path: path.write_bytes(b"[" * 50_000),
    ],
)
def test_forged_evidence_costs_the_remark_and_not_the_report(
    start_run: StartRun, forge: Callable[..., object]
) -> None:
    record = judged(start_run)
    for path in sorted((record.path / "evidence").iterdir()):
        forge(path)
    assert ways(RunRecord.load(record.path)) == ()


def test_forged_findings_make_no_sentence_that_breaks(start_run: StartRun) -> None:
    record = judged(start_run)
    values = (-1e300, -1e-300, 0.0, 1e300)
    forged = [f for a, b in itertools.product(values, values) for f in simpson(a, b, said=a)]
    said = make_remarks(record, forged, record.verdict, read_policy_text(None))
    assert all(isinstance(sentence, str) and len(sentence) < 2_000 for sentence in said)
