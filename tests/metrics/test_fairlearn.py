"""Everything that fairlearn also measures is what fairlearn measures, to 1e-12."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import fairlearn.metrics as fair
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_score, roc_auc_score

from auditor.evidence import Slice
from auditor.metrics import Absent, disaggregate
from auditor.metrics.rates import BINARY_METRICS, EXTREMES
from auditor.stats import Attribute, Groups, SliceTable, confusion_counts, score_counts

THEIRS: dict[str, Any] = {
    "count": fair.count,
    "selection_rate": fair.selection_rate,
    "true_positive_rate": fair.true_positive_rate,
    "false_positive_rate": fair.false_positive_rate,
    "true_negative_rate": fair.true_negative_rate,
    "false_negative_rate": fair.false_negative_rate,
}
SKLEARNS: dict[str, Any] = {  # which fairlearn takes as they are
    "precision": lambda y_true, y_pred: precision_score(y_true, y_pred, zero_division=0),
    "accuracy": accuracy_score,
    "base_rate": lambda y_true, y_pred: float(np.mean(y_true)),
}
FAIRLEARNS = tuple(name for name in EXTREMES if hasattr(fair, name))
FAMILIES = [("sex",), ("race",), ("sex", "race")]


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=0, abs_tol=1e-12)


def declare(frame: pd.DataFrame, names: list[str]) -> Groups:
    return Groups.declare(
        [Attribute(name=name, levels=tuple(sorted(frame[name].unique()))) for name in names]
    )


def count(frame: pd.DataFrame, names: list[str]) -> SliceTable:
    groups = declare(frame, names)
    codes = groups.encode({name: frame[name] for name in names})
    return confusion_counts(groups, codes, frame["y"], frame["predicted"])


def outcomes(table: SliceTable, family: tuple[str, ...]) -> dict[Any, Any]:
    measured = disaggregate(BINARY_METRICS, table, extremes=EXTREMES, families=[family])
    return {(name, where): outcome for name, where, _, _, outcome in measured}


def compare_with_fairlearn(frame: pd.DataFrame, table: SliceTable, family: tuple[str, ...]) -> int:
    """Hold every measured number of a family against fairlearn; return how many there were."""
    ours = outcomes(table, family)
    features = frame[list(family)]
    theirs = fair.MetricFrame(
        metrics=THEIRS, y_true=frame["y"], y_pred=frame["predicted"], sensitive_features=features
    )
    checked = 0
    for index, row in theirs.by_group.iterrows():
        values = index if isinstance(index, tuple) else (index,)
        where = Slice(dict(zip(family, values, strict=True)))
        mask = np.logical_and.reduce([frame[name] == value for name, value in where.items()])
        labels = frame["y"][mask], frame["predicted"][mask]
        found = row.to_dict() | {name: metric(*labels) for name, metric in SKLEARNS.items()}
        for name, value in found.items():
            outcome = ours[name, where]
            if isinstance(outcome, Absent):
                # fairlearn writes 0 where there is no denominator, NaN where there is no record.
                assert value == 0 or math.isnan(value)
                continue
            assert close(outcome.value, value), (name, where)
            checked += 1
    for name in FAIRLEARNS:
        reference = getattr(fair, name)(frame["y"], frame["predicted"], sensitive_features=features)
        outcome = ours[name, Slice()]
        if isinstance(outcome, Absent):
            assert math.isnan(reference) or reference == 0
            continue
        assert close(outcome.value, reference), name
        checked += 1
    return checked


@pytest.mark.parametrize("family", FAMILIES, ids="×".join)
def test_adult_is_what_fairlearn_measures(adult: pd.DataFrame, family: tuple[str, ...]) -> None:
    checked = compare_with_fairlearn(adult, count(adult, ["sex", "race"]), family)
    slices = math.prod({"sex": 2, "race": 5}[name] for name in family)
    assert len(FAIRLEARNS) == 6
    assert checked == (len(THEIRS) + len(SKLEARNS)) * slices + len(FAIRLEARNS)


@pytest.mark.parametrize("family", FAMILIES, ids="×".join)
@pytest.mark.parametrize("name", ["selection_rate", "true_positive_rate", "false_positive_rate"])
def test_differences_and_ratios_on_adult_are_those_of_the_metric_frame(
    adult: pd.DataFrame, name: str, family: tuple[str, ...]
) -> None:
    """Against the best group: for a rate that should be high, fairlearn's max."""
    table = count(adult, ["sex", "race"])
    measured = disaggregate([name], table, families=[family], reference="best")
    by_group = fair.MetricFrame(
        metrics=THEIRS[name],
        y_true=adult["y"],
        y_pred=adult["predicted"],
        sensitive_features=adult[list(family)],
    ).by_group
    best = by_group.min() if name == "false_positive_rate" else by_group.max()
    found = {m: where for m, where, *_ in measured}
    assert set(found) == {name, f"{name}_difference", f"{name}_ratio"}
    for metric, where, _, _, outcome in measured:
        values = tuple(where[attribute] for attribute in family)
        value = by_group[values if len(values) > 1 else values[0]]
        if metric.endswith("_difference"):
            assert close(outcome.value, value - best)
        elif metric.endswith("_ratio"):
            assert close(outcome.value, value / best)


@pytest.mark.parametrize("family", [(), *FAMILIES], ids=lambda f: "×".join(f) or "all")
def test_areas_on_adult_are_those_of_sklearn(adult: pd.DataFrame, family: tuple[str, ...]) -> None:
    groups = declare(adult, ["sex", "race"])
    codes = groups.encode({name: adult[name] for name in ("sex", "race")})
    table = score_counts(groups, codes, adult["y"], adult["score"])
    for name, where, _, _, outcome in disaggregate(["auc"], table, families=[family]):
        if name != "auc":
            continue
        mask = np.ones(len(adult), bool)
        for attribute, value in where.items():
            mask &= (adult[attribute] == value).to_numpy()
        assert close(outcome.value, roc_auc_score(adult["y"][mask], adult["score"][mask])), where
        assert outcome.bound is None
        assert outcome.n == mask.sum()


def test_an_area_of_too_many_scores_is_that_of_sklearn_within_its_bound(
    adult: pd.DataFrame,
) -> None:
    groups = declare(adult, ["sex"])
    score = adult["score"] + adult["age"] / 100 + (adult.index % 97) / 1_000_000
    table = score_counts(groups, groups.encode({"sex": adult["sex"]}), adult["y"], score)
    assert not table.grid.exact
    for name, where, _, _, outcome in disaggregate(["auc"], table):
        if name == "auc":
            mask = (adult["sex"] == where.get("sex")) | (not where)
            exact = roc_auc_score(adult["y"][mask], score[mask])
            assert abs(outcome.value - exact) <= outcome.bound < 0.01


@settings(max_examples=5)  # a MetricFrame takes a tenth of a second
@given(
    st.lists(
        st.tuples(
            st.sampled_from("FM"), st.sampled_from("ABC"), st.integers(0, 1), st.integers(0, 1)
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_table_is_what_fairlearn_measures(rows: list[Any]) -> None:
    # Each group has both labels: fairlearn writes 0 for a rate without a denominator, and takes
    # this 0 for the smallest; the test below shows the difference.
    both = [(sex, race, label, label) for sex in "FM" for race in "ABC" for label in (0, 1)]
    frame = pd.DataFrame([*rows, *both], columns=["sex", "race", "y", "predicted"])
    table = count(frame, ["sex", "race"])
    for family in FAMILIES[1:]:
        assert compare_with_fairlearn(frame, table, family) > 0


def test_a_group_without_positives_is_no_gap_of_true_positive_rates() -> None:
    frame = pd.DataFrame(
        {"sex": list("FFMMM"), "race": list("AAABB"), "y": [1, 1, 1, 0, 0],
         "predicted": [1, 1, 1, 0, 0]}
    )  # fmt: skip
    theirs = fair.equalized_odds_difference(
        frame["y"], frame["predicted"], sensitive_features=frame["race"]
    )
    assert theirs == 1.0  # B has no positive; fairlearn takes its rate for 0
    ours = outcomes(count(frame, ["race"]), ("race",))
    assert ours["true_positive_rate", Slice({"race": "B"})] == Absent("no positives")
    assert ours["equalized_odds_difference", Slice()] == Absent(
        "fewer than two groups can be compared"
    )


TOY = {
    "y_true": [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    "y_pred": [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0],
    "sensitive": list("bbabbcccaacabccbcc"),
}


def test_the_example_of_fairlearns_user_guide() -> None:
    frame = pd.DataFrame(
        {"group": TOY["sensitive"], "y": TOY["y_true"], "predicted": TOY["y_pred"]}
    )
    ours = outcomes(count(frame, ["group"]), ("group",))
    by_group = {
        "a": (0.5, 1.0, 0.75, 4), "b": (0.6, 0.0, 0.5, 6), "c": (0.4, 2 / 3, 0.5, 8),
    }  # fmt: skip
    for group, expected in by_group.items():
        found = [
            ours[name, Slice({"group": group})].value
            for name in ("true_positive_rate", "false_positive_rate", "selection_rate", "count")
        ]
        assert found == pytest.approx(expected)
    extremes = {name: ours[name, Slice()].value for name in FAIRLEARNS}
    assert extremes == pytest.approx(
        {
            "demographic_parity_difference": 0.25,
            "demographic_parity_ratio": 2 / 3,
            "equalized_odds_difference": 1.0,
            "equalized_odds_ratio": 0.0,
            "equal_opportunity_difference": 0.2,
            "equal_opportunity_ratio": 2 / 3,
        }
    )


def test_the_example_is_the_published_one(shared_data: Path) -> None:
    published = json.loads((shared_data / "published_targets.json").read_text())["fairlearn_toy"]
    assert {name: published[name] for name in TOY} == TOY
