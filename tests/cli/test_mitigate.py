"""``auditor mitigate``: recipes compared on a table of scores, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from .conftest import Auditor

OPTIONS = ("--target", "y", "--score", "s", "--sensitive", "sex")


def result(document: Any, recipe: str) -> Any:
    """Return the first result of a recipe; its parameters stand in brackets."""
    results = document["comparison"]["results"]
    return next(r for r in results if r["recipe"].partition("[")[0] == recipe)


def test_recipes_are_compared_on_records_that_they_were_not_fitted_on(
    auditor: Auditor, table: Path
) -> None:
    done = auditor("mitigate", table, *OPTIONS, "--threshold", "0.5", "--json")
    assert done.code == 0
    assert done.json["schema"] == "auditor/mitigation/v1"
    comparison = done.json["comparison"]
    assert comparison["fitted_on"] + comparison["evaluated_on"] == 2_000
    before, after = (result(done.json, name) for name in ("none", "group-thresholds"))
    frame = pd.read_csv(table)
    rates = (frame.s >= 0.5).groupby(frame.sex).mean()
    assert before["ratio"]["value"] == pytest.approx(rates.F / rates.M, abs=0.06)
    assert after["ratio"]["value"] > before["ratio"]["value"]
    assert after["sensitive_at_prediction"]
    assert not before["sensitive_at_prediction"]
    assert done.json["way_out"]["sentence"] in done.err
    assert "needs the group" in done.err


def test_the_same_seed_gives_the_same_comparison(auditor: Auditor, table: Path) -> None:
    some = ("--recipes", "group-thresholds", "--json")
    first, again, other = (
        auditor("mitigate", table, *OPTIONS, *some, "--seed", seed).json for seed in (1, 1, 2)
    )
    assert first == again
    assert first["comparison"]["results"] != other["comparison"]["results"]


def test_only_the_named_recipes_stand_beside_none(auditor: Auditor, table: Path) -> None:
    done = auditor("mitigate", table, *OPTIONS, "--recipes", "reject-option", "--constraint",
                   "equal-opportunity", "--json")  # fmt: skip
    names = [r["recipe"].partition("[")[0] for r in done.json["comparison"]["results"]]
    assert names == ["none", "reject-option"]
    assert done.json["comparison"]["constraint"] == "equal-opportunity"
    retrained = auditor("mitigate", table, *OPTIONS, "--recipes", "reweighing", "--json")
    found = result(retrained.json, "reweighing")
    assert found["accuracy"] is None
    assert "no estimator" in found["reason"]


def test_groups_of_which_nothing_is_known_are_not_all_listed(
    auditor: Auditor, table: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(table)
    frame.loc[:29, "sex"] = [f"only {i}" for i in range(30)]
    frame.to_csv(tmp_path / "some.csv", index=False)
    done = auditor("mitigate", "some.csv", *OPTIONS, "--recipes", "none")
    assert done.code == 0
    sentence = done.err.strip().splitlines()[-1]
    assert "(no records)" in sentence
    assert sentence.endswith(" more.")
    assert sentence.count("only ") == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--constraint", "equal"), "--constraint: unknown constraint 'equal'"),
        (("--recipes", "nothing"), "--recipes: unknown mitigation recipe 'nothing'"),
        (("--accept", "0.8"), "--accept: '0.8' cannot be read; '>= 0.8' for the ratio"),
        (("--threshold", "nan"), "--threshold: the threshold is nan; a number"),
        (("--score", "ss"), "--score: there is no column 'ss'; did you mean 's'?"),
        (("--score", "race"), "holds"),
        (("--target", "race"), "3 values ('A', 'B', 'C') in 2,000 rows where two are meant"),
        (("--sensitive", "id"), "--sensitive: 2,000 groups of 2,000 usable records; at most 200"),
        (("--sensitive", "gender"), "--sensitive: there is no column 'gender'"),
        (("--sensitive", ","), "--sensitive: no sensitive attribute was named"),
        (("--bins", "age=5"), "bins are given for 'age', which is not sensitive"),
        (("--positive", "yes"), "the positive value 'yes' does not occur"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    auditor: Auditor, table: Path, options: tuple[str, ...], message: str
) -> None:
    done = auditor("mitigate", table, *OPTIONS, *options)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("F,,0.1\nM,1,\n,1,0.3\n", "none of 3 rows has a label, a score and every group"),
        ("F,1,0.1\nF,0,0.3\n,1,0.3\n", "--sensitive: all 2 usable records of 3 are of one group"),
        (
            "F,1,0.1\nM,1,0.3\nM,1,0.3\nF,1,0.3\n",
            "--target: all 4 usable records of 4 have one label",
        ),
        ("", "the table has 0 rows"),
    ],
)
def test_records_that_cannot_be_compared(
    auditor: Auditor, tmp_path: Path, rows: str, message: str
) -> None:
    (tmp_path / "few.csv").write_text(f"sex,y,s\n{rows}")
    done = auditor("mitigate", "few.csv", *OPTIONS, "--json")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""
