"""Charts for notebooks: their data are the findings' own numbers, and no number is no chart."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from auditor.engine.exploration import load
from auditor.errors import InputError
from auditor.evidence import Finding, Stage
from auditor.ledger import RunRecord
from auditor.metrics.curves import threshold_curves
from auditor.report.plots import plot_disparities, plot_rates, plot_scores, plot_thresholds
from auditor.stats import ScoreCounts, score_counts

pytest.importorskip("altair", reason="charts need the extra notebook")


def data_of(chart: Any) -> list[dict[str, Any]]:
    """Return the values of a chart, of all its layers, each once."""
    document = chart.to_dict()
    found = [
        document.get("data", {}),
        *(layer.get("data", {}) for layer in document.get("layer", ())),
    ]
    sets = [one["values"] for one in found if "values" in one]
    sets += document.get("datasets", {}).values()
    return [row for rows in sets for row in rows]


def chosen(findings: tuple[Finding, ...], metric: str, attribute: str) -> list[Finding]:
    return [f for f in findings if f.metric == metric and f.slice.attributes == (attribute,)
            and f.status == "measured" and f.over is None]  # fmt: skip


def test_the_rates_drawn_are_the_findings_with_interval_and_n(credit_run: RunRecord) -> None:
    findings = credit_run.findings
    rows = data_of(plot_rates(findings, "selection_rate", over=("race",)))
    expected = chosen(findings, "selection_rate", "race")
    assert len(expected) == 4  # three races, and those whose race is unknown
    unique = {tuple(sorted(row.items(), key=str)) for row in rows}
    assert unique == {
        tuple(sorted({"slice": str(f.slice), "value": f.value, "low": f.low, "high": f.high,
                      "n": f.n, "method": f.method}.items(), key=str))
        for f in expected
    }  # fmt: skip


def test_the_disparities_drawn_are_the_findings_beside_the_ideal_and_the_limit(
    credit_run: RunRecord,
) -> None:
    findings = credit_run.findings
    for metric, ideal in (("selection_rate_ratio", 1.0), ("selection_rate_difference", 0.0)):
        rows = data_of(plot_disparities(findings, metric, over=("sex",), accept=0.8))
        (expected,) = chosen(findings, metric, "sex")
        drawn = [row for row in rows if "value" in row]
        assert {(row["value"], row["low"], row["high"]) for row in drawn} == {
            (expected.value, expected.low, expected.high)
        }
        assert drawn[0]["slice"] == f"{expected.slice} against {expected.reference}"
        assert {row["at"] for row in rows if "at" in row} == {ideal, 0.8}
        assert "at" not in str(
            [row for row in data_of(plot_disparities(findings, metric, over=("sex",)))
             if row.get("at") == 0.8]
        )  # fmt: skip


def test_of_several_stages_the_latest_is_drawn(credit_run: RunRecord) -> None:
    findings = credit_run.findings
    earlier = [f.model_copy(update={"stage": Stage.TRAINING, "value": 0.0, "low": 0.0})
               for f in findings]  # fmt: skip
    for mixed in ([*findings, *earlier], [*earlier, *findings]):
        drawn = data_of(plot_rates(mixed, "selection_rate", over=("race",)))
        assert drawn == data_of(plot_rates(findings, "selection_rate", over=("race",)))
        drawn = data_of(plot_disparities(mixed, "selection_rate_ratio", over=("sex",)))
        assert len({row["slice"] for row in drawn if "slice" in row}) == 1
        assert all(row["value"] for row in drawn if "value" in row)


def test_the_shares_of_the_scores_of_each_group_add_up_to_one(scores: ScoreCounts) -> None:
    rows = data_of(plot_scores(scores, over=("sex",), bins=7))
    groups = {row["slice"] for row in rows}
    assert len(groups) == 2
    for group in groups:
        shares = [row["share"] for row in rows if row["slice"] == group]
        assert len(shares) == 14
        assert sum(shares) == pytest.approx(1.0)


def test_the_rates_along_the_thresholds_are_those_of_the_curves(scores: ScoreCounts) -> None:
    rows = data_of(plot_thresholds(scores, over=("sex",), rate="true_positive_rate"))
    for where, curve in threshold_curves(scores, ("sex",)).items():
        drawn = {(row["threshold"], row["rate"]) for row in rows if row["slice"] == str(where)}
        pairs = zip(curve.thresholds, curve.true_positive_rate, strict=True)
        assert drawn == {(float(t), float(v)) for t, v in pairs if v == v}


def test_scores_that_are_all_alike_are_drawn_too(scores: ScoreCounts) -> None:
    import numpy as np

    codes = np.zeros((4, 2), np.int32)
    same = score_counts(scores.groups, codes, np.array([0, 1, 1, 0]), np.full(4, 0.5))
    rows = data_of(plot_scores(same, over=("sex",)))
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda f: plot_rates(f, "selektion_rate", over=("sex",)),
        lambda f: plot_rates(f, "selection_rate", over=("age",)),
        lambda f: plot_rates(f, "selection_rate_ratio", over=("sex",)),
        lambda f: plot_disparities(f, "selection_rate", over=("sex",)),
        lambda f: plot_rates((), "selection_rate", over=("sex",)),
    ],
)
def test_what_was_not_measured_is_an_error_and_no_empty_chart(
    credit_run: RunRecord, draw: Callable[[Any], object]
) -> None:
    with pytest.raises(InputError, match="was not measured over"):
        draw(credit_run.findings)


def test_a_misspelt_metric_is_told_the_nearest_one(credit_run: RunRecord) -> None:
    with pytest.raises(InputError, match="selection_rate'"):
        plot_rates(credit_run.findings, "selektion_rate", over=("sex",))


def test_without_altair_the_error_names_the_extra(
    credit_run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InputError, match=r"auditor\[notebook\]"):
        plot_rates(credit_run.findings, "selection_rate", over=("sex",))


def test_a_run_draws_itself(credit_run: RunRecord) -> None:
    plot = load(credit_run.path).plot
    assert data_of(plot.rates(over="race")) == data_of(
        plot_rates(credit_run.findings, "selection_rate", over=("race",))
    )
    assert data_of(plot.disparities(over=["sex"], accept=0.8))
    crossed = {row["slice"] for row in data_of(plot.rates(over="sex*race"))}
    assert crossed == {row["slice"] for row in data_of(plot.rates(over="race*sex"))}
    assert len({row["slice"] for row in data_of(plot.scores(over="sex"))}) == 2
    for rate in ("selection_rate", "precision"):
        assert data_of(plot.thresholds(rate, over="race*sex"))


def test_an_attribute_or_a_rate_that_is_not_there_is_an_error(credit_run: RunRecord) -> None:
    plot = load(credit_run.path).plot
    with pytest.raises(InputError, match="age"):
        plot.scores(over="age")
    with pytest.raises(InputError, match="pressision"):
        plot.thresholds("pressision", over="sex")


def test_a_run_without_scores_says_so(
    start_run: Callable[..., Any], confusion: Callable[..., Any]
) -> None:
    run = start_run(policy=None)
    run.measure("bias.group-metrics", confusion())
    run.finish()
    plot = load(run.path).plot
    with pytest.raises(InputError, match="no scores"):
        plot.scores(over="sex")
    with pytest.raises(InputError, match="no scores"):
        plot.thresholds(over="sex")
