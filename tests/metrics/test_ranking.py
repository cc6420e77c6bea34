from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.evidence import Slice
from auditor.metrics import (
    Absent,
    aggregate_sample,
    compare,
    disaggregate,
    estimate,
    slice_samples,
)
from auditor.metrics.intervals import student_factor
from auditor.stats import Attribute, Groups, SliceTable, rank_sums

GROUPS = Groups.declare([Attribute(name="g", levels=("a", "b", "c"))])
A, B, C = (Slice({"g": level}) for level in "abc")


def ranks(lists: list[str], top: tuple[int, ...] = (2,)) -> SliceTable:
    """Rank lists written from the top, as in ``["aab", "bab"]``."""
    groups = [level for one in lists for level in one]
    scores = [-place for one in lists for place in range(len(one))]
    owner = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    codes = GROUPS.encode({"g": [None if level == "?" else level for level in groups]})
    return rank_sums(GROUPS, codes, np.array(scores, np.float64), owner, top=top)


def sample(name: str, table: SliceTable, where: Slice = A) -> Any:
    return slice_samples(name, table, tuple(where)).samples[where]


def measure(name: str, table: SliceTable, where: Slice = A) -> Any:
    return estimate(sample(name, table, where), confidence=0.95)


def test_one_list_worked_by_hand() -> None:
    table = ranks(["aabab"])
    exposure = measure("exposure", table)
    assert exposure.value == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(5)) / 3)
    assert (exposure.n, exposure.method) == (3, "normal-superpopulation")
    rate = measure("top_k_rate[2]", table)
    assert (rate.value, rate.n, rate.method) == (
        pytest.approx(2 / 3), 3, "wilson-superpopulation",
    )  # fmt: skip
    skew = measure("skew_at_k[2]", table)  # all of the top 2, and 3 in 5 of the list
    assert skew.value == pytest.approx(math.log(1 / (3 / 5)))
    assert skew.low < skew.value < skew.high
    assert sample("skew_at_k[2]", table, B) == Absent("nobody of the slice is in the top 2")
    assert measure("exposure", table, C) == Absent("no records")


def test_skew_over_lists_is_that_of_the_pooled_shares() -> None:
    table = ranks(["abbb", "babb", "bbab"])
    # 2 of the 6 top places, and 3 of the 12 records
    assert measure("skew_at_k[2]", table).value == pytest.approx(math.log((2 / 6) / (3 / 12)))
    everybody = slice_samples("skew_at_k[2]", table, ()).samples[Slice()]
    assert everybody == Absent("the slice is everybody, so its share is the same everywhere")


def test_divergence_of_lists_worked_by_hand() -> None:
    one = math.log(2) / (1 + 1 / math.log2(3))
    table = ranks(["ab", "ba", "aa"])
    found = estimate(aggregate_sample("ndkl", table, ("g",)), confidence=0.95)
    assert (found.value, found.n) == (pytest.approx(one), 2)  # the third has a single group
    single = estimate(aggregate_sample("ndkl", ranks(["abcab"]), ("g",)), confidence=0.95)
    assert (single.method, single.n) == ("one-list", 5)
    assert single.low == single.value == single.high > 0
    apart = aggregate_sample("ndkl", ranks(["aa", "bb"]), ("g",))
    assert apart == Absent("no list holds two groups")
    alone = aggregate_sample("ndkl", ranks(["aa", "a"]), ("g",))
    assert alone == Absent("only one group holds records")


def test_the_interval_of_the_divergence_is_student_s_over_the_lists() -> None:
    table = ranks(["abab", "aabb", "bbaa", "abba"])
    singles = [
        estimate(aggregate_sample("ndkl", ranks([one]), ("g",)), confidence=0.95).value
        for one in ("abab", "aabb", "bbaa", "abba")
    ]
    found = estimate(aggregate_sample("ndkl", table, ("g",)), confidence=0.95)
    assert found.value == pytest.approx(np.mean(singles))
    half = stats.t.ppf(0.975, 3) * np.std(singles, ddof=1) / 2
    assert found.high - found.value == pytest.approx(half, rel=0.01)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 10, 30, 1_000])
def test_the_factor_is_that_of_student_s_t(df: int) -> None:
    exact = stats.t.ppf(0.975, df) / stats.norm.ppf(0.975)
    assert student_factor(df) == pytest.approx(exact, rel=0.005)


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=2, max_size=8))
def test_the_variance_is_that_of_a_ratio_between_lists(lists: Any) -> None:
    table = ranks(lists)
    parts = []
    for one in lists:
        gains = [1 / math.log2(2 + i) for i, level in enumerate(one) if level == "a"]
        if gains:
            parts.append((sum(gains), len(gains), len(gains) ** 2 / len(one)))
    found = sample("exposure", table)
    if len(parts) < 2:
        assert isinstance(found, Absent) or found.method == "normal-superpopulation"
        return
    e, n, own = np.array(parts).T
    value, share, count = e.sum() / n.sum(), own.sum() / n.sum(), len(parts)
    variance = ((e - value * n) ** 2).sum() * count / (count - 1) / n.sum() ** 2
    expected = math.sqrt(variance / ((1 - share) if share < 1 - 1e-9 else 1))
    assert found.value == pytest.approx(value)
    assert found.standard_error == pytest.approx(
        expected * student_factor(count - 1), rel=1e-6, abs=1e-7
    )


@given(st.lists(st.text("abc?", min_size=1, max_size=6), min_size=1, max_size=6))
def test_groups_share_out_the_top_and_rates_are_rates(lists: Any) -> None:
    table = ranks(lists)
    inside = sum(min(2, len(one)) for one in lists)
    everybody = sample("top_k_rate[2]", table, Slice())
    assert everybody.value == pytest.approx(inside / sum(map(len, lists)))
    for where in (A, B, C):
        found = sample("top_k_rate[2]", table, where)
        if not isinstance(found, Absent):
            assert 0 <= found.x <= found.n <= found.records
            assert 0 <= measure("exposure", table, where).value <= 1 if found.records > 1 else True


def test_a_list_shorter_than_k_is_in_the_top_as_a_whole() -> None:
    found = measure("top_k_rate[100]", ranks(["ab", "ba"], (100,)))
    assert (found.value, found.high) == (1, 1)
    assert found.low < 0.7, "two lists are no certainty"


def test_ties_of_all_records_leave_no_difference() -> None:
    codes = GROUPS.encode({"g": list("aabbb")})
    table = rank_sums(GROUPS, codes, np.ones(5), top=[2])
    one, other = measure("exposure", table), measure("exposure", table, B)
    assert one.value == pytest.approx(other.value)
    assert one.low < one.value < one.high, "equal exposures are not certain"
    assert measure("skew_at_k[2]", table).value == pytest.approx(0)


def test_a_length_that_was_not_counted_is_a_reason() -> None:
    for name in ("top_k_rate", "top_k_rate[3]", "skew_at_k[x]"):
        assert sample(name, ranks(["ab"])) == Absent(
            "a length of a top list has to be named that was counted: 2"
        )


def test_one_ranked_record_and_none_have_reasons() -> None:
    codes = GROUPS.encode({"g": ["a", "b", "b"]})
    table = rank_sums(GROUPS, codes, [1.0, math.nan, math.nan], top=[2])
    assert measure("exposure", table) == Absent("one record has no standard error")
    assert measure("exposure", table, B) == Absent("no ranked records")
    assert measure("top_k_rate[2]", table, B) == Absent("no ranked records")


def test_unknown_groups_take_places_but_are_never_compared() -> None:
    table = ranks(["?ab", "?ba"], (1,))
    assert measure("top_k_rate[1]", table).value == 0
    gaps = {m[1]: m[4] for m in disaggregate(["exposure"], table) if m[0] == "exposure_difference"}
    assert gaps[Slice({"g": None})] == Absent("the group is unknown")
    # The divergence is that of the list without them.
    without = aggregate_sample("ndkl", ranks(["ab", "ba"]), ("g",))
    assert aggregate_sample("ndkl", table, ("g",)) == without


@pytest.mark.slow
def test_differences_over_lists_cover_though_places_are_given_out_once(
    figures: Callable[[str, Mapping[str, object]], None],
) -> None:
    rounds = 300
    names = ("exposure", "top_k_rate[3]")
    for lists, length, groups, spread in ((10, 20, 2, 0.0), (10, 20, 3, 1.0), (50, 10, 2, 1.0)):
        rng = np.random.default_rng(20260101)
        hits = dict.fromkeys(names, 0)
        for _ in range(rounds):
            group = rng.integers(0, groups, lists * length)
            owner = np.repeat(np.arange(lists), length)
            effect = rng.normal(size=(lists, groups)) * spread  # one list favours one group
            scores = rng.normal(size=group.size) + effect[owner, group]
            table = rank_sums(GROUPS, group.astype(np.int32)[:, None], scores, owner, top=[3])
            for name in names:
                (found,) = compare(
                    "difference", [sample(name, table, A)], [sample(name, table, B)],
                    confidence=0.95,
                )  # fmt: skip
                assert not isinstance(found, Absent)
                assert found.low is not None
                assert found.high is not None
                hits[name] += found.low <= 0 <= found.high
        figures(
            f"coverage over {lists} lists of {length}, {groups} groups, list effects {spread}",
            {"confidence": 0.95, **{k: v / rounds for k, v in hits.items()}},
        )
        assert min(hits.values()) / rounds >= 0.92, (lists, groups, spread, hits)
