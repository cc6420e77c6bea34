from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.stats import (
    PREDICTIONS,
    REGRESSION,
    RESIDUALS,
    Attribute,
    Groups,
    ScoreGrid,
    SliceTable,
    read_statistic,
    regression_sums,
    regression_zero,
    value_counts,
)

GROUPS = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
NAN = float("nan")

whole = st.integers(-20, 20).map(float) | st.just(NAN)
records = st.lists(st.tuples(st.sampled_from(["F", "M", None]), whole, whole), max_size=30)


def sums(rows: list[tuple[str | None, float, float]], **options: Any) -> SliceTable:
    codes = GROUPS.encode({"sex": [row[0] for row in rows]})
    true, predicted = ([row[i] for row in rows] for i in (1, 2))
    return regression_sums(GROUPS, codes, true, predicted, **options)


def of(table: SliceTable, number: int) -> dict[str, float]:
    return dict(zip(table.columns, table.values[number].tolist(), strict=True))


def test_four_records_worked_by_hand() -> None:
    table = sums([("F", 1.0, 3.0), ("F", 4.0, 3.0), ("M", NAN, 7.0), (None, 2.0, NAN)])
    women = of(table, 1)  # errors 2 and −1
    assert {k: women[k] for k in ("records", "predicted", "judged")} == {
        "records": 2, "predicted": 2, "judged": 2,
    }  # fmt: skip
    assert (women["sum:prediction"], women["squares:prediction"]) == (6, 18)
    assert (women["sum:error"], women["squares:error"]) == (1, 5)
    assert (women["sum:absolute"], women["squares:absolute"]) == (3, 5)
    assert (women["sum:squared"], women["squares:squared"]) == (5, 17)
    assert [women[f"{k}:target"] for k in ("sum", "squares", "cubes", "fourths")] == [
        5,
        17,
        65,
        257,
    ]
    assert (women["squared·target"], women["squared·target²"]) == (4 + 4, 4 + 16)
    men, unknown = of(table, 2), of(table, 3)
    assert (men["records"], men["predicted"], men["judged"], men["sum:prediction"]) == (1, 1, 0, 7)
    assert (unknown["records"], unknown["predicted"], unknown["sum:target"]) == (1, 0, 0)


@given(records, st.data())
def test_any_split_into_batches_gives_the_same_sums(rows: Any, data: Any) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    origins = (3.0, -2.0)
    parts = [sums(rows[:cut], origins=origins), sums(rows[cut:], origins=origins)]
    one = sums(rows, origins=origins)
    assert parts[0].merge(parts[1]) == one == parts[1].merge(parts[0])
    assert one.merge(regression_zero(GROUPS, origins=origins)) == one
    assert read_statistic(json.loads(canonical_json(one.to_json())), where="x") == one


def test_sums_about_other_origins_do_not_merge() -> None:
    with pytest.raises(InputError, match="different context"):
        regression_zero(GROUPS).merge(regression_zero(GROUPS, origins=(1.0, 0.0)))


def test_without_a_target_only_predictions_are_summed() -> None:
    codes = GROUPS.encode({"sex": ["F", "M"]})
    table = regression_sums(GROUPS, codes, None, [1.0, 2.0])
    assert of(table, 0)["predicted"] == 2
    assert of(table, 0)["judged"] == 0


@pytest.mark.parametrize("side", [1, 2])
def test_an_infinite_number_is_refused(side: int) -> None:
    row: list[Any] = ["F", 1.0, 1.0]
    row[side] = float("inf")
    with pytest.raises(InputError, match="infinite"):
        sums([tuple(row)])


def test_numbers_whose_powers_overflow_are_refused() -> None:
    with pytest.raises(InputError, match="too large for a double"):
        sums([("F", 0.0, 1e80)])


def test_a_document_with_other_columns_is_refused() -> None:
    document = sums([("F", 1.0, 2.0)]).to_json()
    document["columns"] = [*document["columns"][:-1], "other"]
    with pytest.raises(InputError, match="regression sums with other columns"):
        read_statistic(document, where="x")


@pytest.mark.parametrize("kind", [PREDICTIONS, RESIDUALS])
def test_counted_values_merge_and_come_back_with_their_kind(kind: str) -> None:
    codes = GROUPS.encode({"sex": ["F", "M", "M", None]})
    values = np.array([-1.5, 2.0, NAN, 2.0])
    grid = ScoreGrid(values=[-1.5, 2.0])
    counts = value_counts(GROUPS, codes, values, kind=kind, grid=grid)
    assert counts.by_label(0).tolist() == [[1, 0], [2, 0]]
    assert counts.unscored.tolist() == [1, 0, 1, 0]
    halves = [value_counts(GROUPS, codes[part], values[part], kind=kind, grid=grid)
              for part in (slice(0, 1), slice(1, 4))]  # fmt: skip
    assert halves[0].merge(halves[1]) == counts
    assert read_statistic(json.loads(canonical_json(counts.to_json())), where="x") == counts
    assert counts.kind == kind


def test_the_kind_is_stable() -> None:
    assert (REGRESSION, PREDICTIONS, RESIDUALS) == (
        "regression-sums", "prediction-counts", "residual-counts",
    )  # fmt: skip
