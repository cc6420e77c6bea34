from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.bias.conditional_parity import ConditionalParity
from auditor.evidence import Slice, Stage

# Of women, 20 of 100 and 10 of 20 in the two departments; of men, 40 of 100 and 14 of 20.
FRAME = pd.DataFrame(
    [
        ("F", "a", 1, 20), ("F", "a", 0, 80), ("M", "a", 1, 40), ("M", "a", 0, 60),
        ("F", "b", 1, 10), ("F", "b", 0, 10), ("M", "b", 1, 14), ("M", "b", 0, 6),
        (None, "b", 1, 5), ("F", None, 1, 7),
    ],
    columns=["sex", "dept", "p", "f"],
)  # fmt: skip
ROLES: dict[str, Any] = {
    "sensitive": ("sex",),
    "prediction": "p",
    "frequency": "f",
    "strata": ("dept",),
}


def test_slices_are_compared_within_strata(run: Any, subject: Any, pick: Any) -> None:
    check = ConditionalParity(reference={"sex": "M"})
    findings = run(check, subject(Stage.EVALUATION, predictions=FRAME, **ROLES))
    women = pick(findings, "conditional_parity_difference", sex="F")
    assert (women.value, women.n, women.reference) == (
        pytest.approx(-0.2), 240, Slice({"sex": "M"}),
    )  # fmt: skip
    assert pick(findings, "conditional_parity_ratio", sex="F").value == pytest.approx(15 / 27)
    assert pick(findings, "simpson_reversal", sex="F").value == 0
    assert pick(findings, "cmh_p_value", sex=None).reason == "the group is unknown"


def test_rows_of_a_frequency_are_records(run: Any, subject: Any, pick: Any) -> None:
    long = FRAME.loc[FRAME.index.repeat(FRAME.f)].reset_index(drop=True)
    plain = {k: v for k, v in ROLES.items() if k != "frequency"}
    numbers = [
        [
            (f.metric, f.slice, f.value, f.low, f.high, f.n)
            for f in run(ConditionalParity(), subject(Stage.EVALUATION, predictions=t, **roles))
        ]
        for t, roles in ((FRAME, ROLES), (long, plain))
    ]
    assert numbers[0] == numbers[1]


def test_the_rest_can_be_the_reference(run: Any, subject: Any, pick: Any) -> None:
    check = ConditionalParity(reference="rest")
    findings = run(check, subject(Stage.EVALUATION, predictions=FRAME, **ROLES))
    women = pick(findings, "marginal_parity_difference", sex="F")
    # Everybody else with a stratum, those of unknown sex among them: 59 of 125.
    assert women.value == pytest.approx(30 / 120 - 59 / 125)


def test_one_group_has_no_comparison(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=FRAME.iloc[:2], **ROLES)
    found = pick(run(ConditionalParity(), made), "conditional_odds_ratio", sex="F")
    assert found.reason == "only one group holds records"


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ({"prediction": None, "score": "p"}, "neither predictions nor a threshold"),
        ({"frequency": None, "weight": "f"}, "weighted or clustered"),
    ],
)
def test_what_cannot_be_measured(subject: Any, roles: dict[str, Any], reason: str) -> None:
    made = subject(Stage.EVALUATION, predictions=FRAME, **{**ROLES, **roles})
    with pytest.raises(NotMeasurable, match=reason):
        ConditionalParity().measure(made)


def test_other_tasks_are_not_its_subject(subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=FRAME, sensitive=("sex",), task="counts",
                   total="f", selected="p")  # fmt: skip
    with pytest.raises(NotApplicable, match="counts"):
        ConditionalParity().measure(made)
    with pytest.raises(NotApplicable, match="no table"):
        ConditionalParity().measure(subject(Stage.EVALUATION, tables={"test": FRAME}, **ROLES))
    made = subject(Stage.EVALUATION, predictions=FRAME, **{**ROLES, "strata": ()})
    with pytest.raises(NotApplicable, match="no strata were named"):
        ConditionalParity().measure(made)
