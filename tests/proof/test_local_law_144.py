"""The worked example of the rule (6 RCNY 5-301), and published audits, from their counts alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.datasets import Roles, declare_groups, open_table, scan_counts
from auditor.evidence import Estimate, Finding, Slice
from auditor.metrics.adverse_impact import adverse_impact
from auditor.stats import with_unknown

Key = frozenset[tuple[str, str | None]]

ATTRIBUTES = {"sex": ("sex",), "race_ethnicity": ("race",), "intersectional": ("sex", "race")}
UNLIKELY = Slice({"sex": "Female", "race": "Native American or Alaska Native"})
FLOOR: dict[str, Any] = {
    "exclude_under": 0.02,
    "exclusion_reason": "the rule lets categories under 2 % be left out; these are",
}


@pytest.fixture(scope="module")
def example(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "selection" / "ll144_rule_example_selection.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def printed(example: dict[str, Any]) -> pd.DataFrame:
    """One table of all that is printed: rows by sex, by race, and by both."""
    return pd.DataFrame(
        [
            {
                **dict(zip(attributes, row, strict=False)),
                **dict(zip(("n", "k", "rate", "ratio"), row[len(attributes) :], strict=True)),
            }
            for name, attributes in ATTRIBUTES.items()
            for row in example[name]
        ]
    )


COUNTS: dict[str, Any] = {
    "task": "counts",
    "total": "n",
    "selected": "k",
    "sensitive": ["sex", "race"],
}


@pytest.fixture(scope="module")
def findings(printed: pd.DataFrame) -> list[Finding]:
    return list(auditor.Audit().evaluate(predictions=printed, **COUNTS))


def of(findings: list[Finding], metric: str) -> dict[Slice, Finding]:
    return {f.slice: f for f in findings if f.metric == metric and f.over is None}


def test_every_printed_rate_and_ratio_of_the_rule(
    printed: pd.DataFrame, findings: list[Finding]
) -> None:
    ratios, rates = of(findings, "impact_ratio"), of(findings, "selection_rate")
    checked = 0
    for row in printed.to_dict("records"):
        where = Slice({name: row[name] for name in ("sex", "race") if isinstance(row[name], str)})
        ratio, rate = ratios[where].value, rates[where].value
        assert ratio is not None
        assert rate is not None
        digits = len(str(row["ratio"]).partition(".")[2])
        assert round(ratio, digits) == row["ratio"], (where, ratio)
        shown = len(row["rate"].strip("%").partition(".")[2])
        assert round(rate * 100, shown) == float(row["rate"].strip("%")), (where, rate)
        assert rates[where].n == row["n"]
        checked += 1
    assert checked == 2 + 7 + 14


def test_the_two_printed_totals_disagree_and_that_is_found(findings: list[Finding]) -> None:
    found = {
        (f.metric, f.over): (f.value, f.n) for f in findings
        if f.metric.startswith("marginal_") and f.over is not None
    }  # fmt: skip
    assert found == {
        ("marginal_total_difference", ("race",)): (0, 2584),
        ("marginal_selected_difference", ("race",)): (0, 2584),
        ("marginal_total_difference", ("sex",)): (2571 - 2584, 2571),
        ("marginal_selected_difference", ("sex",)): (1222 - 1254, 2571),
        # The intersections lack 13 persons of Hispanic or Latino, 408 against 205 + 190.
        ("marginal_total_difference", ("sex", "race")): (395 - 408, 2571),
        ("marginal_selected_difference", ("sex", "race")): (172 - 204, 2571),
    }


def test_seven_of_seventeen(findings: list[Finding]) -> None:
    ratio = of(findings, "impact_ratio")[UNLIKELY]
    assert ratio.value == pytest.approx(0.789, abs=5e-4)
    assert ratio.low is not None
    assert ratio.low < 0.8 < 1 == ratio.high
    exact = of(findings, "fisher_exact_p_value")[UNLIKELY]
    assert exact.value == pytest.approx(0.461, abs=5e-4)
    deviations = of(findings, "standard_deviations")[UNLIKELY]
    assert deviations.value is not None
    assert abs(deviations.value) < 1.96


POLICY = """schema: auditor/policy/v1
id: four-fifths-of-the-most-selected
version: 1.0.0
title: Impact ratios of at least four fifths
checks: [{{bias.adverse-impact: {fields}}}]
defaults: {{confidence: 0.95, min_denominator: {least}, on_inconclusive: warn}}
rules:
  - {{id: four-fifths, title: Four fifths, metric: impact_ratio, over: ["sex*race"],
     stage: evaluation, accept: ">= 0.8", on_fail: block}}
  - {{id: totals, title: Totals agree, metric: marginal_total_difference, over: [sex, race],
     stage: evaluation, accept: "== 0", on_fail: warn}}
"""


@pytest.mark.parametrize(("least", "floor"), [(1, False), (30, False), (1, True)])
def test_seven_of_seventeen_is_inconclusive_and_no_failure(
    tmp_path: Path, printed: pd.DataFrame, least: int, *, floor: bool
) -> None:
    path = tmp_path / "policy.yaml"
    fields = json.dumps(FLOOR) if floor else "{}"
    path.write_text(POLICY.format(fields=fields, least=least))
    audit = auditor.Audit(policy=str(path))
    found = audit.evaluate(predictions=printed, **COUNTS)
    verdict = audit.gate("evaluation")
    assert verdict is not None
    ratio, totals = verdict.rules
    assert (str(ratio.status), str(totals.status), verdict.gate) == (
        "inconclusive", "fail", "open",
    )  # fmt: skip
    bound = next(bound for bound in ratio.bounds if bound.slice == UNLIKELY)
    left_out = of(list(found), "impact_ratio")[UNLIKELY]
    if floor:
        assert left_out.reason == (
            "left out of the ratios: 0.66% of the records, under 2.00%: "
            + FLOOR["exclusion_reason"]
        )
        assert bound.reason == left_out.reason
        rate = of(list(found), "favourable_rate")[UNLIKELY]
        assert (rate.value, rate.n) == (pytest.approx(7 / 17), 17)
    else:
        assert left_out.status == "measured"
        assert bound.decision == ("inconclusive" if least == 1 else "small")


@pytest.fixture(scope="module")
def audits(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "selection" / "ll144_bias_audits_part.csv.gz").rename(
        columns={
            "number_of_applications": "n", "n_selected_or_n_above_median": "k",
            "selection_or_scoring_rate": "kind", "protected_char_group": "family",
            "race_ethnicity": "race", "result": "rate",
        }
    )  # fmt: skip


def test_the_recipe_of_the_paper_gives_its_aggregates(
    audits: pd.DataFrame, shared_data: Path
) -> None:
    targets = json.loads((shared_data / "published_targets.json").read_text(encoding="utf-8"))
    expected = targets["ll144_part"]["computed_here_with_the_papers_recipe"]
    dover = (audits.tool_vendor == "dover") & (audits.kind == "Scoring")
    rows = audits[(audits.deploying_entity != "Hackerrank") & ~dover]
    family = ["audit_id", "kind", "family"]
    keys = [rows[key] for key in family]
    whole = (rows.impact_ratio == 1).groupby(keys).transform("any")
    ratio = rows.impact_ratio.where(rows.impact_ratio.notna() | whole, rows.impact_calc)
    rows = rows.assign(
        low=(ratio < 0.8) & (rows.n != 0), high=(ratio > 1) & (rows.n != 0),
        compared=rows.comparator_group.eq(True),
    )  # fmt: skip
    by_audit = rows.groupby("audit_id")[["low", "high"]].any()
    by_family = rows.groupby(family)[["low", "compared"]].any()
    by_family = by_family[by_family.compared]
    assert expected == {
        "audits": len(by_audit), "audits_any_below": by_audit.low.sum(),
        "share": round(by_audit.low.mean(), 4), "groups": len(by_family),
        "groups_below": by_family.low.sum(), "gshare": round(by_family.low.mean(), 4),
        "any_above_one": round(by_audit.high.mean(), 4), "n_above": by_audit.high.sum(),
    }  # fmt: skip


def from_counts(rows: pd.DataFrame) -> dict[Key, tuple[float, float, bool]]:
    """Our ratios of the families of one audit, to the comparator that it names.

    Also the rate of that comparator, and whether it is the most selected category.
    """
    out: dict[Key, tuple[float, float, bool]] = {}
    for _, family_rows in rows.groupby("family"):
        names = [name for name in ("sex", "race") if (family_rows[name] != "Total").any()]
        table = open_table(family_rows[[*names, "n", "k"]])
        groups = declare_groups([table], names, intersections=len(names))
        roles = Roles(sensitive=tuple(names), task="counts", total="n", selected="k")
        counts = with_unknown(scan_counts(table, groups, roles), ["Missing/Unknown"])
        named = family_rows[family_rows.comparator_group.eq(True)]
        if named.empty:
            named = family_rows[family_rows.impact_ratio == 1]
        reference = None if named.empty else {name: str(named.iloc[0][name]) for name in names}
        found = adverse_impact(counts, counts.groups.family(names), reference=reference)
        ratios = {
            where: outcome.value for name, where, *_, outcome in found
            if name == "impact_ratio" and isinstance(outcome, Estimate)
        }  # fmt: skip
        top = all(ratio <= 1 + 1e-12 for ratio in ratios.values())
        for where, ratio in ratios.items():
            same = (family_rows[names] == [where[name] for name in names]).all(axis=1)
            row = family_rows[same].iloc[0]
            rate = row.k / row.n / ratio if ratio else float("nan")
            out[frozenset({"sex": "Total", "race": "Total", **where}.items())] = ratio, rate, top
    return out


@pytest.fixture(scope="module")
def compared(audits: pd.DataFrame) -> pd.DataFrame:
    """The categories with counts, a rate and a ratio in print, and our ratios from the counts."""
    usable = audits.dropna(subset=["n", "k"])
    usable = usable[usable.n > 0]
    parts: list[pd.DataFrame] = []
    for _, rows in usable.groupby(["audit_id", "kind"]):
        ours = from_counts(rows)
        places = zip(rows.sex, rows.race, strict=True)
        keys = [frozenset({"sex": sex, "race": race}.items()) for sex, race in places]
        found = [ours.get(key, (float("nan"), float("nan"), False)) for key in keys]
        fractional = bool((rows.k % 1 != 0).any())
        columns = pd.DataFrame(found, columns=["ours", "comparator", "top"], index=rows.index)
        parts.append(rows.join(columns).assign(fractional=fractional))
    table = pd.concat(parts)
    return table[table.rate.notna() & table.impact_ratio.notna() & table.ours.notna()]


HALF = 0.005 + 1e-9
"""Rates and ratios are printed to two decimals, some to more."""


@pytest.mark.slow
def test_ratios_of_published_audits_from_their_counts(compared: pd.DataFrame) -> None:
    """893 of 1,062 printed ratios are ours within the rounding; the others are named by their trap.

    Many audits give a rate of two decimals in place of a count, so that the ratio of the true rates
    is known no better than the two roundings let it be. 593 agree to the rounding of the ratio.
    """
    mine = compared.k / compared.n
    assert len(compared) == 1_074
    agreeing = compared[(mine - compared.rate).abs() <= HALF]
    assert len(agreeing) == 1_062
    mine = agreeing.k / agreeing.n
    low = (mine - HALF) / (agreeing.comparator + HALF) - HALF
    high = (mine + HALF) / (agreeing.comparator - HALF) + HALF
    equal = agreeing.impact_ratio.between(low, high)
    assert equal.sum() == 893
    assert ((agreeing.ours - agreeing.impact_ratio).abs() <= HALF).sum() == 593

    others = agreeing[~equal]
    bad = others.deploying_entity == "Hackerrank"
    assert (bad.sum(), (~bad & others.fractional).sum()) == (2, 163)
    # Where counts are fractional and the comparator is not the top group, ratios were averaged.
    assert (~bad & others.fractional & ~others.top).sum() == 124
    dci = others.auditor == "DCI Consulting Group"
    assert (~bad & others.fractional & dci).sum() == 159
    left = others[~bad & ~others.fractional]
    # Whole counts, and ratios that are not those of the printed rates either.
    assert sorted(left.deploying_entity) == ["Hiredscore", "Hiredscore", "Landed", "NYU Langone"]
    assert ((left.rate / left.comparator - left.impact_ratio).abs() > 2 * HALF).all()
    assert (agreeing.fractional & ~agreeing.top).sum() > 400


def test_a_comparator_that_is_not_the_top_group_gives_ratios_above_one(
    audits: pd.DataFrame,
) -> None:
    rows = audits[(audits.audit_id == "citizens_hirevue_dci_consulting_group_2024_audit_1")
                  & (audits.kind == "Selection, top and middle")]  # fmt: skip
    ours = from_counts(rows.dropna(subset=["n", "k"]))
    assert max(ratio for ratio, *_ in ours.values()) > 1
    assert not all(top for *_, top in ours.values())


def test_fractional_counts_give_the_printed_rate(audits: pd.DataFrame) -> None:
    rows = audits[(audits.audit_id == "adp_adp_blds_llc_2023_audit_1")].dropna(subset=["n", "k"])
    assert (rows.k % 1 != 0).any()
    frame = pd.DataFrame(
        {"sex": rows.sex.where(rows.sex != "Total"), "race": rows.race.where(rows.race != "Total"),
         "n": rows.n, "k": rows.k}
    )  # fmt: skip
    found = of(list(auditor.Audit().evaluate(predictions=frame, **COUNTS)), "favourable_rate")
    for row, printed_rate in zip(frame.to_dict("records"), rows.rate, strict=True):
        where = Slice({name: row[name] for name in ("sex", "race") if isinstance(row[name], str)})
        assert found[where].value == pytest.approx(printed_rate, abs=1e-9)
        assert found[where].n == row["n"]


def test_the_rates_of_a_bad_outcome_are_turned_round(audits: pd.DataFrame) -> None:
    rows = audits[(audits.audit_id == "hackerrank_hackerrank_babl_ai_2024_audit_2")
                  & (audits.family == "sex")].dropna(subset=["n", "k"])  # fmt: skip
    settings = {**COUNTS, "sensitive": ["sex"], "unfavourable": True}
    found = list(auditor.Audit().evaluate(predictions=rows[["sex", "n", "k"]], **settings))
    rates = (1 - rows.k / rows.n).to_numpy()
    ratios = of(found, "impact_ratio")
    lower = rows.sex.iloc[int(rates.argmin())]
    ratio = ratios[Slice({"sex": lower})]
    assert ratio.value == pytest.approx(rates.min() / rates.max())
    assert str(ratio.method).endswith("-of-not-being-selected")
