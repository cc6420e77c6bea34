from __future__ import annotations

import numpy as np
import pytest

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.metrics import Absent
from auditor.mitigation import Tradeoff, threshold_tradeoff, tradeoff
from auditor.stats import Attribute, Groups, ScoreGrid, score_counts

A, B = Slice({"g": "a"}), Slice({"g": "b"})
GROUPS = Groups.declare([Attribute(name="g", levels=("a", "b", "c"))])


def measured(found: Tradeoff | Absent) -> Tradeoff:
    assert isinstance(found, Tradeoff)
    return found


def test_a_frontier_worked_by_hand() -> None:
    # a: 8 negatives below, 2 positives above; b: 5 and 5. Perfect scores, at a ratio of 0.4.
    tables = [[[8, 0], [0, 2]], [[5, 0], [0, 5]]]
    found = measured(tradeoff(tables, [A, B], np.array([0.1, 0.9]), cut=1, targets=[0.4, 0.8]))
    assert found.current_ratio == pytest.approx(0.4)
    assert found.current_accuracy == 1
    assert found.accuracy.tolist() == [1.0, 0.35]  # only nobody or everybody have more equal rates
    assert found.thresholds.tolist() == [[0.9, 0.9], [0.1, 0.1]]
    assert found.sentence(0.8) == (
        "Thresholds by group of g would bring the selection rate ratio from 0.40 to 1.00 at a cost "
        "of 65.0 points of accuracy (in-sample, 20 records)."
    )
    assert found.sentence(0.4).startswith("One threshold for all reaches")


def test_score_counts_give_the_same_as_their_tables() -> None:
    random = np.random.default_rng(3)
    scores, y = random.integers(0, 10, 400) / 10, random.integers(0, 2, 400)
    names = np.array(["a", "b", None], object)[random.integers(0, 3, 400)]
    counts = score_counts(GROUPS, GROUPS.encode({"g": names}), y, scores)
    found = measured(threshold_tradeoff(counts, ("g",), threshold=0.55))
    assert found.groups == (A, B)  # neither the unknown group nor the empty one
    assert found.records == (names != None).sum()  # noqa: E711 -- element by element
    selected = scores >= 0.55
    rates = [selected[names == name].mean() for name in "ab"]
    assert found.current_rates == pytest.approx(rates)
    known = names != None  # noqa: E711
    assert found.current_accuracy == pytest.approx((selected == y)[known].mean())
    assert (found.ratio >= found.targets - 1e-9).all()
    assert (np.diff(found.accuracy) <= 1e-12).all()
    for place in (0, 80, 100):  # the thresholds do what the frontier says
        bars = dict(zip("ab", found.thresholds[place], strict=True))
        chosen = scores[known] >= [bars[name] for name in names[known]]
        assert (chosen == y[known]).mean() == pytest.approx(found.accuracy[place])


def test_binned_scores_are_cut_at_the_edges_of_bins() -> None:
    scores = np.array([0.1, 0.4, 0.6, 0.9] * 2)
    names = np.repeat(["a", "b"], 4)
    codes = GROUPS.encode({"g": names})
    counts = score_counts(GROUPS, codes, scores > 0.5, scores, grid=ScoreGrid(bins=1024))
    found = measured(threshold_tradeoff(counts, ("g",)))
    assert found.current_accuracy == 1
    assert found.current_ratio == 1


def test_true_positive_rates_have_their_own_frontier() -> None:
    tables = [[[4, 2], [0, 2]], [[4, 0], [0, 4]]]
    found = measured(
        tradeoff(tables, [A, B], np.array([0.1, 0.9]), cut=1, rate="true_positive_rate")
    )
    assert found.current_ratio == 0.5
    assert found.rates[found.at(0.8)].tolist() == [1.0, 1.0]
    assert found.accuracy[found.at(0.8)] == pytest.approx(12 / 16)


def test_nobody_selected_has_no_ratio_and_one_group_no_frontier() -> None:
    table = [[3, 1], [1, 3]]
    found = measured(tradeoff([table, table], [A, B], np.array([0.1, 0.9]), cut=2))
    assert found.current_ratio is None
    assert "from undefined to 1.00" in found.sentence(1.0)
    one = tradeoff([table], [A], np.array([0.1, 0.9]), cut=1)
    assert one == Absent("only one group holds scored records")
    assert tradeoff([], [], np.array([]), cut=0) == Absent("no scored records")
    none = tradeoff([table, [[2, 0], [1, 0]]], [A, B], np.array([0.1, 0.9]), cut=1,
                    rate="true_positive_rate")  # fmt: skip
    assert none == Absent("g=b: no positives")


@pytest.mark.parametrize("targets", [[], [-0.1], [1.2], [float("nan")]])
def test_a_target_that_is_no_ratio_is_refused(targets: list[float]) -> None:
    table = [[3, 1], [1, 3]]
    with pytest.raises(InputError, match="target"):
        tradeoff([table, table], [A, B], np.array([0.1, 0.9]), cut=1, targets=targets)


def test_a_target_beyond_those_asked_for_is_refused() -> None:
    table = [[3, 1], [1, 3]]
    found = measured(tradeoff([table] * 2, [A, B], np.array([0.1, 0.9]), cut=1, targets=[0.5]))
    with pytest.raises(InputError, match="not asked for"):
        found.sentence(0.8)
