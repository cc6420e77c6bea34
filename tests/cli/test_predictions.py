"""``auditor predictions``: published numbers, exit codes, and input that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from .conftest import Auditor

COMPAS = Path(__file__).parents[3] / "shared" / "data" / "tabular" / "compas_two_years.csv.gz"


def finding(document: Any, metric: str, reference: Any = None, **where: str | None) -> Any:
    found = [
        f for f in document["findings"]
        if f["metric"] == metric and f["slice"] == where and f.get("reference") == reference
        and "over" not in f
    ]  # fmt: skip
    assert len(found) == 1, (metric, where, len(found))
    return found[0]


def compas_from_counts() -> pd.DataFrame:
    """One row for each of the counted defendants."""
    cells = json.loads((Path(__file__).parents[1] / "metrics" / "compas_cells.json").read_text())
    rows = [
        (race, sex, decile, label, count)
        for race, by_sex in cells["deciles"].items()
        for sex, by_label in by_sex.items()
        for label, name in enumerate(("negative", "positive"))
        for decile, count in enumerate(by_label[name], start=1)
    ]
    frame = pd.DataFrame(rows, columns=["race", "sex", "decile_score", "two_year_recid", "n"])
    return frame.loc[frame.index.repeat(frame.n)].drop(columns="n")


@pytest.fixture(params=["counts", "published file"])
def compas(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "counts":
        frame = compas_from_counts()
    else:
        if not COMPAS.exists():
            pytest.skip("the shared data are absent")
        frame = pd.read_csv(COMPAS)
    assert len(frame) == 7_214
    frame["high"] = (frame.decile_score >= 5).astype(int)
    path = tmp_path / "compas.csv"
    columns = ["race", "sex", "two_year_recid", "decile_score", "high"]
    frame[columns].to_csv(path, index=False)
    return path


def test_the_published_numbers_of_compas(auditor: Auditor, compas: Path) -> None:
    done = auditor(
        "predictions", compas, "--target", "two_year_recid", "--prediction", "high", "--score",
        "decile_score", "--sensitive", "race,sex", "--reference", "race=Caucasian", "--out", "run",
        "--json",
    )  # fmt: skip
    assert done.code == 0
    document = json.loads(Path("run/findings.json").read_text())
    assert document == {k: done.json[k] for k in ("schema", "run", "findings")}
    published = [
        ("false_positive_rate", "African-American", 0.4485, 0.4256, 0.4716),
        ("false_negative_rate", "African-American", 0.2799, None, None),
        ("false_positive_rate", "Caucasian", 0.2345, 0.2137, 0.2567),
        ("false_negative_rate", "Caucasian", 0.4772, None, None),
        ("false_positive_rate", "Asian", 0.0870, 0.0242, 0.2680),
    ]
    for metric, race, value, low, high in published:
        found = finding(document, metric, race=race)
        assert found["value"] == pytest.approx(value, abs=5e-5)
        assert found["method"] == "wilson"
        if low is not None:
            assert (found["low"], found["high"]) == pytest.approx((low, high), abs=5e-5)
    white = {"race": "Caucasian"}
    gap = finding(document, "false_positive_rate_difference", white, race="African-American")
    assert [gap["value"], gap["low"], gap["high"]] == pytest.approx(
        [0.21392, 0.18205, 0.24502], abs=5e-6
    )
    assert gap["n"] == 3283
    ratio = finding(document, "false_positive_rate_ratio", white, race="African-American")
    assert ratio["value"] == pytest.approx(1.91209, abs=5e-6)
    katz = ratio["also"][0]
    assert [katz["low"], katz["high"]] == pytest.approx([1.7212, 2.1241], abs=5e-5)
    assert finding(document, "auc", race="African-American")["value"] == pytest.approx(
        0.691834, abs=5e-7
    )
    assert finding(document, "auc", race="Hispanic")["value"] == pytest.approx(0.637926, abs=5e-7)


def test_every_finding_has_its_own_place(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, "--target", "y", "--prediction", "p", "--score", "s",
                   "--sensitive", "sex,race", "--json")  # fmt: skip
    keys = [
        json.dumps([f.get(k) for k in ("check", "metric", "stage", "slice", "reference", "over")])
        for f in done.json["findings"]
    ]
    assert len(keys) == len(set(keys)) > 100


@pytest.mark.parametrize(
    ("accept", "code", "status"),
    [(">= 0.2", 0, "pass"), (">= 0.99", 1, "fail"), (">= 0.66", 3, "inconclusive")],
)
def test_the_exit_code_is_that_of_the_verdict(
    auditor: Auditor, table: Path, tmp_path: Path, accept: str, code: int, status: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: p\nversion: 1.0.0\nrules:\n"
        f"  - {{id: parity, metric: selection_rate_ratio, over: [sex], stage: evaluation, "
        f"accept: '{accept}'}}\n"
    )
    done = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex", "--policy",
                   policy, "--out", "run", "--json")  # fmt: skip
    assert (done.code, done.json["verdict"]["status"]) == (code, status)
    assert json.loads(Path("run/verdict.json").read_text())["status"] == status
    if status == "inconclusive":
        assert done.json["verdict"]["rules"][0]["required_n"] > 2_000


def test_without_a_target_only_selection_is_measured(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex", "--json")
    measured = {f["metric"] for f in done.json["findings"] if f["status"] == "measured"}
    assert "selection_rate" in measured
    assert "accuracy" not in measured
    missing = finding(done.json, "accuracy")
    assert (missing["status"], missing["reason"]) == ("not-evaluated", "no target column")


def test_a_threshold_makes_the_prediction(auditor: Auditor, table: Path) -> None:
    by_threshold = auditor("predictions", table, "--score", "s", "--threshold", "0.5", "--target",
                           "y", "--sensitive", "sex", "--json").json  # fmt: skip
    frame = pd.read_csv(table)
    expected = (frame.s[frame.sex == "F"] >= 0.5).mean()
    assert finding(by_threshold, "selection_rate", sex="F")["value"] == pytest.approx(expected)


def test_ages_are_binned_and_empty_bins_are_listed(auditor: Auditor, table: Path) -> None:
    done = auditor("predictions", table, "--prediction", "p", "--sensitive", "age", "--bins",
                   "age=25,45,65,120", "--json")  # fmt: skip
    counts = {f["slice"].get("age"): f["value"] for f in done.json["findings"]
              if f["metric"] == "count"}  # fmt: skip
    assert list(counts) == [None, "<25", "[25, 45)", "[45, 65)", "[65, 120)", ">=120"]
    assert finding(done.json, "selection_rate", age=">=120")["reason"] == "no records"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("best", {"sex": "M"}), ("rest", "rest"), ("sex=F", {"sex": "F"}), (None, None)],
)
def test_references(auditor: Auditor, table: Path, reference: str | None, expected: Any) -> None:
    options = [] if reference is None else ["--reference", reference]
    done = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex", *options,
                   "--json")  # fmt: skip
    found = [f["reference"] for f in done.json["findings"]
             if f["metric"] == "selection_rate_difference" and "over" not in f]  # fmt: skip
    frame = pd.read_csv(table)
    largest = {"sex": frame.sex.value_counts().idxmax()}
    assert set(map(str, found)) == {str(expected or largest)}


def test_a_table_with_one_group_has_no_disparities(auditor: Auditor, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("sex,p\n" + "F,1\nF,0\n" * 50)
    done = auditor("predictions", path, "--prediction", "p", "--sensitive", "sex", "--json")
    assert done.code == 0
    found = finding(done.json, "selection_rate_ratio", sex="F")
    assert (found["status"], found["reason"]) == ("not-evaluated", "only one group holds records")
    parity = next(f for f in done.json["findings"] if f["metric"] == "demographic_parity_ratio")
    assert parity["status"] == "not-evaluated"


def test_unknown_groups_are_listed_and_never_compared(auditor: Auditor, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("sex,p\n" + "F,1\nM,0\n,1\n" * 40)
    done = auditor("predictions", path, "--prediction", "p", "--sensitive", "sex", "--json")
    assert finding(done.json, "count", sex=None)["value"] == 40
    gaps = [f for f in done.json["findings"]
            if f["metric"] == "selection_rate_difference" and "over" not in f]  # fmt: skip
    assert {f["status"] for f in gaps if f["slice"]["sex"] is None} == {"not-evaluated"}


BAD: list[tuple[str, str, list[str], str]] = [
    ("missing column", "a,p\n1,1\n", ["--prediction", "pp", "--sensitive", "a"],
     "there is no column 'pp'; did you mean 'p'?"),
    ("missing attribute", "a,p\n1,1\n", ["--prediction", "p", "--sensitive", "sex"],
     "there is no column 'sex'"),
    ("three values", "a,y,p\nx,0,1\ny,1,0\ny,2,0\n",
     ["--target", "y", "--prediction", "p", "--sensitive", "a"],
     "3 values ('0', '1', '2') in 3 rows where two are meant"),
    ("all missing", "a,p\nx,\ny,\n", ["--prediction", "p", "--sensitive", "a"],
     "all 2 values are missing"),
    ("all NaN", "a,p\nx,nan\ny,nan\n", ["--prediction", "p", "--sensitive", "a"],
     "all 2 values are missing"),
    ("empty file", "", ["--prediction", "p", "--sensitive", "a"], "the file is empty"),
    ("no rows", "a,p\n", ["--prediction", "p", "--sensitive", "a"], "the table has 0 rows"),
    ("no prediction", "a,p\n1,1\n", ["--sensitive", "a"], "neither --prediction nor --score"),
    ("text score", "a,s\nx,high\ny,low\n", ["--score", "s", "--threshold", "1", "--sensitive", "a"],
     "holds 'high'"),
    ("no positive", "a,p\nx,yes\ny,no\n", ["--prediction", "p", "--sensitive", "a"], "--positive"),
    ("bad bins", "a,p\n1,1\n2,0\n", ["--prediction", "p", "--sensitive", "a", "--bins", "a=5,3"],
     "do not ascend"),
    ("bins of text", "a,p\nx,1\ny,0\n", ["--prediction", "p", "--sensitive", "a", "--bins", "a=5"],
     "column 'a' holds 'x'"),
    ("bad reference", "a,p\nx,1\ny,0\n",
     ["--prediction", "p", "--sensitive", "a", "--reference", "a=z"], "a=z does not occur"),
    ("no reference", "a,p\nx,1\ny,0\n",
     ["--prediction", "p", "--sensitive", "a", "--reference", "biggest"], "is no reference"),
    ("task", "a,p\nx,1\ny,0\n", ["--prediction", "p", "--sensitive", "a", "--task", "ordinal"],
     "--task: unknown task 'ordinal'; binary, multiclass, regression, ranking, counts"),
    ("policy", "a,p\nx,1\ny,0\n",
     ["--prediction", "p", "--sensitive", "a", "--policy", "four-fifth-screen"],
     "did you mean 'four-fifths-screen'?"),
    ("key", "a,p\nx,1\ny,0\n", ["--prediction", "p", "--sensitive", "a", "--sign-key", "no.key"],
     "no.key"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "message"), BAD, ids=[b[0] for b in BAD])
def test_bad_input_is_one_line_exit_2_and_leaves_nothing(
    auditor: Auditor, tmp_path: Path, name: str, content: str, options: list[str], message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    done = auditor("predictions", path, *options, "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def test_a_truncated_parquet_file(auditor: Auditor, table: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    pd.read_csv(table).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    done = auditor("predictions", path, "--prediction", "p", "--sensitive", "sex", "--out", "run")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert "cut.parquet" in done.err
    assert not Path("run").exists()


def test_an_out_that_is_not_empty_is_refused(auditor: Auditor, table: Path) -> None:
    options = ["predictions", table, "--prediction", "p", "--sensitive", "sex", "--out", "run"]
    assert auditor(*options).code == 0
    before = {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()}
    again = auditor(*options)
    assert again.code == 2
    assert "choose another --out" in again.err
    assert {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()} == before


def test_column_names_and_values_may_be_odd(auditor: Auditor, tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    pd.DataFrame({'se"x, or select': ["a'b", "c\nd", "007"] * 40, "p'": [0, 1, 1] * 40}).to_parquet(
        path
    )
    done = auditor("predictions", path, "--prediction", "p'", "--sensitive", 'se"x', "--json")
    assert done.code == 2
    frame = pd.read_parquet(path).rename(columns={'se"x, or select': 'se"x'})
    frame.to_parquet(path)
    done = auditor("predictions", path, "--prediction", "p'", "--sensitive", 'se"x', "--json")
    assert done.code == 0
    assert finding(done.json, "count", **{'se"x': "c\nd"})["value"] == 40
    assert finding(done.json, "count", **{'se"x': "007"})["value"] == 40


def test_the_reference_of_a_policy_stays_unless_another_is_given(
    auditor: Auditor, table: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: p\nversion: 1.0.0\n"
        "checks:\n  - bias.group-metrics: {reference: {race: C}, intersections: 1}\nrules:\n"
        "  - {id: parity, metric: selection_rate_ratio, over: [race], stage: evaluation, "
        "accept: '>= 0.2', check: bias.group-metrics}\n"
    )
    for options, expected in (((), "C"), (("--reference", "race=B"), "B")):
        done = auditor("predictions", table, "--prediction", "p", "--sensitive", "sex,race",
                       "--policy", policy, *options, "--json")  # fmt: skip
        found = [
            f for f in done.json["findings"]
            if (f["check"], f["metric"]) == ("bias.group-metrics", "selection_rate_difference")
            and "over" not in f and "race" in f["slice"]
        ]  # fmt: skip
        assert {f["reference"]["race"] for f in found} == {expected}
        assert {tuple(f["slice"]) for f in found} == {("race",)}


def test_names_in_brackets_are_printed_as_they_are(auditor: Auditor, tmp_path: Path) -> None:
    rows = [
        f"{group},{dept},{p}\n" * n
        for group, dept, p, n in (
            ("[bold]", "a", 1, 80), ("[bold]", "a", 0, 20), ("b", "a", 1, 280), ("b", "a", 0, 120),
            ("[bold]", "d", 1, 120), ("[bold]", "d", 0, 280), ("b", "d", 1, 20), ("b", "d", 0, 80),
        )
    ]  # fmt: skip
    (tmp_path / "some.csv").write_text("g,dept,p\n" + "".join(rows))
    done = auditor("predictions", "some.csv", "--prediction", "p", "--sensitive", "g", "--strata",
                   "dept")  # fmt: skip
    (sentence,) = [line for line in done.err.splitlines() if "reverses" in line]
    assert "g [bold]" in sentence
    assert "g=[bold]" in done.err
