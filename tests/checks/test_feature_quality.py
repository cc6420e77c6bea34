from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.feature_quality import FeatureQuality
from auditor.datasets import open_table, scan_columns
from auditor.datasets.scan_columns import scan_column_values
from auditor.datasets.scan_features import feature_counts, number_places
from auditor.evidence import Stage
from auditor.metrics import Absent, estimate, slice_samples
from auditor.metrics.feature_quality import feature_auc


def asked(subject: Any, frame: pd.DataFrame, *, target: str | None = "y", **roles: Any) -> Any:
    made = subject(Stage.DATA, tables={"train": frame}, **roles)
    return replace(made, roles=replace(made.roles, target=target))


def plain(rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, rows)
    return pd.DataFrame(
        {
            "y": y, "constant": 7, "code": [f"k{i}" for i in range(rows)],
            "noise": random.normal(size=rows), "some": y + random.normal(size=rows),
            "few": random.integers(0, 4, rows),
        }
    )  # fmt: skip


def test_constants_and_identifiers_have_the_shares_of_pandas(
    run: Any, subject: Any, pick: Any
) -> None:
    frame = plain().assign(holes=lambda d: d["few"].where(d["few"] > 0))
    findings = run(FeatureQuality(), asked(subject, frame), without=("agreement_rate",))
    assert pick(findings, "modal_share[constant]").value == 1
    assert pick(findings, "distinct_share[constant]").value == 1 / 2_000
    assert pick(findings, "distinct_share[code]").value == 1
    assert pick(findings, "leaking_features").value == 0
    assert pick(findings, "equal_columns").value == 0
    for name in ("few", "holes", "noise"):
        counts = frame[name].value_counts()
        known = frame[name].notna().sum()
        assert pick(findings, f"modal_share[{name}]").value == counts.max() / known
        found = pick(findings, f"distinct_share[{name}]")
        assert (found.value, found.n) == (len(counts) / known, known)


def test_equal_columns_are_named_however_their_numbers_are_stored(
    run: Any, subject: Any, pick: Any
) -> None:
    frame = plain(50).assign(
        same=lambda d: d["few"].astype(float),
        again=lambda d: d["few"],
        turned=lambda d: d["few"].to_numpy()[::-1].copy(),
        hole=lambda d: d["noise"].where(d.index > 3),
        hole2=lambda d: d["noise"].where(d.index > 3),
    )
    findings = run(FeatureQuality(), asked(subject, frame))
    found = pick(findings, "equal_columns")
    assert (found.value, found.n) == (3, len(frame.columns))
    pairs = {f.metric for f in findings if f.base_metric == "agreement_rate"}
    assert pairs == {
        f"agreement_rate[{pair}]"
        for pair in ("few = same", "few = again", "same = again", "hole = hole2")
    }
    assert all(f.value == 1 for f in findings if f.base_metric == "agreement_rate")


@pytest.mark.parametrize(
    "leak",
    [
        lambda d: d["y"] * 2.5 + d["noise"] * 1e-3,  # a number, cut somewhere
        lambda d: -d["y"] - d["noise"] * 1e-3,
        lambda d: np.where(d["y"] == 1, "paid", "due"),
        lambda d: d["y"] + 1,  # a copy, written otherwise
        lambda d: d["noise"].where(d["y"] == 1),  # only positives were ever measured
        lambda d: np.where(d["y"] == 1, d["noise"] % 1, 2 + d["noise"] % 1).round(6).astype(str),
        lambda d: np.where(d["y"] == 1, 0.0, np.sign(d["noise"])) + d["noise"] / 1e3,  # both ends
    ],
)
def test_a_planted_leak_is_found(run: Any, subject: Any, pick: Any, leak: Any) -> None:
    without = ("agreement_rate",)
    findings = run(FeatureQuality(), asked(subject, plain().assign(leak=leak)), without=without)
    found = pick(findings, "feature_auc[leak]")
    assert found.value > 0.99
    assert found.low > 0.97
    assert pick(findings, "leaking_features").value == 1
    for name in ("constant", "code", "noise", "few"):
        clean = pick(findings, f"feature_auc[{name}]")
        assert clean.value < 0.56
        assert clean.low <= 0.5 + 1e-9


def test_some_class_of_several_that_leaks_is_found(run: Any, subject: Any, pick: Any) -> None:
    random = np.random.default_rng(1)
    y = random.choice(["red", "green", "blue"], 3_000)
    frame = pd.DataFrame({"y": y, "hint": (y == "blue") + random.normal(size=3_000) * 1e-3})
    frame["noise"] = random.normal(size=3_000)
    findings = run(FeatureQuality(), asked(subject, frame), without=("agreement_rate",))
    assert pick(findings, "feature_auc[hint]").value > 0.99
    assert pick(findings, "feature_auc[noise]").low == pytest.approx(0.5, abs=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(-50, 50)), min_size=4, max_size=80).filter(
        lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
    )
)
def test_a_number_tells_at_least_what_sklearn_says(rows: Any) -> None:
    y, x = np.array(rows).T
    places, size, exact = number_places(x.astype(np.float64))
    counts = feature_counts(
        y, np.arange(y.size) % 2, places, size, 2, context={"type": "numbers", "exact": exact}
    )
    area = roc_auc_score(y, x)
    (sample,) = slice_samples("feature_auc", counts, ()).samples.values()
    found: Any = estimate(sample, confidence=0.95)
    assert found.value >= max(area, 1 - area) - 1e-12
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert found.n == y.size


def test_an_area_worked_by_hand_has_missing_values_as_a_sign() -> None:
    counts = np.zeros((2, 2, 4))
    counts[0, :, 0] = 5  # ten negatives at the lowest number
    counts[1, :, 3] = 5  # ten positives without a number
    sample = feature_auc(counts, numbers=True)
    assert not isinstance(sample, Absent)
    assert sample.value == 1
    assert feature_auc(counts[:, :, ::-1] * [[[1.0]], [[0.0]]], numbers=True) == Absent(
        "the labelled records have fewer than two classes"
    )


@pytest.mark.slow
def test_a_feature_of_noise_is_covered_at_the_stated_level(figures: Any) -> None:
    false, rounds = 0, 1_000
    random = np.random.default_rng(3)
    for _ in range(rounds):
        places, size, exact = number_places(random.normal(size=400).round(2))
        counts = feature_counts(
            random.integers(0, 2, 400), random.integers(0, 2, 400), places, size, 2,
            context={"type": "numbers", "exact": exact},
        )  # fmt: skip
        (sample,) = slice_samples("feature_auc", counts, ()).samples.values()
        found: Any = estimate(sample, confidence=0.95)
        false += found.low > 0.5
    figures("feature_auc of noise, lower bound above one half", {"share": false / rounds})
    assert false <= rounds * 0.05


@given(st.integers(0, 200))
def test_parts_merge_to_the_whole(cut: int) -> None:
    random = np.random.default_rng(4)
    y, half, place = (random.integers(low, 3, 200) for low in (0, 1, -1))
    half -= 1
    context = {"type": "categories", "exact": True}
    parts = [
        feature_counts(y[p], half[p], place[p], 3, 2, context=context)
        for p in (slice(None, cut), slice(cut, None))
    ]
    assert parts[0].merge(parts[1]) == feature_counts(y, half, place, 3, 2, context=context)


def test_many_values_are_drawn_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_columns, "_MOST_VALUES", 500)
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"x": np.where(random.random(9_000) < 0.3, -1, np.arange(9_000) // 2)})
    (counts,) = scan_column_values(open_table(frame, name="t"), ["x"], split="train")
    assert counts.context["one_in"] > 1
    read = {
        name: estimate(
            next(iter(slice_samples(name, counts, ()).samples.values())), confidence=0.99
        )
        for name in ("distinct_share", "modal_share")
    }
    share, modal = read["distinct_share"], read["modal_share"]
    assert not isinstance(share, Absent)
    assert not isinstance(modal, Absent)
    assert share.method == "drawn-values"
    assert share.n < 9_000
    assert modal.value == (frame["x"] == -1).mean()


@pytest.mark.parametrize(
    ("file", "target", "sensitive"),
    [
        ("adult.csv.gz", "income", "sex"),
        ("german_credit.csv", "class-label", "sex"),
        ("hmda_boston_aer.csv.gz", "deny", "afam"),
    ],
)
def test_real_data_leak_only_what_is_planted(
    run: Any, subject: Any, pick: Any, shared_data: Path, file: str, target: str, sensitive: str
) -> None:
    frame = pd.read_csv(shared_data / "tabular" / file)
    made = asked(subject, frame, target=target, sensitive=(sensitive,))
    findings = run(FeatureQuality(), made, without=("agreement_rate",))
    assert pick(findings, "leaking_features").value == 0
    highest = max(f.value for f in findings if f.base_metric == "feature_auc")
    assert highest < 0.8
    code = frame[target].rank(method="dense")
    noisy = code + np.random.default_rng(0).normal(size=len(frame)) / 10
    made = asked(subject, frame.assign(leak=noisy), target=target, sensitive=(sensitive,))
    found = run(FeatureQuality(), made, without=("agreement_rate",))
    assert pick(found, "leaking_features").value == 1
    assert pick(found, "feature_auc[leak]").low > 0.99


def test_what_has_no_classes_has_its_reason(run: Any, subject: Any, pick: Any) -> None:
    frame = plain(60)
    for made, reason in (
        (asked(subject, frame, target=None), "no target was given"),
        (asked(subject, frame.assign(y=1)), "the target has fewer than two classes"),
        (asked(subject, frame.assign(y=range(60))), "the target has more than 20 values"),
        (asked(subject, frame[["y", "few"]], sensitive=("few",)), "no column is a feature"),
    ):
        findings = run(FeatureQuality(), made, without=("agreement_rate",))
        assert pick(findings, "feature_auc").reason == reason
        assert pick(findings, "leaking_features").reason == reason


def test_what_cannot_be_measured_has_its_reason(subject: Any) -> None:
    with pytest.raises(NotMeasurable, match="no training data was given"):
        FeatureQuality().measure(subject(Stage.DATA, tables={"test": plain(10)}))
    with pytest.raises(NotMeasurable, match="6 columns are more than 2"):
        FeatureQuality(most_columns=2).measure(asked(subject, plain(10)))
    with pytest.raises(NotMeasurable, match="no column but the record id"):
        frame = plain(10)[["y"]]
        FeatureQuality().measure(asked(subject, frame, target=None, record_id="y"))
    counted = pd.DataFrame({"g": ["a"], "n": [2], "k": [1]})
    with pytest.raises(NotApplicable, match="the rows are groups"):
        FeatureQuality().measure(
            subject(Stage.DATA, tables={"train": counted}, task="counts", total="n", selected="k")
        )
