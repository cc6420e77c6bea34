"""``auditor predictions --task regression`` and ``--task ranking``, from the table to the proof."""

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
