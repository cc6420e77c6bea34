from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotMeasurable
from auditor.checks.bias.base_rates import BaseRates
from auditor.checks.provenance.duplicates import Duplicates
from auditor.checks.provenance.missing_values import MissingValues
from auditor.checks.provenance.overlap import Overlap
from auditor.errors import InputError
from auditor.evidence import Stage

TRAIN = pd.DataFrame(
    {
        "id": [1, 2, 3, 4, 5, 6],
        "sex": ["F", "F", "F", "M", "M", None],
        "age": [20, 20, None, 40, 50, 60],
        "y": [1, 1, 0, 1, 0, 1],
    }
)
TEST = pd.DataFrame({"id": [7, 8, 9], "sex": ["F", "M", "X"], "age": [20, 41, 30], "y": [1, 1, 0]})
BOTH = {"train": TRAIN, "test": TEST}
ROLES = {"sensitive": ("sex",), "target": "y", "record_id": "id"}


def test_base_rates_of_every_split(run: Any, subject: Any, pick: Any) -> None:
    findings = run(BaseRates(), subject(Stage.DATA, tables=BOTH, **ROLES))
    assert pick(findings, "count", sex="F").value == 3
    assert pick(findings, "count", sex=None).value == 1
    assert pick(findings, "count", sex="X").value == 0
    assert pick(findings, "base_rate", sex="F").value == pytest.approx(2 / 3)
    assert pick(findings, "base_rate", sex="X").reason == "no records"
    assert pick(findings, "count[test]").value == 3
    assert pick(findings, "base_rate[test]", sex="X").value == 0
    assert pick(findings, "base_rate_difference", sex="M").value == pytest.approx(1 / 2 - 2 / 3)


def test_base_rates_without_a_target_are_counts(subject: Any) -> None:
    made = subject(Stage.DATA, tables=BOTH, sensitive=("sex",))
    check = BaseRates()
    from auditor.checks import Evidence

    findings = check.derive([Evidence("sha256:0", s) for s in check.measure(made)], Stage.DATA)
    assert {f.base_metric for f in findings if f.status == "measured"} == {"count"}


def test_duplicates_of_every_split_are_those_of_pandas(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Duplicates(), subject(Stage.DATA, tables=BOTH, **ROLES))
    assert TRAIN.drop(columns="id").duplicated().sum() == 1
    everybody = pick(findings, "duplicate_rate[train]")
    assert (everybody.value, everybody.n, everybody.method) == (1 / 6, 6, "census")
    assert pick(findings, "duplicate_rate[train]", sex="F").value == 1 / 3
    assert pick(findings, "duplicate_rate[train]", sex="M").value == 0
    assert pick(findings, "duplicate_rate[train]", sex="X").reason == "no records"
    assert pick(findings, "duplicate_rate[test]").value == 0


def test_a_record_id_makes_no_row_unique(run: Any, subject: Any, pick: Any) -> None:
    roles = {"sensitive": ("sex",), "target": "y"}
    findings = run(Duplicates(), subject(Stage.DATA, tables=BOTH, **roles))
    assert pick(findings, "duplicate_rate[train]").value == 0


def test_overlap_with_the_training_rows(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Overlap(), subject(Stage.DATA, tables=BOTH, **ROLES))
    assert pick(findings, "overlap_rate[test]").value == 1 / 3
    assert pick(findings, "overlap_rate[test]", sex="F").value == 1
    assert pick(findings, "overlap_rate[test]", sex="M").value == 0


def test_overlap_of_adults_halves_is_that_of_pandas(
    run: Any, subject: Any, pick: Any, adult: pd.DataFrame
) -> None:
    train, test = adult[:20_000], adult[20_000:]
    made = subject(
        Stage.DATA, tables={"train": train, "test": test}, sensitive=("sex", "race"), target="y"
    )
    findings = run(Overlap(), made)
    found = test.merge(train.drop_duplicates(), how="left", indicator=True)["_merge"] == "both"
    assert pick(findings, "overlap_rate[test]").value == pytest.approx(found.mean(), abs=1e-12)
    women = (test["sex"] == "Female").to_numpy()
    assert pick(findings, "overlap_rate[test]", sex="Female").value == pytest.approx(
        found[women].mean(), abs=1e-12
    )


def test_missing_values_by_group_where_there_are_any(run: Any, subject: Any, pick: Any) -> None:
    findings = run(MissingValues(), subject(Stage.DATA, tables=BOTH, **ROLES))
    assert pick(findings, "missing_rate[age]").value == 1 / 6
    assert pick(findings, "missing_rate[age]", sex="F").value == 1 / 3
    assert pick(findings, "missing_rate[age]", sex="M").value == 0
    assert pick(findings, "missing_rate[sex]", sex=None).value == 1
    assert [f.slice for f in findings if f.metric == "missing_rate[y]"] == [{}]


def test_missing_values_of_every_split_are_told_apart(run: Any, subject: Any, pick: Any) -> None:
    test = pd.DataFrame({"sex": ["F", "M"], "age": [None, 30], "y": [1, 0], "id": [7, 8]})
    late = pd.DataFrame({"sex": ["F"], "age": [30], "y": [1], "id": [9], "job": [None]})
    tables = {"train": TRAIN, "validation": late, "test": test}
    findings = run(MissingValues(), subject(Stage.DATA, tables=tables, **ROLES))
    assert pick(findings, "missing_rate[age]").value == 1 / 6
    assert pick(findings, "missing_rate[age, test]").value == 1 / 2
    assert pick(findings, "missing_rate[age, test]", sex="F").value == 1
    assert pick(findings, "missing_rate_difference[age, test]", sex="M").value == -1
    assert pick(findings, "missing_rate[age, validation]").value == 0
    assert pick(findings, "missing_rate[job, validation]").value == 1
    assert pick(findings, "missing_rate[y, test]").value == 0


def test_missing_values_are_measured_without_training_data(
    run: Any, subject: Any, pick: Any
) -> None:
    findings = run(MissingValues(), subject(Stage.DATA, tables={"test": TRAIN}, sensitive=("sex",)))
    assert pick(findings, "missing_rate[age, test]").value == 1 / 6


def test_columns_that_are_named_like_a_split_keep_names_of_their_own(
    run: Any, subject: Any, pick: Any
) -> None:
    names = ("age", "age, test", "age, train", "age, test, train")
    odd = pd.DataFrame(
        {"sex": ["F", "M"] * 5, **{n: [None] * i + [1] * (10 - i) for i, n in enumerate(names, 1)}}
    )
    tables = {"train": odd, "test": odd[::-1].head(5)}
    findings = run(MissingValues(), subject(Stage.DATA, tables=tables, sensitive=("sex",)))
    for at, name in enumerate(names, 1):
        of_train = name if name == "age" else f"{name}, train"
        assert pick(findings, f"missing_rate[{of_train}]").value == at / 10
        assert pick(findings, f"missing_rate[{name}, test]").value == 0
    alone = run(MissingValues(), subject(Stage.DATA, tables={"train": odd}, sensitive=("sex",)))
    assert pick(alone, "missing_rate[age, test]").value == 2 / 10


def test_a_named_column_that_a_split_lacks_is_not_evaluated(
    run: Any, subject: Any, pick: Any
) -> None:
    tables = {"train": TRAIN, "test": TEST.drop(columns="age")}
    made = subject(Stage.DATA, tables=tables, **ROLES)
    findings = run(MissingValues(columns=("age",)), made)
    assert pick(findings, "missing_rate[age]").value == 1 / 6
    assert pick(findings, "missing_rate[age, test]").reason == "test has no column 'age'"


def test_missing_values_are_those_of_pandas(
    run: Any, subject: Any, pick: Any, adult: pd.DataFrame
) -> None:
    rng = np.random.default_rng(0)
    holes = adult[:5_000].mask(rng.random((5_000, adult.shape[1])) < 0.1)
    findings = run(
        MissingValues(), subject(Stage.DATA, tables={"train": holes}, sensitive=("sex",))
    )
    for column in holes:
        assert pick(findings, f"missing_rate[{column}]").value == holes[column].isna().mean()


def test_columns_are_a_field(run: Any, subject: Any) -> None:
    made = subject(Stage.DATA, tables=BOTH, **ROLES)
    findings = run(MissingValues(columns=("age",)), made)
    assert {f.metric.partition("[")[2] for f in findings} == {"age]", "age, test]"}
    with pytest.raises(InputError, match="train: there is no column 'aeg'; did you mean 'age'"):
        MissingValues(columns=("aeg",)).measure(made)


def test_columns_with_odd_names_have_their_rates(run: Any, subject: Any, pick: Any) -> None:
    odd = pd.DataFrame({"sex": ["F", "M"], "records": [1, None], "a]b[c": [None, 2], "g0": [1, 2]})
    findings = run(MissingValues(), subject(Stage.DATA, tables={"train": odd}, sensitive=("sex",)))
    assert pick(findings, "missing_rate[records]", sex="M").value == 1
    assert pick(findings, "missing_rate[a]b[c]", sex="F").value == 1
    assert pick(findings, "missing_rate[g0]").value == 0


@pytest.mark.parametrize(
    ("check", "tables", "reason"),
    [
        (BaseRates(), {}, "no data set was given"),
        (Duplicates(), {}, "no data set was given"),
        (MissingValues(), {}, "no data set was given"),
        (Overlap(), {"train": TRAIN}, "overlap needs training data and a second table"),
        (Overlap(), {"test": TEST}, "overlap needs training data and a second table"),
        (
            Overlap(),
            {"train": TRAIN[["id", "age"]], "test": TEST[["id", "y"]]},
            "no column in common",
        ),
        (Duplicates(), {"train": TRAIN[["id"]]}, "has no column but the record id"),
    ],
)
def test_what_cannot_be_measured_has_its_reason(
    check: Any, tables: Any, reason: str, subject: Any
) -> None:
    made = subject(Stage.DATA, tables=tables, record_id="id")
    with pytest.raises(NotMeasurable, match=reason):
        check.measure(made)
