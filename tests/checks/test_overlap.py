from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks.provenance.overlap import Overlap
from auditor.datasets import DataOptions, open_table
from auditor.errors import InputError
from auditor.evidence import Stage

LONG = " ".join(f"word{i}" for i in range(30))
OTHER = " ".join(f"term{i}" for i in range(30))
TRAIN = pd.DataFrame(
    {
        "sex": ["F", "M", "M"],
        "patient": ["p1", "p2", None],
        "text": [f"before it {LONG.replace(' ', chr(10))} after it", "a b c d e", OTHER],
    }
)
TEST = pd.DataFrame(
    {
        "sex": ["F", "F", "M", "M"],
        "patient": ["p1", "p1", "p3", None],
        "text": [LONG, OTHER.replace("term14", "term"), "short", "nothing of it " * 5],
    }
)


def asked(subject: Any, test: pd.DataFrame = TEST, **options: Any) -> Any:
    made = subject(Stage.DATA, tables={"train": TRAIN, "test": test}, sensitive=("sex",))
    return replace(made, options=DataOptions(**options))


def test_each_way_of_overlap_is_found(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Overlap(), asked(subject, text=("text",), entity="patient"))
    assert pick(findings, "overlap_rate[test]").value == 0
    near = pick(findings, "near_overlap_rate[test]")
    assert (near.value, near.n) == (2 / 4, 4)
    assert pick(findings, "near_overlap_rate[test]", sex="F").value == 1
    contained = pick(findings, "contained_rate[test]")
    assert (contained.value, contained.n) == (1 / 3, 3)
    assert contained.method == "census-share-0.5-of-13-grams"
    assert pick(findings, "contained_rate[test]", sex="M").value == 0
    entity = pick(findings, "entity_overlap_rate[test]")
    assert (entity.value, entity.n) == (2 / 3, 3)
    shared = pick(findings, "shared_entity_rate[test]")
    assert (shared.value, shared.n) == (1 / 2, 2)
    assert pick(findings, "shared_entity_rate[test]", sex="M").value == 0


def test_a_lower_share_finds_the_text_with_a_changed_word(
    run: Any, subject: Any, pick: Any
) -> None:
    findings = run(Overlap(contained=0.25), asked(subject, text=("text",)))
    assert pick(findings, "contained_rate[test]").value == 2 / 3
    assert pick(findings, "entity_overlap_rate[test]").reason == "no entity column was named"


def test_nothing_overlaps_where_nothing_is_shared(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Overlap(), asked(subject, TEST[2:], text=("text",), entity="patient"))
    for metric in Overlap.metrics:
        assert pick(findings, f"{metric}[test]").value == 0


def test_a_benchmark_is_looked_for_in_the_training_text(run: Any, subject: Any, pick: Any) -> None:
    bench = open_table(pd.DataFrame({"text": [LONG, "x " * 20]}), name="bench")
    untold = open_table(pd.DataFrame({"words": [LONG]}), name="untold")
    made = asked(subject, text=("text",), benchmarks={"bench": bench, "untold": untold})
    findings = run(Overlap(), made)
    assert pick(findings, "contained_rate[bench]").value == 1 / 2
    assert pick(findings, "overlap_rate[bench]").value == 0
    assert pick(findings, "contained_rate[untold]").reason == "untold has no text column text"
    reason = "train and untold have no column in common"
    assert pick(findings, "overlap_rate[untold]").reason == reason
    assert not [f for f in findings if f.metric.endswith("[bench]") and f.slice]


def test_benchmarks_need_no_second_split(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, sensitive=("sex",))
    bench = {"bench": open_table(TEST, name="bench")}
    findings = run(Overlap(), replace(made, options=DataOptions(text=("text",), benchmarks=bench)))
    assert pick(findings, "contained_rate[bench]", sex="F").value == 1 / 2
    assert pick(findings, "entity_overlap_rate").reason == "no second split was given"


def test_what_was_not_named_has_its_reason(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Overlap(), asked(subject))
    assert pick(findings, "contained_rate[test]").reason == "no text column was named"
    assert pick(findings, "near_overlap_rate[test]").method == (
        "census-jaccard-0.8-of-3-columns-0-differing"
    )
    missing = run(Overlap(), asked(subject, entity="clinic"))
    reason = "train has no column 'clinic'"
    assert pick(missing, "entity_overlap_rate[test]").reason == reason


def test_short_texts_only_are_no_pass(run: Any, subject: Any, pick: Any) -> None:
    findings = run(Overlap(), asked(subject, TEST[2:3], text=("text",)))
    assert pick(findings, "contained_rate[test]").reason == "no text is long enough"


def test_no_name_is_in_what_is_stored(subject: Any) -> None:
    made = asked(subject, text=("text",), entity="patient")
    for statistic in Overlap().measure(made):
        assert "p1" not in str(statistic.to_json())
        assert "word3" not in str(statistic.to_json())


def test_a_benchmark_has_a_name_of_its_own(subject: Any) -> None:
    made = asked(subject, benchmarks={"test": open_table(TEST)})
    with pytest.raises(InputError, match="benchmarks=: a benchmark has the name 'test'"):
        Overlap().measure(made)


def test_near_rows_across_a_split_are_those_of_every_comparison(
    run: Any, subject: Any, pick: Any, adult: pd.DataFrame
) -> None:
    train, test = adult[:1_500], adult[1_500:1_800].reset_index(drop=True)
    made = subject(Stage.DATA, tables={"train": train, "test": test}, sensitive=("sex",))
    findings = run(Overlap(similarity=0.7), made)
    a, b = (frame.astype(str).to_numpy() for frame in (train, test))
    near = np.array([((a == row).sum(axis=1) >= a.shape[1] - 1).any() for row in b])
    assert pick(findings, "near_overlap_rate[test]").value == near.mean()
    women = (test["sex"] == "Female").to_numpy()
    assert pick(findings, "near_overlap_rate[test]", sex="Female").value == near[women].mean()
