"""Two models on the same records: paired counts, and what is read off them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from auditor.errors import InputError
from auditor.metrics import Absent, disaggregate
from auditor.metrics.base_against_tuned import BASE_AGAINST_TUNED
from auditor.metrics.paired import tango
from auditor.stats import Attribute, Groups, SliceTable
from auditor.stats.paired import paired_outcomes

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])


def counted(
    sex: list[str], base: list[float], tuned: list[float], /, **losses: list[float]
) -> SliceTable:
    sides = [
        {"wrong": wrong} | ({"loss": losses[name]} if name in losses else {})
        for name, wrong in (("base", base), ("tuned", tuned))
    ]
    return paired_outcomes(GROUPS, GROUPS.encode({"sex": sex}), *sides)


def value(table: SliceTable, metric: str, **where: str) -> object:
    (found,) = [
        outcome for name, slice_, reference, over, outcome in disaggregate([metric], table)
        if name == metric and dict(slice_) == where and reference is None and over is None
    ]  # fmt: skip
    return found


def test_a_case_by_hand() -> None:
    table = counted(list("FFFFMM"), [0, 0, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1])
    change = value(table, "error_rate_change", sex="M")
    assert (change.value, change.n, change.method) == (1.0, 2, "tango")
    assert value(table, "error_rate_change", sex="F").value == 0.0
    assert value(table, "negative_flip_rate").value == pytest.approx(3 / 6)
    assert value(table, "positive_flip_rate", sex="F").value == pytest.approx(1 / 4)
    low, high = tango(3, 1, 6, confidence=0.95)
    whole = value(table, "error_rate_change")
    assert (whole.low, whole.high) == (pytest.approx(low), pytest.approx(high))


def test_without_labels_or_losses_there_is_a_reason_and_no_number() -> None:
    table = counted(["F"], [np.nan], [0])
    assert value(table, "error_rate_change") == Absent("no record has a label and two predictions")
    assert value(table, "loss_change") == Absent("no losses")
    assert value(table, "error_rate_change", sex="F") != 0


def test_the_change_of_the_loss_has_the_paired_standard_error() -> None:
    base, tuned = [1.0, 2.0, 4.0], [0.5, 1.0, 2.5]
    table = counted(list("FFF"), [0] * 3, [0] * 3, base=base, tuned=tuned)
    found = value(table, "loss_change")
    change = np.subtract(tuned, base)
    assert found.value == pytest.approx(change.mean())
    half = 1.959964 * change.std(ddof=1) / np.sqrt(3)
    assert found.high - found.value == pytest.approx(half, rel=1e-5)


def test_a_change_that_mcnemars_test_is_sure_of_excludes_zero() -> None:
    # 30 records became right and 8 wrong, of 200: the exact test says p < 0.001.
    base = [1] * 30 + [0] * 8 + [0] * 162
    tuned = [0] * 30 + [1] * 8 + [0] * 162
    found = value(counted(["F"] * 200, base, tuned), "error_rate_change")
    assert binomtest(8, 38).pvalue < 0.001
    assert found.high < 0
    assert found.low < found.value < found.high


@given(st.lists(st.tuples(st.sampled_from("FM"), st.booleans(), st.booleans()), min_size=1))
def test_any_split_into_batches_gives_the_same_counts(
    records: list[tuple[str, bool, bool]],
) -> None:
    sex, base, tuned = (list(column) for column in zip(*records, strict=True))
    middle = len(sex) // 2
    whole = counted(sex, base, tuned)
    first = counted(sex[:middle], base[:middle], tuned[:middle])
    assert first.merge(counted(sex[middle:], base[middle:], tuned[middle:])) == whole
    change = value(whole, "error_rate_change").value
    assert change == pytest.approx(np.mean(tuned) - np.mean(base))


def test_what_is_not_compared_is_refused() -> None:
    with pytest.raises(InputError, match="'score' is not compared"):
        paired_outcomes(GROUPS, GROUPS.encode({"sex": ["F"]}), {"score": [1]}, {})
    assert "error_rate_change" in BASE_AGAINST_TUNED
