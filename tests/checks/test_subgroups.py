from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import Evidence, NotApplicable, NotMeasurable
from auditor.checks.bias.subgroups import Subgroups
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import newcombe
from auditor.metrics.intervals import wilson
from auditor.metrics.samples import Absent, Projected
from auditor.metrics.slices import pair_sample
from auditor.metrics.subgroups import SUBGROUPS
from auditor.stats import SliceTable

ROLES: dict[str, Any] = {
    "sensitive": ("sex",), "target": "y", "prediction": "p", "score": "s", "record_id": "id",
}  # fmt: skip
PLANTED = "age is unknown, city=B"


def frame(rows: int = 4_000, *, planted: float = 0.5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "id": np.arange(rows),
            "sex": rng.choice(["F", "M"], rows),
            "city": rng.choice(["A", "B", "C"], rows),
            "age": np.where(rng.random(rows) < 0.4, np.nan, rng.integers(18, 80, rows)),
            "s": rng.random(rows),
        }
    )
    inside = table["age"].isna() & (table["city"] == "B")
    table["p"] = (table["s"] >= 0.5).astype(int)
    wrong = rng.random(rows) < np.where(inside, planted, 0.15)
    table["y"] = np.where(wrong, 1 - table["p"], table["p"])
    return table


def find(findings: list[Finding], metric: str, subgroup: str) -> Finding:
    (found,) = [f for f in findings if f.metric == metric and f.slice == {"subgroup": subgroup}]
    return found


def test_a_planted_subgroup_is_measured_on_the_other_half(run: Any, subject: Any) -> None:
    table = frame()
    findings = run(Subgroups(features="all"), subject(Stage.EVALUATION, predictions=table, **ROLES))
    gap = find(findings, "subgroup_error_difference", PLANTED)
    assert (gap.reference, gap.n, gap.method) == ("rest", 2_000, "newcombe-bonferroni")
    assert gap.low is not None
    assert gap.low > 0.2
    rate = find(findings, "subgroup_error_rate", PLANTED)
    assert rate.value == pytest.approx(0.5, abs=0.1)
    assert rate.n is not None
    errors = round((rate.value or 0) * rate.n)
    low, high = wilson(errors, rate.n, confidence=0.95)
    assert (rate.low, rate.high) == pytest.approx((float(low), float(high)))
    calibration = next(f for f in findings if f.metric == "multicalibration_error")
    assert (calibration.slice, calibration.over) == (Slice(), ("subgroup",))
    assert calibration.low is not None
    assert 0 < calibration.low < (calibration.value or 0)


def test_evidence_holds_the_discovered_conjunctions_only(subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=frame(), **ROLES)
    (statistic,) = Subgroups(features=("city", "age"), most=3).measure(made)
    assert isinstance(statistic, SliceTable)
    assert statistic.kind == SUBGROUPS
    conjunctions = statistic.context["subgroups"]
    assert len(conjunctions) <= 3
    assert conjunctions[0] == {"city": "B", "age": None}
    assert len(statistic.to_json()["rows"]) == len(conjunctions) + 1
    records = statistic.values[1 : len(conjunctions) + 1, statistic.column("records")]
    assert (records >= 30).all()
    assert set().union(*conjunctions) <= {"city", "age"}


def test_everybody_is_the_confirmation_half_and_missing_labels_are_counted(subject: Any) -> None:
    table = frame().astype({"y": float})
    table.loc[:99, "y"] = np.nan
    made = subject(Stage.EVALUATION, predictions=table, **ROLES)
    (statistic,) = Subgroups(features="all").measure(made)
    everybody = dict(zip(statistic.columns, statistic.values[0], strict=True))
    assert everybody["records"] == 2_000
    assert everybody["judged"] + everybody["discovery:judged"] == 3_900
    errors = (table["y"] != table["p"]) & table["y"].notna()
    assert everybody["errors"] + everybody["discovery:errors"] == errors.sum()
    scored = sum(everybody[f"scored:{b}"] for b in range(10))
    assert scored == everybody["judged"]


def test_without_more_errors_anywhere_there_is_a_reason(run: Any, subject: Any) -> None:
    table = frame(400, planted=0.15)
    table["p"] = table["y"]
    findings = run(Subgroups(features="all"), subject(Stage.EVALUATION, predictions=table, **ROLES))
    reasons = {f.metric: f.reason for f in findings if f.status != "measured"}
    assert reasons == {
        "subgroup_error_difference": "no conjunction of 30 records in both halves stands out",
        "multicalibration_error": "fewer than two subgroups were discovered",
    }
    (rate,) = [f for f in findings if f.metric == "subgroup_error_rate"]
    assert (rate.slice, rate.value) == (Slice(), 0.0)


@pytest.mark.parametrize(
    ("change", "roles", "reason"),
    [
        ({}, {"score": None}, "no score column"),
        ({"s": lambda table: table["s"] * 100}, {}, "not probabilities"),
    ],
)
def test_without_probabilities_calibration_is_not_evaluated(
    run: Any, subject: Any, change: Any, roles: Any, reason: str
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame().assign(**change), **(ROLES | roles))
    findings = run(Subgroups(features=("city", "age")), made)
    (found,) = [f for f in findings if f.metric == "multicalibration_error"]
    assert reason in str(found.reason)
    assert find(findings, "subgroup_error_difference", PLANTED).status == "measured"


def test_several_classes_have_subgroups_and_no_calibration(run: Any, subject: Any) -> None:
    table = frame().replace({"y": {0: "no", 1: "yes"}, "p": {0: "no", 1: "yes"}})
    table.loc[::7, ["y", "p"]] = "maybe"
    roles = {**ROLES, "score": None, "task": "multiclass"}
    made = subject(Stage.EVALUATION, predictions=table, **roles)
    findings = run(Subgroups(features=("city", "age")), made)
    assert find(findings, "subgroup_error_difference", PLANTED).status == "measured"
    (found,) = [f for f in findings if f.metric == "multicalibration_error"]
    assert found.reason == "the task is multiclass"


def test_a_threshold_makes_the_errors_and_bins_are_the_declared_ones(
    run: Any, subject: Any
) -> None:
    roles = {"sensitive": ("age",), "target": "y", "score": "s", "threshold": 0.5,
             "bins": {"age": [40, 60]}}  # fmt: skip
    made = subject(Stage.EVALUATION, predictions=frame(), **roles)
    findings = run(Subgroups(features=("city", "age"), depth=1, alpha=1.0), made)
    told = {f.slice["subgroup"] for f in findings if f.slice}
    assert told <= {"age is unknown", "age=<40", "age=[40, 60)", "age=>=60",
                    "city=A", "city=B", "city=C"}  # fmt: skip
    assert "age is unknown" in told


def test_the_same_seed_gives_the_same_statistic_and_another_one_another(subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=frame(), **ROLES)
    once, again, other = (Subgroups(features="all", seed=s).measure(made)[0] for s in (1, 1, 2))
    assert once == again
    assert once.to_json()["rows"] != other.to_json()["rows"]


@pytest.mark.parametrize(
    ("fields", "roles", "error", "message"),
    [
        ({}, {}, NotApplicable, "no features were named"),
        ({"features": "all"}, {"task": "regression"}, NotApplicable, "the task is regression"),
        ({"features": "all"}, {"target": None}, NotMeasurable, "no target"),
        ({"features": "all"}, {"prediction": None}, NotMeasurable, "neither predictions"),
        ({"features": "all"}, {"cluster": "city"}, NotMeasurable, "clustered"),
        ({"features": "all", "most_rows": 3_999}, {}, NotMeasurable, "4,000 rows"),
        ({"features": ("s",)}, {}, NotMeasurable, "'s' has another role"),
        ({"features": ()}, {}, NotMeasurable, "no column"),
        ({"features": ("town",)}, {}, InputError, "features: there is no column 'town'"),
    ],
)
def test_where_nothing_can_be_discovered_the_reason_is_said(
    subject: Any, fields: Any, roles: Any, error: Any, message: str
) -> None:
    made = subject(Stage.EVALUATION, predictions=frame(), **(ROLES | roles))
    with pytest.raises(error, match=message):
        Subgroups(**fields).measure(made)


def test_a_subject_without_predictions_is_another_kind_of_subject(subject: Any) -> None:
    made = subject(Stage.EVALUATION, tables={"train": frame()}, **ROLES)
    with pytest.raises(NotApplicable, match="no table of predictions"):
        Subgroups(features="all").measure(made)


def test_a_rule_reads_each_subgroup_against_the_rest_and_never_two_of_them(subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=frame(), **ROLES)
    check = Subgroups(features="all")
    (statistic,) = check.measure(made)
    family = ("subgroup",)
    levels = statistic.groups.attributes[0].levels
    first, second = (Slice({"subgroup": level}) for level in levels[:2])
    alone = pair_sample("subgroup_error_difference", statistic, family, first, "rest")
    assert isinstance(alone, Projected)
    derived = check.derive([Evidence("sha256:0", statistic)], Stage.EVALUATION)
    gap = find(derived, "subgroup_error_difference", levels[0])
    level = 1 - 0.05 / len(levels)
    assert alone.value == gap.value
    assert alone.bounds(level, 1.0) == (gap.low, gap.high)
    # Large counts: the guarded limits are Newcombe's own.
    x1, n1, x2, n2 = _counts(statistic)
    low, high = newcombe(x1, n1, x2, n2, confidence=level)
    assert alone.bounds(level, 1.0) == pytest.approx((float(low), float(high)), abs=0.02)
    both = pair_sample("subgroup_error_difference", statistic, family, first, second)
    assert both == Absent("subgroups may share records, so each is compared with the rest only")


def test_a_subgroup_without_a_judged_record_has_a_reason_and_no_number(subject: Any) -> None:
    made = subject(Stage.EVALUATION, predictions=frame(), **ROLES)
    check = Subgroups(features=("city", "age"))
    (statistic,) = check.measure(made)
    statistic.values[1, [statistic.column("judged"), statistic.column("errors")]] = 0
    level = statistic.groups.attributes[0].levels[0]
    derived = check.derive([Evidence("sha256:0", statistic)], Stage.EVALUATION)
    assert find(derived, "subgroup_error_rate", level).reason == "no records with a prediction"
    gap = find(derived, "subgroup_error_difference", level)
    assert gap.reason == "no records in the subgroup"
    where = Slice({"subgroup": level})
    found = pair_sample("subgroup_error_difference", statistic, ("subgroup",), where, "rest")
    assert found == Absent("no records with a prediction")


def _counts(statistic: Any) -> tuple[float, float, float, float]:
    judged, errors = (statistic.values[:2, statistic.column(c)] for c in ("judged", "errors"))
    return errors[1], judged[1], errors[0] - errors[1], judged[0] - judged[1]
