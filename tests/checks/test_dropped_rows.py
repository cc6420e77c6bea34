from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.dropped_rows import DroppedRows
from auditor.evidence import Stage, sha256
from auditor.provenance.lineage import Data, Derivation, How, Lineage, lineage_of
from auditor.provenance.preparation import preparation

FRAME = pd.DataFrame(
    {"sex": ["F", "F", "M", "M", None], "age": [None, None, 30, 40, 50], "y": [1, 0, 1, 0, 1]}
)


def recorded(frame: pd.DataFrame, *steps: Any) -> Lineage:
    bodies: list[dict[str, Any]] = []
    for step in steps:
        made = preparation(
            step, record=bodies.append, groups=("sex",),
            digest=lambda table: sha256(table.to_csv().encode()),
        )  # fmt: skip
        frame = made(frame)
    return lineage_of(bodies)[0]


def drop_missing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.dropna(subset=["age"])


def double(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame])


def subject_with(subject: Any, lineage: Lineage | None) -> Any:
    made = subject(Stage.DATA, tables={"train": FRAME}, sensitive=("sex",), target="y")
    return replace(made, lineage=lineage)


def test_a_step_that_drops_one_group_is_found(run: Any, subject: Any, pick: Any) -> None:
    findings = run(DroppedRows(), subject_with(subject, recorded(FRAME, drop_missing)))
    everybody = pick(findings, "dropped_rate[drop_missing]")
    assert (everybody.value, everybody.n, everybody.method) == (2 / 5, 5, "census")
    assert pick(findings, "dropped_rate[drop_missing]", sex="F").value == 1
    assert pick(findings, "dropped_rate[drop_missing]", sex="M").value == 0
    assert pick(findings, "dropped_rate[drop_missing]", sex=None).value == 0
    assert pick(findings, "dropped_rate_difference[drop_missing]", sex="M").value == -1


def test_a_step_that_drops_nobody_drops_nothing(run: Any, subject: Any, pick: Any) -> None:
    whole = FRAME.fillna({"age": 0})
    findings = run(DroppedRows(), subject_with(subject, recorded(whole, drop_missing)))
    assert pick(findings, "dropped_rate[drop_missing]").value == 0


def test_shares_are_those_of_pandas(run: Any, subject: Any, pick: Any, adult: pd.DataFrame) -> None:
    def working_age(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["age"].between(25, 60)]

    findings = run(DroppedRows(), subject_with(subject, recorded(adult, working_age)))
    for sex, part in adult.groupby("sex"):
        share = 1 - part["age"].between(25, 60).mean()
        found = pick(findings, "dropped_rate[working_age]", sex=sex).value
        assert found == pytest.approx(share, abs=1e-12)


def test_steps_of_one_name_are_told_apart(run: Any, subject: Any, pick: Any) -> None:
    def first(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.head(len(frame) - 1)

    findings = run(DroppedRows(), subject_with(subject, recorded(FRAME, first, first)))
    assert pick(findings, "dropped_rate[first]").value == pytest.approx(1 / 5)
    assert pick(findings, "dropped_rate[first 2]").value == pytest.approx(1 / 4)


def test_a_step_that_adds_rows_has_no_share(run: Any, subject: Any, pick: Any) -> None:
    findings = run(DroppedRows(), subject_with(subject, recorded(FRAME, double)))
    reason = pick(findings, "dropped_rate[double]").reason
    assert reason == "the step adds rows: 5 before, 10 after"


def failing() -> Lineage:
    step = Derivation(inputs=(Data(id="a", name="a", rows=5),), how=How(name="f", error="KeyError"))
    return Lineage().add(step, undeclared="begin")


def test_steps_without_rows_have_a_reason(subject: Any) -> None:
    with pytest.raises(NotMeasurable, match="no recorded step says its rows before and after"):
        DroppedRows().measure(subject_with(subject, failing()))


@pytest.mark.parametrize("lineage", [None, Lineage()])
def test_without_a_recorded_preparation_there_is_nothing_to_say(
    lineage: Lineage | None, subject: Any
) -> None:
    with pytest.raises(NotApplicable, match="no preparation of the data was recorded"):
        DroppedRows().measure(subject_with(subject, lineage))
