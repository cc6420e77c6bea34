"""COMPAS, Adult, German credit and fairlearn's toy: published numbers through the front door."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.cli import main
from auditor.evidence import Finding, Slice


@pytest.fixture(scope="module")
def published(shared_data: Path) -> Any:
    return json.loads((shared_data / "published_targets.json").read_text())


def measured(frame: pd.DataFrame, **roles: Any) -> dict[Any, Finding]:
    """Return the findings by (metric, slice)."""
    findings = auditor.Audit().evaluate(predictions=frame, **roles)
    return {(f.metric, f.slice): f for f in findings if f.over is None}


def rate(found: dict[Any, Finding], metric: str, attribute: str, group: str | None) -> Finding:
    return found[metric, Slice() if group is None else Slice({attribute: group})]


@pytest.fixture(scope="module")
def compas(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(
        shared_data / "tabular" / "compas_two_years.csv.gz",
        usecols=["race", "two_year_recid", "decile_score"],
    )


@pytest.fixture(scope="module", params=[5, 8], ids=["medium-or-high", "high"])
def judged(compas: pd.DataFrame, request: pytest.FixtureRequest) -> tuple[int, Any]:
    return request.param, measured(
        compas, sensitive=["race"], target="two_year_recid", score="decile_score",
        threshold=request.param,
    )  # fmt: skip


def group_of(cell_source: str) -> str | None:
    for name in ("Black", "afam"):
        if name in cell_source:
            return "African-American"
    return "Caucasian" if "White" in cell_source or "white" in cell_source else None


def test_the_truth_tables_of_propublica(judged: tuple[int, Any], published: Any) -> None:
    """Tables 1 to 3 at decile 5, tables 4 and 5 at decile 8; in percent, with two digits."""
    threshold, found = judged
    tables = published["compas_propublica_truth_tables"]["tables"]
    tables = tables[:3] if threshold == 5 else tables[3:5]
    for table in tables:
        group = group_of(table["cell_source"])
        (tn, fp), (fn, tp) = table["survived_low_high"], table["recidivated_low_high"]
        for metric, hits, n in (
            ("false_positive_rate", fp, tn + fp), ("false_negative_rate", fn, fn + tp),
            ("precision", tp, tp + fp), ("accuracy", tn + tp, tn + fp + fn + tp),
            ("negative_predictive_value", tn, tn + fn),
        ):  # fmt: skip
            one = rate(found, metric, "race", group)
            assert (one.value, one.n) == (pytest.approx(hits / n, abs=1e-12), n)
        for metric, percent in (("false_positive_rate", table["fpr_pct"]),
                                ("false_negative_rate", table["fnr_pct"])):  # fmt: skip
            value = rate(found, metric, "race", group).value
            assert value is not None
            assert round(100 * value, 2) == percent
        precision = rate(found, "precision", "race", group).value
        assert precision is not None
        assert round(precision, 2) == table["ppv"]


def test_every_group_of_compas(judged: tuple[int, Any], published: Any) -> None:
    threshold, found = judged
    if threshold != 5:
        return
    for race, numbers in published["compas_computed_here"].items():
        group = None if race == "all" else race
        assert rate(found, "count", "race", group).value == numbers["n"]
        for metric, expected, digits in (
            ("false_positive_rate", numbers["fpr_pct"] / 100, 5e-5),
            ("false_negative_rate", numbers["fnr_pct"] / 100, 5e-5),
            ("precision", numbers["ppv"], 5e-5),
        ):
            assert rate(found, metric, "race", group).value == pytest.approx(expected, abs=digits)


def test_the_disparities_of_aequitas_against_hispanic(
    compas: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """By the command line, which takes the reference."""
    path = tmp_path / "compas.csv"
    compas.to_csv(path, index=False)
    arguments = (
        "--target two_year_recid --score decile_score --threshold 5 --sensitive race "
        "--reference race=Hispanic --json"
    )
    monkeypatch.setattr(sys, "argv", ["auditor", "predictions", str(path), *arguments.split()])
    with contextlib.suppress(SystemExit):
        main()
    findings = json.loads(capsys.readouterr().out)["findings"]
    found = {f["metric"]: f for f in findings if f["slice"] == {"race": "African-American"}}
    for metric, expected in (
        ("false_positive_rate", 2.087696), ("false_negative_rate", 0.503301),
        ("selection_rate", 1.972030),
    ):  # fmt: skip
        ratio = found[f"{metric}_ratio"]
        assert ratio["value"] == pytest.approx(expected, abs=1e-6)
        assert ratio["reference"] == {"race": "Hispanic"}
    # aequitas' ppr: the share of all selected who are of the group, over that of the reference.
    rates = {
        f["slice"].get("race"): f for f in findings
        if f["metric"] == "selection_rate" and "reference" not in f and "over" not in f
    }  # fmt: skip
    selected = [rates[r]["value"] * rates[r]["n"] for r in ("African-American", "Hispanic")]
    assert selected[0] / selected[1] == pytest.approx(11.442105, abs=1e-6)


@pytest.fixture(scope="module")
def census(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "tabular" / "adult.csv.gz")


@pytest.mark.parametrize("rows", ["all_rows", "complete_rows"])
def test_the_disparate_impact_of_sex_on_adult(
    census: pd.DataFrame, published: Any, rows: str
) -> None:
    targets = published["aif360_tutorial_numbers"]
    frame = census if rows == "all_rows" else census.dropna()
    assert len(frame) == targets["adult_shapes"][rows]
    found = measured(frame, sensitive=["sex"], prediction="income", positive=">50K")
    ratio = rate(found, "selection_rate_ratio", "sex", "Female")
    expected = targets["computed_here_adult_sex_DI"][rows]
    assert ratio.value == pytest.approx(expected, abs=5e-6)
    assert ratio.low is not None
    assert ratio.high is not None
    # AIF360 prints the ratio of a random part of the rows: within the interval of all of them.
    printed = targets["adult_sex_disparate_impact_ratio_train_split"]["value"]
    assert ratio.low < printed < ratio.high


def test_the_differential_fairness_of_aif360_on_adult(census: pd.DataFrame) -> None:
    """Its test takes the test split, and race, sex and country as White, Male and US or not."""
    frame = census[census["split"] == "test"].assign(
        race=lambda f: (f["race"] == "White").map({True: "White", False: "other"}),
        country=lambda f: (f["native-country"] == "United-States").map(
            {True: "US", False: "other"}
        ),
    )
    findings = auditor.Audit().evaluate(
        predictions=frame, sensitive=["race", "sex", "country"], prediction="income",
        positive=">50K", intersections=3,
    )  # fmt: skip
    (found,) = [
        f for f in findings
        if f.metric == "differential_fairness" and len(f.over or ()) == 3
    ]  # fmt: skip
    assert found.value == pytest.approx(1.53679014653623, abs=1e-12)
    assert found.low is not None
    assert found.low < 1.53679014653623


def test_differences_on_german_credit(shared_data: Path, published: Any) -> None:
    frame = pd.read_csv(shared_data / "tabular" / "german_credit.csv")
    # AIF360's "old" is over 25; a tutorial of it says at least 25.
    frame = frame.assign(over=frame["age"].gt(25).map({True: "over 25", False: "up to 25"}))
    roles = {"prediction": "class-label", "positive": "1"}
    targets = published["aif360_tutorial_numbers"]["computed_here_german_age"]
    sex = measured(frame, sensitive=["sex"], **roles)
    gap = rate(sex, "selection_rate_difference", "sex", "female")
    assert gap.value == pytest.approx(-0.0748013, abs=5e-8)
    age = measured(frame, sensitive=["over"], **roles)
    gap = rate(age, "selection_rate_difference", "over", "up to 25")
    assert gap.value == pytest.approx(-0.1494477, abs=5e-8)
    expected = targets["mean_diff_age_le25_minus_gt25_all_1000"]
    assert gap.value == pytest.approx(expected, abs=1e-6)
    cut = measured(frame, sensitive=["age"], bins={"age": [25]}, **roles)
    gap = rate(cut, "selection_rate_difference", "age", "<25")
    expected = targets["mean_diff_age_lt25_minus_ge25_all_1000"]
    assert gap.value == pytest.approx(expected, abs=5e-6)


def test_the_toy_of_fairlearns_user_guide(published: Any) -> None:
    toy = published["fairlearn_toy"]
    frame = pd.DataFrame({"group": toy["sensitive"], "y": toy["y_true"], "p": toy["y_pred"]})
    findings = auditor.Audit().evaluate(
        predictions=frame, sensitive=["group"], target="y", prediction="p"
    )
    found = {(f.metric, f.slice): f for f in findings if f.over is None}
    names = {"tpr": "true_positive_rate", "fpr": "false_positive_rate", "sel": "selection_rate",
             "count": "count"}  # fmt: skip
    for group, numbers in [*toy["by_group"].items(), (None, toy["overall"])]:
        for short, value in numbers.items():
            one = rate(found, names[short], "group", group)
            assert one.value == pytest.approx(value, abs=5e-7)
    over = {f.metric: f.value for f in findings if f.over == ("group",)}
    for name in ("demographic_parity_difference", "demographic_parity_ratio",
                 "equalized_odds_difference", "equalized_odds_ratio"):  # fmt: skip
        assert over[name] == pytest.approx(toy[name], abs=5e-7)
    for short, value in toy["ratio"].items():
        assert over[f"{names[short]}_ratio"] == pytest.approx(value, abs=5e-7)
