from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.balance import Balance
from auditor.evidence import Stage
from auditor.metrics.balance import effective_number

TRAIN = pd.DataFrame(
    {
        "sex": ["F", "F", "F", "M", "M", "M", "M", "M", None],
        "y": ["a", "a", "b", "a", "b", "b", "c", None, "c"],
    }
)
TEST = pd.DataFrame({"sex": ["F", "M"], "y": ["a", "b"]})


def test_balance_of_every_split_worked_by_hand(run: Any, subject: Any, pick: Any) -> None:
    made = _subject(subject, {"train": TRAIN, "test": TEST})
    findings = run(Balance(), made)
    everybody = pick(findings, "effective_classes")
    assert everybody.value == pytest.approx(64 / (9 + 9 + 4))  # a 3, b 3, c 2
    assert (everybody.n, everybody.method) == (8, "census")
    assert pick(findings, "class_imbalance").value == 1.5
    assert pick(findings, "smallest_class_share").value == 2 / 8
    assert pick(findings, "smallest_class_share", sex="F").value == 0  # c has no woman
    assert pick(findings, "class_imbalance", sex="F").reason.startswith("a class has no record")
    assert pick(findings, "effective_classes", sex=None).value == 1
    assert pick(findings, "smallest_class_share[test]").value == 0
    (groups,) = [f for f in findings if f.metric == "effective_groups"]
    assert groups.over == ("sex",)
    assert (groups.value, groups.n) == (pytest.approx(64 / (9 + 25)), 8)  # F 3, M 5
    (share,) = [f for f in findings if f.metric == "smallest_group_share"]
    assert share.value == 3 / 8
    (ratio,) = [f for f in findings if f.metric == "group_imbalance[test]"]
    assert ratio.value == 1


def _subject(subject: Any, tables: dict[str, pd.DataFrame]) -> Any:
    """Make a subject with a target of any number of classes."""
    made = subject(Stage.DATA, tables=tables, sensitive=("sex",))
    return replace(made, roles=replace(made.roles, target="y"))


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=20), st.randoms())
def test_effective_number_lies_between_one_and_all_and_forgets_the_order(
    counts: list[int], random: Any
) -> None:
    value = effective_number(np.array(counts))
    assert 1 <= value <= len(counts) * (1 + 1e-12)
    random.shuffle(counts)
    assert effective_number(np.array(counts)) == value
    assert effective_number(np.array([7] * len(counts))) == pytest.approx(len(counts))


def test_class_shares_are_those_of_pandas(
    run: Any, subject: Any, pick: Any, adult: pd.DataFrame
) -> None:
    made = subject(Stage.DATA, tables={"train": adult}, sensitive=("sex", "race"), target="y")
    findings = run(Balance(), made)
    for race, part in adult.groupby("race"):
        p = part["y"].value_counts(normalize=True)
        assert pick(findings, "effective_classes", race=race).value == pytest.approx(
            1 / (p**2).sum()
        )
    joint = adult.groupby(["sex", "race"]).size()
    (found,) = [f for f in findings if f.metric == "group_imbalance" and f.over == ("sex", "race")]
    assert found.value == joint.max() / joint.min()


def test_a_number_as_target_has_no_classes(run: Any, subject: Any, pick: Any) -> None:
    frame = pd.DataFrame({"sex": ["F", "M"] * 150, "y": np.arange(300.0)})
    findings = run(Balance(), _subject(subject, {"train": frame}))
    assert pick(findings, "effective_classes").reason == "the target has more than 200 values"
    none = subject(Stage.DATA, tables={"train": frame}, sensitive=("sex",))
    assert pick(run(Balance(), none), "effective_classes").reason == "no target was given"


def test_what_is_no_table_of_records_is_not_counted(subject: Any) -> None:
    with pytest.raises(NotMeasurable, match="no data set was given"):
        Balance().measure(subject(Stage.DATA))
    made = subject(
        Stage.DATA, tables={"train": pd.DataFrame({"g": ["a"], "n": [2], "k": [1]})},
        task="counts", total="n", selected="k", sensitive=("g",),
    )  # fmt: skip
    with pytest.raises(NotApplicable):
        Balance().measure(made)
