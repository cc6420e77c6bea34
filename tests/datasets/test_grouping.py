"""Rows are counted by slice in one pass, or in a few where the combinations are too many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.datasets import (
    Roles,
    Table,
    columns,
    declare_groups,
    grouping,
    open_table,
    roles,
    scan_confusion,
    scan_missing,
    scan_scores,
    tally,
)  # fmt: skip
from auditor.datasets.grouping import grouped
from auditor.datasets.tally import Key, estimate_cells, find_tally
from auditor.errors import InputError
from auditor.stats import Groups, ScoreCounts, SliceTable, read_statistic, score_counts

NAMES = ("a", "b", "c")
ROLES = Roles(sensitive=NAMES, target="y", score="s", threshold=0.5)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 3_000
    return pd.DataFrame(
        {
            "a": rng.choice(["x", "y", None], rows),
            "b": rng.integers(0, 7, rows),
            "c": rng.choice([0.5, 1.5, np.nan], rows),
            "y": rng.choice([0, 1, None], rows),
            "s": np.where(rng.random(rows) < 0.1, np.nan, rng.random(rows)),
            "w": rng.integers(0, 9, rows),
        }
    )


def too_many(monkeypatch: pytest.MonkeyPatch, most: int = 40) -> None:
    for module in (tally, grouping, roles, columns):
        monkeypatch.setattr(module, "MOST_CELLS", most)


@pytest.fixture(params=["few", "many"])
def often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many":
        too_many(monkeypatch)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that read all rows."""
    made: list[str] = []
    for name in ("query", "bounded_query", "batches"):
        original = getattr(Table, name)

        def spy(self: Table, sql: str, original: Any = original, **options: Any) -> Any:
            if "limit 16384" not in sql and not sql.startswith(("describe", "select 1 ")):
                made.append(sql)
            return original(self, sql, **options)

        monkeypatch.setattr(Table, name, spy)
    return made


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_one_audit_reads_the_file_once(
    suffix: str, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    made = reads(monkeypatch)
    table = open_table(path)
    ROLES.check(table)
    groups = declare_groups([table], NAMES)
    counts = scan_confusion(table, groups, ROLES)
    assert len(made) == 1
    assert counts.values[0].sum() == table.rows == len(frame)
    scan_scores(table, groups, ROLES)
    assert len(made) == 2


@pytest.mark.usefixtures("often")
def test_counts_and_sums_are_those_of_pandas(frame: pd.DataFrame) -> None:
    table = open_table(frame)
    groups = declare_groups([table], NAMES)
    found = grouped(
        table, groups, ROLES, {"half": "b // 4", "text": "a"},
        aggregates={"w": "sum(w)", "late": "count(*) filter (w > 4)"}, where="w > 0",
    )  # fmt: skip
    some = frame[frame.w > 0]
    half, text = found.field("half"), found.field("text")
    codes = groups.encode({name: some[name] for name in NAMES})
    flat = groups.flat(codes)
    assert len(set(zip(found.slices, half, text, strict=True))) == found.slices.size
    for family, position in zip(groups.families, range(flat.shape[1]), strict=True):
        inside = (found.slices >= groups.offset(family)) & (
            found.slices < groups.offset(family) + groups.size(family)
        )
        assert found.counts[inside].sum() == len(some)
        expected = some.assign(slice=flat[:, position], half=some.b // 4).groupby(
            ["slice", "half", "a"], dropna=False
        )  # fmt: skip
        by = {
            (int(k[0]), int(k[1]), None if pd.isna(k[2]) else k[2]): (
                len(part), part.w.sum(), (part.w > 4).sum()
            )
            for k, part in expected
        }  # fmt: skip
        assert by == {
            (int(found.slices[i]), int(half[i]), text[i]): (
                found.counts[i], found.sums["w"][i], found.sums["late"][i]
            )
            for i in np.flatnonzero(inside)
        }  # fmt: skip


@pytest.mark.usefixtures("often")
def test_scans_are_the_same_whether_combinations_are_few_or_many(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = open_table(frame)
    ROLES.check(table)
    groups = declare_groups([table], NAMES)
    scanned = [
        scan_confusion(table, groups, ROLES),
        scan_scores(table, groups, ROLES),
        scan_missing(table, groups, ROLES, list(frame), split="train"),
    ]
    monkeypatch.undo()
    fresh = open_table(frame)
    assert scanned == [
        scan_confusion(fresh, groups, ROLES),
        scan_scores(fresh, groups, ROLES),
        scan_missing(fresh, groups, ROLES, list(frame), split="train"),
    ]
    assert all(isinstance(each, (SliceTable, ScoreCounts)) for each in scanned)


def test_families_of_scores_as_large_as_the_rows_are_named_and_left_out(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.datasets import scan

    table = open_table(frame)
    groups = declare_groups([table], NAMES)
    whole = scan_scores(open_table(frame), groups, ROLES)
    too_many(monkeypatch)
    monkeypatch.setattr(scan, "_MOST_KEYS", 12_000)
    some = scan_scores(table, groups, ROLES)
    assert some.groups.families == ((), ("a",), ("b",), ("c",))
    assert some.context["uncounted"] == [["a", "b"], ["a", "c"], ["b", "c"]]
    for family in some.groups.families:
        for number in range(groups.size(family)):
            mine, all_of_it = (
                each.by_label(each.groups.offset(family) + number) for each in (some, whole)
            )
            assert np.array_equal(mine, all_of_it)


def test_every_score_is_counted_when_it_is_asked(frame: pd.DataFrame) -> None:
    table = open_table(frame)
    groups = declare_groups([table], NAMES)
    exact = scan_scores(table, groups, ROLES, resolution="exact")
    assert exact.grid.exact
    assert exact.grid.size == frame.s.nunique() > 1_024
    codes = groups.encode({name: frame[name] for name in NAMES})
    expected = score_counts(
        groups, codes, frame.y, frame.s, grid=exact.grid, context=exact.context
    )  # fmt: skip
    assert exact == expected
    assert read_statistic(exact.to_json(), where="e") == exact


def test_an_order_that_hides_the_combinations_is_found_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = 60_000
    frame = pd.DataFrame({"a": ["0"] * 20_000 + [str(i) for i in range(rows - 20_000)]})
    table = open_table(frame)
    assert estimate_cells(table, [Key("a")]) == 1
    monkeypatch.setattr(tally, "_MOST_FOUND", 1_000)
    assert tally.tally(table, [Key("a")]) is None
    monkeypatch.setattr(tally, "_MOST_FOUND", 1 << 22)
    monkeypatch.setattr(tally, "_MEMORY", "1MB")
    assert tally.tally(table, [Key("a")]) is None
    monkeypatch.setattr(tally, "_MEMORY", "512MB")
    found = tally.tally(table, [Key("a")])
    assert found is not None
    assert found.counts.size == rows - 20_000
    assert find_tally(table, [Key("b")]) is None


def test_the_estimate_is_near_the_number_of_combinations() -> None:
    rng = np.random.default_rng(0)
    table = open_table(pd.DataFrame({"a": rng.integers(0, 200_000, 100_000), "b": [1] * 100_000}))
    assert 150_000 < estimate_cells(table, [Key("a"), Key("b")]) < 260_000
    assert estimate_cells(table, [Key("b")]) == 1
    assert estimate_cells(table, []) == 1


def test_a_label_or_an_attribute_of_very_many_values_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = open_table(pd.DataFrame({"id": range(5_000), "y": [0, 1] * 2_500}), name="people")
    too_many(monkeypatch, 100)
    monkeypatch.setattr(roles, "_MOST_LEVELS", 1_000)
    with pytest.raises(InputError, match=r"'id': about \d,\d+ values in 5,000 rows where two"):
        Roles(sensitive=("y",), target="id").check(table)
    with pytest.raises(InputError, match=r"people: .*'id' has about \d,\d+ values; bins, or"):
        declare_groups([table], ["id"])


def test_fifty_thousand_levels_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 60_000
    frame = pd.DataFrame(
        {"zip": [f"z{i % 50_000}" for i in range(rows)], "sex": rng.choice(["F", "M"], rows),
         "y": rng.integers(0, 2, rows)}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    kinds = Roles(sensitive=("zip", "sex"), target="y")
    kinds.check(table)
    groups = declare_groups([table], kinds.sensitive)
    counts = scan_confusion(table, groups, kinds)
    assert counts.family(("zip",)).sum(axis=1)[:-1].min() == 1
    assert {int(counts.family(f).sum()) for f in groups.families} == {rows}


def test_zero_and_minus_zero_stay_two_levels() -> None:
    table = open_table(pd.DataFrame({"g": [0.0, -0.0, 1.0], "y": [0.0, -0.0, 1.0]}))
    kinds = Roles(sensitive=("g",), target="y")
    kinds.check(table)
    groups = declare_groups([table], ["g"])
    assert groups.attributes[0].levels == ("-0.0", "0.0", "1.0")
    assert scan_confusion(table, groups, kinds).values[0].tolist() == [0, 0, 2, 0, 0, 1, 0, 0, 0]


def test_without_attributes_everybody_is_counted() -> None:
    table = open_table(pd.DataFrame({"y": [0, 1, 1]}))
    found = grouped(table, Groups.declare([]), Roles(), {"y": "y"})
    assert sorted(zip(found.field("y").tolist(), found.counts.tolist(), strict=True)) == [
        (0, 1), (1, 2),
    ]  # fmt: skip
    none = grouped(table, Groups.declare([]), Roles(), {}, where="y > 5")
    assert none.counts.sum() == 0
