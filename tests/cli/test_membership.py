"""``auditor predictions --membership``: an attribute that is known by probability only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from .conftest import Auditor

RACE = ("--prediction", "p", "--membership", "race=White:w,Black:b")


@pytest.fixture
def guessed(table: Path, tmp_path: Path) -> Path:
    """The table of predictions with probabilities of two races."""
    frame = pd.read_csv(table)
    frame["w"] = np.random.default_rng(2).random(len(frame)).round(3)
    frame["b"] = (1 - frame.w).round(3)
    path = tmp_path / "guessed.csv"
    frame.to_csv(path, index=False)
    return path


def of(document: Any, check: str, metric: str) -> list[Any]:
    return [
        f for f in document["findings"]
        if (f["check"], f["metric"]) == (check, metric) and "over" not in f
    ]  # fmt: skip


def test_every_record_counts_by_its_probability(auditor: Auditor, guessed: Path) -> None:
    done = auditor("predictions", guessed, *RACE, "--json")
    assert done.code == 0
    frame = pd.read_csv(guessed)
    rates = {
        f["slice"].get("race"): f["value"]
        for f in of(done.json, "bias.soft-membership", "selection_rate")
    }
    assert rates["White"] == pytest.approx((frame.w * frame.p).sum() / frame.w.sum())
    assert rates["Black"] == pytest.approx((frame.b * frame.p).sum() / frame.b.sum())
    assert "race=White" in done.err


@pytest.mark.parametrize("sensitive", [(), ("--sensitive", "sex")])
def test_a_reference_may_be_of_the_unknown_attribute(
    auditor: Auditor, guessed: Path, sensitive: tuple[str, ...]
) -> None:
    done = auditor("predictions", guessed, *RACE, *sensitive, "--reference", "race=White", "--json")
    assert done.code == 0
    soft = of(done.json, "bias.soft-membership", "selection_rate_difference")
    assert [(f["slice"], f["reference"]) for f in soft] == [({"race": "Black"}, {"race": "White"})]
    # Checks of declared attributes are as if it had not been named.
    frame = pd.read_csv(guessed)
    plain = of(done.json, "bias.group-metrics", "selection_rate_difference")
    largest = {"sex": frame.sex.value_counts().idxmax()}
    assert [f["reference"] for f in plain] == [largest] * len(sensitive[1:])


def test_both_kinds_of_attributes_have_their_own_reference(auditor: Auditor, guessed: Path) -> None:
    done = auditor("predictions", guessed, *RACE, "--sensitive", "sex", "--reference",
                   "race=Black", "--reference", "sex=F", "--json")  # fmt: skip
    (soft,) = of(done.json, "bias.soft-membership", "selection_rate_difference")
    (hard,) = of(done.json, "bias.group-metrics", "selection_rate_difference")
    assert (soft["reference"], hard["reference"]) == ({"race": "Black"}, {"sex": "F"})


@pytest.mark.parametrize("option", ["weight", "frequency", "cluster"])
def test_a_design_that_would_be_ignored_is_a_reason(
    auditor: Auditor, guessed: Path, option: str
) -> None:
    done = auditor("predictions", guessed, *RACE, f"--{option}", "age", "--json")
    found = [f for f in done.json["findings"] if f["check"] == "bias.soft-membership"]
    assert {f["status"] for f in found} == {"not-evaluated"}
    assert {f["reason"] for f in found} == {
        f"groups known by probability are not measured with a {option}"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--membership", "race=White:w,Black:bb"), "--membership: there is no column 'bb'"),
        (("--membership", "race=White:w"), "--membership: 'race=White:w' are no probabilities; "
         "race=White:p_white,Black:p_black"),
        (("--membership", "White:w,Black:b"), "are no probabilities"),
        (("--membership", "race=White:w,Black:w"), "each with its own column"),
        (("--membership", "race=White:w,Black:age"),
         "column 'age': 2,000 of 2,000 probabilities lie outside 0 to 1"),
        (("--membership", "race=White:w,Black:s"), "of 2,000 records exceed 1 in sum"),
        (("--membership", "race=White:w,Black:sex"), "column 'sex' holds"),
        (("--membership", "race=White:w,Black:b", "--sensitive", "race"),
         "'race' is sensitive, and has probabilities as well"),
        (("--membership", "race=White:w,Black:b", "--reference", "race=Asian"),
         "the reference race=Asian does not occur; one of Black, White"),
        (("--membership", "race=White:w,Black:b", "--reference", "sex=F"),
         "--reference: 'sex=F' is no reference"),
        (("--membership", "race=White:w,Black:b", "--task", "regression"),
         "--membership: the task regression does not use it; --task binary"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_and_exit_2(
    auditor: Auditor, guessed: Path, options: tuple[str, ...], message: str
) -> None:
    done = auditor("predictions", guessed, "--prediction", "p", *options, "--out", "run")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("run").exists()
