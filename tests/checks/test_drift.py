from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.drift import Drift
from auditor.datasets import DataOptions, open_table
from auditor.datasets.scan_drift import draw_pairs
from auditor.errors import InputError
from auditor.evidence import Stage

ALONE = Drift(together=False)


def records(rows: int, seed: int, *, shift: float = 0.0, city: float = 0.5) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(rows)],
            "sex": random.choice(["F", "M"], rows, p=[0.4, 0.6]),
            "age": random.normal(40 + 10 * shift, 10, rows).round(),
            "city": random.choice(["a", "b"], rows, p=[city, 1 - city]),
            "y": random.integers(0, 2, rows),
        }
    )


def asked(subject: Any, tables: dict[str, pd.DataFrame], **options: Any) -> Any:
    made = subject(Stage.DATA, tables=tables, sensitive=("sex",), target="y", record_id="id")
    if "production" in options:
        options["production"] = open_table(options["production"], name="production")
    return replace(made, options=DataOptions(**options))


def test_a_split_without_drift_shows_none(run: Any, subject: Any, pick: Any) -> None:
    findings = run(ALONE, asked(subject, {"train": records(900, 0), "test": records(600, 1)}))
    for name in ("drift_ks[age, test]", "drift_wasserstein[age, test]", "drift_psi[age, test]",
                 "drift_psi[city, test]", "drift_total_variation[city, test]",
                 "drift_total_variation[sex, test]", "new_level_rate[city, test]"):  # fmt: skip
        assert pick(findings, name).low == 0
    assert pick(findings, "absent_columns[test]").value == 0
    change = pick(findings, "group_share_change[test]", sex="F")
    assert change.low < 0 < change.high
    assert not any("id, test" in f.metric for f in findings)
    ks = pick(findings, "drift_ks[age, test]")  # age and y, in one family
    assert ks.also[0].method.endswith("-bonferroni-2")
    assert ks.also[0].high > ks.high


def test_what_drifts_is_found_and_said_of_its_split(run: Any, subject: Any, pick: Any) -> None:
    train, test = records(900, 0), records(600, 1)
    later = records(700, 2, shift=0.6, city=0.2).drop(columns="y")
    later.loc[:69, "city"] = "c"
    later.loc[70:209, "age"] = np.nan
    later["sex"] = np.where(later.index < 350, "F", "M")
    later.loc[699, "sex"] = "X"
    findings = run(ALONE, asked(subject, {"train": train, "test": test}, production=later))
    ks = pick(findings, "drift_ks[age, production]")
    known = later["age"].dropna()
    assert ks.value == pytest.approx(stats.ks_2samp(train["age"], known).statistic)
    assert ks.n == 900 + len(known)
    for name in ("drift_ks[age, production]", "drift_wasserstein[age, production]",
                 "drift_psi[age, production]", "drift_total_variation[city, production]",
                 "missing_rate_change[age, production]"):  # fmt: skip
        found = pick(findings, name)
        assert found.low > 0
        assert all(interval.low > 0 for interval in found.also)
    assert pick(findings, "drift_total_variation[city, production]").also
    assert pick(findings, "drift_ks[age, test]").low == 0
    assert pick(findings, "new_level_rate[city, production]").value == 0.1
    assert pick(findings, "new_levels[city, production]").value == 1
    assert pick(findings, "missing_rate_change[age, production]").value == 0.2
    change = pick(findings, "group_share_change[production]", sex="F")
    assert change.value == pytest.approx(0.5 - (train["sex"] == "F").mean())
    assert change.low > 0
    assert pick(findings, "group_share_change[production]", sex="X").value == 1 / 700


def test_columns_and_groups_that_are_gone_are_said(run: Any, subject: Any, pick: Any) -> None:
    later = records(300, 2)[["id", "age"]]
    made = asked(subject, {"train": records(300, 0)}, production=later)
    findings = run(
        ALONE, made,
        without=("drift_total_variation", "new_level_rate", "new_levels"),
    )  # fmt: skip
    gone = pick(findings, "absent_columns[production]")
    assert (gone.value, gone.n) == (2, 4)  # sex and city
    assert pick(findings, "group_share_change[production]").reason == (
        "production has no column 'sex'"
    )


def test_levels_of_the_whole_training_data_are_known_levels() -> None:
    train = pd.DataFrame({"c": ["a"] * 5_000 + ["rare"]})
    later = pd.DataFrame({"c": ["rare", "a", "new"]})
    tables = (open_table(train, name="t"), open_table(later, name="u"))
    (pair,) = draw_pairs(*tables, ["c"], most=100, seed=0)
    assert pair.train.size == 100
    assert pair.new is not None
    assert int(pair.new[pair.later].sum()) == 1


@pytest.mark.slow
def test_a_model_tells_shifted_tables_apart(run: Any, subject: Any, pick: Any) -> None:
    tables = {"train": records(1_500, 0), "test": records(900, 1, shift=1.0)}
    made = asked(subject, tables)
    found = pick(run(Drift(together=True), made), "drift_auc[test]")
    assert 0.65 < found.low < found.value < 0.85  # Φ(1 / √2) = 0.76 at most
    assert (found.n, found.method) == (1_800, "delong-cross-fitted")
    same = {"train": records(1_500, 0), "test": records(900, 1)}
    none = pick(run(Drift(together=True), asked(subject, same)), "drift_auc[test]")
    assert none.low < 0.5 < none.high


@pytest.mark.slow
def test_the_published_split_of_adult_has_no_drift(
    run: Any, subject: Any, pick: Any, shared_data: Path
) -> None:
    frame = pd.read_csv(shared_data / "tabular" / "adult.csv.gz")
    tables = {
        split: frame[frame["split"] == split].drop(columns="split") for split in ("train", "test")
    }
    made = subject(Stage.DATA, tables=tables, sensitive=("sex",))
    made = replace(made, roles=replace(made.roles, target="income"))
    findings = run(Drift(together=True), made)
    distances = [f for f in findings if f.base_metric.startswith("drift_") and f.value is not None]
    assert len(distances) > 30
    for found in distances:
        low = found.also[0].low if found.also else found.low
        assert low <= (0.5 if found.base_metric == "drift_auc" else 0)
    moved = tables["test"].assign(age=tables["test"]["age"] + 2)
    made = replace(made, tables={**made.tables, "test": open_table(moved, name="test")})
    again = run(Drift(together=True), made)
    assert pick(again, "drift_ks[age, test]").also[0].low > 0
    assert pick(again, "drift_auc[test]").low > 0.5


def test_what_cannot_be_measured_has_its_reason(subject: Any) -> None:
    train = records(50, 0)
    with pytest.raises(NotMeasurable, match="needs training data and a second table"):
        ALONE.measure(asked(subject, {"train": train}))
    with pytest.raises(NotMeasurable, match="needs training data and a second table"):
        ALONE.measure(asked(subject, {"test": train}))
    other = pd.DataFrame({"something": [1, 2]})
    with pytest.raises(NotMeasurable, match="train and production have no column in common"):
        ALONE.measure(asked(subject, {"train": train}, production=other))
    with pytest.raises(InputError, match="production: there is no column 'age'"):
        Drift(columns=("age",)).measure(asked(subject, {"train": train}, production=other))
    with pytest.raises(NotMeasurable, match="4 columns: beyond 2"):
        Drift(most_columns=2).measure(asked(subject, {"train": train, "test": train}))
    with pytest.raises(InputError, match="production: the table has 0 rows"):
        ALONE.measure(asked(subject, {"train": train}, production=train[:0]))
    counted = pd.DataFrame({"g": ["a"], "n": [2], "k": [1]})
    with pytest.raises(NotApplicable, match="the rows are groups"):
        ALONE.measure(
            subject(Stage.DATA, tables={"train": counted}, task="counts", total="n", selected="k")
        )
