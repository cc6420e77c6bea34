"""``auditor predictions`` on records with weights, frequencies, clusters, strata or scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from .conftest import Auditor

COUNTED = pd.DataFrame(
    [
        # Of each department women are selected more often; most of them apply where few are.
        ("F", "easy", 80, 100), ("M", "easy", 280, 400),
        ("F", "hard", 120, 400), ("M", "hard", 20, 100),
    ],
    columns=["sex", "dept", "admitted", "applied"],
)  # fmt: skip
BY_SEX = ("--prediction", "p", "--sensitive", "sex")


@pytest.fixture
def admissions(tmp_path: Path) -> Path:
    """Admissions by department, two rows of a frequency for each cell."""
    long = pd.concat(
        [
            COUNTED.assign(p=1, n=COUNTED.admitted),
            COUNTED.assign(p=0, n=COUNTED.applied - COUNTED.admitted),
        ]
    )[["sex", "dept", "p", "n"]]
    path = tmp_path / "admissions.csv"
    long.to_csv(path, index=False)
    return path


@pytest.fixture
def designed(table: Path, tmp_path: Path) -> Path:
    """The table of predictions with a weight, and with each record four times in its cluster."""
    frame = pd.read_csv(table)
    frame["w"] = np.random.default_rng(1).uniform(0.5, 2, len(frame)).round(3)
    frame = frame.loc[frame.index.repeat(4)]
    path = tmp_path / "designed.csv"
    frame.to_csv(path, index=False)
    return path


def one(document: Any, check: str, metric: str, **where: str) -> Any:
    (found,) = [
        f for f in document["findings"]
        if (f["check"], f["metric"], f["slice"]) == (check, metric, where) and "over" not in f
    ]  # fmt: skip
    return found


def refusal(done: Any) -> str:
    """Return the one line of a command that was refused and left nothing behind."""
    assert done.code == 2
    assert done.out == ""
    assert not Path("run").exists()
    (line,) = done.err.strip().splitlines()
    return line


def test_a_weight_gives_weighted_rates(auditor: Auditor, designed: Path) -> None:
    done = auditor("predictions", designed, *BY_SEX, "--weight", "w", "--json")
    women = pd.read_csv(designed).query("sex == 'F'")
    found = one(done.json, "bias.group-metrics", "selection_rate", sex="F")
    assert found["value"] == pytest.approx((women.w * women.p).sum() / women.w.sum())
    assert found["n"] == len(women)
    kish = women.w.sum() ** 2 / (women.w**2).sum()
    assert found["effective_n"] == pytest.approx(kish, rel=0.02)


def test_records_of_a_cluster_are_no_new_information(auditor: Auditor, designed: Path) -> None:
    plain, clustered = (
        one(auditor("predictions", designed, *BY_SEX, *options, "--json").json,
            "bias.group-metrics", "selection_rate", sex="F")
        for options in ((), ("--cluster", "id"))
    )  # fmt: skip
    assert clustered["value"] == pytest.approx(plain["value"], abs=1e-12)
    assert clustered["n"] == plain["n"]
    # Every record stands there four times, so that there are a quarter as many.
    assert clustered["effective_n"] == pytest.approx(plain["n"] / 4, rel=0.02)
    widths = [found["high"] - found["low"] for found in (plain, clustered)]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.05)


def test_a_frequency_is_as_many_records(auditor: Auditor, admissions: Path, tmp_path: Path) -> None:
    long = pd.read_csv(admissions)
    long = long.loc[long.index.repeat(long.n)].drop(columns="n")
    long.to_csv(tmp_path / "long.csv", index=False)
    numbers = [
        {
            (f["check"], f["metric"], str(f["slice"])): (f.get("value"), f.get("low"), f.get("n"))
            for f in auditor("predictions", path, *BY_SEX, *options, "--json").json["findings"]
            if f["check"] in ("bias.group-metrics", "bias.adverse-impact")
        }
        for path, options in ((admissions, ("--frequency", "n")), (tmp_path / "long.csv", ()))
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) > 20


def test_a_reversal_within_strata_is_said_to_people(auditor: Auditor, admissions: Path) -> None:
    options = ("predictions", admissions, *BY_SEX, "--frequency", "n")
    done = auditor(*options, "--strata", "dept", "--json", "--out", "run")
    assert done.code == 0
    check = "bias.conditional-parity"
    assert one(done.json, check, "marginal_parity_difference", sex="M")["value"] == pytest.approx(
        300 / 500 - 200 / 500
    )
    assert one(done.json, check, "conditional_parity_difference", sex="M")[
        "value"
    ] == pytest.approx(-0.1)
    assert one(done.json, check, "simpson_reversal", sex="M")["value"] == 1
    assert "the comparison reverses when the strata are taken into account" in done.err
    assert "reverses" in Path("run/report.md").read_text()
    without = auditor(*options, "--json")
    assert "reverses" not in without.err
    assert check not in {f["check"] for f in without.json["findings"]}


def test_a_bad_outcome_turns_impact_ratios_round(auditor: Auditor, table: Path) -> None:
    good, bad = (
        auditor("predictions", table, *BY_SEX, *options, "--json").json
        for options in ((), ("--unfavourable",))
    )
    rates = pd.read_csv(table).groupby("sex").p.mean()
    check, metric = "bias.adverse-impact", "impact_ratio"
    assert one(good, check, metric, sex="F")["value"] == pytest.approx(rates.F / rates.M)
    found = one(bad, check, metric, sex="M")
    assert found["value"] == pytest.approx((1 - rates.M) / (1 - rates.F))
    assert found["method"].endswith("of-not-being-selected")
    plain = [one(d, "bias.group-metrics", "selection_rate", sex="F")["value"] for d in (good, bad)]
    assert plain == [rates.F, rates.F]


def test_exact_areas_have_no_bound(auditor: Auditor, table: Path) -> None:
    from sklearn.metrics import roc_auc_score

    options = ("predictions", table, "--score", "s", "--target", "y", "--sensitive", "sex")
    binned, exact = (
        one(auditor(*options, *more, "--json").json, "bias.group-metrics", "auc")
        for more in ((), ("--exact",))
    )
    frame = pd.read_csv(table)
    area = roc_auc_score(frame.y, frame.s)
    assert exact["value"] == pytest.approx(area, abs=1e-12)
    assert "bound" not in exact
    assert binned["value"] == pytest.approx(area, abs=binned["bound"])


def test_scores_alone_give_the_scoring_rate(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, "--score", "s", "--sensitive", "sex", "--json")
    assert done.code == 0
    frame = pd.read_csv(table)
    expected = (frame.s > frame.s.median())[frame.sex == "F"].mean()
    rate = one(done.json, "bias.adverse-impact", "scoring_rate", sex="F")
    assert rate["value"] == pytest.approx(expected)
    selection = one(done.json, "bias.group-metrics", "selection_rate", sex="F")
    assert selection["status"] == "not-evaluated"
    assert "favourable_rate" in done.err


def test_a_threshold_alone_gives_selection(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, "--score", "s", "--threshold", "0.6", "--sensitive",
                   "sex", "--json")  # fmt: skip
    frame = pd.read_csv(table)
    found = one(done.json, "bias.group-metrics", "selection_rate", sex="M")
    assert found["value"] == pytest.approx((frame.s >= 0.6)[frame.sex == "M"].mean())


SEARCH = ("--target", "y", "--features")


def test_subgroups_are_searched_over_all_columns_or_the_named(
    auditor: Auditor, table: Path
) -> None:
    for features, columns in (
        ("all", {"id", "sex", "race", "age", "s"}),
        ("sex,race", {"sex", "race"}),
    ):
        done = auditor("predictions", table, *BY_SEX, *SEARCH, features, "--json")
        found = [f for f in done.json["findings"] if f["check"] == "bias.subgroups"]
        assert one(done.json, "bias.subgroups", "subgroup_error_rate")["status"] == "measured"
        named = {
            part.partition("=")[0]
            for f in found if f["slice"]
            for part in f["slice"]["subgroup"].split(" & ")
        }  # fmt: skip
        assert named <= columns
        differences = [f for f in found if f["metric"] == "subgroup_error_difference"]
        assert differences
        assert {f["reference"] for f in differences} == {"rest"}
    unasked = auditor("predictions", table, *BY_SEX, "--target", "y", "--json").json["findings"]
    assert "bias.subgroups" not in {f["check"] for f in unasked}


def test_subgroups_without_a_target_are_not_evaluated(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, *BY_SEX, "--features", "all", "--json")
    found = one(done.json, "bias.subgroups", "subgroup_error_rate")
    assert (found["status"], found["reason"]) == ("not-evaluated", "no target column")


GATED = """
schema: auditor/policy/v1
id: parity
version: 1.0.0
rules:
  - {id: parity, metric: selection_rate_ratio, over: [sex], stage: evaluation, accept: ">= 0.8"}
"""


def test_a_closed_gate_names_a_way_out(auditor: Auditor, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sex = rng.choice(["F", "M"], 2_000)
    score = np.clip(rng.normal(np.where(sex == "F", 0.4, 0.6), 0.2), 0.01, 0.99).round(3)
    labels = (rng.random(2_000) < score).astype(int)
    pd.DataFrame({"sex": sex, "s": score, "y": labels}).to_csv(tmp_path / "s.csv", index=False)
    (tmp_path / "p.yaml").write_text(GATED)
    done = auditor("predictions", "s.csv", "--target", "y", "--score", "s", "--threshold", "0.5",
                   "--sensitive", "sex", "--policy", "p.yaml")  # fmt: skip
    assert done.code == 1
    assert "Thresholds by group of sex would bring the selection rate ratio from" in done.err
    assert "which the law may not allow" in done.err


def test_how_the_records_were_read_stands_in_the_record_and_in_the_report(
    auditor: Auditor, designed: Path, tmp_path: Path
) -> None:
    auditor("predictions", designed, *BY_SEX, "--weight", "w", "--cluster", "id", "--out", "run")
    read = json.loads((tmp_path / "run" / "run.json").read_text())["audit"]
    assert {name: read[name] for name in ("weight", "cluster", "prediction", "sensitive")} == {
        "weight": "w", "cluster": "id", "prediction": "p", "sensitive": ["sex"],
    }  # fmt: skip
    assert "frequency" not in read
    page = (tmp_path / "run" / "report.html").read_text()
    for label, value in (("Weights", "w"), ("Clusters", "id")):
        assert f"<dt>{label}</dt>\n<dd><bdi>{value}</bdi></dd>" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weight", "ww"), "--weight: there is no column 'ww'; did you mean 'w'?"),
        (("--weight", "race"), "and other text in 8,000 of 8,000 rows; numbers"),
        (("--cluster", "idd"), "--cluster: there is no column 'idd'; did you mean 'id'?"),
        (("--frequency", "w"), "column 'w': 7,"),
        (("--frequency", "id", "--weight", "w"), "--frequency: a frequency (id) beside weights"),
        (("--strata", "race,dept"), "--strata: there is no column 'dept'"),
        (("--target", "y", "--features", "sexx"), "--features: there is no column 'sexx'"),
        (("--threshold", "0.5"), "--threshold: a threshold without a score"),
        (("--total", "w"), "--total: the task binary does not use it; --task counts"),
        (("--top", "5"), "--top: the task binary does not use it; --task ranking"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_and_exit_2(
    auditor: Auditor, designed: Path, options: tuple[str, ...], message: str
) -> None:
    done = auditor("predictions", designed, *BY_SEX, *options, "--out", "run")
    assert message in refusal(done)


@pytest.mark.parametrize(
    ("values", "option", "message"),
    [
        ("-1,2", "--weight", "column 'w': 1 of 2 values cannot be used"),
        ("1.5,2", "--frequency", "column 'w': 1 of 2 values cannot be used; whole numbers from 0"),
        (",2", "--weight", "column 'w': 1 of 2 values cannot be used"),
    ],
)
def test_values_that_are_no_weights_are_counted(
    auditor: Auditor, tmp_path: Path, values: str, option: str, message: str
) -> None:
    first, second = values.split(",")
    (tmp_path / "two.csv").write_text(f"sex,p,w\nF,1,{first}\nM,0,{second}\n")
    done = auditor("predictions", "two.csv", *BY_SEX, option, "w", "--out", "run")
    assert message in refusal(done)
