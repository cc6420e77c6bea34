"""``auditor predictions --task``: every task, from the table to the proof and the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from .conftest import Auditor

REGRESSION = ("--task", "regression", "--target", "y", "--prediction", "p", "--sensitive", "sex")
RANKING = ("--task", "ranking", "--score", "s", "--sensitive", "sex", "--query", "q", "--top",
           "5,10")  # fmt: skip
MULTICLASS = ("--task", "multiclass", "--target", "y", "--prediction", "p", "--sensitive", "sex")
COUNTS = ("--task", "counts", "--total", "n", "--selected", "k", "--sensitive", "sex,race")


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """600 predicted numbers that are 1 too high for men, in 20 lists."""
    rng = np.random.default_rng(0)
    rows = 600
    sex = rng.choice(["F", "M"], rows)
    y = rng.normal(50, 10, rows)
    p = y + rng.normal(0, 2, rows) + (sex == "M")
    frame = pd.DataFrame(
        {"sex": sex, "y": y, "p": p, "s": p.round(), "q": rng.integers(0, 20, rows)}
    )
    path = tmp_path / "numbers.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """300 classified animals; those of men are often taken for dogs."""
    rng = np.random.default_rng(0)
    sex, y = rng.choice(["F", "M"], 300), rng.choice(["bird", "cat", "dog"], 300)
    wrong = (sex == "M") & (rng.random(300) < 0.4)
    frame = pd.DataFrame({"sex": sex, "y": y, "p": np.where(wrong, "dog", y), "s": rng.random(300)})
    path = tmp_path / "animals.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Counts of applicants and selected, by sex and by race, as a regulator publishes them."""
    path = tmp_path / "published.csv"
    path.write_text("sex,race,n,k\nF,,100,20\nM,,100,40\n,A,150,45\n,B,45,15\n")
    return path


def measured(document: Any, check: str) -> dict[str, Any]:
    return {
        f["metric"]: f for f in document["findings"]
        if f["check"] == check and f["slice"] == {"sex": "M"} and f["status"] == "measured"
        and "reference" not in f
    }  # fmt: skip


def test_predicted_numbers_from_table_to_proof(auditor: Auditor, numbers: Path) -> None:
    done = auditor("predictions", numbers, *REGRESSION, "--json", "--out", "run")
    assert done.code == 0
    found = measured(done.json, "bias.regression")
    frame = pd.read_csv(numbers)
    men = frame[frame.sex == "M"]
    assert found["mean_error"]["value"] == pytest.approx((men.p - men.y).mean(), rel=1e-12)
    assert found["r2_score"]["n"] == len(men)
    assert json.loads(Path("run/findings.json").read_text())["findings"] == done.json["findings"]
    assert auditor("verify", "run").code == 3  # intact, and unsigned


def test_ranked_lists_from_table_to_proof(auditor: Auditor, numbers: Path) -> None:
    done = auditor("predictions", numbers, *RANKING, "--json", "--out", "run")
    assert done.code == 0
    found = measured(done.json, "bias.ranking")
    frame = pd.read_csv(numbers)
    inside = frame.groupby("q")["s"].transform(
        lambda s: [min(max((5 - (s > x).sum()) / (s == x).sum(), 0), 1) for x in s]
    )
    assert found["top_k_rate[5]"]["value"] == pytest.approx(inside[frame.sex == "M"].mean())
    assert {"exposure", "top_k_rate[10]", "skew_at_k[5]", "skew_at_k[10]"} <= set(found)
    (divergence,) = [f for f in done.json["findings"] if f["metric"] == "ndkl"]
    assert (divergence["over"], divergence["n"]) == (["sex"], 20)
    assert auditor("verify", "run").code == 3


def test_classes_from_table_to_proof(auditor: Auditor, animals: Path) -> None:
    done = auditor("predictions", animals, *MULTICLASS, "--json", "--out", "run")
    assert done.code == 0
    found = measured(done.json, "bias.class-metrics")
    men = pd.read_csv(animals).query("sex == 'M'")
    cats = men[men.y == "cat"]
    assert found["accuracy"]["value"] == pytest.approx((men.y == men.p).mean())
    rate = found["true_positive_rate[cat]"]
    assert (rate["value"], rate["n"]) == (pytest.approx((cats.p == "cat").mean()), len(cats))
    assert "macro_f1_score" in done.err
    assert auditor("verify", "run").code == 3


def test_published_counts_from_table_to_proof(auditor: Auditor, published: Path) -> None:
    done = auditor("predictions", published, *COUNTS, "--json", "--out", "run")
    assert done.code == 0
    (ratio,) = [f for f in done.json["findings"]
                if f["metric"] == "impact_ratio" and f["slice"] == {"sex": "F"}]  # fmt: skip
    assert (ratio["value"], ratio["n"], ratio["reference"]) == (0.5, 200, {"sex": "M"})
    # By race 195 persons were counted, by sex 200.
    assert "The counts by race add up to 5 fewer persons" in done.err
    assert auditor("verify", "run").code == 3


@pytest.mark.parametrize(
    ("table_of", "options"),
    [
        ("table", ("--target", "y", "--prediction", "p", "--score", "s", "--sensitive", "sex")),
        ("numbers", REGRESSION), ("numbers", RANKING), ("animals", MULTICLASS),
        ("published", COUNTS),
    ],
    ids=["binary", "regression", "ranking", "multiclass", "counts"],
)  # fmt: skip
def test_a_run_of_every_task_is_intact_and_has_its_reports(
    auditor: Auditor, request: pytest.FixtureRequest, table_of: str, options: tuple[str, ...]
) -> None:
    path = request.getfixturevalue(table_of)
    assert auditor("predictions", path, *options, "--out", "run").code == 0
    assert auditor("verify", "run").code == 3
    done = auditor("report", "run", "--format", "html,md,json", "--out", "out")
    assert done.code == 0, done.err
    written = {p.suffix: p.read_text() for p in Path("out").iterdir()}
    assert set(written) == {".html", ".md", ".json"}
    for text in (written[".html"], written[".md"]):
        assert "sex" in text
        assert "nan" not in text.lower().split()
    assert isinstance(json.loads(written[".json"]), dict)


def test_the_same_table_gives_the_same_evidence(auditor: Auditor, numbers: Path) -> None:
    for options in (REGRESSION, RANKING):
        digests = [
            {digest for f in auditor("predictions", numbers, *options, "--json").json["findings"]
             for digest in f.get("evidence", ())}
            for _ in range(2)
        ]  # fmt: skip
        assert digests[0] == digests[1] != set()


@pytest.mark.parametrize(("bound", "code", "status"), [(0.5, 1, "fail"), (3, 0, "pass")])
def test_a_policy_judges_them(
    auditor: Auditor, numbers: Path, tmp_path: Path, bound: float, code: int, status: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: p\nversion: 1.0.0\nrules:\n"
        "  - {id: bias, metric: mean_error_difference, over: [sex], stage: evaluation, "
        f"accept: '<= {bound}'}}\n"
    )
    done = auditor("predictions", numbers, *REGRESSION, "--policy", policy, "--json")
    assert (done.code, done.json["verdict"]["status"]) == (code, status)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "regression", "--score", "s", "--sensitive", "sex"), "needs --prediction"),
        (("--task", "ranking", "--prediction", "p", "--sensitive", "sex"), "needs --score"),
        (("--task", "regression", "--prediction", "sex", "--sensitive", "sex"), "column 'sex'"),
        (("--task", "ranking", "--score", "s", "--sensitive", "sex", "--query", "qq"),
         "there is no column 'qq'"),
        (("--task", "ranking", "--score", "s", "--sensitive", "sex", "--top", "0"), "--top"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(
    auditor: Auditor, numbers: Path, options: tuple[str, ...], message: str
) -> None:
    done = auditor("predictions", numbers, *options, "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def change(options: tuple[str, ...], **changed: str) -> tuple[str, ...]:
    """Return options with the columns of some of them changed."""
    pairs = dict(zip(options[::2], options[1::2], strict=True))
    return tuple(x for pair in (pairs | {f"--{k}": v for k, v in changed.items()}).items()
                 for x in pair)  # fmt: skip


@pytest.mark.parametrize(
    ("table_of", "options", "message"),
    [
        ("animals", MULTICLASS[:2] + MULTICLASS[4:], "the task multiclass needs --target"),
        ("animals", change(MULTICLASS, prediction="s"), "more than 200 classes in 300 rows"),
        ("animals", change(MULTICLASS, prediction="q"), "--prediction: there is no column 'q'"),
        ("animals", (*MULTICLASS, "--threshold", "1"), "--threshold: the task multiclass does not"),
        ("published", COUNTS[:4] + COUNTS[6:], "the task counts needs --selected"),
        ("published", change(COUNTS, total="k", selected="n"),
         "column 'n': 4 of 4 values are more than the total in 'k'; 0 ≤ selected ≤ total"),
        ("published", change(COUNTS, total="sex"), "--total: column 'sex' holds"),
        ("published", (*COUNTS, "--weight", "n"), "--weight: the task counts does not use it"),
        ("numbers", (*REGRESSION, "--strata", "q"), "--strata: the task regression does not"),
        ("numbers", (*REGRESSION, "--features", "all"), "--features: the task regression does not"),
    ],
)  # fmt: skip
def test_columns_and_options_of_another_task_are_refused(
    auditor: Auditor, request: pytest.FixtureRequest, table_of: str, options: tuple[str, ...],
    message: str,
) -> None:  # fmt: skip
    done = auditor("predictions", request.getfixturevalue(table_of), *options, "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def test_where_nothing_could_be_measured_people_are_told_why(
    auditor: Auditor, numbers: Path
) -> None:
    done = auditor("predictions", numbers, *REGRESSION, "--weight", "y", "--json")
    assert done.code == 0
    assert {f["status"] for f in done.json["findings"]} == {"not-evaluated"}
    assert "Nothing was measured: predicted numbers are not measured with a weight." in done.err
