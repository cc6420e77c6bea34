from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import (
    Attribute,
    Groups,
    SliceTable,
    read_statistic,
    score_sums,
    score_sums_zero,
)

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
NAN = float("nan")

score = st.integers(0, 8).map(lambda k: k / 8) | st.just(NAN)
rows = st.lists(
    st.tuples(st.sampled_from(["F", "M", None]), st.sampled_from([0, 1, None]), score), max_size=60
)


def summed(records: list[Any]) -> SliceTable:
    sex, true, scores = map(list, zip(*records, strict=True) if records else [[]] * 3)
    return score_sums(GROUPS, GROUPS.encode({"sex": sex}), true, scores)


def of(table: SliceTable, flat: int = 0) -> dict[str, float]:
    return dict(zip(table.columns, table.values[flat].tolist(), strict=True))


def test_four_records_by_hand() -> None:
    found = of(summed([("F", 1, 0.75), ("F", 0, 0.5), ("M", None, 0.25), ("M", 1, NAN)]))
    logs = [-math.log(0.75), -math.log(0.5)]
    assert found == pytest.approx(
        {
            "records": 4, "scored": 3, "sum:score": 1.5, "squares:score": 0.875, "judged": 2,
            "sum:squared": 0.0625 + 0.25, "squares:squared": 0.0625**2 + 0.25**2,
            "sum:log": sum(logs), "squares:log": sum(x * x for x in logs), "outside": 0,
        }
    )  # fmt: skip


def test_a_sure_mistake_is_clipped_as_scikit_learn_clips_it() -> None:
    found = of(summed([("F", 1, 0.0)]))
    assert found["sum:log"] == pytest.approx(-math.log(2**-52))


def test_scores_outside_0_to_1_are_counted() -> None:
    assert of(summed([("F", 1, -0.5), ("F", 0, 1.5), ("F", 0, 1.0)]))["outside"] == 2


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_an_infinite_score_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="a score is infinite"):
        summed([("F", 1, bad)])


@given(rows, st.integers(1, 5))
def test_any_split_into_batches_gives_the_same_sums(records: list[Any], parts: int) -> None:
    whole, merged = summed(records), score_sums_zero(GROUPS)
    for part in range(parts):
        merged = merged.merge(summed(records[part::parts]))
    assert np.allclose(merged.values, whole.values, rtol=1e-12, atol=1e-12)


@given(rows)
def test_it_comes_back_from_its_json(records: list[Any]) -> None:
    table = summed(records)
    document = json.loads(canonical_json(table.to_json()))
    assert read_statistic(document, where="evidence") == table


@pytest.mark.parametrize("forged", [{"columns": ["records"]}, {"type": "counts"}, {"rows": [[0]]}])
def test_a_forged_statistic_is_refused(forged: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read_statistic(score_sums_zero(GROUPS).to_json() | forged, where="evidence")
