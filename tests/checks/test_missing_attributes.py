"""Groups that nobody knows: probabilities of membership, and worst cases of unknown records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.bias.membership import SoftMembership
from auditor.checks.bias.unknown import UnknownAttributes
from auditor.errors import InputError
from auditor.evidence import Stage
from auditor.stats import CONFUSION, confusion_counts

MEMBERSHIP = {"race": {"White": "w", "Black": "b"}}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    b = rng.choice([0.1, 0.5, 0.9], 400)
    p = (rng.random(400) < 0.8 - 0.5 * b).astype(int)
    y = (rng.random(400) < 0.3 + 0.4 * p).astype(int)
    made = pd.DataFrame({"w": 1 - b, "b": b, "y": y, "p": p, "sex": rng.choice(["F", "M"], 400)})
    made.loc[:9, "b"] = np.nan
    made.loc[:39, "sex"] = None
    return made


def test_soft_rates_hard_rates_and_bounds(
    run: Any, subject: Any, pick: Any, frame: pd.DataFrame
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                   membership=MEMBERSHIP)  # fmt: skip
    findings = run(SoftMembership(), made)
    placed = frame[10:]
    soft = np.average(placed["p"], weights=placed["b"])
    black = pick(findings, "selection_rate", race="Black")
    assert black.value == pytest.approx(soft)
    assert black.method == "wilson-soft"
    hard = pick(findings, "selection_rate[hard]", race="Black")
    assert "hard-threshold-tends-to-overstate-gaps" in hard.method
    bounds = pick(findings, "selection_rate_bounds", race="Black")
    assert bounds.low < black.low < black.high < bounds.high
    assert pick(findings, "count", race=None).value == pytest.approx(10)
    (unknown,) = [f for f in findings if f.metric == "unknown_rate"]
    assert (unknown.value, unknown.over) == (10 / 400, ("race",))
    assert pick(findings, "selection_rate").n == 400
    (gap,) = [f for f in findings if f.metric == "selection_rate_difference"]
    assert gap.value == pytest.approx(
        pick(findings, "selection_rate", race=dict(gap.slice)["race"]).value
        - pick(findings, "selection_rate", race=dict(gap.reference)["race"]).value
    )


def test_the_reference_can_be_named_or_the_rest(
    run: Any, subject: Any, frame: pd.DataFrame
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                   membership=MEMBERSHIP)  # fmt: skip
    for reference in ({"race": "White", "sex": "F"}, "rest", "best"):
        found = {
            str(f.reference) for f in run(SoftMembership(reference=reference), made)
            if f.reference is not None
        }  # fmt: skip
        assert found
        if isinstance(reference, dict):
            assert found == {"race=White"}


def test_without_a_target_only_selection_is_measured(subject: Any, frame: pd.DataFrame) -> None:
    from auditor.checks import Evidence

    made = subject(Stage.EVALUATION, predictions=frame, prediction="p", membership=MEMBERSHIP)
    check = SoftMembership()
    findings = check.derive(
        [Evidence("sha256:0", s) for s in check.measure(made)], Stage.EVALUATION
    )
    assert {f.base_metric.partition("_rate")[0] for f in findings} == {
        "count", "selection", "unknown",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"b": 1.5}, "column 'b': 400 of 400 probabilities lie outside 0 to 1"),
        (
            {"b": 0.95, "w": 0.95},
            "columns 'w', 'b': the probabilities of 400 of 400 records exceed",
        ),
        ({"b": np.nan}, "no record of 400 has all probabilities"),
    ],
)
def test_what_are_no_probabilities_is_refused(
    subject: Any, frame: pd.DataFrame, change: dict[str, float], what: str
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame.assign(**change), target="y",
                   prediction="p", membership=MEMBERSHIP)  # fmt: skip
    with pytest.raises(InputError, match=what):
        SoftMembership().measure(made)


def test_an_attribute_is_known_or_probable_not_both(subject: Any, frame: pd.DataFrame) -> None:
    made = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                   sensitive=("sex",), membership={"sex": {"F": "w", "M": "b"}})  # fmt: skip
    with pytest.raises(InputError, match="sensitive, and has probabilities as well"):
        SoftMembership().measure(made)


def test_worst_cases_where_values_are_missing(
    run: Any, subject: Any, pick: Any, frame: pd.DataFrame
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                   sensitive=("sex",))  # fmt: skip
    findings = run(UnknownAttributes(), made)
    (unknown,) = [f for f in findings if f.metric == "unknown_rate"]
    assert (unknown.value, unknown.n) == (0.1, 400)
    women, lost = frame[frame.sex == "F"].p, frame[:40].p
    rate = pick(findings, "selection_rate_worst_case", sex="F")
    (beside,) = [i for i in rate.also if i.method == "worst-case-of-these-records"]
    assert beside.low == pytest.approx(women.sum() / (len(women) + (lost == 0).sum()))
    assert beside.high == pytest.approx((women.sum() + lost.sum()) / (len(women) + lost.sum()))
    assert rate.low < beside.low < rate.value < beside.high < rate.high


def test_nothing_unknown_is_one_finding(subject: Any, frame: pd.DataFrame) -> None:
    from auditor.checks import Evidence

    made = subject(Stage.EVALUATION, predictions=frame[40:], target="y", prediction="p",
                   sensitive=("sex",))  # fmt: skip
    check = UnknownAttributes()
    (finding,) = check.derive(
        [Evidence("sha256:0", s) for s in check.measure(made)], Stage.EVALUATION
    )
    assert (finding.metric, finding.value, finding.low) == ("unknown_rate", 0, 0)


def test_counts_of_a_loop_give_the_same(run: Any, subject: Any, frame: pd.DataFrame) -> None:
    made = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                   sensitive=("sex",))  # fmt: skip
    codes = made.groups.encode({"sex": frame["sex"]})
    counts = confusion_counts(made.groups, codes, frame["y"], frame["p"])
    looped = subject(Stage.EVALUATION, predictions=frame, counted={CONFUSION: counts},
                     target="y", prediction="p", sensitive=("sex",))  # fmt: skip
    values = [
        [(f.metric, f.value, f.low, f.high) for f in run(UnknownAttributes(), s)]
        for s in (made, looped)
    ]
    assert values[0] == values[1]


def test_other_subjects_are_not_theirs(subject: Any, frame: pd.DataFrame) -> None:
    plain = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p")
    for check in (SoftMembership(), UnknownAttributes()):
        with pytest.raises(NotApplicable):
            check.measure(plain)
    weighted = subject(Stage.EVALUATION, predictions=frame, target="y", prediction="p",
                       sensitive=("sex",), weight="w")  # fmt: skip
    with pytest.raises(NotMeasurable, match="weighted"):
        UnknownAttributes().measure(weighted)
