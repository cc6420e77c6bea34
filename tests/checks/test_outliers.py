from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.outliers import Outliers
from auditor.datasets import DataOptions, Roles, open_table
from auditor.datasets.scan_outliers import median_and_mad, scan_outliers
from auditor.errors import InputError
from auditor.evidence import Stage
from auditor.stats import Groups

WITHOUT = ("isolated_rate",)


def frame(rows: int = 1_000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    sex = random.choice(["F", "M"], rows)
    x = random.normal(size=rows)
    x[(sex == "F") & (random.random(rows) < 0.05)] += 50
    z = random.normal(size=rows)
    z[:4] = [np.inf, -np.inf, np.nan, 1.0]
    return pd.DataFrame(
        {"sex": sex, "x": x, "z": z, "flat": 0.0, "word": "a", "written": x.round(3).astype(str)}
    )


def test_the_shares_are_those_of_pandas_by_group(run: Any, subject: Any, pick: Any) -> None:
    data = frame()
    made = subject(Stage.DATA, tables={"train": data}, sensitive=("sex",))
    findings = run(Outliers(), made, without=WITHOUT)
    z = 0.6745 * (data["x"] - data["x"].median()).abs() / median_abs_deviation(data["x"])
    for group, part in z.groupby(data["sex"]):
        found = pick(findings, "outlier_rate[x]", sex=group)
        assert (found.value, found.n) == ((part > 3.5).mean(), len(part))
        assert (found.method, found.also[0].method) == ("census", "wilson")
    assert pick(findings, "outlier_rate[x]", sex="F").value > 0.02
    everybody = pick(findings, "outlier_rate[written]")
    assert everybody.value == pytest.approx((z > 3.5).mean())
    infinite = pick(findings, "infinite_rate[z]")
    assert (infinite.value, infinite.n) == (2 / 999, 999)
    assert pick(findings, "outlier_rate[z]").n == 997
    assert "no unit of distance" in pick(findings, "outlier_rate[flat]").reason
    assert [f.slice for f in findings if f.metric == "infinite_rate[x]"] == [{}]
    assert not any("word" in f.metric for f in findings)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_deviation_is_that_of_scipy(values: list[float]) -> None:
    x = np.array(values)
    assert median_and_mad(x)[1] == pytest.approx(median_abs_deviation(x), rel=1e-9, abs=1e-9)


def test_the_order_of_the_rows_does_not_matter(subject: Any) -> None:
    data = frame(300)
    made = [
        subject(Stage.DATA, tables={"train": some}, sensitive=("sex",))
        for some in (data, data.sample(frac=1, random_state=1))
    ]
    one, other = (Outliers().measure(each) for each in made)
    assert one == other


def test_counts_are_of_all_rows_where_the_scale_is_of_a_sample() -> None:
    data = frame(5_000)
    table = open_table(data, name="t")
    counts = scan_outliers(
        table, Groups.declare(()), Roles(), ["x", "z"], deviations=6.0, most=500, seed=0
    )
    row = dict(zip(counts.columns, counts.values[0].tolist(), strict=True))
    assert row["records"] == row["finite:x"] == 5_000
    assert row["infinite:z"] == 2
    assert row["outside:x"] == (data["x"] > 20).sum()
    again = scan_outliers(
        table, Groups.declare(()), Roles(), ["x", "z"], deviations=6.0, most=500, seed=0
    )
    assert again == counts


def test_records_far_from_all_others_are_isolated(run: Any, subject: Any, pick: Any) -> None:
    random = np.random.default_rng(0)
    data = pd.DataFrame(random.normal(size=(1_000, 4)), columns=list("abcd"))
    data["sex"] = ["F", "M"] * 500
    data.loc[:19, list("abcd")] = random.choice([-9, 9], (20, 4)) + random.normal(size=(20, 4))
    data.loc[::7, "a"] = np.nan
    data.loc[30, "b"] = np.inf
    made = subject(Stage.DATA, tables={"train": data}, sensitive=("sex",))
    check = Outliers(jointly=True, isolation=0.65)
    findings = run(check, made)
    found = pick(findings, "isolated_rate")
    assert 0.015 <= found.value <= 0.03
    assert (found.n, found.method) == (1_000, "wilson")
    seeded = replace(made, options=DataOptions(seed=0))
    assert check.measure(seeded) == check.measure(made)
    blank = subject(
        Stage.DATA, tables={"train": data[["sex"]].assign(a=None)}, sensitive=("sex",)
    )  # fmt: skip
    empty = run(check, blank, without=("outlier_rate", "infinite_rate"))
    assert pick(empty, "isolated_rate").reason in {"no record was drawn", "no records"}


def test_what_cannot_be_measured_has_its_reason(subject: Any) -> None:
    with pytest.raises(NotMeasurable, match="no training data was given"):
        Outliers().measure(subject(Stage.DATA, tables={"test": frame(10)}))
    with pytest.raises(NotMeasurable, match="no column holds numbers"):
        Outliers().measure(subject(Stage.DATA, tables={"train": frame(10)[["sex", "word"]]}))
    with pytest.raises(InputError, match="there is no column 'zz'"):
        Outliers(columns=("zz",)).measure(subject(Stage.DATA, tables={"train": frame(10)}))
    counted = pd.DataFrame({"g": ["a"], "n": [2], "k": [1]})
    with pytest.raises(NotApplicable, match="the rows are groups"):
        Outliers().measure(
            subject(Stage.DATA, tables={"train": counted}, task="counts", total="n", selected="k")
        )
