from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.checks import NotApplicable, NotMeasurable
from auditor.checks.provenance.label_noise import LabelNoise
from auditor.datasets import DataOptions
from auditor.errors import InputError
from auditor.evidence import Stage


def planted(rows: int, *, classes: int = 2, noise: bool = True, seed: int = 0) -> pd.DataFrame:
    """Classes that hardly overlap; 10 % of the labels of group a are wrong, 2 % of those of b."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    y = np.digitize(x[:, 0], np.linspace(-1, 1, classes + 1)[1:-1] if classes > 2 else [0.0])
    x[:, 0] += random.normal(size=rows) * 0.02
    group = random.integers(0, 2, rows)
    wrong = random.random(rows) < np.where(group == 0, 0.10, 0.02)
    moved = (y + random.integers(1, classes, rows)) % classes
    given = np.where(wrong & noise, moved, y)
    frame = pd.DataFrame(x, columns=["x", "u", "v"])
    return frame.assign(group=np.where(group == 0, "a", "b"), y=given, true=y)


def asked(subject: Any, frame: pd.DataFrame, **options: Any) -> Any:
    made = subject(Stage.DATA, tables={"train": frame}, sensitive=("group",))
    roles = replace(made.roles, target="y")
    return replace(made, roles=roles, options=DataOptions(features=("x", "u", "v"), **options))


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (2, 1), (3, 2)])
def test_planted_noise_is_found_by_group(
    run: Any, subject: Any, pick: Any, figures: Any, classes: int, seed: int
) -> None:
    frame = planted(6_000, classes=classes, seed=seed)
    findings = run(LabelNoise(estimate=True), asked(subject, frame))
    found = {}
    for group, part in frame.groupby("group"):
        share = (part["y"] != part["true"]).mean()
        value = pick(findings, "label_error_rate", group=group)
        assert abs(value.value - share) < 0.02
        assert value.low < share + 0.01
        found[group] = {"planted": share, "found": value.value}
    gap = [f for f in findings if f.metric == "label_error_rate_difference"]
    assert all(abs(abs(f.value) - 0.08) < 0.025 for f in gap if f.status == "measured")
    figures(f"label noise, {classes} classes, seed {seed}", found)


@pytest.mark.slow
def test_clean_labels_are_near_none(run: Any, subject: Any, pick: Any) -> None:
    findings = run(LabelNoise(estimate=True), asked(subject, planted(6_000, noise=False)))
    everybody = pick(findings, "label_error_rate")
    assert everybody.value < 0.02
    assert everybody.method == "mover-wilson-confident-joint"


def test_the_seed_decides_and_the_sample_is_its_own_n(run: Any, subject: Any, pick: Any) -> None:
    frame = planted(900).assign(entity=lambda d: d.index // 3)
    frame.loc[:9, "y"] = np.nan
    check = LabelNoise(estimate=True, most_rows=600, folds=2)
    one, same, other = (
        pick(run(check, asked(subject, frame, seed=s, entity="entity")), "label_error_rate")
        for s in (0, 0, 1)
    )
    assert one == same
    assert 590 <= one.n <= 600
    assert other.evidence != one.evidence


def test_what_is_not_asked_for_is_not_measured(subject: Any) -> None:
    frame = planted(60)
    with pytest.raises(NotApplicable, match="was not asked for"):
        LabelNoise().measure(asked(subject, frame))
    asking = LabelNoise(estimate=True)
    for y, reason in ((1, "one class"), (range(60), "has more; 2 to 50 are needed")):
        with pytest.raises(NotMeasurable, match=reason):
            asking.measure(asked(subject, frame.assign(y=y)))
    with pytest.raises(NotMeasurable, match="40 records have a label; 50 are needed"):
        asking.measure(asked(subject, frame[:40]))
    with pytest.raises(NotMeasurable, match="no training data with a target"):
        asking.measure(subject(Stage.DATA, tables={"test": frame}, sensitive=("group",)))
    with pytest.raises(InputError, match="there is no column 'patient'"):
        asking.measure(asked(subject, frame, entity="patient"))
