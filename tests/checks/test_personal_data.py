from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from auditor.checks import NotMeasurable
from auditor.checks.provenance.personal_data import PersonalDataInTables
from auditor.errors import InputError
from auditor.evidence import Stage, canonical_json
from auditor.metrics.personal_data import PERSONAL_CATEGORIES
from auditor.provenance import scan_personal_data
from auditor.provenance.personal_data import CATEGORIES

TRAIN = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "sex": ["F", "F", "M", None],
        "note": ["mail a@example.org", "none", "b@example.org, +44 20 7946 0958", None],
        "phone": [2_127_365_000, np.nan, np.nan, np.nan],
        "diagnosis": ["x", "y", "z", "z"],
    }
)
CLEAN = pd.DataFrame({"sex": ["F", "M"], "text": ["good", "bad"], "age": [30, 41]})
ROLES = {"sensitive": ("sex",)}


def test_a_table_with_personal_data(run: Any, subject: Any, pick: Any) -> None:
    findings = run(PersonalDataInTables(), subject(Stage.DATA, tables={"train": TRAIN}, **ROLES))
    everybody = pick(findings, "personal_data_rate[any]")
    assert (everybody.value, everybody.n, everybody.method) == (0.5, 4, "census")
    assert pick(findings, "personal_data_rate[email]").value == 0.5
    assert pick(findings, "personal_data_rate[email]", sex="F").value == 0.5
    assert pick(findings, "personal_data_rate[email]", sex=None).value == 0
    assert pick(findings, "personal_data_rate[phone]").value == 0.5
    assert pick(findings, "personal_data_rate[phone:phone]").value == 0.25
    assert pick(findings, "personal_data_rate[phone:note]").value == 0.25
    assert pick(findings, "personal_data_rate[national-id]").value == 0
    assert pick(findings, "personal_data_rate_difference[any]", sex="M").value == 0.5


def test_a_clean_table_has_zeros_and_not_nothing(run: Any, subject: Any, pick: Any) -> None:
    findings = run(PersonalDataInTables(), subject(Stage.DATA, tables={"train": CLEAN}, **ROLES))
    rates = [f for f in findings if f.base_metric == "personal_data_rate"]
    assert {f.value for f in rates} == {0.0}
    assert {f.n for f in rates} == {2}
    assert pick(findings, "personal_column_count[any]").value == 0


def test_names_of_columns_are_hints_that_are_counted_apart(
    run: Any, subject: Any, pick: Any
) -> None:
    findings = run(PersonalDataInTables(), subject(Stage.DATA, tables={"train": TRAIN}, **ROLES))
    found = pick(findings, "personal_column_count[any]")
    assert (found.value, found.n) == (2, 5)
    assert pick(findings, "personal_column_count[special]").value == 1
    assert pick(findings, "personal_column_count[special:health]").value == 1


def test_another_table_is_named_in_the_metric(run: Any, subject: Any, pick: Any) -> None:
    tables = {"train": CLEAN, "test": TRAIN}
    findings = run(PersonalDataInTables(), subject(Stage.DATA, tables=tables, **ROLES))
    assert pick(findings, "personal_data_rate[email]").value == 0
    assert pick(findings, "personal_data_rate[test/email]").value == 0.5
    assert pick(findings, "personal_data_rate[test/email:note]").value == 0.5
    assert pick(findings, "personal_column_count[test/any]").value == 2


def test_what_is_looked_for_is_a_field(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, **ROLES)
    some = run(PersonalDataInTables(kinds=("us-ssn", "email"), ignore=("note",)), made)
    assert pick(some, "personal_data_rate[us-ssn]").value == 0
    assert pick(some, "personal_data_rate[any]").value == 0
    assert not [f for f in some if f.metric == "personal_data_rate[phone]"]
    one = run(PersonalDataInTables(columns=("phone",)), made)
    assert pick(one, "personal_data_rate[any]").value == 0.25


def test_no_value_is_in_the_statistics(subject: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, **ROLES)
    for statistic in PersonalDataInTables().measure(made):
        text = canonical_json(statistic.to_json()).decode()
        assert "example.org" not in text
        assert "2127365000" not in text


def test_any_size_of_batch_gives_the_same_counts(
    run: Any, subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.checks.provenance import personal_data

    many = pd.concat([TRAIN] * 50, ignore_index=True)
    made = subject(Stage.DATA, tables={"train": many}, **ROLES)
    (whole, _) = PersonalDataInTables().measure(made)
    monkeypatch.setattr(personal_data, "_BATCH", 1)
    (parts, _) = PersonalDataInTables().measure(made)
    assert parts == whole


def test_the_counts_are_those_of_a_scan_without_groups(
    run: Any, subject: Any, pick: Any, shared_data: Any
) -> None:
    frame = pd.read_csv(shared_data / "text/tweets_hate_offensive.csv.gz")
    text = pd.DataFrame({"tweet": frame["tweet"].astype(str), "label": frame["label"].astype(str)})
    made = subject(Stage.DATA, tables={"train": text}, sensitive=("label",))
    findings = run(PersonalDataInTables(columns=("tweet",)), made)
    alone = scan_personal_data([pa.Table.from_pandas(text[["tweet"]])])
    assert alone.affected > 0
    assert pick(findings, "personal_data_rate[any]").value == alone.affected / len(text)
    for kind, n in alone.categories.items():
        assert pick(findings, f"personal_data_rate[{kind}]").value == n / len(text)


@pytest.mark.parametrize(
    ("check", "tables", "reason"),
    [
        (PersonalDataInTables(), {}, "no data set was given"),
        (
            PersonalDataInTables(ignore=tuple(CLEAN)),
            {"train": CLEAN},
            "train has no column that is not ignored",
        ),
    ],
)
def test_what_cannot_be_measured_has_its_reason(
    check: Any, tables: Any, reason: str, subject: Any
) -> None:
    with pytest.raises(NotMeasurable, match=reason):
        check.measure(subject(Stage.DATA, tables=tables))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"columns": ("nota",)}, "train: there is no column 'nota'; did you mean 'note'"),
        ({"kinds": ("emial",)}, "no kind of personal data 'emial'; did you mean 'email'"),
    ],
)
def test_a_wrong_field_is_named(fields: Any, message: str, subject: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, **ROLES)
    with pytest.raises(InputError, match=message):
        PersonalDataInTables(**fields).measure(made)


def test_the_categories_of_findings_are_those_of_the_kinds() -> None:
    assert PERSONAL_CATEGORIES == CATEGORIES
