"""Counting once in the joint table is counting in every family."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.stats import (
    Attribute,
    Groups,
    ScoreGrid,
    confusion,
    confusion_counts,
    score_counts,
    scores,
)


@pytest.fixture(params=[0, 1, 3])
def groups(request: pytest.FixtureRequest) -> Groups:
    levels = [("a", "b"), ("x", "y", "z"), ("0",)]
    attributes = [Attribute(name=f"g{i}", levels=levels[i]) for i in range(int(request.param))]
    return Groups.declare(attributes, intersections=2)


def codes_of(groups: Groups, rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, a.size, rows) for a in groups.attributes]
    return np.stack(columns, 1).astype(np.int32) if columns else np.zeros((rows, 0), np.int32)


def test_marginals_of_ones_are_the_sizes_of_what_was_added(groups: Groups) -> None:
    added = groups.marginals(np.ones(groups.joint, int))
    expected = [groups.joint // groups.size(f) for f in groups.families for _ in
                range(groups.size(f))]  # fmt: skip
    assert added.tolist() == expected


def test_joint_codes_and_flat_slices_agree(groups: Groups) -> None:
    codes = codes_of(groups, 200)
    joint = np.bincount(groups.joint_codes(codes), minlength=groups.joint)
    flat = np.bincount(groups.flat(codes).ravel(), minlength=groups.total)
    assert groups.marginals(joint).tolist() == flat.tolist()


def test_counts_are_the_same_both_ways(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    codes = codes_of(groups, 300)
    y = rng.choice([0.0, 1.0, np.nan], 300)
    p = rng.choice([0.0, 1.0, np.nan], 300)
    s = np.where(rng.random(300) < 0.1, np.nan, rng.random(300))
    grid = ScoreGrid()

    def count() -> list[object]:
        counted = score_counts(groups, codes, y, s, grid=grid)
        return [
            confusion_counts(groups, codes, y, p).values.tolist(), counted.keys.tolist(),
            counted.counts.tolist(), counted.unscored.tolist(),
        ]  # fmt: skip

    once = count()
    monkeypatch.setattr(confusion, "_MOST_JOINT", 0)
    monkeypatch.setattr(scores, "_MOST_DENSE", 0)
    assert count() == once
