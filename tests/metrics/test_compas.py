"""The published COMPAS analysis, from counts inside the project and from the table itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.datasets import Roles, declare_groups, open_table, scan_confusion, scan_scores
from auditor.evidence import Estimate, Slice
from auditor.metrics import disaggregate
from auditor.metrics.rates import BINARY_METRICS
from auditor.stats import (
    CELLS,
    Attribute,
    Groups,
    ScoreCounts,
    SliceTable,
    confusion_counts,
    score_counts,
)

GOLDEN = json.loads((Path(__file__).parent / "compas_cells.json").read_text())
RACES = tuple(sorted(GOLDEN["cells"]))
JUDGED = [CELLS.index(cell) for cell in GOLDEN["order"]]

CAUCASIAN = Slice({"race": "Caucasian"})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """One row for each person, out of the counts of deciles."""
    frames = [
        pd.DataFrame({"race": race, "sex": sex, "y": y, "decile": np.repeat(range(1, 11), counts)})
        for race, sexes in GOLDEN["deciles"].items()
        for sex, labels in sexes.items()
        for y, counts in enumerate((labels["negative"], labels["positive"]))
    ]
    return pd.concat(frames, ignore_index=True).assign(
        high=lambda f: (f["decile"] >= 5).astype(int)
    )


@pytest.fixture(scope="module")
def counts(rows: pd.DataFrame) -> SliceTable:
    groups = Groups.declare([Attribute(name="race", levels=RACES)])
    return confusion_counts(groups, groups.encode({"race": rows["race"]}), rows["y"], rows["high"])


@pytest.fixture(scope="module")
def scores(rows: pd.DataFrame) -> ScoreCounts:
    groups = Groups.declare([Attribute(name="race", levels=RACES)])
    return score_counts(groups, groups.encode({"race": rows["race"]}), rows["y"], rows["decile"])


@pytest.fixture(scope="module")
def measured(counts: SliceTable) -> dict[Any, Estimate]:
    found = disaggregate(BINARY_METRICS, counts, reference={"race": "Caucasian"})
    return {(name, where.get("race")): outcome for name, where, _, _, outcome in found}


def rounded(estimate: Estimate, digits: int = 4) -> tuple[float | None, ...]:
    return tuple(
        None if v is None else round(v, digits)
        for v in (estimate.value, estimate.low, estimate.high)
    )


def test_the_cells_are_the_golden_ones(counts: SliceTable) -> None:
    cells = counts.family(("race",))
    assert {race: cells[i, JUDGED].tolist() for i, race in enumerate(RACES)} == GOLDEN["cells"]
    assert counts.family(())[0, JUDGED].tolist() == [2681, 1282, 1216, 2035]
    assert counts.family(())[0].sum() == 7_214


@pytest.mark.parametrize(
    ("race", "metric", "numbers"),
    [
        ("African-American", "false_positive_rate", (0.4485, 0.4256, 0.4716)),
        ("Caucasian", "false_positive_rate", (0.2345, 0.2137, 0.2567)),
        ("Asian", "false_positive_rate", (0.0870, 0.0242, 0.2680)),
        ("African-American", "false_positive_rate_difference", (0.2139, 0.1821, 0.2450)),
    ],
)
def test_false_positive_rates_with_their_intervals(
    measured: dict[Any, Estimate], race: str, metric: str, numbers: tuple[float, ...]
) -> None:
    assert rounded(measured[metric, race]) == numbers


@pytest.mark.parametrize(
    ("race", "rate", "n"),
    [("African-American", 0.2799, 1901), ("Caucasian", 0.4772, 966), (None, 0.3740, 3251)],
)
def test_false_negative_rates(
    measured: dict[Any, Estimate], race: str | None, rate: float, n: int
) -> None:
    found = measured["false_negative_rate", race]
    assert (round(found.value, 4), found.n) == (rate, n)


def test_the_ratio_of_false_positive_rates_with_both_intervals(
    measured: dict[Any, Estimate],
) -> None:
    ratio = measured["false_positive_rate_ratio", "African-American"]
    assert round(ratio.value, 3) == 1.912
    assert (ratio.n, ratio.method) == (3283, "miettinen-nurminen")
    (katz,) = ratio.also
    assert katz.low is not None
    assert katz.high is not None
    assert (round(katz.low, 4), round(katz.high, 4)) == (1.7212, 2.1241)


@pytest.mark.parametrize(
    ("race", "area"),
    [
        (None, 0.702166),
        ("African-American", 0.691834),
        ("Caucasian", 0.693146),
        ("Hispanic", 0.637926),
    ],
)
def test_areas_of_the_decile_score(scores: ScoreCounts, race: str | None, area: float) -> None:
    found = {
        where.get("race"): o for n, where, *_, o in disaggregate(["auc"], scores) if n == "auc"
    }
    outcome = found[race]
    assert isinstance(outcome, Estimate)
    assert round(outcome.value, 6) == area
    assert (outcome.method, outcome.bound) == ("delong", None)


def test_the_disparities_of_the_demonstration_of_aequitas(counts: SliceTable) -> None:
    """Against Hispanic, aequitas prints 2.087696 (FPR), .503301 (FNR) for African-American."""
    found = disaggregate(BINARY_METRICS, counts, reference={"race": "Hispanic"})
    ratios = {(n, w.get("race")): o for n, w, _, _, o in found if n.endswith("_ratio")}
    assert ratios["false_positive_rate_ratio", "African-American"].value == pytest.approx(
        2.087696, abs=5e-7
    )
    assert ratios["false_negative_rate_ratio", "African-American"].value == pytest.approx(
        0.503301, abs=5e-7
    )
    assert ratios["selection_rate_ratio", "African-American"].value == pytest.approx(
        1.972030, abs=5e-7
    )


def test_the_table_itself_gives_the_same_counts(
    shared_data: Path, counts: SliceTable, scores: ScoreCounts, tmp_path: Path
) -> None:
    source = pd.read_csv(
        shared_data / "tabular" / "compas_two_years.csv.gz",
        usecols=["race", "two_year_recid", "decile_score"],
    )
    path = tmp_path / "compas.csv.gz"
    source.assign(high=(source["decile_score"] >= 5).astype(int)).to_csv(path, index=False)
    table = open_table(path)
    roles = Roles(
        sensitive=("race",), target="two_year_recid", prediction="high", score="decile_score"
    )
    roles.check(table)
    groups = declare_groups([table], ["race"])
    assert np.array_equal(scan_confusion(table, groups, roles).values, counts.values)
    scanned = scan_scores(table, groups, roles)
    assert (scanned.groups, scanned.grid) == (scores.groups, scores.grid)
    assert np.array_equal(scanned.keys, scores.keys)
    assert np.array_equal(scanned.counts, scores.counts)
    by_threshold = Roles(
        sensitive=("race",), target="two_year_recid", score="decile_score", threshold=5
    )
    assert np.array_equal(scan_confusion(table, groups, by_threshold).values, counts.values)
