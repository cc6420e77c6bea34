"""Checks of the data before any model: representation, disagreement of annotators, proxies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.bias.label_disagreement import LabelDisagreement
from auditor.checks.bias.proxies import Proxies
from auditor.checks.bias.representation import Representation
from auditor.datasets import DataOptions, open_table
from auditor.errors import InputError
from auditor.evidence import Stage

TRAIN = pd.DataFrame(
    {
        "sex": ["F", "F", "M", "M", "M", "M", None],
        "y": [1, 0, 1, 0, 1, 0, 1],
        "a1": [1, 0, 1, 0, 1, 0, 1],
        "a2": [1, 1, 1, 0, None, None, 0],
        "a3": ["1.0", "1", "1", "0", None, "0", "1"],
    }
)
POPULATION = pd.DataFrame({"sex": ["F", "M", "X"], "share": [0.5, 0.4, 0.1]})


def asked(made: Any, **options: Any) -> Any:
    if "population" in options:
        options["population"] = open_table(options["population"], name="population")
    return replace(made, options=DataOptions(**options))


def test_representation_against_a_population(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN, "test": TRAIN[:4]}, sensitive=("sex",))
    findings = run(Representation(), asked(made, population=POPULATION))
    assert pick(findings, "representation_ratio", sex="F").value == pytest.approx(2 / 6 / 0.5)
    assert pick(findings, "representation_ratio", sex="X").value == 0
    assert pick(findings, "representation_ratio[test]", sex="F").value == pytest.approx(1)
    assert pick(findings, "representation_share", sex=None).reason == "the group is unknown"
    (distance,) = [f for f in findings if f.metric == "representation_distance"]
    assert distance.over == ("sex",)
    assert distance.value == pytest.approx((1 / 6 + 4 / 15 + 0.1) / 2)


def test_families_without_a_population_and_levels_that_it_lacks(
    run: Any, subject: Any, pick: Any
) -> None:
    table = TRAIN.assign(race=["A", "B"] * 3 + ["A"])
    made = subject(Stage.DATA, tables={"train": table}, sensitive=("sex", "race"))
    findings = run(Representation(), asked(made, population=POPULATION[1:].assign(share=[3, 1])))
    assert "no such group; the data have 2 records" in (
        pick(findings, "representation_ratio", sex="F").reason
    )
    over = {f.over: f.reason for f in findings if f.metric == "representation_ratio" and f.over}
    assert over[("race",)] == "the population says nothing of race"
    assert over[("sex", "race")] == "the population says nothing of sex × race"


def test_a_level_of_a_binned_attribute_that_is_no_bin_is_refused(subject: Any) -> None:
    frame = pd.DataFrame({"age": [20, 50], "y": [0, 1]})
    made = subject(Stage.DATA, tables={"train": frame}, sensitive=("age",), bins={"age": [30]})
    population = pd.DataFrame({"age": ["<31", ">=30"], "share": [0.5, 0.5]})
    with pytest.raises(InputError, match="age=<31 is no group; did you mean '<30'"):
        Representation().measure(asked(made, population=population))


def test_annotators_disagree_where_their_labels_differ(run: Any, subject: Any, pick: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, sensitive=("sex",))
    findings = run(LabelDisagreement(), asked(made, annotators=("a1", "a2", "a3")))
    women = pick(findings, "label_disagreement_rate", sex="F")
    assert (women.value, women.n) == (0.5, 2)
    men = pick(findings, "label_disagreement_rate", sex="M")
    assert (men.value, men.n) == (0, 3)  # one of the four has a single label
    assert pick(findings, "pairwise_disagreement", sex="F").value == pytest.approx(1 / 3)
    assert pick(findings, "label_disagreement_rate_difference", sex="F").value == 0.5
    assert pick(findings, "label_disagreement_rate", sex=None).value == 1


def test_disagreement_is_that_of_pandas(run: Any, subject: Any, pick: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 3, (500, 4)), columns=list("abcd")).astype(float)
    frame = frame.mask(rng.random((500, 4)) < 0.4)
    labels = frame.copy()
    frame["sex"] = rng.choice(["F", "M"], 500)
    made = subject(Stage.DATA, tables={"train": frame}, sensitive=("sex",))
    findings = run(LabelDisagreement(), asked(made, annotators=tuple("abcd")))
    judged = labels[labels.notna().sum(axis=1) >= 2]
    everybody = pick(findings, "label_disagreement_rate")
    assert everybody.n == len(judged)
    assert everybody.value == pytest.approx((judged.nunique(axis=1) > 1).mean())
    pairs = [
        np.mean([a != b for i, a in enumerate(row) for b in row[:i]])
        for row in (r[~np.isnan(r)] for r in judged.to_numpy())
    ]
    assert pick(findings, "pairwise_disagreement").value == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("annotators", "what"),
    [(("a1",), "1 different annotators"), (("a1", "a1"), "1 different annotators"),
     (("a1", "a9"), "there is no column 'a9'")],
)  # fmt: skip
def test_annotators_that_are_none_are_refused(subject: Any, annotators: Any, what: str) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, sensitive=("sex",))
    with pytest.raises(InputError, match=what):
        LabelDisagreement().measure(asked(made, annotators=annotators))


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    race = rng.choice(["A", "B", "C"], 1_500, p=[0.5, 0.48, 0.02])
    return pd.DataFrame(
        {
            "race": race,
            "id": np.arange(1_500),
            "zip": np.where(
                race == "A", rng.choice(["1", "2"], 1_500), rng.choice(["2", "3"], 1_500)
            ),
            "height": rng.normal(0, 1, 1_500) + (race == "B"),
            "noise": rng.normal(0, 1, 1_500),
            "name": [f"n{i}" for i in range(1_500)],
            "y": rng.integers(0, 2, 1_500),
        }
    )


def test_features_that_tell_groups_apart(
    run: Any, subject: Any, pick: Any, people: pd.DataFrame
) -> None:
    roles = {"sensitive": ("race",), "target": "y", "record_id": "id"}
    made = subject(Stage.DATA, tables={"train": people}, **roles)
    findings = run(Proxies(), asked(made, proxies=True, seed=1))
    named = {f.metric for f in findings if f.base_metric == "proxy_auc"}
    features = ("zip", "height", "noise", "name", "all")
    assert named == {f"proxy_auc[{f}]" for f in features}
    assert pick(findings, "proxy_auc[zip]", race="A").value == pytest.approx(0.87, abs=0.03)
    assert pick(findings, "proxy_auc[height]", race="B").value == pytest.approx(0.76, abs=0.03)
    assert pick(findings, "proxy_auc[noise]", race="A").low == 0.5
    assert pick(findings, "proxy_auc[name]", race="A").low == 0.5
    together = pick(findings, "proxy_auc[all]", race="A")
    assert together.value > pick(findings, "proxy_auc[zip]", race="A").value
    by_feature = {f.metric: f for f in findings if f.over == ("race",)}
    assert by_feature["proxy_mutual_information[zip]"].value > 0.4
    assert by_feature["proxy_mutual_information[noise]"].value < 0.01
    assert by_feature["proxy_mutual_information[name]"].value < 0.01


def test_groups_too_small_to_learn_from_have_that_reason(
    run: Any, subject: Any, pick: Any, people: pd.DataFrame
) -> None:
    small = pd.concat([people[people.race != "C"], people[people.race == "C"][:10]])
    made = subject(Stage.DATA, tables={"train": small}, sensitive=("race",))
    findings = run(Proxies(), asked(made, proxies=True, features=("zip", "height")))
    why = pick(findings, "proxy_auc[all]", race="C").reason
    assert why == "fewer than 30 records of the group were sampled"
    assert pick(findings, "proxy_auc[zip]", race="C").status == "measured"


def test_the_evidence_holds_no_value_of_a_feature(subject: Any, people: pd.DataFrame) -> None:
    made = subject(Stage.DATA, tables={"train": people}, sensitive=("race",))
    for statistic in Proxies(together=False).measure(asked(made, proxies=True)):
        assert "n17" not in str(statistic.to_json()["context"])
        assert all(c.startswith(("records", "missing", "in:", "out:")) for c in statistic.columns)


def test_the_same_seed_gives_the_same_counts(subject: Any, people: pd.DataFrame) -> None:
    made = subject(Stage.DATA, tables={"train": people}, sensitive=("race",))
    one, other = (
        Proxies().measure(asked(made, proxies=True, features=("zip", "height"), seed=3))
        for _ in range(2)
    )
    assert one == other


@pytest.mark.parametrize(
    ("features", "what"),
    [(("zap",), "there is no column 'zap'"), (("race",), "'race' is sensitive itself")],
)
def test_features_that_cannot_be_used_are_refused(
    subject: Any, people: pd.DataFrame, features: Any, what: str
) -> None:
    made = subject(Stage.DATA, tables={"train": people}, sensitive=("race",))
    with pytest.raises(InputError, match=what):
        Proxies().measure(asked(made, proxies=True, features=features))


def test_what_was_not_asked_for_is_about_something_else(subject: Any) -> None:
    made = subject(Stage.DATA, tables={"train": TRAIN}, sensitive=("sex",))
    for check in (Representation(), LabelDisagreement(), Proxies()):
        with pytest.raises(NotApplicable):
            check.measure(made)
    with pytest.raises(NotMeasurable, match="no training data"):
        Proxies().measure(replace(asked(made, proxies=True), tables={}))
    only = subject(Stage.DATA, tables={"train": TRAIN[["sex"]]}, sensitive=("sex",))
    with pytest.raises(NotMeasurable, match="no column is a feature"):
        Proxies().measure(asked(only, proxies=True))
