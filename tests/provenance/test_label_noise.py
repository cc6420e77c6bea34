from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.datasets.out_of_fold import assign_folds
from auditor.datasets.scan_label_noise import joint_counts
from auditor.errors import InputError
from auditor.metrics import estimate, slice_samples
from auditor.provenance.label_noise import class_thresholds, confident_classes
from auditor.stats import Attribute, Groups

GROUPS = Groups.declare([Attribute(name="g", levels=("a", "b"))])


def paper(labels: np.ndarray, p: np.ndarray) -> float:
    """The share of label errors as the paper writes it: loops over equations 1 to 3."""
    n, classes = p.shape
    t = [np.mean([p[r, j] for r in range(n) if labels[r] == j]) for j in range(classes)]
    joint = np.zeros((classes, classes))
    for r in range(n):
        above = [j for j in range(classes) if p[r, j] >= t[j] - 1e-12]
        if above:
            joint[labels[r], max(above, key=lambda j: p[r, j])] += 1
    q = np.zeros((classes, classes))
    for i in range(classes):
        if joint[i].sum():
            q[i] = joint[i] / joint[i].sum() * np.sum(labels == i)
        else:
            q[i, i] = np.sum(labels == i)
    q /= q.sum()
    return float(q.sum() - np.trace(q))


@st.composite
def judged(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    classes = draw(st.integers(2, 4))
    rows = draw(st.integers(classes, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    return labels, random.dirichlet(np.ones(classes), rows)


@given(judged())
def test_the_share_of_errors_is_that_of_the_paper(given_: Any) -> None:
    labels, p = given_
    likely = confident_classes(p, class_thresholds(labels, p))
    codes = np.zeros((labels.size, 1), np.int32)
    table = joint_counts(GROUPS, codes, labels, likely, p.shape[1])
    (sample,) = slice_samples("label_error_rate", table, ()).samples.values()
    found: Any = estimate(sample, confidence=0.95)
    assert found.value == pytest.approx(paper(labels, p))
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert found.n == labels.size


@given(judged(), st.integers(0, 40), st.randoms(use_true_random=False))
def test_parts_merge_to_the_whole_in_any_order(given_: Any, cut: int, random: Any) -> None:
    labels, p = given_
    likely = confident_classes(p, class_thresholds(labels, p))
    codes = (np.arange(labels.size) % 3).astype(np.int32)[:, None]
    order = list(range(labels.size))
    random.shuffle(order)
    parts = [
        joint_counts(GROUPS, codes[some], labels[some], likely[some], p.shape[1])
        for some in (order[:cut], order[cut:])
    ]
    assert parts[0].merge(parts[1]) == joint_counts(GROUPS, codes, labels, likely, p.shape[1])


def test_a_flipped_label_among_confident_ones_worked_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    labels = np.array([0, 0, 0, 1, 1, 1])  # the last one is likely 0
    thresholds = class_thresholds(labels, p)
    assert thresholds.tolist() == pytest.approx([0.9, (0.9 + 0.9 + 0.1) / 3])
    assert confident_classes(p, thresholds).tolist() == [0, 0, 0, 1, 1, 0]


def test_a_class_without_a_record_is_nobodys() -> None:
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    thresholds = class_thresholds(np.array([1, 0]), p)
    assert np.isinf(thresholds[2])
    assert confident_classes(p, thresholds).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        ([0, 1], [[0.5, 0.5]], "shape"),
        ([0, 2], [[0.5, 0.5]] * 2, "a label is no class; 0 to 1"),
        ([0, 1], [[0.5, np.nan]] * 2, "a probability is none"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(labels: Any, p: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        class_thresholds(np.array(labels), np.array(p, np.float64))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 99))
def test_no_entity_lies_in_two_folds_and_folds_are_even(
    entity: list[int], folds: int, seed: int
) -> None:
    of = np.array(entity)
    fold = assign_folds(np.zeros(of.size, np.int64), folds=folds, seed=seed, entity=of)
    for one in set(entity):
        assert len(set(fold[of == one])) == 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= np.bincount(of).max()
    again = assign_folds(np.zeros(of.size, np.int64), folds=folds, seed=seed, entity=of)
    assert (fold == again).all()


def test_every_fold_has_its_share_of_every_class() -> None:
    y = np.repeat([0, 1, 2], [10, 20, 35])
    fold = assign_folds(y, folds=5, seed=1)
    for k, size in enumerate((2, 4, 7)):
        assert np.bincount(fold[y == k], minlength=5).tolist() == [size] * 5
