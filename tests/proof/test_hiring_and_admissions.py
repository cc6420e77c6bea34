"""Call-backs of the résumé experiment, and admissions to Berkeley in 1973 by department."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

import auditor
from auditor.evidence import Finding, Slice
from auditor.metrics.conditional import reversal

WOMEN, MEN = Slice({"Gender": "Female"}), Slice({"Gender": "Male"})
BLACK, WHITE = Slice({"ethnicity": "afam"}), Slice({"ethnicity": "cauc"})


def one(findings: list[Finding], metric: str, where: Slice, check: str | None = None) -> Finding:
    (found,) = [
        f for f in findings
        if (f.metric, f.slice) == (metric, where) and f.over is None and check in (None, f.check)
    ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def callbacks(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "selection" / "resume_callbacks.csv.gz")


@pytest.fixture(scope="module")
def hiring(callbacks: pd.DataFrame) -> list[Finding]:
    return list(
        auditor.Audit().evaluate(
            predictions=callbacks, prediction="call", positive="yes", sensitive=["ethnicity"],
            strata=["gender", "city"],
        )
    )  # fmt: skip


def test_callbacks_by_the_name_on_the_resume(hiring: list[Finding]) -> None:
    white, black = (one(hiring, "selection_rate", where) for where in (WHITE, BLACK))
    assert white.value is not None
    assert black.value is not None
    assert (round(white.value, 4), round(black.value, 4)) == (0.0965, 0.0645)
    assert (white.n, black.n) == (2435, 2435)
    ratio = one(hiring, "impact_ratio", BLACK)
    assert ratio.value == pytest.approx(0.668, abs=5e-4)
    assert ratio.high is not None
    assert ratio.high < 1
    assert ratio.reference == WHITE


def test_callbacks_against_scipy(callbacks: pd.DataFrame, hiring: list[Finding]) -> None:
    table = pd.crosstab(callbacks.ethnicity, callbacks.call).loc[["afam", "cauc"], ["yes", "no"]]
    exact = one(hiring, "fisher_exact_p_value", BLACK).value
    assert exact == pytest.approx(stats.fisher_exact(table.to_numpy()).pvalue, rel=1e-9)
    z = one(hiring, "standard_deviations", BLACK).value
    assert z is not None
    assert z**2 == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
    # 78 of 235 calls that white names got more: half of them would make the rates equal.
    assert one(hiring, "selection_shortfall", BLACK).value == pytest.approx((235 - 157) / 2)


def test_callbacks_are_no_reversal(hiring: list[Finding]) -> None:
    assert one(hiring, "simpson_reversal", WHITE).value == 0
    within = one(hiring, "conditional_parity_difference", WHITE).value
    overall = one(hiring, "marginal_parity_difference", WHITE).value
    # Names were given at random, so that strata change nothing.
    assert within == pytest.approx(overall, abs=1e-3)


@pytest.fixture(scope="module")
def admissions(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "selection" / "ucb_admissions.csv")


@pytest.fixture(scope="module")
def berkeley(admissions: pd.DataFrame) -> list[Finding]:
    return list(
        auditor.Audit().evaluate(
            predictions=admissions, prediction="Admit", positive="Admitted", sensitive=["Gender"],
            strata=["Dept"], frequency="Freq",
        )
    )  # fmt: skip


def test_admission_rates_by_sex(berkeley: list[Finding]) -> None:
    men, women = (one(berkeley, "selection_rate", where) for where in (MEN, WOMEN))
    assert men.value == pytest.approx(1198 / 2691)
    assert women.value == pytest.approx(557 / 1835)
    assert (men.n, women.n) == (2691, 1835)
    assert (round(1198 / 2691, 3), round(557 / 1835, 3)) == (0.445, 0.304)
    assert one(berkeley, "impact_ratio", WOMEN).value == pytest.approx(0.682, abs=5e-4)


def test_departments_turn_the_comparison_round(berkeley: list[Finding]) -> None:
    overall = one(berkeley, "marginal_parity_difference", WOMEN).value
    within = one(berkeley, "conditional_parity_difference", WOMEN).value
    assert overall is not None
    assert within is not None
    assert overall == pytest.approx(557 / 1835 - 1198 / 2691)
    assert overall < 0 < within
    assert one(berkeley, "simpson_reversal", WOMEN).value == 1
    assert reversal(overall, within, group="women", reference="men", within="departments") == (
        "Within departments, women are selected at a rate higher by 1.8 percentage points than "
        "men, while overall it is lower by 14.2: the comparison reverses when departments are "
        "taken into account."
    )


def test_berkeley_against_statsmodels(admissions: pd.DataFrame, berkeley: list[Finding]) -> None:
    tables = [
        part.pivot_table(index="Gender", columns="Admit", values="Freq")
        .loc[["Female", "Male"], ["Admitted", "Rejected"]]
        .to_numpy(np.float64)
        for _, part in admissions.groupby("Dept")
    ]
    assert len(tables) == 6
    reference = StratifiedTable(tables)
    odds = one(berkeley, "conditional_odds_ratio", WOMEN)
    low, high = reference.oddsratio_pooled_confint()
    assert (odds.value, odds.low, odds.high) == pytest.approx(
        (reference.oddsratio_pooled, low, high)
    )
    assert one(berkeley, "conditional_parity_ratio", WOMEN).value == pytest.approx(
        reference.riskratio_pooled
    )
    test = reference.test_null_odds(correction=False)
    assert one(berkeley, "cmh_p_value", WOMEN).value == pytest.approx(test.pvalue)


def test_rows_of_departments_are_as_many_applicants(
    admissions: pd.DataFrame, berkeley: list[Finding]
) -> None:
    long = admissions.loc[admissions.index.repeat(admissions.Freq)].reset_index(drop=True)
    rows = auditor.Audit().evaluate(
        predictions=long, prediction="Admit", positive="Admitted", sensitive=["Gender"],
        strata=["Dept"],
    )  # fmt: skip
    for check in ("bias.conditional-parity", "bias.adverse-impact"):
        mine, theirs = (
            [(f.metric, f.slice, f.value, f.low, f.high, f.n) for f in found if f.check == check]
            for found in (berkeley, rows)
        )
        assert mine == theirs
        assert mine
