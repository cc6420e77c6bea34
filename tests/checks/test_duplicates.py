from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auditor.checks.provenance.duplicates import Duplicates
from auditor.datasets import DataOptions
from auditor.errors import InputError
from auditor.evidence import Stage

POEM = "the quick brown fox jumps over the lazy dog and runs away into the dark green woods"
TRAIN = pd.DataFrame(
    {
        "sex": ["F", "M", "F", "M", "F"],
        "text": [
            POEM,
            POEM.upper() + "!",
            POEM.replace("woods", "fields"),
            "something else altogether, as long as the others but with no word of theirs in it",
            None,
        ],
    }
)


def asked(subject: Any, frame: pd.DataFrame, **options: Any) -> Any:
    made = subject(Stage.DATA, tables={"train": frame}, sensitive=("sex",))
    return replace(made, options=DataOptions(**options))


def test_near_duplicates_of_text_are_found_by_group(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Duplicates(), asked(subject, TRAIN, text=("text",)))
    assert pick(findings, "duplicate_rate[train]").value == 0
    everybody = pick(findings, "near_duplicate_rate[train]")
    assert (everybody.value, everybody.n) == (2 / 4, 4)
    assert everybody.method == "census-jaccard-0.8-of-2-grams-minhash-16x4-missing-2.2e-04"
    assert pick(findings, "near_duplicate_rate[train]", sex="F").value == 1 / 2
    assert pick(findings, "near_duplicate_rate[train]", sex="M").value == 1 / 2
    strict = run(Duplicates(similarity=1.0), asked(subject, TRAIN, text=("text",)))
    assert pick(strict, "near_duplicate_rate[train]").value == 1 / 4


def test_clean_text_has_no_duplicates(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Duplicates(), asked(subject, TRAIN[2:4], text=("text",)))
    assert pick(findings, "near_duplicate_rate[train]").value == 0


def test_without_text_near_means_few_columns(run: Any, subject: Any, pick: Any) -> None:
    rows = [[sex, *range(10)] for sex in "FFMM"]
    frame = pd.DataFrame(rows, columns=["sex", *(f"c{i}" for i in range(10))])
    frame.loc[1, "c3"] = 77
    frame.loc[3, ["c4", "c5"]] = -1
    findings = run(Duplicates(), asked(subject, frame))
    near = pick(findings, "near_duplicate_rate[train]")
    # Rows 0 and 1 and rows 0 and 2 differ in one of 11 columns; row 3 differs in two from row 2.
    assert near.value == 2 / 4
    assert near.method == "census-jaccard-0.8-of-11-columns-1-differing"
    wider = run(Duplicates(similarity=0.6), asked(subject, frame))
    assert pick(wider, "near_duplicate_rate[train]").value == 3 / 4


def test_equal_texts_are_counted_whatever_stands_beside_them(
    run: Any, subject: Any, pick: Any
) -> None:
    frame = pd.DataFrame(
        {
            "sex": ["F", "M", "F", "M", "M", "F"],
            "mark": [1, 2, 3, 4, 5, 6],
            "text": ["a b", "a b", "A b", None, None, " "],
            "title": ["t", "t", "t", None, None, None],
        }
    )
    findings = run(Duplicates(), asked(subject, frame, text=("text", "title")))
    assert pick(findings, "duplicate_rate[train]").value == 0
    everybody = pick(findings, "duplicate_text_rate[train]")
    # The second text equals the first; the third does not; three records have no text.
    assert (everybody.value, everybody.n, everybody.method) == (1 / 3, 3, "census")
    assert pick(findings, "duplicate_text_rate[train]", sex="F").value == 0
    assert pick(findings, "duplicate_text_rate[train]", sex="M").value == 1
    fewer = run(Duplicates(), asked(subject, frame[3:], text=("text", "title")))
    assert pick(fewer, "duplicate_text_rate[train]").reason == "no record has a text"


def test_without_named_texts_none_are_counted(run: Any, subject: Any, pick: Any) -> None:
    found = pick(run(Duplicates(), asked(subject, TRAIN)), "duplicate_text_rate[train]")
    assert found.reason == "no column of text was named that train has"


def test_the_repeated_tweets_are_found_with_all_columns_present(
    run: Any, subject: Any, pick: Any, shared_data: Path
) -> None:
    frame = pd.read_csv(shared_data / "text/tweets_hate_offensive.csv.gz")
    made = subject(Stage.DATA, tables={"train": frame})
    made = replace(made, options=DataOptions(text=("tweet",)))
    found = pick(run(Duplicates(), made), "duplicate_text_rate[train]")
    repeats = int(frame["tweet"].duplicated().sum())
    assert (repeats, found.n) == (134, len(frame))
    assert found.value == repeats / len(frame)


def test_texts_without_a_word_are_no_duplicates(run: Any, subject: Any, pick: Any) -> None:
    empty = pd.DataFrame({"sex": ["F", "M"], "text": ["!", None]})
    near = pick(
        run(Duplicates(), asked(subject, empty, text=("text",))), "near_duplicate_rate[train]"
    )
    assert near.reason == "no record has a token"


def test_no_text_is_in_what_is_stored(subject: Any) -> None:
    for statistic in Duplicates().measure(asked(subject, TRAIN, text=("text",))):
        assert "fox" not in str(statistic.to_json())


@pytest.mark.parametrize("fields", [{"similarity": 0.1}, {"similarity": 1.1}, {"shingle": 0}])
def test_fields_have_their_limits(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="check provenance.duplicates"):
        Duplicates.build(fields)
