"""Shares in the data against known shares: by hand, against scipy, and coverage of the distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cityblock

from auditor.evidence import Estimate
from auditor.metrics import Absent, disaggregate, wilson
from auditor.metrics.representation import (
    REPRESENTATION_METRICS,
    REPRESENTATION_OVER,
    total_variation,
)
from auditor.stats import Attribute, Groups, SliceTable
from auditor.stats.representation import representation_zero, with_population

SEX = Groups.declare([Attribute(name="sex", levels=("F", "M", "X"))])


def counts(women: int, men: int, other: int = 0, unknown: int = 0) -> SliceTable:
    table = representation_zero(SEX)
    table.values[:, 0] = [women + men + other + unknown, women, men, other, unknown]
    return with_population(table, {("sex",): {("F",): 0.5, ("M",): 0.5}})


def found(table: SliceTable) -> dict[Any, Any]:
    measured = disaggregate(
        REPRESENTATION_METRICS, table, families=[("sex",)], extremes=REPRESENTATION_OVER
    )
    return {(name, where.get("sex", "all")): outcome for name, where, *_, outcome in measured}


def test_a_case_worked_by_hand() -> None:
    numbers = found(counts(30, 70, 5, 10))
    low, high = wilson(30, 100, confidence=0.95)
    ratio = numbers["representation_ratio", "F"]
    assert (ratio.value, ratio.n) == (0.6, 100)
    assert (ratio.low, ratio.high) == pytest.approx((low * 2, high * 2))
    difference = numbers["representation_difference", "F"]
    assert difference.value == pytest.approx(-0.2)
    assert (difference.low, difference.high) == pytest.approx((low - 0.5, high - 0.5))
    assert numbers["representation_distance", "all"].value == pytest.approx(0.2)


def test_a_group_that_the_population_lacks_has_a_reason() -> None:
    missing = found(counts(30, 70, 5))["representation_ratio", "X"]
    assert missing == Absent("the population has no such group; the data have 5 records of it")


def test_a_group_without_a_record_is_0_with_its_interval() -> None:
    numbers = found(counts(0, 100))
    ratio = numbers["representation_ratio", "F"]
    assert (ratio.value, ratio.low) == (0, 0)
    assert 0 < ratio.high < 0.1


@given(st.lists(st.integers(0, 500), min_size=2, max_size=6).filter(any))
def test_the_distance_is_half_of_the_city_block(sizes: list[int]) -> None:
    records = np.array(sizes, float)
    shares = np.full(records.size, 1 / records.size)
    value, noise = total_variation(records, shares)
    assert value == pytest.approx(cityblock(records / records.sum(), shares) / 2)
    assert (np.diff(noise) >= 0).all()


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 9), st.integers(1, 5))
def test_merging_parts_adds_records_and_keeps_shares(f: int, m: int, x: int, times: int) -> None:
    part = counts(f, m, x)
    whole = part
    for _ in range(times):
        whole = whole.merge(part)
    numbers, parts = found(whole), found(part)
    one, many = (n["representation_ratio", "F"] for n in (parts, numbers))
    assert many.value == pytest.approx(one.value)
    assert many.n == one.n * (times + 1)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [(0.5, 0.3, 0.2), (0.6, 0.3, 0.1), (0.34, 0.33, 0.33)])
def test_the_distance_covers_also_where_it_is_0(truth: tuple[float, ...]) -> None:
    shares, p = np.array([0.5, 0.3, 0.2]), np.array(truth)
    true = np.abs(p - shares).sum() / 2
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        value, noise = total_variation(rng.multinomial(200, p).astype(float), shares)
        half = noise[int(np.ceil(0.95 * noise.size)) - 1]
        hits += value - half <= true + 1e-12 and value + half >= true
    assert hits / 400 >= 0.93


def test_only_one_group_in_the_data_has_no_distance() -> None:
    outcome = found(counts(10, 0))["representation_distance", "all"]
    assert isinstance(outcome, Absent)
    assert not isinstance(found(counts(10, 1))["representation_distance", "all"], Absent)
    assert isinstance(found(counts(10, 1))["representation_distance", "all"], Estimate)
