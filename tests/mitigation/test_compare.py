"""The whole comparison, on the embedded data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.datasets.adult import load_adult, split_adult
from auditor.errors import InputError
from auditor.evidence import Estimate
from auditor.mitigation import (
    RECIPES,
    Comparison,
    Decisions,
    Fitted,
    Recipe,
    compare_mitigations,
    compare_thresholds,
)

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
FEATURES = [*NUMBERS, "marital-status", "sex"]


def pipeline() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), ["marital-status", "sex"]),
    )
    return make_pipeline(columns, LogisticRegression())


@pytest.fixture(scope="module")
def adult() -> dict[str, Any]:
    split = split_adult(load_adult(), seed=1, test=0.2, validation=0.7)
    return {
        "X_train": split.train[FEATURES], "y_train": split.train["income"] == ">50K",
        "X_test": split.test[FEATURES], "y_test": split.test["income"] == ">50K",
        "sensitive_train": split.train["sex"], "sensitive_test": split.test["sex"],
    }  # fmt: skip


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def test_adult_starts_at_a_ratio_of_a_third_and_has_a_way_out(adult: dict[str, Any]) -> None:
    found = compare_mitigations(
        pipeline(), **adult,
        recipes=["reweighing", "resampling", "correlation-remover", "group-thresholds",
                 "group-thresholds[0.95]", "reject-option", "threshold-optimizer"],
    )  # fmt: skip
    assert all(each.reason is None for each in found.results), found.frame()["reason"]
    baseline = found.baseline
    assert baseline.ratio is not None
    assert baseline.accuracy is not None
    assert 0.2 < baseline.ratio.value < 0.4
    assert baseline.accuracy.value > 0.8
    assert baseline.worst is not None
    assert [where["sex"] for where in baseline.worst] == ["Female", "Male"]
    out = found.way_out(">= 0.8")
    assert out.status == "sure"
    assert out.recipe is not None
    way = found[out.recipe]
    assert way.ratio_at_least is not None
    assert way.ratio_at_least >= 0.8
    assert way.change is not None
    assert -0.06 < way.change.value < 0
    for each in found.results[1:]:
        assert each.change is not None
        assert each.accuracy is not None
        difference = each.accuracy.value - baseline.accuracy.value
        assert each.change.value == pytest.approx(difference)
        assert each.ratio is not None
        assert each.ratio.value > baseline.ratio.value  # every recipe helps here
        # Paired, the change is known better than the accuracy itself.
        assert width(each.change) < width(each.accuracy)
    assert baseline.pareto


def test_exponentiated_gradient_is_fairlearns(adult: dict[str, Any]) -> None:
    from fairlearn.reductions import DemographicParity, ExponentiatedGradient
    from sklearn.linear_model import LogisticRegression

    few = {name: table.iloc[:300] for name, table in adult.items()}
    for side in ("X_train", "X_test"):
        few[side] = few[side][["age", "education-num"]] / 40
    found = compare_mitigations(
        LogisticRegression(), **few, recipes=["exponentiated-gradient"], seed=7
    )["exponentiated-gradient"]
    assert found.reason is None
    assert not found.sensitive_at_prediction
    theirs: Any = ExponentiatedGradient(LogisticRegression(random_state=7), DemographicParity())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(few["X_train"], few["y_train"].astype(int),
                   sensitive_features=few["sensitive_train"])  # fmt: skip
        selected = theirs.predict(few["X_test"], random_state=7)
    for rate in found.rates:
        mine = (few["sensitive_test"] == rate.slice["sex"]).to_numpy()
        assert rate.estimate is not None
        assert rate.estimate.value == pytest.approx(selected[mine].mean())


def test_the_same_seed_gives_the_same_comparison_and_the_estimator_stays(
    adult: dict[str, Any],
) -> None:
    from sklearn.linear_model import LogisticRegression

    few = {name: table.iloc[:600] for name, table in adult.items()}
    for side in ("X_train", "X_test"):
        few[side] = few[side][["age", "hours-per-week"]] / 40
    estimator = LogisticRegression()
    names = ["resampling", "randomised-group-thresholds", "threshold-optimizer"]
    first, second = (compare_mitigations(estimator, **few, recipes=names, seed=3) for _ in range(2))
    assert first == second
    assert not hasattr(estimator, "coef_")
    assert estimator.random_state is None


def test_scores_by_cross_validation_keep_a_model_that_learns_by_heart_honest() -> None:
    from sklearn.tree import DecisionTreeClassifier

    random = np.random.default_rng(0)
    groups = random.integers(0, 2, 2_000)
    X = random.normal(size=(2_000, 2)) + groups[:, None] * 0.7
    y = (X[:, 0] + random.normal(size=2_000) > 0.8).astype(int)
    data = {
        "X_train": X[:1_000], "y_train": y[:1_000], "sensitive_train": groups[:1_000],
        "X_test": X[1_000:], "y_test": y[1_000:], "sensitive_test": groups[1_000:],
    }  # fmt: skip
    tree = DecisionTreeClassifier(min_samples_leaf=3)
    found = [
        compare_mitigations(tree, **data, recipes=["group-thresholds[0.95]"], folds=folds)
        for folds in (None, 5)
    ]
    by_heart, honest = (each["group-thresholds"].ratio for each in found)
    assert by_heart is not None
    assert honest is not None
    assert honest.value > by_heart.value
    with pytest.raises(InputError, match="folds"):
        compare_mitigations(tree, **data, folds=1)


def linear(n: int = 600) -> dict[str, Any]:
    random = np.random.default_rng(1)
    groups = random.integers(0, 2, n)
    X = random.normal(size=(n, 2)) + groups[:, None]
    y = (X.sum(axis=1) + random.normal(size=n) > 1).astype(int)
    half = n // 2
    return {
        "X_train": X[:half], "y_train": y[:half], "sensitive_train": groups[:half],
        "X_test": X[half:], "y_test": y[half:], "sensitive_test": groups[half:],
    }  # fmt: skip


def test_margins_are_scores_where_there_are_no_probabilities() -> None:
    from sklearn.svm import LinearSVC

    for folds in (None, 3):
        found = compare_mitigations(
            LinearSVC(), **linear(), recipes=["group-thresholds", "reject-option"], folds=folds
        )
        assert all(each.reason is None for each in found.results)
        assert found.baseline.auc is not None


def test_an_estimator_without_scores_has_no_thresholds() -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Decides(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Decides:
            self.bar_ = np.average(X[:, 0], weights=sample_weight)
            return self

        def predict(self, X: Any) -> Any:
            return (X[:, 0] > self.bar_).astype(int)

    for folds in (None, 3):
        found = compare_mitigations(
            Decides(), **linear(), recipes=["group-thresholds", "reweighing"], folds=folds
        )
        assert found["group-thresholds"].reason == "there are no scores"
        assert found["reweighing"].reason is None
        assert found.baseline.auc is None


def test_a_recipe_that_breaks_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(task: Any) -> Any:
        raise ZeroDivisionError("oh")

    def decides_too_little(task: Any) -> Any:
        return Fitted(lambda records: Decisions(records.selected[:3]))

    for fit, reason in (
        (breaks, "ZeroDivisionError: oh"),
        (decides_too_little, "it decided about 3 of"),
    ):
        recipe = Recipe("x", "X", "post-processing", fit, "nowhere")
        monkeypatch.setitem(RECIPES._items, "x", recipe)
        scores, y, groups = scored(600)
        found = compare_thresholds(scores, y, groups, recipes=["x", "group-thresholds"])
        assert (found["x"].reason or "").startswith(reason)
        assert found["group-thresholds"].reason is None


@pytest.mark.parametrize("name", ["X_train", "X_test", "sensitive_train", "sensitive_test"])
def test_tables_of_different_lengths_are_refused(name: str) -> None:
    from sklearn.linear_model import LogisticRegression

    data = linear()
    data[name] = data[name][:50]
    with pytest.raises(InputError, match=f"{name}: 50 rows; 300"):
        compare_mitigations(LogisticRegression(), **data)


def test_no_test_records_are_refused() -> None:
    from sklearn.linear_model import LogisticRegression

    data = linear()
    data |= {name: data[name][:0] for name in ("X_test", "y_test", "sensitive_test")}
    with pytest.raises(InputError, match="no records to evaluate on"):
        compare_mitigations(LogisticRegression(), **data)


def scored(n: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    groups = np.array(["a", "b"])[random.integers(0, 2, n)]
    y = random.random(n) < np.where(groups == "a", 0.6, 0.35)
    return np.clip(0.35 + 0.3 * y + random.normal(0, 0.15, n), 0, 1), y, groups


def test_scores_alone_are_split_in_halves_and_have_a_way_out() -> None:
    scores, y, groups = scored()
    found = compare_thresholds(scores, y, groups)
    assert found.fitted_on + found.evaluated_on == 4_000
    assert abs(found.fitted_on - found.evaluated_on) <= 4
    assert {each.family for each in found.results} == {"baseline", "post-processing"}
    assert all(each.reason is None for each in found.results)
    assert found.baseline.ratio is not None
    assert found.baseline.ratio.value < 0.75
    assert found.way_out(">= 0.8").status == "sure"
    asked = compare_thresholds(scores, y, groups, recipes=["reweighing"])
    assert asked["reweighing"].reason == "there is no estimator that could be trained again"


@pytest.mark.parametrize("constraint", ["equalized-odds", "equal-opportunity"])
def test_the_other_constraints_are_measured_on_their_own_rates(constraint: Any) -> None:
    scores, y, groups = scored(1_000)
    found = compare_thresholds(scores, y, groups, constraint=constraint)
    assert "threshold-optimizer" in " ".join(each.recipe for each in found.results)
    assert all(each.reason is None for each in found.results)
    assert {rate.rate for rate in found.baseline.rates} >= {"true_positive_rate"}


def test_several_columns_make_the_groups_together() -> None:
    scores, y, groups = scored(1_200)
    table = pd.DataFrame({"g": groups, "h": np.arange(1_200) % 2})
    found: Comparison = compare_thresholds(scores, y, table, recipes=["group-thresholds"])
    assert [dict(where) for where in found.groups] == [
        {"g": "a", "h": "0"}, {"g": "a", "h": "1"}, {"g": "b", "h": "0"}, {"g": "b", "h": "1"},
    ]  # fmt: skip


def test_a_recipe_that_cannot_be_fitted_is_a_result_with_its_reason() -> None:
    scores, y, groups = scored(600)
    y = y & (groups == "a")  # b has no positives
    found = compare_thresholds(scores, y, groups, constraint="equal-opportunity")
    reasons = {each.recipe.partition("[")[0]: each.reason for each in found.results}
    assert reasons["group-thresholds"] == "group=b: no positives to fit on"
    assert reasons["none"] is None
    assert found.baseline.ratio is None
    assert found.baseline.missing["ratio"] == "fewer than two groups can be compared"
    assert found.way_out().status == "none"


def test_features_that_are_no_numbers_are_a_reason(adult: dict[str, Any]) -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.neighbors import KNeighborsClassifier

    few = {name: table.iloc[:200] for name, table in adult.items()}
    found = compare_mitigations(DummyClassifier(), **few, recipes=["correlation-remover"])
    assert "not all numbers" in (found["correlation-remover"].reason or "")
    for side in ("X_train", "X_test"):
        few[side] = few[side][["age"]]
    found = compare_mitigations(KNeighborsClassifier(), **few, recipes=["reweighing"])
    assert "takes no sample weights" in (found["reweighing"].reason or "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a"] * 60}, "only one group"),
        ({"groups": ["a", None] * 30}, "30 records have no group"),
        ({"groups": ["a", "b"] * 10}, "20 rows"),
        ({"y": [0, 2] * 30}, "labels are not 0 and 1"),
        ({"y": [0.0, np.nan] * 30}, "labels are not 0 and 1"),
        ({"y": ["yes", "no"] * 30}, "labels are not 0 and 1"),
        ({"y": [1] * 60}, "one label only"),
        ({"scores": [0.1, np.nan] * 30}, "missing or infinite"),
        ({"scores": [], "y": [], "groups": []}, "there are no records"),
        ({"confidence": 0.5}, "confidence"),
        ({"target_ratio": 0.0}, "target"),
        ({"constraint": "equalised-odds"}, "did you mean 'equalized-odds'"),
        ({"recipes": ["reweigh"]}, "did you mean 'reweighing'"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "scores": np.tile([0.2, 0.8, 0.4], 20), "y": [0, 1] * 30, "groups": ["a", "b", "a"] * 20,
    }  # fmt: skip
    given |= change
    with pytest.raises(InputError, match=message):
        compare_thresholds(given.pop("scores"), given.pop("y"), given.pop("groups"), **given)


def test_a_test_group_without_training_records_is_refused(adult: dict[str, Any]) -> None:
    few = {name: table.iloc[:100] for name, table in adult.items()}
    few["sensitive_test"] = few["sensitive_test"].astype(str).replace("Male", "X")
    with pytest.raises(InputError, match="the group X has no training records"):
        compare_mitigations(pipeline(), **few)
    few["sensitive_test"] = few["sensitive_test"].rename("gender")
    with pytest.raises(InputError, match="the columns are gender"):
        compare_mitigations(pipeline(), **few)
