from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import Attribute, Groups, SliceTable, rank_sums, rank_zero, read_statistic
from auditor.stats import prefixes as prefixes_module
from auditor.stats.prefixes import list_ndkl
from auditor.stats.ranks import ndkl_columns, places

GROUPS = Groups.declare(
    [Attribute(name="sex", levels=("F", "M")), Attribute(name="race", levels=("A", "B"))]
)
NAN = float("nan")

scores = st.integers(0, 3).map(float)
lists = st.lists(st.tuples(scores, st.integers(0, 2)), min_size=1, max_size=7)


def ranked(owner: Sequence[int], values: Sequence[float]) -> tuple[Any, Any]:
    order = np.lexsort((-np.asarray(values), np.asarray(owner)))
    return order, (np.asarray(owner)[order], np.asarray(values)[order])


def by_every_order(values: Sequence[float], k: int) -> tuple[list[float], list[float]]:
    """The mean exposure and the mean share in the top k over all orders that agree with scores."""
    n = len(values)
    found = [
        order for order in itertools.permutations(range(n))
        if all(values[a] >= values[b] for a, b in itertools.pairwise(order))
    ]  # fmt: skip
    exposure, inside = [0.0] * n, [0.0] * n
    for order in found:
        for place, record in enumerate(order, start=1):
            exposure[record] += 1 / math.log2(1 + place) / len(found)
            inside[record] += (place <= k) / len(found)
    return exposure, inside


def ndkl_from_the_formula(values: Sequence[float], groups: Sequence[int]) -> float:
    """Geyik et al.: the i-th prefix holds a tie in proportion."""
    n = len(values)
    order = sorted(range(n), key=lambda i: -values[i])
    whole = {g: groups.count(g) / n for g in set(groups)}
    total = weights = 0.0
    for i in range(1, n + 1):
        last = values[order[i - 1]]
        above = [r for r in order if values[r] > last]
        tied = [r for r in order if values[r] == last]
        part = (i - len(above)) / len(tied)
        share = {
            g: (sum(groups[r] == g for r in above) + part * sum(groups[r] == g for r in tied)) / i
            for g in whole
        }
        kl = sum(p * math.log(p / whole[g]) for g, p in share.items() if p > 0)
        total += kl / math.log2(i + 1)
        weights += 1 / math.log2(i + 1)
    return total / weights


def test_ties_share_their_places_worked_by_hand() -> None:
    exposure, inside = places(np.zeros(4, int), np.array([9.0, 5.0, 5.0, 5.0]), [1, 3, 9])
    shared = (1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)) / 3
    assert exposure.tolist() == pytest.approx([1, shared, shared, shared])
    assert inside.tolist() == [[1, 1, 1]] + [[0, pytest.approx(2 / 3), 1]] * 3


@given(lists, st.integers(1, 8))
def test_ties_have_what_a_random_order_of_them_gives_on_average(rows: Any, k: int) -> None:
    values = [score for score, _ in rows]
    order, (owner, ordered) = ranked([0] * len(rows), values)
    exposure, inside = places(owner, ordered, [k])
    expected = by_every_order(values, k)
    assert exposure.tolist() == pytest.approx([expected[0][i] for i in order])
    assert inside[:, 0].tolist() == pytest.approx([expected[1][i] for i in order])
    assert inside.sum() == pytest.approx(min(k, len(rows)))


def test_divergence_worked_by_hand() -> None:
    # F M: after one place all F, KL = ln 2; after two as the whole, 0. Weights 1 and 1/log₂ 3.
    found = list_ndkl(np.zeros(2, int), np.array([2.0, 1.0]), np.array([0, 1]))
    assert found.tolist() == pytest.approx([math.log(2) / (1 + 1 / math.log2(3))])
    # A tie of both is in proportion from the first place on.
    assert list_ndkl(np.zeros(2, int), np.ones(2), np.array([0, 1])).tolist() == pytest.approx([0])
    assert list_ndkl(np.zeros(2, int), np.array([2.0, 1.0]), np.array([1, 1])).size == 0


@pytest.mark.parametrize("most", [1, 5, 1 << 22])
@given(rows=st.lists(lists, min_size=1, max_size=4))
def test_divergence_is_that_of_the_formula(most: int, rows: Any) -> None:
    flat = [(i, *row) for i, one in enumerate(rows) for row in one]
    groups = np.array([row[2] for row in flat])
    order, (owner, values) = ranked([row[0] for row in flat], [row[1] for row in flat])
    expected = [
        ndkl_from_the_formula([s for s, _ in one], [g for _, g in one])
        for one in rows if len({g for _, g in one}) > 1
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes_module, "_MOST", most)
        found = list_ndkl(owner, values, groups[order])
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_divergence_keeps_its_digits_in_long_lists() -> None:
    rng = np.random.default_rng(0)
    values, groups = np.sort(rng.random(3_000))[::-1], rng.integers(0, 3, 3_000)
    found = list_ndkl(np.zeros(3_000, int), values, groups)
    counts = np.cumsum(groups[:, None] == np.arange(3), axis=0)
    place = np.arange(1, 3_001)
    share, whole = counts / place[:, None], counts[-1] / 3_000
    kl = (share * np.log(np.where(share > 0, share / whole, 1.0))).sum(axis=1)
    assert found[0] == pytest.approx(np.average(kl, weights=1 / np.log2(place + 1)), rel=1e-10)


def sums(rows: list[tuple[Any, ...]], **options: Any) -> SliceTable:
    """Rank rows of (list, score, sex, race)."""
    codes = GROUPS.encode({"sex": [r[2] for r in rows], "race": [r[3] for r in rows]})
    owner = np.array([r[0] for r in rows], np.int64)
    return rank_sums(GROUPS, codes, [r[1] for r in rows], owner, **{"top": [2], **options})


def value(table: SliceTable, name: str, **where: str | None) -> float:
    family = GROUPS.family(where)
    row = GROUPS.offset(family) + GROUPS.number_of(family, where)
    return float(table.values[row, table.column(name)])


def test_two_lists_worked_by_hand() -> None:
    table = sums([
        (0, 3.0, "F", "A"), (0, 2.0, "M", "A"), (0, 1.0, "M", "B"),
        (1, 5.0, "M", "A"), (1, 5.0, "F", None),
        (1, NAN, "F", "A"), (-1, 9.0, "M", "B"),
    ])  # fmt: skip
    a, b = 1 / math.log2(3), 1 / 2  # the exposure of the second and of the third rank
    tie = (1 + a) / 2
    assert [value(table, n, sex="F") for n in ("records", "ranked", "lists")] == [3, 2, 2]
    assert [value(table, n, sex="M") for n in ("records", "ranked", "lists")] == [4, 3, 2]
    assert value(table, "sum:exposure", sex="M") == pytest.approx(a + b + tie)
    assert value(table, "squares:exposure", sex="M") == pytest.approx(a * a + b * b + tie * tie)
    assert value(table, "products:exposure", sex="M") == pytest.approx((a + b) ** 2 + tie**2)
    assert value(table, "products:exposure·ranked", sex="M") == pytest.approx(2 * (a + b) + tie)
    assert value(table, "products:ranked", sex="M") == 4 + 1
    assert value(table, "expected:ranked", sex="M") == pytest.approx(4 / 3 + 1 / 2)
    assert value(table, "top:2", sex="M") == 1 + 1
    assert value(table, "products:top:2·ranked", sex="M") == 1 * 2 + 1 * 1
    assert value(table, "top:2") == 4
    assert value(table, "ranked", race=None) == 1
    # Over race, the second list has one group: no divergence. A A B in the first.
    lists_, total, squares = ndkl_columns(("race",))
    expected = ndkl_from_the_formula([3.0, 2.0, 1.0], [0, 0, 1])
    assert value(table, lists_) == 1
    assert value(table, total) == pytest.approx(expected)
    assert value(table, squares) == pytest.approx(expected**2)


rows_of_lists = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 4).map(float) | st.just(NAN),
        st.sampled_from(["F", "M", None]), st.sampled_from(["A", "B", None]),
    ),
    max_size=25,
)  # fmt: skip


@given(rows_of_lists, st.integers(0, 4), st.randoms(use_true_random=False))
def test_any_split_between_lists_gives_the_same_sums(rows: Any, cut: int, random: Any) -> None:
    one = sums(rows)
    parts = [sums([r for r in rows if (r[0] < cut) == side]) for side in (True, False)]
    merged = parts[0].merge(parts[1])
    shuffled = list(rows)
    random.shuffle(shuffled)
    for other in (merged, parts[1].merge(parts[0]), sums(shuffled)):
        assert np.allclose(other.values, one.values, rtol=1e-12, atol=1e-12)
    assert one.merge(rank_zero(GROUPS, top=[2])) == one
    assert read_statistic(json.loads(canonical_json(one.to_json())), where="x") == one


@given(rows_of_lists)
def test_groups_share_out_what_everybody_has(rows: Any) -> None:
    table = sums(rows)
    for name in ("records", "ranked", "sum:exposure", "squares:exposure", "top:2"):
        for family in GROUPS.families:
            total = table.family(family)[:, table.column(name)].sum()
            assert total == pytest.approx(value(table, name))


def test_without_lists_there_is_one_list() -> None:
    codes = GROUPS.encode({"sex": ["F", "M"], "race": ["A", "B"]})
    table = rank_sums(GROUPS, codes, [1.0, 2.0], top=[1])
    assert (value(table, "lists"), value(table, "top:1", sex="M")) == (1, 1)


def test_no_ranked_record_gives_records_only() -> None:
    table = sums([(0, NAN, "F", "A"), (-1, 1.0, "M", "B")])
    assert value(table, "records") == 2
    assert table.values[:, 1:].sum() == 0


@pytest.mark.parametrize("top", [[0], [2, 2], [-1]])
def test_lengths_that_are_none_are_refused(top: list[int]) -> None:
    with pytest.raises(InputError, match="whole numbers from 1, each once"):
        rank_zero(GROUPS, top=top)


def test_infinite_scores_and_misshapen_lists_are_refused() -> None:
    with pytest.raises(InputError, match="a score is infinite"):
        sums([(0, float("inf"), "F", "A")])
    codes = GROUPS.encode({"sex": ["F"], "race": ["A"]})
    with pytest.raises(InputError, match="lists have shape"):
        rank_sums(GROUPS, codes, [1.0], [0, 1])
